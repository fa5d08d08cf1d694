// What a pte says, put together and taken apart: the only file that knows its bits. A pte is a signed 32-bit integer,
// negative for the upper half of the frames: an unsigned one would not fit what the engine keeps small integers in, and be
// a float on every scan's way.
//
//   present       maps a frame (a normal one), or the zero page (dirty, if ksmd placed it there)
//   swap entry    names a slot of a device
//   migration     names the frame whose page is on its way elsewhere
//   poison        its frame is broken
//   empty         0
//
// Only a present pte and a migration entry can be asked for their frame and for the right to write. Linux: pte_*(),
// include/linux/swapops.h

import {
  PAGE_SHIFT,
  PTE_DEVICE_MASK,
  PTE_DEVICE_SHIFT,
  PTE_DIRTY,
  PTE_EXCLUSIVE,
  PTE_MIGRATION,
  PTE_POISON,
  PTE_PRESENT,
  PTE_READ,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_UFFD_WP,
  PTE_WRITE,
  ZERO_PFN,
} from '../../../assembly/abi.ts'

/** A place in swap: which device, which page of it. */
export interface SwapEntry {
  readonly device: number
  readonly slot: number
}

/** A swap entry has room for so many devices, and for so many slots of each. */
export const MAX_SWAP_DEVICES = PTE_DEVICE_MASK + 1
export const MAX_SWAP_SLOTS = 2 ** (32 - PAGE_SHIFT)

/** Nothing is mapped. Linux: pte_none() */
export const EMPTY_PTE = 0
/** Linux: make_hwpoison_entry() */
export const POISON_PTE = PTE_POISON
/** What a read finds where nobody ever wrote. */
export const ZERO_PTE = (ZERO_PFN << PAGE_SHIFT) | PTE_PRESENT | PTE_SPECIAL | PTE_READ
/** The zero page in the place of a page of zeros. Linux: pte_mkdirty(pte_mkspecial()) in replace_page() */
export const KSM_ZERO_PTE = ZERO_PTE | PTE_DIRTY

/** Maps a frame, clean and for reading at most: `readable`, may the mapping be read? Linux: mk_pte() */
export function mkPte(pfn: number, readable: boolean): number {
  return (pfn << PAGE_SHIFT) | PTE_PRESENT | (readable ? PTE_READ : 0)
}

/** The same rights to another frame. */
export function pteOfFrame(pte: number, pfn: number): number {
  return (pfn << PAGE_SHIFT) | (pte & ((1 << PAGE_SHIFT) - 1))
}

/** The frame a present pte or a migration entry names. */
export function ptePfn(pte: number): number {
  return pte >>> PAGE_SHIFT
}

export function ptePresent(pte: number): boolean {
  return (pte & PTE_PRESENT) !== 0
}

/** Maps a frame, not the zero page. Linux: vm_normal_page() */
export function pteNormal(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT
}

/** Maps the zero page. Linux: is_zero_pfn() */
export function isZeroPte(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_SPECIAL)) === (PTE_PRESENT | PTE_SPECIAL)
}

/** Maps the zero page because ksmd found a page of zeros there. Linux: is_ksm_zero_pte() */
export function isKsmZeroPte(pte: number): boolean {
  const bits = PTE_PRESENT | PTE_SPECIAL | PTE_DIRTY
  return (pte & bits) === bits
}

/** May it be read through? Linux knows such ptes as PAGE_NONE. */
export function pteRead(pte: number): boolean {
  return (pte & PTE_READ) !== 0
}

export function pteSetRead(pte: number, readable: boolean): number {
  return readable ? pte | PTE_READ : pte & ~PTE_READ
}

export function pteWrite(pte: number): boolean {
  return (pte & PTE_WRITE) !== 0
}

export function pteDirty(pte: number): boolean {
  return (pte & PTE_DIRTY) !== 0
}

/** Can it be written through without a fault? A clean one becomes dirty first. */
export function pteWritable(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_WRITE | PTE_DIRTY)) === (PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
}

