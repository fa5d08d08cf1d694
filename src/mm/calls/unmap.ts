// Taking pages away from an mm: munmap, MADV_DONTNEED, exit. A frame is freed the instant its last mapping goes.

import { PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL } from '../../../assembly/abi.ts'
import { releaseShared } from '../fault/shared.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import type { Vma } from '../model/vma.ts'
import { splitAt } from '../model/vma-edit.ts'
import { isSwapPte, ptePfn, swapEntryOf } from '../page/pte.ts'
import { removeRmap } from '../page/rmap.ts'

/** Empties the ptes of [start, end). Linux: zap_page_range() */
export function zapPageRange(mm: MmStruct, start: number, end: number): void {
  const { pageTables } = mm.memory
  for (
    let vpn = pageTables.next(mm.pgd, start, end);
    vpn < end;
    vpn = pageTables.next(mm.pgd, vpn + 1, end)
  ) {
    const pte = pageTables.found
    pageTables.set(mm.pgd, vpn, 0)
    zapPte(mm, pte)
  }
}

/** Unmaps [start, end), cutting the vmas at its borders. Linux: do_munmap() */
export function unmapRange(mm: MmStruct, start: number, end: number): void {
  splitAt(mm, start)
  splitAt(mm, end)
  const doomed = mm.vmas.within(start, end)
  if (doomed.length === 0) return
  const range = mm.notifiers.start('unmap', start, end)
  for (const vma of doomed) removeVma(mm, vma)
  mm.notifiers.end(range)
  mm.memory.pageTables.prune(mm.pgd, start, end)
}

/** Empties a vma and takes it out of its mm. */
export function removeVma(mm: MmStruct, vma: Vma): void {
  zapPageRange(mm, vma.start, vma.end)
  mm.vmas.remove(vma)
  mm.memory.anonVmas.unlink(vma)
  if (vma.shared !== undefined) releaseShared(mm.memory, vma.shared)
}

function zapPte(mm: MmStruct, pte: number): void {
  if ((pte & PTE_PRESENT) === 0) {
    if (isSwapPte(pte)) mm.memory.swap.freeAndCache(swapEntryOf(pte))
    return
  }
  if ((pte & PTE_SPECIAL) === 0) removeRmap(mm.memory, ptePfn(pte))
  else if ((pte & PTE_DIRTY) !== 0) mm.memory.addKsmZeroPages(mm, -1)
}
