// Memory for what a scan writes down is put in place when pages are registered: for all of them, and not for those that
// are gone.

import { describe, expect, it, vi } from 'vitest'
import type { Host } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { addFilled, bootHost, fullScans, type Guest, PAGE } from '../support/world.ts'

const PAGES = 300

async function watchedHost(): Promise<{ host: Host; expected: () => number[]; guest: () => Guest }> {
  const host = await bootHost({ frames: 4 * PAGES })
  const touch = vi.spyOn(memoryOf(host).arena, 'touchMetadata')
  const guest = (): Guest => {
    const mm = host.createMm()
    return { mm, at: addFilled(mm, PAGES, 1) }
  }
  return { host, guest, expected: () => touch.mock.calls.map(([pages]) => pages) }
}

describe('the items that a scan will need', () => {
  it('are those of every guest that is registered', async () => {
    const { guest, expected } = await watchedHost()
    guest()
    guest()
    expect(expected()).toEqual([PAGES, 2 * PAGES])
  })

  it('are not those of a guest that has exited, scanned or not', async () => {
    const { host, guest, expected } = await watchedHost()
    guest().mm.exit()
    guest()
    fullScans(host, 1)
    const { mm } = guest()
    mm.exit()
    host.ksm.scan(1)
    guest()
    expect(expected()).toEqual([PAGES, PAGES, 2 * PAGES, 2 * PAGES])
  })

  it('are not counted twice if a range is taken out and registered again', async () => {
    const { guest, expected } = await watchedHost()
    const { mm, at } = guest()
    mm.madvise(at, PAGES * PAGE, 'MADV_UNMERGEABLE')
    mm.madvise(at, PAGES * PAGE, 'MADV_MERGEABLE')
    expect(expected()).toEqual([PAGES, PAGES])
  })

  it('are no fewer for taking out what never was in', async () => {
    const { guest, expected } = await watchedHost()
    const { mm } = guest()
    const other = addFilled(mm, PAGES, 2, { mergeable: false })
    mm.madvise(other, PAGES * PAGE, 'MADV_UNMERGEABLE')
    guest()
    expect(expected()).toEqual([PAGES, 2 * PAGES])
  })

  it('find memory that is there already', async () => {
    const { host, guest } = await watchedHost()
    const touchPages = vi.fn<(bytes: number) => void>()
    const { arena } = memoryOf(host)
    Object.assign(arena, { core: { ...arena.core, touchPages } })
    guest()
    fullScans(host, 1)
    guest()
    const [[first], [second]] = touchPages.mock.calls as [[number], [number]]
    // A slab's page holds 128 items: what is left of the last one serves the second guest.
    expect(second / first).toBe((2 * PAGES - 128 * Math.ceil(PAGES / 128)) / PAGES)
  })
})
