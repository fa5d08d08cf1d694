// Named accessors to the frame table: a descriptor a page of the arena.

import {
  FRAME_BYTES,
  FRAME_FLAGS_SHIFT,
  FRAME_INDEX,
  FRAME_MAPCOUNT,
  FRAME_MAPPING,
  FRAME_REFCOUNT,
  FRAME_TABLE,
  MAPCOUNT_MASK,
} from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'

const FRAME_WORDS = FRAME_BYTES / 4
const FRAME_WORD = FRAME_TABLE / 4

/** As many ptes as can map one page. */
export const MAX_MAPCOUNT: number = MAPCOUNT_MASK
/** As many references as a page can have. */
export const MAX_REFCOUNT: number = 2 ** 31 - 1

/** The frame table (Linux: struct page). Pages are named by their pfn. */
export class FrameTable {
  readonly #i32: Int32Array
  readonly #u32: Uint32Array

  constructor(arena: Arena) {
    this.#i32 = arena.i32
    this.#u32 = arena.u32
  }

  refcount(pfn: number): number {
    return this.#i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_REFCOUNT / 4]!
  }

  setRefcount(pfn: number, count: number): void {
    this.#i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_REFCOUNT / 4] = count
  }

  /** How many ptes map the page. */
  mapcount(pfn: number): number {
    return this.#u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! & MAPCOUNT_MASK
  }

  addMapcount(pfn: number, change: 1 | -1): void {
    this.#u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! += change
  }

  mapping(pfn: number): number {
    return this.#i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPPING / 4]!
  }

  setMapping(pfn: number, mapping: number): void {
    this.#i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPPING / 4] = mapping
  }

  index(pfn: number): number {
    return this.#u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_INDEX / 4]!
  }

  setIndex(pfn: number, index: number): void {
    this.#u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_INDEX / 4] = index
  }

  flags(pfn: number): number {
    return this.#u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! >>> FRAME_FLAGS_SHIFT
  }

  setFlags(pfn: number, flags: number): void {
    const at = FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4
    this.#u32[at] = (this.#u32[at]! & MAPCOUNT_MASK) | (flags << FRAME_FLAGS_SHIFT)
  }
}
