// What guest memory costs in the small: finding the frame behind an address, and a write to a merged page, beside the
// copy that such a write cannot do without.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { Host, type Mm, SecondaryMmu, stillClock } from '../../src/index.ts'
import { handleMmFault } from '../../src/mm/fault/fault.ts'
import { mkPte } from '../../src/mm/page/pte.ts'
import { setPte } from '../../src/mm/page/ptes.ts'
import { addRmap, removeRmap } from '../../src/mm/page/rmap.ts'
import type { MicroGroup } from './suite.ts'

/** Few enough to stay in the cache with their copies: it is the fault that is measured, not memory. */
const PAGES = 16

export async function guestMemory(): Promise<MicroGroup> {
  const { host, mm, at } = await mergedPages()
  // One of its own: a mirror is told of every fault, and that is a cost of its own too.
  const mirrored = await mergedPages()
  const mmu = new SecondaryMmu(mirrored.mm)
  const { core, firstPfn } = host.memory.arena
  mmu.translate(mirrored.at)
  let page = 0
  const nextAddress = (): number => {
    page = (page + 1) % PAGES
    return at + page * PAGE_SIZE
  }
  return {
    name: 'guest memory',
    cases: [
      { name: 'translate an address (mm.pfn)', bytes: 0, run: () => mm.pfn(nextAddress())! },
      { name: 'translate an address (secondary MMU)', bytes: 0, run: () => mmu.translate(nextAddress()) },
      {
        name: 'copy a page',
        bytes: PAGE_SIZE,
        run: () => {
          page = (page + 1) % PAGES
          core.copyPage(firstPfn + PAGES + page, firstPfn + page)
          return page
        },
      },
      {
        name: 'write fault on a merged page, and back',
        bytes: PAGE_SIZE,
        run: () => breakAndRestore(mm, nextAddress() / PAGE_SIZE),
      },
      {
        name: 'the same with a secondary MMU told of it',
        bytes: PAGE_SIZE,
        run: () => breakAndRestore(mirrored.mm, nextAddress() / PAGE_SIZE),
      },
    ],
  }
}

async function mergedPages(): Promise<{ host: Host; mm: Mm; at: number }> {
  const host = await Host.create({ frames: 4 * PAGES, clock: stillClock })
  const mm = host.createMm()
  const at = mm.mmap(PAGES * PAGE_SIZE)
  mm.write(at, new Uint8Array(PAGES * PAGE_SIZE).fill(7))
  mm.madvise(at, PAGES * PAGE_SIZE, 'MADV_MERGEABLE')
  host.ksm.set('run', 1)
  host.ksm.scan(2)
  return { host, mm, at }
}

/** A write fault, then the merged page put back by hand, so that the next round finds it merged again. */
function breakAndRestore(mm: Mm, vpn: number): number {
  const { frames } = mm.memory
  const merged = mm.pfn(vpn * PAGE_SIZE)!
  frames.get(merged) // or it would be free the moment its last mapping goes
  handleMmFault(mm, vpn, 'write')
  const copy = mm.pfn(vpn * PAGE_SIZE)!
  setPte(mm, vpn, mkPte(merged, true))
  addRmap(mm.memory, merged)
  removeRmap(mm.memory, copy)
  return copy
}
