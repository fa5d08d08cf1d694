// Taking a page out of every page table that maps it, found through the rmap walk: for swap, migration, and broken
// memory. What stands in the ptes afterwards says where the page went. Whether somebody else holds a plain reference is
// not asked: such a page is unmapped all the same, and can be mapped again.
//
// Linux: try_to_unmap(), try_to_migrate(), remove_migration_ptes()

import {
  FRAME_DIRTY,
  FRAME_EXCLUSIVE,
  FRAME_PINNED,
  PTE_DIRTY,
  PTE_EXCLUSIVE,
  PTE_MIGRATION,
  PTE_POISON,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../../assembly/abi.ts'
import type { AnonVma } from './anon-vma.ts'
import type { Memory } from './memory.ts'
import type { MmStruct } from './mm-struct.ts'
import { makePte, makeSwapPte, ptePfn, type SwapEntry } from './pte.ts'
import { addRmap, type RmapVisitor, rmapWalk } from './rmap.ts'

/** Where a page was mapped. */
export interface Mapping {
  readonly mm: MmStruct
  readonly vpn: number
}

/**
 * Replaces every pte of a page by its swap entry. True if none is left. A page pinned by the mm that has it alone stays: a
 * fork could otherwise part the two (as it could before 5.18). Linux: try_to_unmap()
 */
export function unmapToSwap(memory: Memory, pfn: number, entry: SwapEntry): boolean {
  const keepPinned = memory.cowPolicy === 'anon_exclusive' && memory.frames.hasFlag(pfn, FRAME_PINNED)
  if (keepPinned && memory.frames.hasFlag(pfn, FRAME_EXCLUSIVE)) return false
  replacePtes(memory, pfn, (pte, exclusive) => {
    // Before the mapping goes: the sum of both must never be too small.
    memory.swap.duplicate(entry)
    return makeSwapPte(entry, (pte & PTE_UFFD_WP) | (exclusive ? PTE_EXCLUSIVE : 0))
  })
  return memory.frames.mapcount(pfn) === 0
}

/** Replaces every pte of a page by a migration entry: whoever touches it has to wait. Linux: try_to_migrate() */
export function unmapToMigrate(memory: Memory, pfn: number): boolean {
  replacePtes(memory, pfn, (pte, exclusive) => {
    const kept = pte & (PTE_WRITE | PTE_DIRTY | PTE_UFFD_WP)
    return makePte(pfn, kept | PTE_MIGRATION | (exclusive ? PTE_EXCLUSIVE : 0))
  })
  return memory.frames.mapcount(pfn) === 0
}

/** Replaces every pte of a broken page by a mark; returns where it was mapped. */
export function unmapToPoison(memory: Memory, pfn: number): Mapping[] {
  return replacePtes(memory, pfn, () => PTE_POISON)
}

/**
 * Turns the migration entries that name `fromPfn` into ptes of `toPfn`. `anonVma` is the page's, if it is an ordinary
 * one. Linux: remove_migration_ptes()
 */
export function removeMigrationPtes(
  memory: Memory,
  fromPfn: number,
  toPfn: number,
  anonVma: AnonVma | undefined,
): void {
  const { frames, pageTables } = memory
  const restore: RmapVisitor = (mm, _, vpn) => {
    const pte = pageTables.get(mm.pgd, vpn)
    if ((pte & (PTE_PRESENT | PTE_MIGRATION)) !== PTE_MIGRATION || ptePfn(pte) !== fromPfn) return true
    frames.get(toPfn)
    addRmap(memory, toPfn)
    if ((pte & PTE_EXCLUSIVE) !== 0) frames.setFlag(toPfn, FRAME_EXCLUSIVE)
    pageTables.set(mm.pgd, vpn, makePte(toPfn, (pte & (PTE_WRITE | PTE_DIRTY | PTE_UFFD_WP)) | PTE_PRESENT))
    return true
  }
  rmapWalk(memory, toPfn, restore, anonVma)
}

function replacePtes(
  memory: Memory,
  pfn: number,
  replacement: (pte: number, exclusive: boolean) => number,
): Mapping[] {
  const { frames, pageTables } = memory
  const found: Mapping[] = []
  rmapWalk(memory, pfn, (mm, _, vpn) => {
    const pte = pageTables.get(mm.pgd, vpn)
    if ((pte & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT || ptePfn(pte) !== pfn) return true
    const range = mm.notifiers.start('clear', vpn, vpn + 1)
    const exclusive = frames.hasFlag(pfn, FRAME_EXCLUSIVE)
    if ((pte & PTE_DIRTY) !== 0) frames.setFlag(pfn, FRAME_DIRTY)
    pageTables.set(mm.pgd, vpn, replacement(pte, exclusive))
    frames.clearFlag(pfn, FRAME_EXCLUSIVE)
    frames.addMapcount(pfn, -1)
    frames.put(pfn)
    mm.notifiers.end(range)
    found.push({ mm, vpn })
    return frames.mapcount(pfn) > 0
  })
  return found
}
