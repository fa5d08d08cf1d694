// Page tables: for each mm a tree of four levels in the arena (pgd, pud, pmd, pte), made as pages are mapped. Work on
// a range costs what is mapped in it, never what it spans: holes are jumped a whole table at a time.

import { PAGE_SIZE, TABLE_ENTRIES, TABLE_SHIFT } from '../../../assembly/abi.ts'
import type { Arena } from '../../core/arena.ts'
import { Tables } from '../../core/tables.ts'
import { EMPTY_PTE, pteNormal, sameContent } from './pte.ts'

const LAST = TABLE_ENTRIES - 1
/** A table's bytes are 2 to this. */
const BYTES_SHIFT = TABLE_SHIFT + 2
/** How far a level's index lies above the pte index: pgd, pud, pmd. */
const LEVEL_SHIFTS = [3 * TABLE_SHIFT, 2 * TABLE_SHIFT, TABLE_SHIFT] as const

/** The part of an address space whose tables of ptes virtual CPUs look into: a word for each in an array of the arena. */
export interface LeafWindow {
  /** Where the array is. */
  readonly array: number
  /** The first table it has a word for, counted from address 0, and how many. */
  readonly first: number
  readonly count: number
  /** What stands there where there is none: a table that is always empty. */
  readonly empty: number
}

interface OpenWindow extends LeafWindow {
  /** Called when tables are no longer in the array: has them freed when nobody looks into them any more. */
  readonly retire: (free: () => void) => void
}

export class PageTables {
  readonly #tables: Tables
  /** By place in the metadata: may a pte of this table have been set since that was cleared? */
  readonly #dirty: Uint8Array
  /** By pgd. */
  readonly #windows = new Map<number, OpenWindow>()

  constructor(arena: Arena) {
    this.#tables = new Tables(arena)
    this.#dirty = new Uint8Array((arena.firstPfn * PAGE_SIZE) >>> BYTES_SHIFT)
  }

  /** Makes an empty page table and returns its pgd; 0 when out of memory. Linux: pgd_alloc() */
  create(): number {
    return this.#tables.alloc()
  }

  /** The table found last: the next page is usually in it too. */
  #cachedPgd = 0
  #cachedPlace = 0
  #cachedTable = 0

  /** The pte of a virtual page, 0 if there is none. */
  get(pgd: number, vpn: number): number {
    const table = this.pteTable(pgd, vpn)
    return table === 0 ? 0 : this.#tables.entry(table, vpn & LAST)
  }

  /** Replaces a pte that has a place. Only `setPte` (ptes.ts) calls it. */
  set(pgd: number, vpn: number, pte: number): void {
    const table = this.pteTable(pgd, vpn)
    this.#tables.setEntry(table, vpn & LAST, pte)
    this.#dirty[table >>> BYTES_SHIFT] = 1
  }

  /** May any pte of a table have been set since `clearDirty`? */
  isDirty(table: number): boolean {
    return this.#dirty[table >>> BYTES_SHIFT] !== 0
  }

  clearDirty(table: number): void {
    this.#dirty[table >>> BYTES_SHIFT] = 0
  }

  /**
   * Makes sure that `set` has a place for the pte of a virtual page. False when out of memory; tables made on the way
   * stay, empty. Linux: pte_alloc_map()
   */
  reserve(pgd: number, vpn: number): boolean {
    let table = pgd
    for (const shift of LEVEL_SHIFTS) {
      const index = (vpn >>> shift) & LAST
      let below = this.#tables.entry(table, index)
      if (below === 0) {
        below = this.#tables.alloc()
        if (below === 0) return false
        this.#tables.setEntry(table, index, below)
        if (shift === TABLE_SHIFT) this.#link(pgd, vpn >>> TABLE_SHIFT, below)
      }
      table = below
    }
    return true
  }

  /**
   * Keeps an array of the tables of ptes there are in a part of the address space, until it is closed. `retire` is given what frees those that have
   * been taken out of it, to be called when nobody looks into them any more.
   */
  openWindow(
    pgd: number,
    { array, first, count, empty }: LeafWindow,
    retire: (free: () => void) => void,
  ): void {
    this.#windows.set(pgd, { array, first, count, empty, retire })
    for (let i = 0; i < count; i++) {
      const table = this.#walk(pgd, (first + i) * TABLE_ENTRIES)
      this.#tables.setEntry(array, i, table === 0 ? empty : table)
    }
  }

  /** Others read the tables while they are changed, or no longer. */
  setWatched(watched: boolean): void {
    this.#tables.watched = watched
  }

  closeWindow(pgd: number): void {
    this.#windows.delete(pgd)
  }

