// Faults: what happens when a guest touches a page that its pte does not let it touch. A write to a page that others
// map too gets a copy of its own; nobody else sees the write, and no write is lost.
//
// Linux: mm/memory.c, handle_mm_fault() and below.

import { COUNTER_COW_KSM, FRAME_DIRTY, FRAME_EXCLUSIVE, FRAME_POISONED } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_HUGETLB, VM_PFNMAP, VM_READ, VM_SHARED, VM_WRITE, type Vma } from '../model/vma.ts'
import { prepareAnonVma } from '../model/vma-edit.ts'
import {
  EMPTY_PTE,
  isKsmZeroPte,
  isMigrationPte,
  isPoisonPte,
  isZeroPte,
  mkPte,
  pteDirty,
  pteKeepUffdWp,
  pteMkdirty,
  pteMkwrite,
  pteNormal,
  ptePfn,
  ptePresent,
  pteUffdWp,
  pteWritable,
  pteWrite,
  ZERO_PTE,
} from '../page/pte.ts'
import { getPte, setPte } from '../page/ptes.ts'
import { addNewAnonRmap, isKsm, removeRmap } from '../page/rmap.ts'
import { canReuse } from './cow.ts'
import { faultShared, mapFilePage, pageOfFile } from './shared.ts'
import { doSwapPage } from './swap-in.ts'
import { handleUserfault } from './userfault.ts'

/**
 * `unshare` gives the mm a private copy of a shared page without making it writable: for breaking a merge where
 * writing is not allowed. `force` writes where the vma does not allow it, as a debugger does.
 * Linux: FAULT_FLAG_WRITE, FAULT_FLAG_UNSHARE, FOLL_FORCE
 */
export type FaultKind = 'read' | 'write' | 'force' | 'unshare'

/** How often a page that somebody takes away again at once is brought back. */
const MAX_TRIES = 3

/**
 * Makes the page at `vpn` accessible in the way asked for. Returns why it cannot be: EFAULT (nothing mapped, or not
 * so), ENOMEM, EIO (swap cannot be read), EHWPOISON, EAGAIN (the page is being moved, or a userfault handler has not
 * let it go). Changes nothing then.
 */
export function handleMmFault(
  mm: MmStruct,
  vpn: number,
  kind: FaultKind,
  tries = MAX_TRIES,
): Errno | undefined {
  const vma = mm.vmas.at(vpn)
  if (vma === undefined || vma.has(VM_PFNMAP)) return 'EFAULT'
  if (kind === 'write' && !vma.has(VM_WRITE)) return 'EFAULT'
  // By force only a private copy may be written: others look at a shared page.
  if (kind === 'force' && vma.has(VM_SHARED) && !vma.has(VM_WRITE)) return 'EFAULT'
  if (kind === 'read' && !vma.has(VM_READ)) return 'EFAULT'
  let pte = getPte(mm, vpn)
  if (pte === EMPTY_PTE) return doMissingPage(mm, vma, vpn, kind)
  if (!ptePresent(pte)) {
    if (isMigrationPte(pte)) return 'EAGAIN'
    if (isPoisonPte(pte)) return 'EHWPOISON'
    const errno = doSwapPage(mm, vma, vpn, pte)
    if (errno !== undefined) return errno
    pte = getPte(mm, vpn)
    // Somebody took it away meanwhile: from the beginning.
    if (!ptePresent(pte)) return tries > 0 ? handleMmFault(mm, vpn, kind, tries - 1) : 'EAGAIN'
  }
  if (kind === 'read') return undefined
  if ((kind === 'write' || kind === 'force') && pteUffdWp(pte)) {
    // The handler may have done anything: from the beginning.
    return handleUserfault(mm, vma, vpn) ? handleMmFault(mm, vpn, kind, tries) : 'EAGAIN'
  }
  if (kind === 'write' && pteWrite(pte)) {
    setPte(mm, vpn, pteMkdirty(pte))
    return undefined
  }
  return doWpPage(mm, vma, vpn, pte, kind)
}

/** First touch: a write gets a page of zeros, a read the zero page. Linux: do_anonymous_page() */
function doMissingPage(mm: MmStruct, vma: Vma, vpn: number, kind: FaultKind): Errno | undefined {
  const { frames, pageTables } = mm.memory
  if (kind === 'unshare') return undefined
  if (vma.shared !== undefined && !vma.has(VM_SHARED)) return doFilePage(mm, vma, vpn, kind)
  if (!pageTables.reserve(mm.pgd, vpn)) return 'ENOMEM'
  if (vma.has(VM_SHARED)) return faultShared(mm, vma, vpn)
  if (kind === 'read' && !vma.has(VM_HUGETLB)) {
    setPte(mm, vpn, ZERO_PTE)
    return undefined
  }
  const pfn = frames.allocZeroed(vma.nid)
  if (pfn === 0) return 'ENOMEM'
  prepareAnonVma(mm, vma)
  addNewAnonRmap(mm.memory, pfn, vma, vpn)
  setPte(mm, vpn, withAccess(mkPte(pfn, vma.has(VM_READ)), vma, kind))
  return undefined
}

