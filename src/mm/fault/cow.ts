// Copy-on-write: when may a write go to the page as it is, and when must it go to a copy? Three answers, all once
// Linux's, so that they can be compared.
//
//   anon_exclusive      since 5.18: the page is marked as this mm's alone, or turns out to be; exact even for pages
//                       that somebody pinned
//   page_count          5.9 to 5.17: nobody else holds any reference; a pinned page is copied away from its pin
//   mapcount+swapcount  2.6.13 to 5.8: nobody else maps it or has it swapped out; other references do not count
//
// A merged page is always copied, however few still map it, unless `reuseKsm` brings back what Linux did from 5.1 to
// 5.8 (reuse_ksm_page).

import { FRAME_EXCLUSIVE, FRAME_LOCKED, FRAME_SWAPCACHE, MAPPING_KSM } from '../../../assembly/abi.ts'
import type { CowPolicy } from '../model/cow-policy.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import type { Vma } from '../model/vma.ts'
import { anonMapping, isKsm } from '../page/rmap.ts'

/**
 * May a write by this mm go to the page itself? If so the page is marked as its own. Linux: do_wp_page(), up to the
 * label copy
 */
export function canReuse(mm: MmStruct, vma: Vma, vpn: number, pfn: number): boolean {
  const { memory } = mm
  // The page of a file below a private mapping is nobody's own.
  if (!memory.frames.isAnon(pfn)) return false
  if (isKsm(memory, pfn)) return memory.reuseKsm && canReuseKsm(memory, vma, vpn, pfn)
  if (!POLICIES[memory.cowPolicy](memory, pfn)) return false
  memory.frames.setFlag(pfn, FRAME_EXCLUSIVE)
  return true
}

const POLICIES: Record<CowPolicy, (memory: Memory, pfn: number) => boolean> = {
  anon_exclusive(memory, pfn) {
    const { frames } = memory
    if (frames.hasFlag(pfn, FRAME_EXCLUSIVE)) return true
    if (frames.hasFlag(pfn, FRAME_LOCKED)) return false
    // The swap cache's reference is nobody's claim if nobody has the page swapped out.
    memory.swap.tryToFree(pfn)
    return frames.refcount(pfn) === 1
  },

  page_count(memory, pfn) {
    const { frames } = memory
    return frames.refcount(pfn) === 1 && !frames.hasFlag(pfn, FRAME_LOCKED)
  },

  'mapcount+swapcount': (memory, pfn) =>
    !memory.frames.hasFlag(pfn, FRAME_LOCKED) && canShareSwapPage(memory, pfn),
}

/**
 * Is there only one user of a page, mapping it or having it swapped out? References do not count. To be asked with the
 * page locked, or while nobody has locked it.
 * Linux 2.6.13: can_share_swap_page()
 */
export function canShareSwapPage(memory: Memory, pfn: number): boolean {
  const { frames } = memory
  let users = frames.mapcount(pfn)
  if (frames.hasFlag(pfn, FRAME_SWAPCACHE)) users += memory.swap.swapcount(pfn)
  return users === 1
}

/** Linux 5.1: the KSM part of do_wp_page(). */
function canReuseKsm(memory: Memory, vma: Vma, vpn: number, pfn: number): boolean {
  const { frames } = memory
  if (frames.hasFlag(pfn, FRAME_LOCKED) || frames.refcount(pfn) !== 1) return false
  frames.setFlag(pfn, FRAME_LOCKED)
  const reused = reuseKsmPage(memory, vma, vpn, pfn)
  frames.clearFlag(pfn, FRAME_LOCKED)
  return reused
}

/**
 * Turns a merged page with a single mapping back into an ordinary one, in place. The page must be locked and mapped;
 * otherwise warns, dumps it and returns false, as for any page that others may still want. Its stable node is left
 * behind and found stale later, exactly as after a copy. Linux 5.1: reuse_ksm_page()
 */
export function reuseKsmPage(memory: Memory, vma: Vma, vpn: number, pfn: number): boolean {
  const { frames } = memory
  if (!frames.isFrame(pfn)) return memory.warn(pfn, 'reuse_ksm_page of the zero page')
  if (!frames.hasFlag(pfn, FRAME_LOCKED)) return memory.warn(pfn, 'reuse_ksm_page of an unlocked page')
  if (frames.mapcount(pfn) === 0) return memory.warn(pfn, 'reuse_ksm_page of an unmapped page')
  // Without a node it is just being merged.
  if (frames.hasFlag(pfn, FRAME_SWAPCACHE) || frames.mapping(pfn) === MAPPING_KSM) return false
  memory.race?.('reuse: before freeze', vma.mm)
  if (!frames.freeze(pfn, 1)) return false
  memory.race?.('reuse: after freeze', vma.mm)
  frames.setMapping(pfn, anonMapping(vma.anonVma!.id))
  frames.setIndex(pfn, vma.indexOf(vpn))
  frames.setFlag(pfn, FRAME_EXCLUSIVE)
  frames.unfreeze(pfn, 1)
  return true
}
