// Taking pages away from an mm: munmap, MADV_DONTNEED, exit. A frame is freed the instant its last mapping goes.

import { FRAME_LOCKED, PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL } from '../../assembly/abi.ts'
import type { Memory } from './memory.ts'
import type { MmStruct } from './mm-struct.ts'
import { isSwapPte, ptePfn, type SwapEntry, swapEntryOf } from './pte.ts'
import { removeRmap } from './rmap.ts'
import { releaseShared } from './shared.ts'
import type { Vma } from './vma.ts'
import { splitAt } from './vma-edit.ts'

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

/** With the last who had it swapped out a page leaves the swap cache too. Linux: free_swap_and_cache() */
function freeSwapAndCache({ swap, frames }: Memory, entry: SwapEntry): void {
  const cached = swap.cachedPage(entry)
  swap.free(entry)
  if (cached === 0 || frames.mapcount(cached) > 0) return
  // Whoever has it locked does this when they let it go.
  if (!frames.hasFlag(cached, FRAME_LOCKED)) swap.tryToFree(cached)
}

function zapPte(mm: MmStruct, pte: number): void {
  if ((pte & PTE_PRESENT) === 0) {
    if (isSwapPte(pte)) freeSwapAndCache(mm.memory, swapEntryOf(pte))
    return
  }
  if ((pte & PTE_SPECIAL) === 0) removeRmap(mm.memory, ptePfn(pte))
  else if ((pte & PTE_DIRTY) !== 0) mm.memory.addKsmZeroPages(mm, -1)
}
