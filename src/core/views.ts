// Named accessors for what lives in the arena: frame descriptors, rmap items, stable nodes. Plain functions over views
// made once, cheap enough for the innermost loop; together with arena.ts the only code that uses abi.ts offsets.

import {
  CACHE_NODE,
  CACHE_RMAP,
  CACHE_TABLE,
  FRAME_BYTES,
  FRAME_FLAGS_SHIFT,
  FRAME_INDEX,
  FRAME_MAPCOUNT,
  FRAME_MAPPING,
  FRAME_REFCOUNT,
  FRAME_TABLE,
  HEADER_KEY,
  KIND_CHAIN,
  KIND_DUP,
  KIND_MIGRATE,
  KIND_REGULAR,
  MAPCOUNT_MASK,
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
  RMAP_STATE,
  RMAP_STATE_MASK,
  RMAP_UNSTABLE,
  RMAP_VPN,
  TABLE_ENTRIES,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_OWN,
  TICKET_SHIFT,
  TREE_LEFT,
  TREE_RIGHT,
  WINDOW,
  WINDOW_ENTRY_BYTES,
  WINDOW_ITEM,
  WINDOW_LENGTH,
  WINDOW_PFN,
  WINDOW_TICKET,
} from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'

const FRAME_WORDS = FRAME_BYTES / 4
const FRAME_WORD = FRAME_TABLE / 4

/** The link below a tree node on the side that a comparison says: where a search goes on. */
export function linkBelow(node: number, order: number): number {
  return node + (order < 0 ? TREE_LEFT : TREE_RIGHT)
}

/** The frame table (Linux: struct page). Pages are named by their pfn. */
export class FrameTable {
  private readonly i32: Int32Array
  private readonly u32: Uint32Array

  constructor(arena: Arena) {
    this.i32 = arena.i32
    this.u32 = arena.u32
  }

  refcount(pfn: number): number {
    return this.i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_REFCOUNT / 4]!
  }

  setRefcount(pfn: number, count: number): void {
    this.i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_REFCOUNT / 4] = count
  }

  /** How many ptes map the page. */
  mapcount(pfn: number): number {
    return this.u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! & MAPCOUNT_MASK
  }

  addMapcount(pfn: number, change: 1 | -1): void {
    this.u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! += change
  }

  mapping(pfn: number): number {
    return this.i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPPING / 4]!
  }

  setMapping(pfn: number, mapping: number): void {
    this.i32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPPING / 4] = mapping
  }

  index(pfn: number): number {
    return this.u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_INDEX / 4]!
  }

  setIndex(pfn: number, index: number): void {
    this.u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_INDEX / 4] = index
  }

  flags(pfn: number): number {
    return this.u32[FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4]! >>> FRAME_FLAGS_SHIFT
  }

  setFlags(pfn: number, flags: number): void {
    const at = FRAME_WORD + pfn * FRAME_WORDS + FRAME_MAPCOUNT / 4
    this.u32[at] = (this.u32[at]! & MAPCOUNT_MASK) | (flags << FRAME_FLAGS_SHIFT)
  }
}

/** The rmap items. An item is named by its address; 0 is none. */
export class RmapItems {
  private readonly u8: Uint8Array
  private readonly u16: Uint16Array
  private readonly i32: Int32Array
  private readonly u32: Uint32Array
  private readonly core: Arena['core']

  constructor(arena: Arena) {
    this.u8 = arena.u8
    this.u16 = arena.u16
    this.i32 = arena.i32
    this.u32 = arena.u32
    this.core = arena.core
  }

  /** Takes a fresh, volatile item; 0 when out of memory. */
  alloc(mmId: number, vpn: number): number {
    const item = this.core.slabAlloc(CACHE_RMAP)
    if (item !== 0) {
      this.u16[(item + RMAP_MM) >>> 1] = mmId
      this.u32[(item + RMAP_VPN) >>> 2] = vpn
    }
    return item
  }

