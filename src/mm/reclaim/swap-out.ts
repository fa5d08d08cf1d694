// Swap-out: giving up a frame whose content is kept elsewhere, and taking a store out of use again.
// Linux: shrink_folio_list(), try_to_unuse()

import {
  FRAME_DIRTY,
  FRAME_LOCKED,
  FRAME_PINNED,
  FRAME_POISONED,
  FRAME_SWAPCACHE,
} from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import { doSwapPage } from '../fault/swap-in.ts'
import { VPN_LIMIT } from '../model/address.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_LOCKED } from '../model/vma.ts'
import { isSwapPte, POISON_PTE, pteNormal, ptePfn, swapEntryOf } from '../page/pte.ts'
import { getPte, nextNormalPte, nextPte, setPte } from '../page/ptes.ts'
import { rmapWalk } from '../page/rmap.ts'
import { discardLazily } from './lazy-free.ts'
import { unmapToSwap } from './unmap-page.ts'

/** Why a page was not reclaimed; undefined if its frame is free now. */
export type ReclaimFailure =
  | 'locked'
  | 'mlocked'
  | 'no swap'
  | 'still mapped'
  | 'referenced'
  | 'cannot write'
  | 'hwpoison'

/**
 * Tries to free a frame by putting its content into swap. A page that somebody holds a reference on is unmapped all
 * the same, and stays in the swap cache. Linux: shrink_folio_list() for one anonymous page
 */
export function reclaimPage(memory: Memory, pfn: number): ReclaimFailure | undefined {
  const { frames, swap } = memory
  if (frames.hasFlag(pfn, FRAME_LOCKED)) return 'locked'
  // In swap it would pass for what it was.
  if (frames.hasFlag(pfn, FRAME_POISONED)) return 'hwpoison'
  // Nobody's page any more, only held: there is nothing to bring back later.
  if (frames.mapcount(pfn) === 0 && !frames.hasFlag(pfn, FRAME_SWAPCACHE)) return 'referenced'
  if (memory.mayBeLocked && isMlocked(memory, pfn)) return 'mlocked'
  frames.get(pfn) // isolated: nobody frees it under us
  frames.setFlag(pfn, FRAME_LOCKED)
  const failure = frames.lazyFree.has(pfn) ? discardLazily(memory, pfn) : swapOut(memory, pfn)
  frames.clearFlag(pfn, FRAME_LOCKED)
  frames.put(pfn)
  // It stays in the swap cache only for those who have it swapped out.
  if (failure !== undefined) swap.tryToFree(pfn)
  return failure
}

/** So many frames are freed at a time. */
const CLUSTER = 32

/**
 * Frees some frames by putting the next pages in order of frames into swap, from where this left off; false if none could be freed.
 * Linux: do_try_to_free_pages(), without its lists of what was used last
 */
export function reclaimSome(memory: Memory): boolean {
  const { frames, arena, swap } = memory
  if (swap.usage.total === swap.usage.used) return false
  let freed = 0
  for (let looked = arena.firstPfn; looked < arena.endPfn && freed < CLUSTER; looked++) {
    const pfn = memory.reclaimHand
    memory.reclaimHand = pfn + 1 < arena.endPfn ? pfn + 1 : arena.firstPfn
    if (!frames.isFrame(pfn) || frames.refcount(pfn) === 0 || !frames.isAnon(pfn)) continue
    if (frames.hasFlag(pfn, FRAME_PINNED)) continue
    if (reclaimPage(memory, pfn) === undefined) freed++
  }
  return freed > 0
}

/** Has somebody who maps the page locked it there? Linux: folio_test_mlocked() */
function isMlocked(memory: Memory, pfn: number): boolean {
  let found = false
  rmapWalk(memory, pfn, (mm, vma, vpn) => {
    const pte = getPte(mm, vpn)
    found = vma.has(VM_LOCKED) && pteNormal(pte) && ptePfn(pte) === pfn
    return !found
  })
  return found
}

function swapOut(memory: Memory, pfn: number): ReclaimFailure | undefined {
  const { frames, swap } = memory
  const entry = frames.hasFlag(pfn, FRAME_SWAPCACHE) ? swap.entryOf(pfn) : swap.addToCache(pfn)
  if (entry === undefined) return 'no swap'
  if (!unmapToSwap(memory, pfn, entry)) return 'still mapped'
  if (frames.hasFlag(pfn, FRAME_DIRTY) && !swap.writeOut(pfn)) return 'cannot write'
  // The cache's reference and ours. A third may be a device that is still writing to the page.
  if (frames.refcount(pfn) !== 2 || frames.hasFlag(pfn, FRAME_DIRTY)) return 'referenced'
  swap.uncache(pfn)
  return undefined
}

/**
 * Reclaims the pages of [start, end) that only this mm maps, but not pinned ones, whose frames would not come free.
 * Linux: MADV_PAGEOUT, folio_maybe_dma_pinned() in shrink_folio_list()
 */
export function pageOut(mm: MmStruct, start: number, end: number): void {
  const { memory } = mm
  const { frames } = memory
  for (let vpn = nextNormalPte(mm, start, end); vpn < end; ) {
    const pfn = ptePfn(getPte(mm, vpn))
    const pinned = frames.hasFlag(pfn, FRAME_PINNED) && !frames.hasFlag(pfn, FRAME_SWAPCACHE)
    if (frames.isAnon(pfn) && frames.mapcount(pfn) === 1 && !pinned) reclaimPage(memory, pfn)
    vpn = nextNormalPte(mm, vpn + 1, end)
  }
}

/** A child that is born while its parent is gone through may need another pass. */
const MAX_PASSES = 3

/**
 * Brings everything on a device back and takes it out of use. Returns ENOMEM or EIO if a page could not be brought back,
 * EAGAIN if an mm that is just exiting still has pages there or one is held; the device stays in use then. Linux: swapoff(),
 * try_to_unuse()
 */
export function swapOff(memory: Memory, device: number): Errno | undefined {
  const { swap } = memory
  swap.setWritable(device, false)
  let errno: Errno | undefined
  for (let pass = 0; pass < MAX_PASSES && errno === undefined; pass++) {
    errno = unuseAll(memory, device)
    if (errno !== undefined || swap.used(device) > 0) continue
    swap.remove(device)
    return undefined
  }
  swap.setWritable(device, true)
  return errno ?? 'EAGAIN'
}

function unuseAll(memory: Memory, device: number): Errno | undefined {
  const { swap } = memory
  for (const mm of memory.mms()) {
    const errno = mm.users === 0 ? undefined : unuseMm(mm, device)
    if (errno !== undefined) return errno
  }
  for (const [pfn, entry] of [...swap.cachedPages()]) if (entry.device === device) swap.tryToFree(pfn)
  return undefined
}

function unuseMm(mm: MmStruct, device: number): Errno | undefined {
  for (let vpn = nextPte(mm, 0, VPN_LIMIT); vpn < VPN_LIMIT; ) {
    const pte = getPte(mm, vpn)
    if (isSwapPte(pte) && swapEntryOf(pte).device === device) {
      const errno = doSwapPage(mm, mm.vmas.at(vpn)!, vpn, pte)
      if (errno === 'EHWPOISON') {
        // It is lost wherever it is said to be; that must not keep the device in use.
        setPte(mm, vpn, POISON_PTE)
        mm.memory.swap.freeAndCache(swapEntryOf(pte))
      } else if (errno !== undefined) return errno
    }
    vpn = nextPte(mm, vpn + 1, VPN_LIMIT)
  }
  return undefined
}