  /** Writes down in the window, if one sees that place, which table is there. */
  #link(pgd: number, place: number, table: number): void {
    const window = this.#windows.size === 0 ? undefined : this.#windows.get(pgd)
    if (window === undefined || place < window.first || place >= window.first + window.count) return
    this.#tables.setEntry(window.array, place - window.first, table === 0 ? window.empty : table)
  }

  /** The first virtual page in [vpn, end) whose pte is not empty, or `end`. Linux: walk_page_range_vma() */
  next(pgd: number, vpn: number, end: number): number {
    return this.#find(pgd, vpn, end, false)
  }

  /** The same; only ptes that map a frame count: no zero page, nothing swapped out. */
  nextNormal(pgd: number, vpn: number, end: number): number {
    return this.#find(pgd, vpn, end, true)
  }

  /** The first virtual page in [vpn, end) where two page tables do not name the same content, or `end`. */
  nextDifferent(pgd: number, other: number, vpn: number, end: number): number {
    while (vpn < end) {
      const ours = this.#walk(pgd, vpn)
      const theirs = this.#walk(other, vpn)
      if (ours === 0 && theirs === 0) {
        vpn = Math.min(this.#afterHole(pgd, vpn), this.#afterHole(other, vpn))
        continue
      }
      do {
        const a = ours === 0 ? EMPTY_PTE : this.#tables.entry(ours, vpn & LAST)
        const b = theirs === 0 ? EMPTY_PTE : this.#tables.entry(theirs, vpn & LAST)
        if (a !== b && !sameContent(a, b)) return vpn
        vpn++
      } while (vpn < end && (vpn & LAST) !== 0)
    }
    return end
  }

  #find(pgd: number, vpn: number, end: number, normal: boolean): number {
    while (vpn < end) {
      const table = this.pteTable(pgd, vpn)
      if (table === 0) {
        vpn = this.#afterHole(pgd, vpn)
        continue
      }
      do {
        const pte = this.#tables.entry(table, vpn & LAST)
        if (normal ? pteNormal(pte) : pte !== EMPTY_PTE) return vpn
        vpn++
      } while (vpn < end && (vpn & LAST) !== 0)
    }
    return end
  }

  /** Frees the tables of [start, end) that have become empty, all but the pgd. Linux: free_pgtables() */
  prune(pgd: number, start: number, end: number): void {
    const doomed: number[] = []
    this.#pruneLevel(pgd, 0, 0, start, end, { pgd, doomed })
    if (doomed.length === 0) return
    const free = (): void => {
      for (const table of doomed) this.#tables.free(table)
    }
    const window = this.#windows.get(pgd)
    if (window === undefined) free()
    else window.retire(free)
  }

  /** Frees an empty page table. */
  destroy(pgd: number): void {
    this.#tables.free(pgd)
  }

  /** The table that has the pte of a virtual page, 0 if there is none. */
  pteTable(pgd: number, vpn: number): number {
    // Of an mm that has exited: what lay there is another's by now.
    if (pgd === 0) return 0
    const place = vpn >>> TABLE_SHIFT
    if (place === this.#cachedPlace && pgd === this.#cachedPgd) return this.#cachedTable
    const table = this.#walk(pgd, vpn)
    if (table !== 0) {
      this.#cachedPgd = pgd
      this.#cachedPlace = place
      this.#cachedTable = table
    }
    return table
  }

  #walk(pgd: number, vpn: number): number {
    const pud = this.#tables.entry(pgd, vpn >>> (3 * TABLE_SHIFT))
    if (pud === 0) return 0
    const pmd = this.#tables.entry(pud, (vpn >>> (2 * TABLE_SHIFT)) & LAST)
    if (pmd === 0) return 0
    return this.#tables.entry(pmd, (vpn >>> TABLE_SHIFT) & LAST)
  }

  /** Where to look on when there is no table of ptes at `vpn`: behind the highest level that is missing. */
  #afterHole(pgd: number, vpn: number): number {
    let table = pgd
    for (const shift of LEVEL_SHIFTS) {
      table = this.#tables.entry(table, (vpn >>> shift) & LAST)
      if (table === 0) {
        const span = 2 ** shift
        return vpn - (vpn % span) + span
      }
    }
    return vpn
  }

  #pruneLevel(
    table: number,
    level: number,
    base: number,
    start: number,
    end: number,
    tree: { readonly pgd: number; readonly doomed: number[] },
  ): void {
    const shift = LEVEL_SHIFTS[level]
    if (shift === undefined) return
    const span = 2 ** shift
    const first = Math.max(0, Math.floor((start - base) / span))
    const last = Math.min(LAST, Math.floor((end - 1 - base) / span))
    for (let index = first; index <= last; index++) {
      const below = this.#tables.entry(table, index)
      if (below === 0) continue
      this.#pruneLevel(below, level + 1, base + index * span, start, end, tree)
      if (this.#tables.isEmpty(below)) {
        this.#tables.setEntry(table, index, 0)
        if (shift === TABLE_SHIFT) this.#link(tree.pgd, base / TABLE_ENTRIES + index, 0)
        tree.doomed.push(below)
        this.#cachedPgd = 0
      }
    }
  }
}
