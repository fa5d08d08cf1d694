// Named accessors to the rmap items in the arena.

import {
  CACHE_RMAP,
  RMAP_AGE,
  RMAP_ANON_VMA,
  RMAP_CHECKSUM,
  RMAP_HEAD,
  RMAP_LIST_NEXT,
  RMAP_LIST_PREV,
  RMAP_MM,
  RMAP_NEXT,
  RMAP_SEQNR_MASK,
  RMAP_SEQNR_SHIFT,
  RMAP_SETTLED,
  RMAP_STATE,
  RMAP_STATE_MASK,
  RMAP_UNSTABLE,
  RMAP_VOLATILE,
  RMAP_VPN,
  TREE_PARENT,
} from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'
import { lowHalf, RESULT, upperHalf } from './key.ts'

/** The state of an item that was passed over. */
const PASSED_OVER = RMAP_VOLATILE | (1 << RMAP_SEQNR_SHIFT)

/** The rmap items. An item is named by its address; 0 is none. */
export class RmapItems {
  /** Where the last `passSettled` came to. */
  lastPassed = 0
  readonly #u8: Uint8Array
  readonly #u16: Uint16Array
  readonly #i32: Int32Array
  readonly #u32: Uint32Array
  readonly #core: Arena['core']

  constructor(arena: Arena) {
    this.#u8 = arena.u8
    this.#u16 = arena.u16
    this.#i32 = arena.i32
    this.#u32 = arena.u32
    this.#core = arena.core
  }

  /** Takes a fresh, volatile item; 0 when out of memory. */
  alloc(mmId: number, vpn: number): number {
    const item = this.#core.slabAlloc(CACHE_RMAP)
    if (item !== 0) {
      this.#u16[(item + RMAP_MM) >>> 1] = mmId
      this.#u32[(item + RMAP_VPN) >>> 2] = vpn
    }
    return item
  }

  free(item: number): void {
    this.#core.slabFree(CACHE_RMAP, item)
  }

  mm(item: number): number {
    return this.#u16[(item + RMAP_MM) >>> 1]!
  }

  vpn(item: number): number {
    return this.#u32[(item + RMAP_VPN) >>> 2]!
  }

  /** The next item of the same mm, in ascending order. */
  next(item: number): number {
    return this.#i32[(item + RMAP_NEXT) >>> 2]!
  }

  setNext(item: number, next: number): void {
    this.#i32[(item + RMAP_NEXT) >>> 2] = next
  }

  /** RMAP_VOLATILE, RMAP_UNSTABLE or RMAP_STABLE. */
  state(item: number): number {
    return this.#u8[item + RMAP_STATE]! & RMAP_STATE_MASK
  }

  setState(item: number, state: number): void {
    this.#u8[item + RMAP_STATE] = state
  }

