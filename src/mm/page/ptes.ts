// The ptes of an mm: read, gone through, and written. Nobody else writes one, so whoever wants to know of every change
// of a translation stands here.

import type { MmStruct } from '../model/mm-struct.ts'

/** The pte of a virtual page, 0 if there is none. Linux: ptep_get() */
export function getPte(mm: MmStruct, vpn: number): number {
  return mm.memory.pageTables.get(mm.pgd, vpn)
}

/** Replaces a pte that has a place (`PageTables.reserve`). Linux: set_pte_at() */
export function setPte(mm: MmStruct, vpn: number, pte: number): void {
  mm.memory.pageTables.set(mm.pgd, vpn, pte)
}

/** The first virtual page in [vpn, end) whose pte is not empty, or `end`. */
export function nextPte(mm: MmStruct, vpn: number, end: number): number {
  return mm.memory.pageTables.next(mm.pgd, vpn, end)
}

/** The first virtual page in [vpn, end) that maps a frame (no zero page, nothing swapped out), or `end`. */
export function nextNormalPte(mm: MmStruct, vpn: number, end: number): number {
  return mm.memory.pageTables.nextNormal(mm.pgd, vpn, end)
}

/**
 * Visits every pte in [start, end) that is not empty, in order. The visitor may change it, and others.
 * Linux: walk_page_range()
 */
export function walkPageRange(
  mm: MmStruct,
  start: number,
  end: number,
  visit: (vpn: number, pte: number) => void,
): void {
  for (let vpn = nextPte(mm, start, end); vpn < end; vpn = nextPte(mm, vpn + 1, end))
    visit(vpn, getPte(mm, vpn))
}
