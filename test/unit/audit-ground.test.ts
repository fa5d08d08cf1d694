// The audit sees what everything stands on: the header, the zero page, the trees of a scan under way, borders of domains.

import { describe, expect, it } from 'vitest'
import {
  HEADER_FIRST_PFN,
  HEADER_SECRET,
  HEADER_ZONE_NEXT,
  PAGE_SIZE,
  RMAP_MM,
  ZERO_PFN,
} from '../../assembly/abi.ts'
import type { Host } from '../../src/index.ts'
import { setPte } from '../../src/mm/page/ptes.ts'
import { ksmOf, memoryOf, pteOf } from '../support/inside.ts'
import { guest, makeHost, PAGE } from '../support/world.ts'

/** Breaks something, sees that the audit says so, and mends it again. */
function seen(host: Host, says: RegExp, act: () => void, undo: () => void): void {
  host.audit()
  act()
  expect(() => host.audit()).toThrow(says)
  undo()
  host.audit()
}

describe('the audit', () => {
  it.each([
    ['a word', HEADER_FIRST_PFN],
    ["a word of the checksum's secret", HEADER_SECRET + 8],
    ['where the next metadata page is', HEADER_ZONE_NEXT],
  ])('sees %s of the header written over', async (_, at) => {
    const host = await makeHost()
    const { u32 } = memoryOf(host).arena
    const was = u32[at >>> 2]!
    seen(
      host,
      new RegExp(`written over at byte ${at}`),
      () => (u32[at >>> 2] = 0xffff_ffff),
      () => (u32[at >>> 2] = was),
    )
  })

  it('sees a byte in the zero page', async () => {
    const host = await makeHost()
    const { u8 } = memoryOf(host).arena
    const at = ZERO_PFN * PAGE_SIZE + 7
    seen(
      host,
      /the zero page was written to/,
      () => (u8[at] = 1),
      () => (u8[at] = 0),
    )
  })

  it('sees a frame that two domains map', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7], { domain: 'one' })
    const b = guest(host, 'b', [8], { domain: 'two' })
    const was = pteOf(b.mm, b.at)
    const vpn = b.at / PAGE
    seen(
      host,
      /belongs to domain "one"/,
      () => setPte(b.mm, vpn, pteOf(a.mm, a.at)),
      () => setPte(b.mm, vpn, was),
    )
  })

  it('sees a merge across domains', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7, 7], { domain: 'one' })
    const b = guest(host, 'b', [8], { domain: 'two' })
    host.ksm.scan(2)
    const item = ksmOf(host).slots.of(a.mm)!.rmapList
    const mm = memoryOf(host).arena.u16
    const place = (item + RMAP_MM) >>> 1
    seen(
      host,
      /domains of its items/,
      () => (mm[place] = b.mm.id),
      () => (mm[place] = a.mm.id),
    )
  })

  it('sees an unstable tree that lost a node in the middle of a scan', async () => {
    const host = await makeHost()
    guest(host, 'a', [1, 2, 3, 4])
    host.ksm.scan(1)
    host.ksm.scanPages(3)
    const { arena } = memoryOf(host)
    const [trees] = [...ksmOf(host).allTrees()]
    const roots = trees!.unstable[0]!
    const slot = Array.from({ length: arena.rootSlots }, (_, i) => i).find(
      (i) => arena.topNode(roots, i) !== 0,
    )!
    const word = arena.rootSlot(roots, slot) >>> 2
    const was = arena.u32[word]!
    seen(
      host,
      /items in the unstable trees/,
      () => (arena.u32[word] = 0),
      () => (arena.u32[word] = was),
    )
  })
})
