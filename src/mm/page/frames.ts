// Physical memory: which frames are free, and how many references each of the others has. A frame's descriptor is
// permanent; a frame is free the instant its last reference goes, and its `mapping` is cleared then, which is what
// makes the keyhole reference of ksm/stable.ts safe.

import {
  FRAME_DIRTY,
  FRAME_OFFLINE,
  FRAME_POISONED,
  MAPPING_ANON,
  MAPPING_KSM,
  MAPPING_TAG,
  ZERO_PFN,
} from '../../../assembly/abi.ts'
import type { Arena } from '../../core/arena.ts'
import { FrameTable, MAX_MAPCOUNT, MAX_REFCOUNT } from '../../core/frame-table.ts'
import type { FrameBytes } from './bytes.ts'

/** The free frames of a NUMA node. */
interface Pool {
  /**
   * Freed frames, linked through their index, taken in the order in which they were freed: so neighbours stay
   * neighbours, and memory is read in the order that the processor foresees. Handing out the last freed first turns
   * that order round, which makes a scan four times slower (measured).
   */
  oldest: number
  newest: number
  /** Frames never used yet: [fresh, end). They read as zero and cost no memory. */
  fresh: number
  end: number
}

export class Frames extends FrameTable {
  readonly #arena: Arena
  readonly #bytes: FrameBytes
  /** One pool a NUMA node. */
  readonly #pools: Pool[]
  readonly #perNode: number
  /** Pages whose content may be thrown away instead of swapped out, unless it is written to first. Linux: lazyfree */
  readonly lazyFree = new Set<number>()
  /** Ranges taken offline. */
  readonly #offline: { start: number; end: number }[] = []
  /** Called when a frame no longer has the `mapping` of a merged page: with that. */
  keyLost: ((mapping: number) => void) | undefined
  /** Lets a test run out of memory wherever it wants. */
  failAlloc: (() => boolean) | undefined
  #freeCount: number
  #totalCount: number

