// The ptes of an mm: read, gone through, and written. Nobody else writes one, so whoever wants to know of every change
// of a translation stands here.
//
// Beside what it says each pte has a mark, *soft-dirty*: the page may be another than ksmd last read there. Whatever sets a
// pte leaves it marked, and so does whoever writes through it; only ksmd clears the mark (ksm/soft-dirty.ts). Nobody
// else needs to know of it: what is got, compared and set here comes without.

import { TABLE_ENTRIES, TABLE_SHIFT } from '../../../assembly/abi.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { EMPTY_PTE, pteClearSoftDirty, pteMksoftDirty, pteSoftDirty } from './pte.ts'

/** The pte of a virtual page, 0 if there is none. Linux: ptep_get() */
export function getPte(mm: MmStruct, vpn: number): number {
  return pteClearSoftDirty(mm.memory.pageTables.get(mm.pgd, vpn))
}

/** Replaces a pte that has a place (`PageTables.reserve`); it is soft-dirty then. Linux: set_pte_at() */
export function setPte(mm: MmStruct, vpn: number, pte: number): void {
  mm.memory.pageTables.set(mm.pgd, vpn, pteMksoftDirty(pte))
}

/** Gives a pte other rights to the page it has: soft-dirty if it was. Linux: ptep_modify_prot_commit() */
export function setPteProt(mm: MmStruct, vpn: number, pte: number): void {
  mm.memory.pageTables.set(mm.pgd, vpn, isSoftDirty(mm, vpn) ? pteMksoftDirty(pte) : pte)
}

/** May the page at `vpn`, where there is one, be another than when the mark was cleared? Linux: pte_soft_dirty() */
export function isSoftDirty(mm: MmStruct, vpn: number): boolean {
  return pteSoftDirty(mm.memory.pageTables.get(mm.pgd, vpn))
}

/** Marks the page at `vpn`, where there is one. Linux: pte_mksoft_dirty() */
export function markSoftDirty(mm: MmStruct, vpn: number): void {
  const { pageTables } = mm.memory
  const pte = pageTables.get(mm.pgd, vpn)
  if (pte !== EMPTY_PTE && !pteSoftDirty(pte)) pageTables.set(mm.pgd, vpn, pteMksoftDirty(pte))
}

/** Takes the mark of a page that is there away; for ksmd alone. Linux: clear_soft_dirty() */
export function clearSoftDirty(mm: MmStruct, vpn: number): void {
  mm.memory.pageTables.set(mm.pgd, vpn, getPte(mm, vpn))
}

/** The address of the table that has the pte of a virtual page, 0 if there is none: for the core, which goes along it. */
export function tableAt(mm: MmStruct, vpn: number): number {
  return mm.memory.pageTables.pteTable(mm.pgd, vpn)
}

/** May any pte in a table have been set since that was cleared? So it is wherever a page came or went or was marked. Linux: pmd_soft_dirty() */
export function pmdSoftDirty(mm: MmStruct, table: number): boolean {
  return mm.memory.pageTables.isDirty(table)
}

/** Linux: pmd_clear_soft_dirty() */
export function pmdClearSoftDirty(mm: MmStruct, table: number): void {
  mm.memory.pageTables.clearDirty(table)
}

/** Which table that is, counted from address 0. */
export function tablePlace(vpn: number): number {
  return vpn >>> TABLE_SHIFT
}

/** The first virtual page whose pte is not in the same table. */
export function endOfTable(vpn: number): number {
  return (tablePlace(vpn) + 1) * TABLE_ENTRIES
}

/** The first virtual page in [vpn, end) whose pte is not empty, or `end`. */
export function nextPte(mm: MmStruct, vpn: number, end: number): number {
  return mm.memory.pageTables.next(mm.pgd, vpn, end)
}

/** The first virtual page in [vpn, end) where two mms do not name the same content, or `end`. */
export function nextDifferentPte(mm: MmStruct, other: MmStruct, vpn: number, end: number): number {
  return mm.memory.pageTables.nextDifferent(mm.pgd, other.pgd, vpn, end)
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
