// Named accessors to page tables in the arena, all levels alike.

import { CACHE_TABLE, TABLE_ENTRIES } from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'

/** Page tables, all levels. A table is named by its address; 0 is none. */
export class Tables {
  /** Do others read tables while they are changed? Storing so that they see what was written before takes ten times as long. */
  watched = false
  readonly #i32: Int32Array
  readonly #core: Arena['core']

  constructor(arena: Arena) {
    this.#i32 = arena.i32
    this.#core = arena.core
  }

  /** Takes an empty table; 0 when out of memory. */
  alloc(): number {
    return this.#core.slabAlloc(CACHE_TABLE)
  }

  free(table: number): void {
    this.#core.slabFree(CACHE_TABLE, table)
  }

  entry(table: number, index: number): number {
    return this.#i32[(table >>> 2) + index]!
  }

  setEntry(table: number, index: number, entry: number): void {
    if (this.watched) Atomics.store(this.#i32, (table >>> 2) + index, entry)
    else this.#i32[(table >>> 2) + index] = entry
  }

  isEmpty(table: number): boolean {
    const first = table >>> 2
    for (let at = first; at < first + TABLE_ENTRIES; at++) if (this.#i32[at] !== 0) return false
    return true
  }
}