export function pteWrprotect(pte: number): number {
  return pte & ~PTE_WRITE
}

export function pteMkwrite(pte: number): number {
  return pte | PTE_WRITE
}

export function pteMkdirty(pte: number): number {
  return pte | PTE_DIRTY
}

export function pteMkclean(pte: number): number {
  return pte & ~PTE_DIRTY
}

/** Are writes to be reported first? Of every kind of pte but an empty and a poisoned one. Linux: pte_uffd_wp() */
export function pteUffdWp(pte: number): boolean {
  return (pte & PTE_UFFD_WP) !== 0
}

export function pteMkuffdWp(pte: number): number {
  return pte | PTE_UFFD_WP
}

export function pteClearUffdWp(pte: number): number {
  return pte & ~PTE_UFFD_WP
}

/** `pte`, and writes to it are reported if those to `old` were. */
export function pteKeepUffdWp(pte: number, old: number): number {
  return pte | (old & PTE_UFFD_WP)
}

/** Is it marked, whatever kind it is? Only ptes.ts asks. */
export function pteSoftDirty(pte: number): boolean {
  return (pte & PTE_SOFT_DIRTY) !== 0
}

/** Marks it, unless it is empty. */
export function pteMksoftDirty(pte: number): number {
  return pte === EMPTY_PTE ? EMPTY_PTE : pte | PTE_SOFT_DIRTY
}

export function pteClearSoftDirty(pte: number): number {
  return pte & ~PTE_SOFT_DIRTY
}

/** Do two ptes name the same content: the same frame, the zero page, the same place in swap, whatever may be done with it? */
export function sameContent(a: number, b: number): boolean {
  const both = a & b
  if ((both & PTE_PRESENT) === 0) return ((a ^ b) & ~(PTE_SOFT_DIRTY | PTE_EXCLUSIVE | PTE_UFFD_WP)) === 0
  return (both & PTE_SPECIAL) !== 0 || ptePfn(a) === ptePfn(b)
}

export function isSwapPte(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_SWAP)) === PTE_SWAP
}

export function isMigrationPte(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION
}

export function isPoisonPte(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_POISON)) === PTE_POISON
}

/** Of a swap or migration entry: was the page this mm's alone? Linux: pte_swp_exclusive() */
export function entryExclusive(pte: number): boolean {
  return (pte & PTE_EXCLUSIVE) !== 0
}

/** Linux: pte_swp_clear_exclusive() */
export function entryClearExclusive(pte: number): number {
  return pte & ~PTE_EXCLUSIVE
}

/** The entry that takes the place of a pte whose page goes to swap. Linux: try_to_unmap_one() */
export function mkSwapPte({ device, slot }: SwapEntry, pte: number, exclusive: boolean): number {
  const entry = (slot << PAGE_SHIFT) | (device << PTE_DEVICE_SHIFT) | PTE_SWAP
  return entry | (pte & PTE_UFFD_WP) | (exclusive ? PTE_EXCLUSIVE : 0)
}

export function swapEntryOf(pte: number): SwapEntry {
  return { device: (pte >>> PTE_DEVICE_SHIFT) & PTE_DEVICE_MASK, slot: pte >>> PAGE_SHIFT }
}

/** What a migration entry keeps of the pte whose place it takes. */
const MIGRATION_KEEPS = PTE_READ | PTE_WRITE | PTE_DIRTY | PTE_UFFD_WP

/** The entry that takes the place of a pte whose page moves. Linux: try_to_migrate_one() */
export function mkMigrationPte(pte: number, exclusive: boolean): number {
  const kept = pteOfFrame(pte & MIGRATION_KEEPS, ptePfn(pte))
  return kept | PTE_MIGRATION | (exclusive ? PTE_EXCLUSIVE : 0)
}

/** The pte that a migration entry becomes again, of the frame the page is in now. Linux: remove_migration_pte() */
export function pteAfterMigration(entry: number, pfn: number): number {
  return mkPte(pfn, false) | (entry & MIGRATION_KEEPS)
}