  /** Would visiting its page change nothing while the pte is not soft-dirty? (ksm/settled.ts) */
  isSettled(item: number): boolean {
    return (this.#u8[item + RMAP_STATE]! & RMAP_SETTLED) !== 0
  }

  settle(item: number): void {
    this.#u8[item + RMAP_STATE]! |= RMAP_SETTLED
  }

  unsettle(item: number): void {
    this.#u8[item + RMAP_STATE]! &= ~RMAP_SETTLED
  }

  /**
   * Goes over settled items and the ptes of one table, as assembly/settled.ts says. Returns how many were passed; the last of
   * them is `lastPassed` then.
   */
  passSettled(table: number, vpn: number, end: number, item: number, most: number): number {
    this.lastPassed = this.#core.passSettled(table, vpn, end, item, most)
    return lowHalf(this.#u32, RESULT)
  }

  /** Of the items from `first` on, one mm's, no unstable one is in a tree any more, nor settled. */
  forgetUnstable(first: number): void {
    this.#core.forgetUnstable(first)
  }

  /** Is an unstable item, which was not when it became one, linked in a tree? For a scan that settles. */
  isLinked(item: number): boolean {
    return this.#i32[(item + TREE_PARENT) >>> 2] !== 0
  }

  /** Notes that an item taken out of a tree, or whose tree is forgotten, is in none. */
  unlink(item: number): void {
    this.#i32[(item + TREE_PARENT) >>> 2] = 0
  }

  /** How many full scans before this one an unstable item entered the tree, modulo 32. */
  scansSince(item: number, seqnr: number): number {
    return (seqnr - (this.#u8[item + RMAP_STATE]! >>> RMAP_SEQNR_SHIFT)) & RMAP_SEQNR_MASK
  }

  /** Marks an item as unstable since this full scan, with the checksum that stands at `key` as its own. */
  setUnstable(item: number, seqnr: number, key: number): void {
    this.setUnstableSince(item, seqnr)
    this.#u32[(item + RMAP_CHECKSUM + 4) >>> 2] = upperHalf(this.#u32, key)
  }

  /** Changes since when an unstable item is one. */
  setUnstableSince(item: number, seqnr: number): void {
    this.#u8[item + RMAP_STATE] = RMAP_UNSTABLE | ((seqnr & RMAP_SEQNR_MASK) << RMAP_SEQNR_SHIFT)
  }

  /** The 32 bits of the checksum that decide whether the page has changed (Linux: oldchecksum). */
  oldchecksum(item: number): number {
    return this.#u32[(item + RMAP_CHECKSUM) >>> 2]!
  }

  /** All 64 bits, of an item that is not stable. */
  checksum(item: number): bigint {
    return (BigInt(this.#u32[(item + RMAP_CHECKSUM + 4) >>> 2]!) << 32n) | BigInt(this.oldchecksum(item))
  }

  /** Is it the checksum that stands at `key`, all 64 bits? */
  hasChecksum(item: number, key: number): boolean {
    const u32 = this.#u32
    const low = u32[(item + RMAP_CHECKSUM) >>> 2]! === lowHalf(u32, key)
    return low && u32[(item + RMAP_CHECKSUM + 4) >>> 2]! === upperHalf(u32, key)
  }

  /** The stable node a stable item belongs to. */
  head(item: number): number {
    return this.#i32[(item + RMAP_HEAD) >>> 2]!
  }

  setHead(item: number, node: number): void {
    this.#i32[(item + RMAP_HEAD) >>> 2] = node
  }

  listNext(item: number): number {
    return this.#i32[(item + RMAP_LIST_NEXT) >>> 2]!
  }

  setListNext(item: number, next: number): void {
    this.#i32[(item + RMAP_LIST_NEXT) >>> 2] = next
  }

  listPrev(item: number): number {
    return this.#i32[(item + RMAP_LIST_PREV) >>> 2]!
  }

  setListPrev(item: number, prev: number): void {
    this.#i32[(item + RMAP_LIST_PREV) >>> 2] = prev
  }

  /** The id of the anon_vma a stable item holds a reference on. */
  anonVma(item: number): number {
    return this.#i32[(item + RMAP_ANON_VMA) >>> 2]!
  }

  setAnonVma(item: number, id: number): void {
    this.#i32[(item + RMAP_ANON_VMA) >>> 2] = id
  }

  /** Smart scan: was the page passed over when the scan last came by? Then it is volatile. */
  passedOver(item: number): boolean {
    return this.#u8[item + RMAP_STATE] === PASSED_OVER
  }

  /** Notes whether it was, if it is volatile. */
  setPassedOver(item: number, passedOver: boolean): void {
    if (this.state(item) === RMAP_VOLATILE)
      this.#u8[item + RMAP_STATE] = passedOver ? PASSED_OVER : RMAP_VOLATILE
  }

  /** Smart scan: full scans since the item was made, saturating at 15. */
  age(item: number): number {
    return this.#u8[item + RMAP_AGE]! >>> 4
  }

  /** Smart scan: visits still to be skipped, or what a policy keeps there. */
  skips(item: number): number {
    return this.#u8[item + RMAP_AGE]! & 15
  }

  setSkips(item: number, skips: number): void {
    this.#u8[item + RMAP_AGE] = (this.#u8[item + RMAP_AGE]! & 0xf0) | skips
  }

  growOlder(item: number): void {
    const both = this.#u8[item + RMAP_AGE]!
    if (both < 0xf0) this.#u8[item + RMAP_AGE] = both + 0x10
  }
}