/**
 * First touch of a private mapping of a file: a read gets the file's page, a write a copy of it.
 * Linux: do_read_fault(), do_cow_fault()
 */
function doFilePage(mm: MmStruct, vma: Vma, vpn: number, kind: FaultKind): Errno | undefined {
  const { memory } = mm
  const { frames } = memory
  const page = pageOfFile(memory, vma, vpn)
  if (typeof page === 'string') return page
  if (!memory.pageTables.reserve(mm.pgd, vpn)) return 'ENOMEM'
  if (kind === 'read') return mapFilePage(mm, vpn, page)
  const pfn = frames.alloc(vma.nid)
  if (pfn === 0) return 'ENOMEM'
  memory.bytes.copy(pfn, page)
  prepareAnonVma(mm, vma)
  addNewAnonRmap(memory, pfn, vma, vpn)
  setPte(mm, vpn, withAccess(mkPte(pfn, vma.has(VM_READ)), vma, kind))
  return undefined
}

/** A page is there, but not for writing. Linux: do_wp_page() */
function doWpPage(mm: MmStruct, vma: Vma, vpn: number, pte: number, kind: FaultKind): Errno | undefined {
  const pfn = ptePfn(pte)
  if (vma.has(VM_SHARED)) {
    setPte(mm, vpn, pteMkdirty(pteMkwrite(pte)))
    return undefined
  }
  if (mm.memory.frames.hasFlag(pfn, FRAME_POISONED)) return 'EHWPOISON'
  // A merged page that is read and held: whoever writes to it later is to find it shared still.
  const mayReuse = kind !== 'unshare' || !isKsm(mm.memory, pfn)
  if (mayReuse && canReuse(mm, vma, vpn, pfn)) {
    if (kind !== 'unshare') setPte(mm, vpn, withAccess(pte, vma, kind))
    return undefined
  }
  return wpPageCopy(mm, vma, vpn, pte, kind)
}

/** Copies. The old page is let go only when the new one is in place. Linux: wp_page_copy() */
function wpPageCopy(mm: MmStruct, vma: Vma, vpn: number, pte: number, kind: FaultKind): Errno | undefined {
  const { memory } = mm
  // One that was not heard of in time may still write to the page as it is.
  if (!mm.cpus.isSettled) return 'EAGAIN'
  const own = !isZeroPte(pte)
  const fresh = own ? memory.frames.alloc(vma.nid) : memory.frames.allocZeroed(vma.nid)
  if (fresh === 0) return 'ENOMEM'
  prepareAnonVma(mm, vma)
  const old = ptePfn(pte)
  const range = mm.notifiers.start('clear', vpn, vpn + 1)
  if (mm.vmas.at(vpn) !== vma || getPte(mm, vpn) !== pte) {
    // Whoever was called has been here, or has let others be: from the beginning.
    memory.frames.put(fresh)
    mm.notifiers.end(range)
    return handleMmFault(mm, vpn, kind)
  }
  // Empty before the new one is installed: no two ptes of a page are ever valid at once.
  setPte(mm, vpn, EMPTY_PTE)
  memory.race?.('cow: after flush', mm)
  if (own) {
    memory.bytes.copy(fresh, old)
    if (isKsm(memory, old)) memory.arena.counters[COUNTER_COW_KSM]!++
  } else if (isKsmZeroPte(pte)) {
    memory.addKsmZeroPages(mm, -1)
  }
  addNewAnonRmap(memory, fresh, vma, vpn)
  const copy = mkPte(fresh, vma.has(VM_READ))
  // Its pte is clean: a child that inherits that must not lose it to a parent's MADV_FREE.
  if (kind === 'unshare') memory.frames.setFlag(fresh, FRAME_DIRTY)
  setPte(mm, vpn, kind === 'unshare' ? pteKeepUffdWp(copy, pte) : withAccess(copy, vma, kind))
  // Only now: while the old page is still counted as mapped nobody may take it for unused.
  if (own) mm.cpus.afterGrace({ ptes: [pte], drop: () => removeRmap(memory, old) })
  mm.notifiers.end(range)
  return undefined
}

/** A forced write dirties the page but does not make it writable. Linux: maybe_mkwrite() */
function withAccess(pte: number, vma: Vma, kind: FaultKind): number {
  if (kind === 'read') return pte
  return pteMkdirty(vma.has(VM_WRITE) ? pteMkwrite(pte) : pte)
}

/**
 * May this access go through the pte as it is? A writable one that is clean must become dirty first, which a processor
 * does by itself. Linux: can_follow_write_pte()
 */
export function allows(mm: MmStruct, vma: Vma, pte: number, kind: FaultKind): boolean {
  if (!ptePresent(pte)) return false
  if (kind === 'read') return vma.has(VM_READ)
  if (pteWritable(pte)) return kind === 'force' || vma.has(VM_WRITE)
  if (kind !== 'force' || !pteNormal(pte) || !pteDirty(pte) || pteUffdWp(pte)) return false
  return mm.memory.frames.hasFlag(ptePfn(pte), FRAME_EXCLUSIVE)
}
