// Taking a page out of every page table that maps it, found through the rmap walk: for swap, migration, and broken
// memory. What stands in the ptes afterwards says where the page went. Whether somebody else holds a reference is not
// asked: such a page is unmapped all the same, and can be mapped again.
//
// Linux: try_to_unmap(), try_to_migrate(), remove_migration_ptes()

import { FRAME_DIRTY, FRAME_EXCLUSIVE, FRAME_SWAPCACHE } from '../../../assembly/abi.ts'
import { VPN_LIMIT } from '../model/address.ts'
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
import { getPte, setPte, walkPageRange } from '../page/ptes.ts'
import { addRmap, rmapWalk } from '../page/rmap.ts'

/** Where a page was mapped. */
export interface Mapping {
  readonly mm: MmStruct
  readonly vpn: number
}

/** Replaces every pte of a page by its swap entry. True if none is left. Linux: try_to_unmap() */
export function unmapToSwap(memory: Memory, pfn: number, entry: SwapEntry): boolean {
  replacePtes(memory, pfn, swapEntryFor(memory, entry))
  return memory.frames.mapcount(pfn) === 0
}

function swapEntryFor(memory: Memory, entry: SwapEntry): (pte: number, exclusive: boolean) => number {
  return (pte, exclusive) => {
    // Before the mapping goes: the sum of both must never be too small.
    memory.swap.duplicate(entry)
    return mkSwapPte(entry, pte, exclusive)
  }
}

/** Replaces every pte of a page by a migration entry: whoever touches it has to wait. Linux: try_to_migrate() */
export function unmapToMigrate(memory: Memory, pfn: number): boolean {
  replacePtes(memory, pfn, mkMigrationPte)
  return memory.frames.mapcount(pfn) === 0
}

/** Replaces every pte of a broken page by a mark; returns where it was mapped. Nobody who maps it is left out. */
export function unmapToPoison(memory: Memory, pfn: number): Mapping[] {
  return replaceEverywhere(memory, pfn, () => POISON_PTE)
}

/** Replaces every pte of a broken page by its swap entry; returns where it was mapped. Nobody who maps it is left out. */
export function unmapBrokenToSwap(memory: Memory, pfn: number, entry: SwapEntry): Mapping[] {
  return replaceEverywhere(memory, pfn, swapEntryFor(memory, entry))
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

type Replacement = (pte: number, exclusive: boolean) => number | undefined

/** Asks for each pte what is to stand there, until the answer is undefined; returns where the page was mapped. */
function replacePtes(memory: Memory, pfn: number, replacement: Replacement): Mapping[] {
  const found: Mapping[] = []
  // A page that nobody maps may name an anon_vma that is gone. Linux: folio_get_anon_vma()
  if (memory.frames.mapcount(pfn) === 0) return found
  rmapWalk(memory, pfn, (mm, _, vpn) => replaceOne(mm, vpn, pfn, replacement, found))
  waitForCpus(memory, pfn, found)
  return found
}

/** No virtual CPU uses the page any more; if one may, the page is held. */
function waitForCpus(memory: Memory, pfn: number, mappings: readonly Mapping[]): void {
  if (memory.cpuThreads.count === 0) return
  const { frames } = memory
  for (const { cpus } of new Set(mappings.map(({ mm }) => mm))) {
    if (cpus.synchronize()) continue
    frames.get(pfn)
    const drop = (): void => {
      // It may have been written to after it was written out.
      if (frames.hasFlag(pfn, FRAME_SWAPCACHE)) frames.setFlag(pfn, FRAME_DIRTY)
      frames.put(pfn)
    }
    cpus.afterGrace({ frames: [pfn], drop })
  }
}

/**
 * The same; and if somebody has not been found on the way back from the page, which the page's own count tells, every page
 * table is gone through. A fork that has no item yet, of a parent whose item is gone, is not found otherwise.
 */
function replaceEverywhere(memory: Memory, pfn: number, replacement: Replacement): Mapping[] {
  const found = replacePtes(memory, pfn, replacement)
  for (const mm of memory.mms()) {
    if (mm.users === 0) continue
    if (memory.frames.mapcount(pfn) === 0) break
    walkPageRange(mm, 0, VPN_LIMIT, (vpn) => {
      const vma = mm.vmas.at(vpn)
      if (vma !== undefined) replaceOne(mm, vpn, pfn, replacement, found)
    })
  }
  waitForCpus(memory, pfn, found)
  return found
}

/** One pte, if it maps the page; it is added to those found. False when there is no more to be done. */
function replaceOne(
  mm: MmStruct,
  vpn: number,
  pfn: number,
  replacement: Replacement,
  found: Mapping[],
): boolean {
  const { frames } = mm.memory
  const pte = getPte(mm, vpn)
  if (!pteNormal(pte) || ptePfn(pte) !== pfn) return true
  const range = mm.notifiers.start('clear', vpn, vpn + 1)
  if (getPte(mm, vpn) !== pte) {
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
}
