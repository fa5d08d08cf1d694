// Swap-in: a guest touches a page that was swapped out. The order of the steps protects every other user of the page:
// ask whether it may be written to while it is still counted as swapped out, map it, and only then give up the slot. So
// the sum of mappings and swapped-out users is never too small, and nobody takes a shared page for its own.
//
// Linux: do_swap_page(), unuse_pte(); the order is that of 2005, "can_share_swap_page: use page_mapcount"

import { FRAME_LOCKED, FRAME_NOT_UPTODATE, FRAME_POISONED, FRAME_SWAPCACHE } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_READ, VM_WRITE, type Vma } from '../model/vma.ts'
import { prepareAnonVma } from '../model/vma-edit.ts'
import {
  entryExclusive,
  mkPte,
  pteKeepUffdWp,
  pteMkwrite,
  pteUffdWp,
  type SwapEntry,
  swapEntryOf,
} from '../page/pte.ts'
import { getPte, setPte } from '../page/ptes.ts'
import { addAnonRmap, addNewAnonRmap, anonVmaOf, isKsm } from '../page/rmap.ts'
import { canShareSwapPage } from './cow.ts'

/**
 * Brings the page of a swap pte back. Returns ENOMEM, EIO if swap cannot be read (told to whoever faults, and to
 * nobody else), EHWPOISON, or EAGAIN if somebody holds the page at this moment.
 */
export function doSwapPage(mm: MmStruct, vma: Vma, vpn: number, pte: number): Errno | undefined {
  const { memory } = mm
  const { frames, swap } = memory
  const entry = swapEntryOf(pte)
  const known = swap.cachedPage(entry)
  // No reference before this is known: a migration may have frozen the page.
  if (known !== 0 && frames.hasFlag(known, FRAME_LOCKED)) return 'EAGAIN'
  const cached = cachedOrRead(memory, entry, vma.nid)
  if (cached === 0) return 'ENOMEM'
  frames.setFlag(cached, FRAME_LOCKED)
  memory.race?.('swap-in: after lock', mm)
  const errno = mapLocked(mm, vma, vpn, pte, entry, cached)
  frames.clearFlag(cached, FRAME_LOCKED)
  memory.race?.('swap-in: after unlock', mm)
  // One that could not be read is of no use to anybody: whoever asks next has it read again.
  if (errno === 'EIO' && frames.hasFlag(cached, FRAME_SWAPCACHE)) swap.uncache(cached)
  if (frames.mapcount(cached) === 0) swap.tryToFree(cached)
  frames.put(cached)
  return errno
}

function mapLocked(
  mm: MmStruct,
  vma: Vma,
  vpn: number,
  pte: number,
  entry: SwapEntry,
  cached: number,
): Errno | undefined {
  const { memory } = mm
  const { frames, swap } = memory
  if (getPte(mm, vpn) !== pte) return undefined // somebody was faster
  // Before the lock the slot may have been freed and used again, for a page that looks the same to the pte.
  if (swap.cachedPage(entry) !== cached) return 'EAGAIN'
  if (frames.hasFlag(cached, FRAME_NOT_UPTODATE)) return 'EIO'
  if (frames.hasFlag(cached, FRAME_POISONED)) return 'EHWPOISON'
  prepareAnonVma(mm, vma)
  const pfn = ksmMightNeedToCopy(memory, cached, vma, vpn)
  if (pfn === 0 || !frames.mayMap(pfn)) return 'ENOMEM'
  const copied = pfn !== cached
  // A merged page is nobody's alone; a copy just made is.
  const exclusive = copied || (!isKsm(memory, pfn) && isExclusive(memory, pte, pfn))
  const writable = exclusive && vma.has(VM_WRITE) && !pteUffdWp(pte)
  if (copied) addNewAnonRmap(memory, pfn, vma, vpn)
  else mapCached(memory, pfn, vma, vpn, exclusive)
  // Writable, but clean until it is written to: swap has the same content.
  const clean = pteKeepUffdWp(mkPte(pfn, vma.has(VM_READ)), pte)
  setPte(mm, vpn, writable ? pteMkwrite(clean) : clean)
  memory.race?.('swap-in: after add_rmap', mm)
  swap.free(entry)
  memory.race?.('swap-in: after swap_free', mm)
  if (exclusive && !copied) swap.tryToFree(cached)
  return undefined
}

function mapCached(memory: Memory, pfn: number, vma: Vma, vpn: number, exclusive: boolean): void {
  memory.frames.get(pfn)
  addAnonRmap(memory, pfn, vma, vpn, exclusive)
}

/**
 * Asked before the slot is given up: the page is counted as swapped out, not yet as mapped. One that turns out to be
 * nobody else's is marked so when it is written to.
 */
function isExclusive(memory: Memory, pte: number, pfn: number): boolean {
  if (memory.cowPolicy === 'mapcount+swapcount') return canShareSwapPage(memory, pfn)
  return memory.cowPolicy === 'anon_exclusive' && entryExclusive(pte)
}

/** The page of a slot, from the cache or read in, with a reference for the caller; 0 when out of memory. */
function cachedOrRead(memory: Memory, entry: SwapEntry, nid: number): number {
  const { frames, swap } = memory
  const cached = swap.cachedPage(entry)
  if (cached !== 0) {
    frames.get(cached)
    return cached
  }
  const pfn = frames.alloc(nid)
  if (pfn === 0) return 0
  swap.cache(entry, pfn)
  if (!swap.readIn(entry, pfn)) frames.setFlag(pfn, FRAME_NOT_UPTODATE)
  return pfn
}

/**
 * The page to map for one from swap: itself, or a copy if it is a merged page that may not be used here, or belongs to
 * another mm since it came back. 0 when out of memory. Linux: ksm_might_need_to_copy()
 */
export function ksmMightNeedToCopy(memory: Memory, pfn: number, vma: Vma, vpn: number): number {
  const { frames } = memory
  if (isKsm(memory, pfn)) {
    if (memory.ksm.mayKeepMerged(pfn)) return pfn
  } else if (!frames.isAnon(pfn)) {
    return pfn
  } else if (anonVmaOf(memory, pfn)?.root === vma.anonVma!.root && frames.index(pfn) === vma.indexOf(vpn)) {
    return pfn
  }
  const copy = frames.alloc(vma.nid)
  if (copy === 0) return 0
  memory.bytes.copy(copy, pfn)
  memory.countSwapinCopy()
  return copy
}
