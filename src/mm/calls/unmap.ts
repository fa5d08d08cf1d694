// Taking pages away from an mm: munmap, MADV_DONTNEED, exit. A frame is freed the instant its last mapping goes.

import { releaseShared } from '../fault/shared.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import type { Vma } from '../model/vma.ts'
import { splitAt } from '../model/vma-edit.ts'
import { EMPTY_PTE, isKsmZeroPte, isSwapPte, pteNormal, ptePfn, swapEntryOf } from '../page/pte.ts'
import { setPte, walkPageRange } from '../page/ptes.ts'
import { removeRmap } from '../page/rmap.ts'

/** Empties the ptes of [start, end). Linux: zap_page_range() */
export function zapPageRange(mm: MmStruct, start: number, end: number): void {
  if (mm.cpus.threads > 0) {
    zapWatched(mm, start, end)
    return
  }
  walkPageRange(mm, start, end, (vpn, pte) => {
    setPte(mm, vpn, EMPTY_PTE)
    zapPte(mm, pte)
  })
}

/** The same, and nothing goes to anybody else while a virtual CPU may be using it. */
function zapWatched(mm: MmStruct, start: number, end: number): void {
  const ptes: number[] = []
  walkPageRange(mm, start, end, (vpn, pte) => {
    setPte(mm, vpn, EMPTY_PTE)
    ptes.push(pte)
  })
  const drop = (): void => {
    for (const pte of ptes) zapPte(mm, pte)
  }
  if (ptes.length > 0) mm.cpus.afterGrace({ ptes, drop })
}

/** Unmaps [start, end), cutting the vmas at its borders. Linux: do_munmap() */
export function unmapRange(mm: MmStruct, start: number, end: number): void {
  if (start >= end) return
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
  releaseShared(mm.memory, vma)
}

/** What a pte named is mapped here no longer; the pte is empty already. */
export function zapPte(mm: MmStruct, pte: number): void {
  if (pteNormal(pte)) removeRmap(mm.memory, ptePfn(pte))
  else if (isSwapPte(pte)) mm.memory.swap.freeAndCache(swapEntryOf(pte))
  else if (isKsmZeroPte(pte)) mm.memory.addKsmZeroPages(mm, -1)
}
