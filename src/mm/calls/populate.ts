// Mapping many fresh pages at once, to be filled in place: how an image gets into an mm without a second copy.

import { PagefoldError } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_READ } from '../model/vma.ts'
import { prepareAnonVma } from '../model/vma-edit.ts'
import { mkPte, pteMkdirty, pteMkwrite } from '../page/pte.ts'
import { setPte } from '../page/ptes.ts'
import { addNewAnonRmap } from '../page/rmap.ts'

/**
 * Maps a fresh frame at every page of [start, start + pages), none of which may be mapped yet, and has `fill` write
 * their bytes: it is called with adjacent pages at a time, and must write all it is given. What had been filled before
 * an error is mapped.
 */
export function populate(
  mm: MmStruct,
  start: number,
  pages: number,
  fill: (bytes: Uint8Array, firstPage: number, count: number) => void,
): void {
  const { bytes, frames, pageTables } = mm.memory
  const vma = mm.vmas.at(start)
  if (vma === undefined || vma.end < start + pages)
    throw new PagefoldError('EFAULT', `${mm.name}: not one mapping`)
  prepareAnonVma(mm, vma)
  for (let page = 0; page < pages; ) {
    const { pfn, count } = takeRun(mm, pages - page, vma.nid)
    for (let i = 0; i < count; i++) {
      const vpn = start + page + i
      if (!pageTables.reserve(mm.pgd, vpn)) {
        for (let rest = i; rest < count; rest++) frames.put(pfn + rest)
        throw new PagefoldError('ENOMEM', `${mm.name}: no metadata left for page tables`)
      }
      addNewAnonRmap(mm.memory, pfn + i, vma, vpn)
      setPte(mm, vpn, pteMkdirty(pteMkwrite(mkPte(pfn + i, vma.has(VM_READ)))))
    }
    const first = page
    bytes.fill(pfn, count, (view) => fill(view, first, count))
    page += count
  }
}

/** Adjacent frames: a run of never used ones, or a single freed one when those are out. */
function takeRun(mm: MmStruct, wanted: number, nid: number): { pfn: number; count: number } {
  const { frames } = mm.memory
  const run = frames.allocRun(Math.min(wanted, RUN_PAGES), nid)
  if (run.count > 0) return run
  const pfn = frames.alloc(nid)
  if (pfn === 0) throw new PagefoldError('ENOMEM', `${mm.name}: no free frame left`)
  return { pfn, count: 1 }
}

/** 4 MiB at a time: large enough to read fast, small enough for a progress bar. */
const RUN_PAGES = 1024
