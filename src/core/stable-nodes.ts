// Named accessors to the stable nodes in the arena. Plain functions over views made once, cheap enough for the innermost
// loop, as in its neighbours: one file a record of assembly/abi.ts, and nobody else uses that record's offsets.

import {
  CACHE_NODE,
  KIND_CHAIN,
  KIND_DUP,
  KIND_MIGRATE,
  KIND_REGULAR,
  MAPPING_KSM,
  NODE_CHAIN,
  NODE_CHECKSUM,
  NODE_DUP_NEXT,
  NODE_DUP_PREV,
  NODE_FIRST,
  NODE_GENERATION_MASK,
  NODE_GENERATION_SHIFT,
  NODE_KIND,
  NODE_KIND_MASK,
  NODE_LENGTH,
  NODE_LENGTH_MASK,
  NODE_NID_SHIFT,
  NODE_PFN,
} from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'
import { copyKey } from './key.ts'

/** As many rmap items as a node can count. */
export const MAX_LENGTH: number = NODE_LENGTH_MASK

/** The stable nodes. A node is named by its address; 0 is none. */
export class StableNodes {
  readonly #u8: Uint8Array
  readonly #i32: Int32Array
  readonly #u32: Uint32Array
  readonly #core: Arena['core']

  constructor(arena: Arena) {
    this.#u8 = arena.u8
    this.#i32 = arena.i32
    this.#u32 = arena.u32
    this.#core = arena.core
  }

  /** Takes a node with an empty list, of a generation its address did not have before; 0 when out of memory. */
  alloc(kind: number, nid: number): number {
    const node = this.#core.slabAlloc(CACHE_NODE)
    if (node !== 0) {
      const generation = (this.#generation(node) + 1) & NODE_GENERATION_MASK
      this.#u8[node + NODE_KIND] = kind | (generation << NODE_GENERATION_SHIFT) | (nid << NODE_NID_SHIFT)
    }
    return node
  }

  free(node: number): void {
    const generation = this.#generation(node)
    this.#core.slabFree(CACHE_NODE, node)
    this.#u8[node + NODE_KIND] = generation << NODE_GENERATION_SHIFT
  }

  /** What the frame's `mapping` says while the page belongs to this node. */
  key(node: number): number {
    return node | (this.#generation(node) << 2) | MAPPING_KSM
  }

  /** The node a `mapping` names, or 0. The inverse of `key`. */
  static ofMapping(mapping: number): number {
    return (mapping & MAPPING_KSM) === MAPPING_KSM ? mapping & ~31 : 0
  }

  #generation(node: number): number {
    return (this.#u8[node + NODE_KIND]! >>> NODE_GENERATION_SHIFT) & NODE_GENERATION_MASK
  }

  kind(node: number): number {
    return this.#u8[node + NODE_KIND]! & NODE_KIND_MASK
  }

  setKind(node: number, kind: number): void {
    this.#u8[node + NODE_KIND] = (this.#u8[node + NODE_KIND]! & ~NODE_KIND_MASK) | kind
  }

  isRegular(node: number): boolean {
    return this.kind(node) === KIND_REGULAR
  }

  isChain(node: number): boolean {
    return this.kind(node) === KIND_CHAIN
  }

  isDup(node: number): boolean {
    return this.kind(node) === KIND_DUP
  }

  isMigrating(node: number): boolean {
    return this.kind(node) === KIND_MIGRATE
  }

  nid(node: number): number {
    return this.#u8[node + NODE_KIND]! >>> NODE_NID_SHIFT
  }

  setNid(node: number, nid: number): void {
    const rest = this.#u8[node + NODE_KIND]! & ((1 << NODE_NID_SHIFT) - 1)
    this.#u8[node + NODE_KIND] = rest | (nid << NODE_NID_SHIFT)
  }

  /** Where the page was when last seen (Linux: kpfn). */
  pfn(node: number): number {
    return this.#i32[(node + NODE_PFN) >>> 2]!
  }

  setPfn(node: number, pfn: number): void {
    this.#i32[(node + NODE_PFN) >>> 2] = pfn
  }

  /** Of a chain: when its dups were last pruned, in ms of the host's clock. */
  pruneTime(chain: number): number {
    return this.#u32[(chain + NODE_PFN) >>> 2]!
  }

  setPruneTime(chain: number, ms: number): void {
    this.#u32[(chain + NODE_PFN) >>> 2] = ms
  }

  /** Gives a node its place in the order: the checksum that stands at `key`. */
  setKey(node: number, key: number): void {
    copyKey(this.#u32, this.keyOf(node), key)
  }

  /** Where a node's checksum stands. */
  keyOf(node: number): number {
    return node + NODE_CHECKSUM
  }

  /** Rmap items on the list (Linux: rmap_hlist_len). */
  length(node: number): number {
    return this.#u32[(node + NODE_LENGTH) >>> 2]! & NODE_LENGTH_MASK
  }

  addLength(node: number, change: 1 | -1): void {
    this.#u32[(node + NODE_LENGTH) >>> 2]! += change
  }

  /** The first rmap item of the list; of a chain, the first dup. */
  first(node: number): number {
    return this.#i32[(node + NODE_FIRST) >>> 2]!
  }

  setFirst(node: number, first: number): void {
    this.#i32[(node + NODE_FIRST) >>> 2] = first
  }

  /** Of a dup: the chain it hangs on. */
  chain(dup: number): number {
    return this.#i32[(dup + NODE_CHAIN) >>> 2]!
  }

  setChain(dup: number, chain: number): void {
    this.#i32[(dup + NODE_CHAIN) >>> 2] = chain
  }

  dupNext(dup: number): number {
    return this.#i32[(dup + NODE_DUP_NEXT) >>> 2]!
  }

  setDupNext(dup: number, next: number): void {
    this.#i32[(dup + NODE_DUP_NEXT) >>> 2] = next
  }

  dupPrev(dup: number): number {
    return this.#i32[(dup + NODE_DUP_PREV) >>> 2]!
  }

  setDupPrev(dup: number, prev: number): void {
    this.#i32[(dup + NODE_DUP_PREV) >>> 2] = prev
  }
}