  constructor(arena: Arena, bytes: FrameBytes, numaNodes: number) {
    super(arena)
    this.#arena = arena
    this.#bytes = bytes
    this.#totalCount = arena.endPfn - arena.firstPfn
    this.#freeCount = this.#totalCount
    this.#perNode = Math.ceil(this.#totalCount / numaNodes)
    this.#pools = Array.from({ length: numaNodes }, (_, nid) => ({
      oldest: 0,
      newest: 0,
      fresh: Math.min(arena.firstPfn + nid * this.#perNode, arena.endPfn),
      end: Math.min(arena.firstPfn + (nid + 1) * this.#perNode, arena.endPfn),
    }))
    this.setRefcount(ZERO_PFN, 1)
  }

  /** Frames that can be taken. */
  get free(): number {
    return this.#freeCount
  }

  /** Frames there are, broken ones included, offline ones not. */
  get total(): number {
    return this.#totalCount
  }

  get numaNodes(): number {
    return this.#pools.length
  }

  /** The NUMA node a frame lies on. Linux: pfn_to_nid() */
  nid(pfn: number): number {
    return this.#pools.length === 1 ? 0 : Math.floor((pfn - this.#arena.firstPfn) / this.#perNode)
  }

  isFrame(pfn: number): boolean {
    return pfn >= this.#arena.firstPfn && pfn < this.#arena.endPfn
  }

  /**
   * Takes a frame with one reference, on NUMA node `nid` or, if that has none, on another; 0 when there is none. Its
   * bytes are whatever they were: use `allocZeroed` unless all of them are written at once.
   */
  alloc(nid = 0): number {
    return this.#takeAnywhere(nid, false)
  }

  /** Takes a frame of zeros with one reference; 0 when there is none. */
  allocZeroed(nid = 0): number {
    return this.#takeAnywhere(nid, true)
  }

  /** Takes a frame on NUMA node `nid` and no other. */
  allocOn(nid: number): number {
    return this.#take(this.#pools[nid]!, false)
  }

  /**
   * Takes up to `count` adjacent frames never used before, each with one reference: a place to read an image into.
   * Returns the first and how many; 0 of them when none are left.
   */
  allocRun(count: number, nid = 0): { pfn: number; count: number } {
    const pool = this.#pools[nid]!
    this.#skipUnusable(pool)
    const pfn = pool.fresh
    let got = 0
    while (got < count && pool.fresh < pool.end && !this.#isUnusable(pool.fresh)) {
      this.setRefcount(pool.fresh++, 1)
      got++
    }
    this.#freeCount -= got
    return { pfn, count: got }
  }

  /** Adds a reference. The page must have one. Linux: folio_get() */
  get(pfn: number): void {
    this.setRefcount(pfn, this.refcount(pfn) + 1)
  }

  /** Adds a reference unless the page is free or frozen. Linux: folio_try_get() */
  tryGet(pfn: number): boolean {
    const count = this.refcount(pfn)
    if (count === 0) return false
    this.setRefcount(pfn, count + 1)
    return true
  }

  /** Drops a reference and frees the frame with the last. Linux: folio_put() */
  put(pfn: number): void {
    const count = this.refcount(pfn) - 1
    this.setRefcount(pfn, count)
    if (count === 0) this.#release(pfn)
  }

  /**
   * Makes a page with exactly `references` unreachable: nobody can take another until `unfreeze`. False if it has other
   * than that. Linux: folio_ref_freeze()
   */
  freeze(pfn: number, references: number): boolean {
    if (this.refcount(pfn) !== references) return false
    this.setRefcount(pfn, 0)
    return true
  }

  /** Linux: folio_ref_unfreeze() */
  unfreeze(pfn: number, references: number): void {
    this.setRefcount(pfn, references)
  }

  /** Says whose page it is. */
  override setMapping(pfn: number, mapping: number): void {
    const before = this.mapping(pfn)
    super.setMapping(pfn, mapping)
    if (this.keyLost !== undefined && (before & MAPPING_TAG) === MAPPING_KSM) this.keyLost(before)
  }

  /** Can one pte more map the page, and hold the reference that goes with it? */
  mayMap(pfn: number): boolean {
    return this.mapcount(pfn) < MAX_MAPCOUNT && this.mayGet(pfn)
  }

  /** Can somebody take one reference more? Linux: folio_ref_zero_or_close_to_overflow() */
  mayGet(pfn: number): boolean {
    return this.refcount(pfn) < MAX_REFCOUNT
  }

  /** The ids of anon_vmas that pages name, whether or not those still exist. */
  anonVmasNamed(): Set<number> {
    const ids = new Set<number>()
    for (let { firstPfn: pfn, endPfn } = this.#arena; pfn < endPfn; pfn++) {
      const mapping = this.mapping(pfn)
      if ((mapping & MAPPING_TAG) === MAPPING_ANON) ids.add(mapping >>> 2)
    }
    return ids
  }

  /** An anonymous page, merged or not. Linux: folio_test_anon() */
  isAnon(pfn: number): boolean {
    return (this.mapping(pfn) & MAPPING_ANON) !== 0
  }

  setFlag(pfn: number, flag: number): void {
    this.setFlags(pfn, this.flags(pfn) | flag)
  }

  clearFlag(pfn: number, flag: number): void {
    this.setFlags(pfn, this.flags(pfn) & ~flag)
  }

  hasFlag(pfn: number, flag: number): boolean {
    return (this.flags(pfn) & flag) !== 0
  }

  /** Hands none of [start, end) out from now on. Those in use stay in use. Linux: start_isolate_page_range() */
  isolate(start: number, end: number): void {
    for (let pfn = start; pfn < end; pfn++) {
      if (this.#isFree(pfn)) this.#freeCount--
      this.setFlag(pfn, FRAME_OFFLINE)
    }
    this.#dropUnusable()
  }

  /** Takes that back. */
  unisolate(start: number, end: number): void {
    for (let pfn = start; pfn < end; pfn++) {
      this.clearFlag(pfn, FRAME_OFFLINE)
      if (this.#isFree(pfn)) this.#giveBack(pfn)
    }
  }

  /** [start, end), isolated and empty, is memory no more. */
  takeOffline(start: number, end: number): void {
    this.#totalCount -= end - start
    this.#offline.push({ start, end })
  }

  /** Is any of [start, end) offline? */
  overlapsOffline(start: number, end: number): boolean {
    return this.#offline.some((range) => range.start < end && start < range.end)
  }

  /** Makes an offline range memory again. False if it is not one that was taken offline as a whole. */
  bringOnline(start: number, end: number): boolean {
    const at = this.#offline.findIndex((range) => range.start === start && range.end === end)
    if (at < 0) return false
    this.#offline.splice(at, 1)
    this.#totalCount += end - start
    this.unisolate(start, end)
    return true
  }

  /** Never hands this frame out again. */
  poison(pfn: number): void {
    if (this.#isFree(pfn)) this.#freeCount--
    this.setFlag(pfn, FRAME_POISONED)
  }

  #takeAnywhere(nid: number, zeroed: boolean): number {
    const nodes = this.#pools.length
    for (let tried = 0; tried < nodes; tried++) {
      const pfn = this.#take(this.#pools[(nid + tried) % nodes]!, zeroed)
      if (pfn !== 0) return pfn
    }
    return 0
  }

  #take(pool: Pool, zeroed: boolean): number {
    if (this.failAlloc?.() === true) return 0
    let pfn = this.#takeFreed(pool)
    if (pfn !== 0) {
      if (zeroed) this.#bytes.clear(pfn)
    } else {
      this.#skipUnusable(pool)
      if (pool.fresh >= pool.end) return 0
      pfn = pool.fresh++
    }
    this.setRefcount(pfn, 1)
    this.#freeCount--
    return pfn
  }

  /** The frame that was freed first; a broken one among the freed is left out when its turn comes. */
  #takeFreed(pool: Pool): number {
    for (;;) {
      const pfn = pool.oldest
      if (pfn === 0) return 0
      pool.oldest = this.index(pfn)
      this.setIndex(pfn, 0)
      if (!this.#isUnusable(pfn)) return pfn
    }
  }

  /** Somebody maps the page who has not given it up: whoever has, it is not to be thrown away. */
  keep(pfn: number): void {
    if (this.lazyFree.delete(pfn)) this.setFlag(pfn, FRAME_DIRTY)
  }

  #release(pfn: number): void {
    this.setMapping(pfn, 0)
    if (this.lazyFree.size > 0) this.lazyFree.delete(pfn)
    this.setFlags(pfn, this.flags(pfn) & (FRAME_POISONED | FRAME_OFFLINE))
    if (!this.#isUnusable(pfn)) this.#giveBack(pfn)
  }

  #giveBack(pfn: number): void {
    this.#freeCount++
    const pool = this.#pools[this.nid(pfn)]!
    if (pfn >= pool.fresh) return // never handed out: still among the fresh ones
    this.setIndex(pfn, 0)
    if (pool.oldest === 0) pool.oldest = pfn
    else this.setIndex(pool.newest, pfn)
    pool.newest = pfn
  }

  #isUnusable(pfn: number): boolean {
    return this.hasFlag(pfn, FRAME_POISONED | FRAME_OFFLINE)
  }

  #isFree(pfn: number): boolean {
    return this.refcount(pfn) === 0 && !this.#isUnusable(pfn)
  }

  #skipUnusable(pool: Pool): void {
    while (pool.fresh < pool.end && this.#isUnusable(pool.fresh)) pool.fresh++
  }

  /** Takes frames that may not be handed out from among the freed ones. */
  #dropUnusable(): void {
    for (const pool of this.#pools) {
      const freed: number[] = []
      for (let pfn = pool.oldest; pfn !== 0; pfn = this.index(pfn))
        if (!this.#isUnusable(pfn)) freed.push(pfn)
      pool.oldest = 0
      this.#freeCount -= freed.length
      for (const pfn of freed) this.#giveBack(pfn)
    }
  }
}