  free(item: number): void {
    this.core.slabFree(CACHE_RMAP, item)
  }

  mm(item: number): number {
    return this.u16[(item + RMAP_MM) >>> 1]!
  }

  vpn(item: number): number {
    return this.u32[(item + RMAP_VPN) >>> 2]!
  }

  /** The next item of the same mm, in ascending order. */
  next(item: number): number {
    return this.i32[(item + RMAP_NEXT) >>> 2]!
  }

  setNext(item: number, next: number): void {
    this.i32[(item + RMAP_NEXT) >>> 2] = next
  }

  /** RMAP_VOLATILE, RMAP_UNSTABLE or RMAP_STABLE. */
  state(item: number): number {
    return this.u8[item + RMAP_STATE]! & RMAP_STATE_MASK
  }

  setState(item: number, state: number): void {
    this.u8[item + RMAP_STATE] = state
  }

  /** The full scan, modulo 64, in which an unstable item entered the tree. */
  seqnr(item: number): number {
    return this.u8[item + RMAP_STATE]! >>> RMAP_SEQNR_SHIFT
  }

  /** Marks an item as unstable since this full scan, with the checksum of the page being visited as its key. */
  setUnstable(item: number, seqnr: number): void {
    this.u8[item + RMAP_STATE] = RMAP_UNSTABLE | ((seqnr & RMAP_SEQNR_MASK) << RMAP_SEQNR_SHIFT)
    this.u32[(item + RMAP_CHECKSUM + 4) >>> 2] = this.u32[(HEADER_KEY + 4) >>> 2]!
  }

  /** The 32 bits of the checksum that decide whether the page has changed (Linux: oldchecksum). */
  oldchecksum(item: number): number {
    return this.u32[(item + RMAP_CHECKSUM) >>> 2]!
  }

  /** The stable node a stable item belongs to. */
  head(item: number): number {
    return this.i32[(item + RMAP_HEAD) >>> 2]!
  }

  setHead(item: number, node: number): void {
    this.i32[(item + RMAP_HEAD) >>> 2] = node
  }

  listNext(item: number): number {
    return this.i32[(item + RMAP_LIST_NEXT) >>> 2]!
  }

  setListNext(item: number, next: number): void {
    this.i32[(item + RMAP_LIST_NEXT) >>> 2] = next
  }

  listPrev(item: number): number {
    return this.i32[(item + RMAP_LIST_PREV) >>> 2]!
  }

  setListPrev(item: number, prev: number): void {
    this.i32[(item + RMAP_LIST_PREV) >>> 2] = prev
  }

  /** The id of the anon_vma a stable item holds a reference on. */
  anonVma(item: number): number {
    return this.i32[(item + RMAP_ANON_VMA) >>> 2]!
  }

  setAnonVma(item: number, id: number): void {
    this.i32[(item + RMAP_ANON_VMA) >>> 2] = id
  }

  /** Smart scan: full scans since the item was made, saturating at 15. */
  age(item: number): number {
    return this.u8[item + RMAP_AGE]! >>> 4
  }

  /** Smart scan: visits still to be skipped. */
  remainingSkips(item: number): number {
    return this.u8[item + RMAP_AGE]! & 15
  }

  setAge(item: number, age: number, remainingSkips: number): void {
    this.u8[item + RMAP_AGE] = (age << 4) | remainingSkips
  }
}

/** The pages about to be visited, by their place in the window. */
export class Window {
  private readonly i32: Int32Array
  /** Positions of the next page to visit, and behind the last: counted from the first ever scanned, in 32 bits, so they wrap. */
  private head = 0
  private end = 0

  constructor(arena: Arena) {
    this.i32 = arena.i32
  }

  /** Pages waiting to be visited. */
  get length(): number {
    return (this.end - this.head) | 0
  }

  /** The position behind the last page. */
  get behind(): number {
    return this.end
  }

  /** The position of the page that is to be visited after `before` others. */
  position(before: number): number {
    return (this.head + before) | 0
  }

