// MADV_FREE: pages whose content may be thrown away instead of being swapped out, until somebody writes to them. What is
// there can be read until then. Linux: madvise_free_pte_range(), folio_mark_lazyfree()

import { FRAME_DIRTY, FRAME_LOCKED, FRAME_SWAPCACHE } from '../../../assembly/abi.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import {
  EMPTY_PTE,
  isPoisonPte,
  isSwapPte,
  pteDirty,
  pteMkclean,
  pteMkdirty,
  pteNormal,
  ptePfn,
  swapEntryOf,
} from '../page/pte.ts'
import { getPte, setPte, walkPageRange } from '../page/ptes.ts'
import { discardMappings } from './unmap-page.ts'

/** Gives the pages of [start, end) up lazily; what is swapped out, or broken, is gone at once. */
export function freeLazily(mm: MmStruct, start: number, end: number): void {
  const range = mm.notifiers.start('clear', start, end)
  const cleaned: number[] = []
  walkPageRange(mm, start, end, (vpn, pte) => {
    if (isSwapPte(pte) || isPoisonPte(pte)) {
      setPte(mm, vpn, EMPTY_PTE)
      if (isSwapPte(pte)) mm.memory.swap.freeAndCache(swapEntryOf(pte))
    } else if (pteNormal(pte) && makeClean(mm.memory, ptePfn(pte))) {
      setPte(mm, vpn, pteMkclean(pte))
      mm.memory.frames.lazyFree.add(ptePfn(pte))
      if (pteDirty(pte)) cleaned.push(vpn)
    }
  })
  // Whoever may still be writing to them keeps them from being thrown away.
  if (!mm.cpus.synchronize()) for (const vpn of cleaned) setPte(mm, vpn, pteMkdirty(getPte(mm, vpn)))
  mm.notifiers.end(range)
}

/** False if the page is somebody else's too, or is held: then its content has to be kept. */
function makeClean(memory: Memory, pfn: number): boolean {
  const { frames, swap } = memory
  if (!frames.hasFlag(pfn, FRAME_SWAPCACHE | FRAME_DIRTY)) return true
  if (frames.hasFlag(pfn, FRAME_LOCKED) || frames.mapcount(pfn) !== 1) return false
  if (frames.hasFlag(pfn, FRAME_SWAPCACHE) && !swap.tryToFree(pfn)) return false
  frames.clearFlag(pfn, FRAME_DIRTY)
  return true
}

/**
 * Throws a page away that was given up, the caller holding a reference. Says why not if somebody else holds it, and if it turns
 * out that it has been written to since: it is a page like any other then, for the next attempt. Who gave it up and comes before
 * the writer has lost it by then. Linux: the part of try_to_unmap_one() for lazyfree
 */
export function discardLazily(memory: Memory, pfn: number): 'still mapped' | 'referenced' | undefined {
  const { frames } = memory
  const isHeld = (): boolean => frames.refcount(pfn) !== frames.mapcount(pfn) + 1
  const isDirty = (): boolean => frames.hasFlag(pfn, FRAME_DIRTY)
  discardMappings(memory, pfn, () => !isDirty() && !isHeld())
  if (frames.mapcount(pfn) === 0) return isHeld() ? 'referenced' : undefined
  if (!isDirty()) return 'referenced'
  frames.lazyFree.delete(pfn)
  return 'still mapped'
}
