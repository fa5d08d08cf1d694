// fork: a child that shares every page of its parent until one of them writes. The child is registered with anybody
// only when it is complete; if memory runs out half way nothing of it is left, and every notifier that heard a range
// begin hears it end.
//
// Linux: dup_mmap(), copy_page_range()

import { FRAME_EXCLUSIVE, FRAME_PINNED, FRAME_POISONED } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { show } from '../model/shared-object.ts'
import { VM_DONTCOPY, VM_LOCKED, VM_READ, VM_UFFD_WP, VM_WIPEONFORK, VM_WRITE, Vma } from '../model/vma.ts'
import {
  entryClearExclusive,
  entryExclusive,
  isKsmZeroPte,
  isMigrationPte,
  isPoisonPte,
  isSwapPte,
  mkPte,
  pteClearUffdWp,
  pteMkdirty,
  pteMkwrite,
  pteNormal,
  ptePfn,
  ptePresent,
  pteWrite,
  pteWrprotect,
  swapEntryOf,
} from '../page/pte.ts'
import { getPte, nextPte, setPte, setPteProt } from '../page/ptes.ts'
import { addNewAnonRmap, addRmap } from '../page/rmap.ts'
import { exitMm } from './exit.ts'

/**
 * Fills an empty mm with a copy of another; `whole`: with what a child does not get too. On ENOMEM, and on EAGAIN if a virtual CPU does not
 * come, the child has been taken apart again.
 */
export function forkMm(child: MmStruct, parent: MmStruct, whole = false): Errno | undefined {
  const { memory } = parent
  for (const vma of parent.vmas) {
    memory.race?.('fork: before vma', parent)
    if (vma.has(VM_DONTCOPY) && !whole) continue
    const errno = copyVma(child, parent, vma, whole)
    if (errno !== undefined) {
      exitMm(child)
      return errno
    }
  }
  if (!parent.cpus.synchronize()) {
    exitMm(child)
    return 'EAGAIN'
  }
  child.mergeAny = parent.mergeAny
  memory.ksm.fork(child, parent)
  memory.race?.('fork: after end', parent)
  return undefined
}

/** Gives an mm a copy of another's vma, where it has none, and of its ptes. */
export function copyVma(child: MmStruct, parent: MmStruct, vma: Vma, whole: boolean): Errno | undefined {
  const { memory } = parent
  const copy = new Vma(
    child,
    vma.start,
    vma.end,
    { flags: vma.flags & ~(VM_UFFD_WP | VM_LOCKED), nid: vma.nid },
    vma.pgoff,
  )
  const wiped = vma.has(VM_WIPEONFORK) && !whole
  if (!wiped) memory.anonVmas.fork(copy, vma)
  show(copy, vma.shared)
  child.vmas.insert(copy)
  return wiped ? undefined : copyPageRange(child, copy, parent, vma)
}

/** Copies the ptes of one vma. Both sides lose the right to write. Linux: copy_page_range() */
function copyPageRange(child: MmStruct, copy: Vma, parent: MmStruct, vma: Vma): Errno | undefined {
  // Without anonymous pages, and so always where memory is shared, a fault fills them in as well as a copy would.
  if (vma.anonVma === undefined) return undefined
  const range = parent.notifiers.start('protection_page', vma.start, vma.end)
  let errno: Errno | undefined
  const { race } = parent.memory
  for (let vpn = nextPte(parent, vma.start, vma.end); vpn < vma.end; ) {
    race?.('fork: before page', parent)
    // Break, never return: whoever heard the range begin must hear it end.
    errno = copyPte(child, copy, parent, vpn)
    if (errno !== undefined) break
    vpn = nextPte(parent, vpn + 1, vma.end)
  }
  parent.notifiers.end(range)
  return errno
}

/** Copies one pte to an mm that has none there. */
export function copyPte(child: MmStruct, copy: Vma, parent: MmStruct, vpn: number): Errno | undefined {
  const { memory } = parent
  if (!memory.pageTables.reserve(child.pgd, vpn)) return 'ENOMEM'
  const pte = getPte(parent, vpn)
  const held = heldPage(memory, pte)
  if (held !== 0) return copyPinnedPage(child, copy, vpn, held)
  if (!ptePresent(pte)) return copyNonPresentPte(child, parent, vpn, pte)
  if (!pteNormal(pte)) {
    setPte(child, vpn, pteClearUffdWp(pte))
    if (isKsmZeroPte(pte)) memory.addKsmZeroPages(child, 1)
    return undefined
  }
  const pfn = ptePfn(pte)
  const { frames } = memory
  if (!frames.mayMap(pfn)) return 'ENOMEM'
  frames.get(pfn)
  addRmap(memory, pfn)
  frames.clearFlag(pfn, FRAME_EXCLUSIVE)
  if (pteWrite(pte)) setPteProt(parent, vpn, pteWrprotect(pte))
  setPte(child, vpn, pteClearUffdWp(pteWrprotect(pte)))
  return undefined
}

/**
 * The page behind a pte, in swap perhaps, that is its mm's alone and that somebody has pinned; 0 if there is none. It stays the mm's,
 * or the device and the mm would part.
 */
export function heldPage({ frames, swap }: Memory, pte: number): number {
  if (pteNormal(pte)) {
    const pfn = ptePfn(pte)
    return frames.hasFlag(pfn, FRAME_PINNED) && frames.hasFlag(pfn, FRAME_EXCLUSIVE) ? pfn : 0
  }
  if (!isSwapPte(pte) || !entryExclusive(pte)) return 0
  const cached = swap.cachedPage(swapEntryOf(pte))
  const held = cached !== 0 && frames.hasFlag(cached, FRAME_PINNED)
  return held && !frames.hasFlag(cached, FRAME_POISONED) ? cached : 0
}

/** Somebody may be doing DMA to it on the parent's behalf: the child gets a copy now. Linux: copy_present_page() */
export function copyPinnedPage(child: MmStruct, copy: Vma, vpn: number, pfn: number): Errno | undefined {
  const { memory } = child
  const fresh = memory.frames.alloc(copy.nid)
  if (fresh === 0) return 'ENOMEM'
  memory.bytes.copy(fresh, pfn)
  addNewAnonRmap(memory, fresh, copy, vpn)
  const pte = pteMkdirty(mkPte(fresh, copy.has(VM_READ)))
  setPte(child, vpn, copy.has(VM_WRITE) ? pteMkwrite(pte) : pte)
  return undefined
}

/** Swapped out, on the move, or broken. Neither side has it alone any more. Linux: copy_nonpresent_pte() */
function copyNonPresentPte(child: MmStruct, parent: MmStruct, vpn: number, pte: number): undefined {
  if (isSwapPte(pte)) parent.memory.swap.duplicate(swapEntryOf(pte))
  const shared = isPoisonPte(pte) ? pte : entryClearExclusive(pte)
  const kept = isMigrationPte(pte) ? pteWrprotect(shared) : shared
  setPte(parent, vpn, kept)
  setPte(child, vpn, pteClearUffdWp(kept))
  return undefined
}