  /** Puts a page behind the others. One with a stable node need not be hashed. `offered`: a helper may hash it. */
  push(item: number, pfn: number, hasNode: boolean, offered: boolean): void {
    this.write(this.end, item, pfn, hasNode ? TICKET_DONE : offered ? TICKET_OFFERED : TICKET_OWN)
    this.end = (this.end + 1) | 0
  }

  /** Puts another page in the place of one that has been taken back from the helpers. */
  set(at: number, item: number, pfn: number, hasNode: boolean): void {
    this.write(at, item, pfn, hasNode ? TICKET_DONE : TICKET_OWN)
  }

  /** The first `count` pages have been visited, or never will be: then the core must have taken them back. */
  drop(count: number): void {
    this.head = (this.head + count) | 0
  }

  item(at: number): number {
    return this.i32[entry(at) + WINDOW_ITEM / 4]!
  }

  pfn(at: number): number {
    return this.i32[entry(at) + WINDOW_PFN / 4]!
  }

  private write(at: number, item: number, pfn: number, phase: number): void {
    const word = entry(at)
    this.i32[word + WINDOW_ITEM / 4] = item
    this.i32[word + WINDOW_PFN / 4] = pfn
    this.i32[word + WINDOW_TICKET / 4] = (at << TICKET_SHIFT) | phase
  }
}

function entry(at: number): number {
  return (WINDOW + (at & (WINDOW_LENGTH - 1)) * WINDOW_ENTRY_BYTES) >>> 2
}

/** The stable nodes. A node is named by its address; 0 is none. */
export class StableNodes {
  private readonly u8: Uint8Array
  private readonly i32: Int32Array
  private readonly u32: Uint32Array
  private readonly core: Arena['core']

  constructor(arena: Arena) {
    this.u8 = arena.u8
    this.i32 = arena.i32
    this.u32 = arena.u32
    this.core = arena.core
  }

  /** Takes a node with an empty list, of a generation its address did not have before; 0 when out of memory. */
  alloc(kind: number, nid: number): number {
    const node = this.core.slabAlloc(CACHE_NODE)
    if (node !== 0) {
      const generation = (this.generation(node) + 1) & NODE_GENERATION_MASK
      this.u8[node + NODE_KIND] = kind | (generation << NODE_GENERATION_SHIFT) | (nid << NODE_NID_SHIFT)
    }
    return node
  }

  free(node: number): void {
    const generation = this.generation(node)
    this.core.slabFree(CACHE_NODE, node)
    this.u8[node + NODE_KIND] = generation << NODE_GENERATION_SHIFT
  }

  /** What the frame's `mapping` says while the page belongs to this node. */
  key(node: number): number {
    return node | (this.generation(node) << 2) | MAPPING_KSM
  }

  /** The node a `mapping` names, or 0. The inverse of `key`. */
  static ofMapping(mapping: number): number {
    return (mapping & MAPPING_KSM) === MAPPING_KSM ? mapping & ~31 : 0
  }

  private generation(node: number): number {
    return (this.u8[node + NODE_KIND]! >>> NODE_GENERATION_SHIFT) & NODE_GENERATION_MASK
  }

  kind(node: number): number {
    return this.u8[node + NODE_KIND]! & NODE_KIND_MASK
  }

  setKind(node: number, kind: number): void {
    this.u8[node + NODE_KIND] = (this.u8[node + NODE_KIND]! & ~NODE_KIND_MASK) | kind
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
    return this.u8[node + NODE_KIND]! >>> NODE_NID_SHIFT
  }

  setNid(node: number, nid: number): void {
    const rest = this.u8[node + NODE_KIND]! & ((1 << NODE_NID_SHIFT) - 1)
    this.u8[node + NODE_KIND] = rest | (nid << NODE_NID_SHIFT)
  }

  /** Where the page was when last seen (Linux: kpfn). */
  pfn(node: number): number {
    return this.i32[(node + NODE_PFN) >>> 2]!
  }

