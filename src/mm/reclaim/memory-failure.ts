// Memory failure: the hardware reports an error in a frame. Its content is lost; who maps it is told, and later touches
// fail. Nobody is told if swap has the content too, or a file. A merged page has many users at once; if its content exists in another
// page of its chain they can be moved there instead, which Linux users ask for.
//
// Linux: memory_failure(), collect_procs_ksm(), me_swapcache_clean(), me_swapcache_dirty()

import { FRAME_DIRTY, FRAME_LOCKED, FRAME_SWAPCACHE, MAPPING_KSM, PAGE_SIZE } from '../../../assembly/abi.ts'
import { dropPage } from '../fault/shared.ts'
import type { Memory } from '../model/memory.ts'
import { isKsm } from '../page/rmap.ts'
import { discardMappings, type Mapping, unmapBrokenToSwap, unmapToPoison } from './unmap-page.ts'

/** What became of the users of a broken frame. */
export interface MemoryFailure {
  /** Who lost a page: name of the mm, and the address in bytes. Touching it fails with EHWPOISON from now on. */
  readonly told: readonly { readonly mm: string; readonly address: number }[]
  /** How many mappings were moved to another page with the same content, or find it in swap or in its file. */
  readonly recovered: number
}

/**
 * Marks a frame as broken: it is never handed out again. Everybody who maps it is found. EAGAIN while it is locked, because its page is
 * on its way elsewhere or being merged: then who maps it is not to be known. (Linux waits.)
 */
export function memoryFailure(memory: Memory, pfn: number, recover: boolean): MemoryFailure | 'EAGAIN' {
  const { frames } = memory
  if (frames.hasFlag(pfn, FRAME_LOCKED)) return 'EAGAIN'
  const moved = recover && isKsm(memory, pfn) ? memory.ksm.recoverFromFailure(pfn) : 0
  if (frames.refcount(pfn) === 0) {
    frames.poison(pfn)
    return { told: [], recovered: moved }
  }
  frames.get(pfn) // held while it is taken apart, so that it does not go back to the free ones
  const { lost, swapped } = takeFromUsers(memory, pfn)
  // Nobody must join a broken page, however long somebody still holds it.
  if (isKsm(memory, pfn)) frames.setMapping(pfn, MAPPING_KSM)
  frames.poison(pfn)
  frames.put(pfn)
  const told = lost.map(({ mm, vpn }) => ({ mm: mm.name, address: vpn * PAGE_SIZE }))
  return { told, recovered: moved + swapped }
}

/** Unmaps a page everywhere. Returns who lost it, and how many can have it back from swap. */
function takeFromUsers(memory: Memory, pfn: number): { lost: Mapping[]; swapped: number } {
  const { frames, swap } = memory
  if (memory.objectPages.get(pfn)?.object.source !== undefined) {
    // Nobody can have written to it: whoever touches it next has it read again.
    const mappings = discardMappings(memory, pfn)
    dropPage(memory, pfn)
    return { lost: [], swapped: mappings.length }
  }
  if (!frames.hasFlag(pfn, FRAME_SWAPCACHE)) return { lost: unmapToPoison(memory, pfn), swapped: 0 }
  const mappings = unmapBrokenToSwap(memory, pfn, swap.entryOf(pfn))
  // It stays in the swap cache for whoever has it swapped out to find it broken there.
  if (frames.hasFlag(pfn, FRAME_DIRTY)) return { lost: mappings, swapped: 0 }
  swap.uncache(pfn)
  return { lost: [], swapped: mappings.length }
}
