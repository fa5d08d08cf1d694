// Taking a page out of every page table that maps it, found through the rmap walk: for swap, migration, and broken
// memory. What stands in the ptes afterwards says where the page went. Whether somebody else holds a reference is not
// asked: such a page is unmapped all the same, and can be mapped again.
//
// Linux: try_to_unmap(), try_to_migrate(), remove_migration_ptes()

import { FRAME_DIRTY, FRAME_EXCLUSIVE } from '../../../assembly/abi.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import {
  EMPTY_PTE,
  entryExclusive,
  isMigrationPte,
  mkMigrationPte,
  mkSwapPte,
  POISON_PTE,
  pteAfterMigration,
  pteDirty,
  pteNormal,
  ptePfn,
  type SwapEntry,
} from '../page/pte.ts'
import { getPte, setPte } from '../page/ptes.ts'
import { addRmap, rmapWalk } from '../page/rmap.ts'

/** Where a page was mapped. */
export interface Mapping {
  readonly mm: MmStruct
  readonly vpn: number
}

/** Replaces every pte of a page by its swap entry. True if none is left. Linux: try_to_unmap() */
export function unmapToSwap(memory: Memory, pfn: number, entry: SwapEntry): boolean {
  swapOutMappings(memory, pfn, entry)
  return memory.frames.mapcount(pfn) === 0
}

/** The same; returns where it was mapped. */
export function swapOutMappings(memory: Memory, pfn: number, entry: SwapEntry): Mapping[] {
  return replacePtes(memory, pfn, (pte, exclusive) => {
    // Before the mapping goes: the sum of both must never be too small.
    memory.swap.duplicate(entry)
    return mkSwapPte(entry, pte, exclusive)
  })
}

/** Replaces every pte of a page by a migration entry: whoever touches it has to wait. Linux: try_to_migrate() */
export function unmapToMigrate(memory: Memory, pfn: number): boolean {
  replacePtes(memory, pfn, mkMigrationPte)
  return memory.frames.mapcount(pfn) === 0
}

/** Replaces every pte of a broken page by a mark; returns where it was mapped. */
export function unmapToPoison(memory: Memory, pfn: number): Mapping[] {
  return replacePtes(memory, pfn, () => POISON_PTE)
}

/** Empties every pte of a page whose content nobody wants any more, while `may` says so; returns where it was mapped. */
export function discardMappings(memory: Memory, pfn: number, may: () => boolean = () => true): Mapping[] {
  return replacePtes(memory, pfn, () => (may() ? EMPTY_PTE : undefined))
}

/** Turns the migration entries that name `fromPfn` into ptes of `toPfn`. Linux: remove_migration_ptes() */
export function removeMigrationPtes(memory: Memory, fromPfn: number, toPfn: number): void {
  const { frames } = memory
  rmapWalk(memory, toPfn, (mm, _, vpn) => {
    const pte = getPte(mm, vpn)
    if (!isMigrationPte(pte) || ptePfn(pte) !== fromPfn) return true
    frames.get(toPfn)
    addRmap(memory, toPfn)
    if (entryExclusive(pte)) frames.setFlag(toPfn, FRAME_EXCLUSIVE)
    setPte(mm, vpn, pteAfterMigration(pte, toPfn))
    return true
  })
}

/** Asks for each pte what is to stand there, until the answer is undefined; returns where the page was mapped. */
function replacePtes(
  memory: Memory,
  pfn: number,
  replacement: (pte: number, exclusive: boolean) => number | undefined,
): Mapping[] {
  const { frames } = memory
  const found: Mapping[] = []
  // A page that nobody maps may name an anon_vma that is gone. Linux: folio_get_anon_vma()
  if (frames.mapcount(pfn) === 0) return found
  rmapWalk(memory, pfn, (mm, vma, vpn) => {
    const pte = getPte(mm, vpn)
    if (!pteNormal(pte) || ptePfn(pte) !== pfn) return true
    const range = mm.notifiers.start('clear', vpn, vpn + 1)
    if (mm.vmas.at(vpn) !== vma || getPte(mm, vpn) !== pte) {
      // Whoever was called has changed it: then this one stays.
      mm.notifiers.end(range)
      return true
    }
    const exclusive = frames.hasFlag(pfn, FRAME_EXCLUSIVE)
    if (pteDirty(pte)) frames.setFlag(pfn, FRAME_DIRTY)
    const replaced = replacement(pte, exclusive)
    if (replaced === undefined) {
      mm.notifiers.end(range)
      return false
    }
    setPte(mm, vpn, replaced)
    frames.clearFlag(pfn, FRAME_EXCLUSIVE)
    frames.addMapcount(pfn, -1)
    frames.put(pfn)
    mm.notifiers.end(range)
    found.push({ mm, vpn })
    return frames.mapcount(pfn) > 0
  })
  return found
}