  setPfn(node: number, pfn: number): void {
    this.i32[(node + NODE_PFN) >>> 2] = pfn
  }

  /** Of a chain: when its dups were last pruned, in ms of the host's clock. */
  pruneTime(chain: number): number {
    return this.u32[(chain + NODE_PFN) >>> 2]!
  }

  setPruneTime(chain: number, ms: number): void {
    this.u32[(chain + NODE_PFN) >>> 2] = ms
  }

  /** Gives a node the checksum of the page being visited as its key. */
  setKey(node: number): void {
    this.u32[(node + NODE_CHECKSUM) >>> 2] = this.u32[HEADER_KEY >>> 2]!
    this.u32[(node + NODE_CHECKSUM + 4) >>> 2] = this.u32[(HEADER_KEY + 4) >>> 2]!
  }

  /** Makes a node's key the one that trees are searched for. */
  useKey(node: number): void {
    this.u32[HEADER_KEY >>> 2] = this.u32[(node + NODE_CHECKSUM) >>> 2]!
    this.u32[(HEADER_KEY + 4) >>> 2] = this.u32[(node + NODE_CHECKSUM + 4) >>> 2]!
  }

  copyKey(node: number, from: number): void {
    this.u32[(node + NODE_CHECKSUM) >>> 2] = this.u32[(from + NODE_CHECKSUM) >>> 2]!
    this.u32[(node + NODE_CHECKSUM + 4) >>> 2] = this.u32[(from + NODE_CHECKSUM + 4) >>> 2]!
  }

  /** Rmap items on the list (Linux: rmap_hlist_len). */
  length(node: number): number {
    return this.u32[(node + NODE_LENGTH) >>> 2]! & NODE_LENGTH_MASK
  }

  addLength(node: number, change: 1 | -1): void {
    this.u32[(node + NODE_LENGTH) >>> 2]! += change
  }

  /** The first rmap item of the list; of a chain, the first dup. */
  first(node: number): number {
    return this.i32[(node + NODE_FIRST) >>> 2]!
  }

  setFirst(node: number, first: number): void {
    this.i32[(node + NODE_FIRST) >>> 2] = first
  }

  /** Of a dup: the chain it hangs on. */
  chain(dup: number): number {
    return this.i32[(dup + NODE_CHAIN) >>> 2]!
  }

  setChain(dup: number, chain: number): void {
    this.i32[(dup + NODE_CHAIN) >>> 2] = chain
  }

  dupNext(dup: number): number {
    return this.i32[(dup + NODE_DUP_NEXT) >>> 2]!
  }

  setDupNext(dup: number, next: number): void {
    this.i32[(dup + NODE_DUP_NEXT) >>> 2] = next
  }

  dupPrev(dup: number): number {
    return this.i32[(dup + NODE_DUP_PREV) >>> 2]!
  }

  setDupPrev(dup: number, prev: number): void {
    this.i32[(dup + NODE_DUP_PREV) >>> 2] = prev
  }
}

/** Page tables, all levels. A table is named by its address; 0 is none. */
export class Tables {
  private readonly i32: Int32Array
  private readonly core: Arena['core']

  constructor(arena: Arena) {
    this.i32 = arena.i32
    this.core = arena.core
  }

  /** Takes an empty table; 0 when out of memory. */
  alloc(): number {
    return this.core.slabAlloc(CACHE_TABLE)
  }

  free(table: number): void {
    this.core.slabFree(CACHE_TABLE, table)
  }

  entry(table: number, index: number): number {
    return this.i32[(table >>> 2) + index]!
  }

  setEntry(table: number, index: number, entry: number): void {
    this.i32[(table >>> 2) + index] = entry
  }

  isEmpty(table: number): boolean {
    const first = table >>> 2
    for (let at = first; at < first + TABLE_ENTRIES; at++) if (this.i32[at] !== 0) return false
    return true
  }
}
