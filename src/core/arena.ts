// The arena: one shared WebAssembly memory of fixed size, laid out as assembly/abi.ts draws it, with the core on top.
// Protects the layout: nothing outside src/core computes an address in it.

import {
  ABI_MAGIC,
  ABI_VERSION,
  CACHE_BYTES,
  CACHE_NODE,
  CACHE_OBJECT_BYTES,
  CACHE_RMAP,
  CACHE_ROOM,
  CACHE_TABLE,
  CACHE_USED,
  COUNTER_COUNT,
  FRAME_BYTES,
  FRAME_TABLE,
  HEADER_ARENA_PAGES,
  HEADER_CACHES,
  HEADER_CHECKSUM,
  HEADER_COUNTERS,
  HEADER_FIRST_PFN,
  HEADER_INDEX,
  HEADER_MAGIC,
  HEADER_ROOT_BITS,
  HEADER_SECRET,
  HEADER_STRATEGY,
  HEADER_VERSION,
  HEADER_ZONE_END,
  HEADER_ZONE_NEXT,
  INDEX_CONTENT,
  MAPCOUNT_MASK,
  NODE_BYTES,
  PAGE_SIZE,
  RMAP_BYTES,
  SECRET_BYTES,
  STRATEGY_BYTES,
  TABLE_BYTES,
} from '../../assembly/abi.ts'
import { expectInteger, PagefoldError } from '../errors.ts'
import { sharingRefused } from '../platform.ts'
import { RESULT, readKey } from './key.ts'
import { ownTable } from './own.ts'
import { type ArenaStrategy, writeStrategy } from './strategy.ts'
import { type Core, compileCore, instantiateCore, WASM_PAGE } from './wasm.ts'

const MAX_ARENA_PAGES = 2 ** 32 / PAGE_SIZE
/** As many as a frame can count: all of them may map one page. */
export const MAX_MAPPINGS: number = MAPCOUNT_MASK

/** What an arena is built for. */
export interface ArenaPlan extends ArenaStrategy {
  /** Page frames, for guests. */
  readonly frames: number
  /** Page mappings (ptes with their rmap items) it must have room for, over all mms. */
  readonly mappings: number
}

/** Bytes of metadata in use. */
export interface ArenaMetadata {
  /** The descriptors of all frames, reserved when the host is made. */
  frameTable: number
  /** Page tables of all mms. */
  pageTables: number
  /** One item for each page that ksmd keeps in view. */
  rmapItems: number
  /** Nodes of merged pages, and of their chains. */
  stableNodes: number
  /** Root slots of the trees, a block for each domain and NUMA node. */
  roots: number
}

export class Arena {
  readonly memory: WebAssembly.Memory
  readonly module: WebAssembly.Module
  readonly core: Core
  readonly u8: Uint8Array
  readonly u16: Uint16Array
  readonly i32: Int32Array
  readonly u32: Uint32Array
  /** One float64 per COUNTER_*. */
  readonly counters: Float64Array
  /** What is in force. */
  strategy: ArenaStrategy
  readonly firstPfn: number
  readonly endPfn: number
  /** A tree is a block of this many root slots (see assembly/search.ts). */
  readonly rootSlots: number
  /** Trees that were taken. */
  rootBlocks = 0
  readonly #freeRootBlocks: number[] = []
  /** Where the core finds the checksum of an embedder's, if that is in force. */
  readonly #own: WebAssembly.Table

  private constructor(
    memory: WebAssembly.Memory,
    module: WebAssembly.Module,
    core: Core,
    own: WebAssembly.Table,
    plan: ArenaPlan,
    firstPfn: number,
    endPfn: number,
  ) {
    this.memory = memory
    this.module = module
    this.core = core
    this.#own = own
    this.u8 = new Uint8Array(memory.buffer)
    this.u16 = new Uint16Array(memory.buffer)
    this.i32 = new Int32Array(memory.buffer)
    this.u32 = new Uint32Array(memory.buffer)
    this.counters = new Float64Array(memory.buffer, HEADER_COUNTERS, COUNTER_COUNT)
    this.strategy = plan
    this.firstPfn = firstPfn
    this.endPfn = endPfn
    this.rootSlots = 2 ** rootBits(plan)
  }

  /**
   * Reserves and lays out an arena. Untouched frames cost no memory. `wasm`: another binary of the core than the one that
   * is embedded. Throws RangeError, ENOMEM, and what compileCore does.
   */
  static async create(plan: ArenaPlan, wasm?: object): Promise<Arena> {
    expectInteger('frames', plan.frames, 1, MAX_ARENA_PAGES)
    expectInteger('mappings', plan.mappings, 1, MAX_MAPPINGS)
    const { arenaPages, firstPfn, zoneStart } = layOut(plan)
    if (arenaPages > MAX_ARENA_PAGES) {
      const room = MAX_ARENA_PAGES - (arenaPages - plan.frames)
      throw new RangeError(
        `Expected \`frames\` to be at most ${room} beside room for ${plan.mappings} mappings, got ${plan.frames}: ` +
          'an arena is at most 4 GiB; ask for fewer `frames` or `mappings`',
      )
    }
    const wasmPages = (arenaPages * PAGE_SIZE) / WASM_PAGE
    const module = await compileCore(wasm)
    const memory = reserve(wasmPages)
    const own = ownTable()
    const core = await instantiateCore(module, memory, own)
    const arena = new Arena(memory, module, core, own, plan, firstPfn, arenaPages)
    arena.#writeHeader(plan, zoneStart)
    arena.#linkOwn()
    return arena
  }

  #writeHeader(plan: ArenaPlan, zoneStart: number): void {
    for (const [at, value] of this.#fixedWords(plan)) this.u32[at >>> 2] = value
    this.u32[HEADER_ZONE_NEXT >>> 2] = zoneStart
    writeStrategy(this.memory.buffer, plan)
  }

  /** Puts another checksum in force; trees stay ordered as they are. Only while there is none with a node in it. */
  useChecksum(strategy: ArenaStrategy): void {
    this.strategy = { ...strategy, index: this.strategy.index }
    writeStrategy(this.memory.buffer, this.strategy)
    this.#linkOwn()
  }

  #linkOwn(): void {
    this.#own.set(0, this.strategy.own?.linkTo(this.memory) ?? null)
  }

  /** The words of the header that never change. */
  #fixedWords(plan: ArenaPlan | ArenaStrategy): [number, number][] {
    return [
      [HEADER_MAGIC, ABI_MAGIC],
      [HEADER_VERSION, ABI_VERSION],
      [HEADER_ARENA_PAGES, this.endPfn],
      [HEADER_FIRST_PFN, this.firstPfn],
      [HEADER_ZONE_END, this.firstPfn * PAGE_SIZE],
      [HEADER_ROOT_BITS, Math.log2(this.rootSlots)],
      [HEADER_CHECKSUM, plan.checksum],
      [HEADER_INDEX, plan.index],
      [cacheField(CACHE_TABLE, CACHE_OBJECT_BYTES), TABLE_BYTES],
      [cacheField(CACHE_RMAP, CACHE_OBJECT_BYTES), RMAP_BYTES],
      [cacheField(CACHE_NODE, CACHE_OBJECT_BYTES), NODE_BYTES],
    ]
  }

  /** What of the header is not as it was written, by the words' addresses; empty if all is. */
  changedHeaderWords(): number[] {
    const changed = this.#fixedWords(this.strategy).filter(
      ([at, value]) => this.u32[at >>> 2] !== value >>> 0,
    )
    const fresh = new ArrayBuffer(FRAME_TABLE)
    writeStrategy(fresh, this.strategy)
    const wanted = new Uint32Array(fresh)
    const places = [...wordsOf(HEADER_STRATEGY, STRATEGY_BYTES), ...wordsOf(HEADER_SECRET, SECRET_BYTES)]
    const others = places.filter((word) => this.u32[word] !== wanted[word]).map((word) => word * 4)
    const next = this.u32[HEADER_ZONE_NEXT >>> 2]!
    const outside = next % PAGE_SIZE !== 0 || next > this.firstPfn * PAGE_SIZE
    return [...changed.map(([at]) => at), ...others, ...(outside ? [HEADER_ZONE_NEXT] : [])]
  }

  /** The bytes of one frame, a live view. */
  page(pfn: number): Uint8Array {
    return this.u8.subarray(pfn * PAGE_SIZE, (pfn + 1) * PAGE_SIZE)
  }

  /** Where a byte of a frame lies in `u8`. */
  byteAt(pfn: number, offset: number): number {
    return pfn * PAGE_SIZE + offset
  }

  /** The bytes of adjacent frames, a live view. */
  pages(pfn: number, count: number): Uint8Array {
    return this.u8.subarray(pfn * PAGE_SIZE, (pfn + count) * PAGE_SIZE)
  }

  /** The 64-bit checksum of a page, by the strategy in force; `core`: which may be an embedder's, and guarded against it. */
  checksum(pfn: number, core: Pick<Core, 'checksum'> = this.core): bigint {
    core.checksum(pfn, RESULT)
    return readKey(this.u32, RESULT)
  }

  /** 64 bits that depend on every byte of a page, whatever the strategy: for telling whether it came back undamaged. */
  digest(pfn: number): bigint {
    this.core.digest(pfn, RESULT)
    return readKey(this.u32, RESULT)
  }

  /** Takes an empty tree and returns its block of root slots; 0 when out of memory. */
  allocRoots(): number {
    const freed = this.#freeRootBlocks.pop()
    if (freed !== undefined) {
      this.rootBlocks++
      return freed
    }
    const block = this.core.takePages(this.#rootPages)
    if (block !== 0) this.rootBlocks++
    return block
  }

  /** Gives an empty tree back, for whoever wants one next. */
  freeRoots(block: number): void {
    this.resetRoots(block)
    this.#freeRootBlocks.push(block)
    this.rootBlocks--
  }

  /** Forgets every node of a tree at once. */
  resetRoots(block: number): void {
    this.u32.fill(0, block >>> 2, (block >>> 2) + this.rootSlots)
  }

  /** Has the memory in place that the metadata of so many scanned pages, in all, will come from. */
  touchMetadata(pages: number): void {
    const missing = pages - this.u32[cacheField(CACHE_RMAP, CACHE_ROOM) >>> 2]!
    if (missing > 0) this.core.touchPages(missing * (RMAP_BYTES + NODE_BYTES / 4))
  }

  /** The address of one root slot, for core.first() and core.checkTree(). */
  rootSlot(block: number, slot: number): number {
    return block + slot * 4
  }

  /** The node at the top of one root slot's tree, 0 if it is empty. */
  topNode(block: number, slot: number): number {
    return this.u32[this.rootSlot(block, slot) >>> 2]!
  }

  get #rootPages(): number {
    return Math.ceil((this.rootSlots * 4) / PAGE_SIZE)
  }

  /** How many rmap items, stable nodes and page tables are in use. */
  objects(): { rmapItems: number; stableNodes: number; pageTables: number } {
    return {
      rmapItems: this.u32[cacheField(CACHE_RMAP, CACHE_USED) >>> 2]!,
      stableNodes: this.u32[cacheField(CACHE_NODE, CACHE_USED) >>> 2]!,
      pageTables: this.u32[cacheField(CACHE_TABLE, CACHE_USED) >>> 2]!,
    }
  }

  /** Metadata in use, in bytes, by kind. */
  metadata(): ArenaMetadata {
    const { rmapItems, stableNodes, pageTables } = this.objects()
    return {
      frameTable: this.endPfn * FRAME_BYTES,
      roots: this.rootBlocks * this.#rootPages * PAGE_SIZE,
      pageTables: pageTables * TABLE_BYTES,
      rmapItems: rmapItems * RMAP_BYTES,
      stableNodes: stableNodes * NODE_BYTES,
    }
  }
}

/** Does an arena for so many frames and mappings fit into what a WebAssembly memory can be? */
export function fits(plan: Pick<ArenaPlan, 'frames' | 'mappings'>): boolean {
  return layOut(plan).arenaPages <= MAX_ARENA_PAGES
}

/** Fits header, frame table, metadata and frames into whole wasm pages; what is left over goes to metadata. */
function layOut(plan: Pick<ArenaPlan, 'frames' | 'mappings'>): {
  arenaPages: number
  firstPfn: number
  zoneStart: number
} {
  const perMapping = RMAP_BYTES + 4 // an rmap item and a pte
  const tables = 384 * PAGE_SIZE // tree roots, at most 256 of them; upper page tables, half-filled slabs
  const metadataPages = Math.ceil(
    (plan.mappings * perMapping + plan.frames * NODE_BYTES + tables) / PAGE_SIZE,
  )
  const rest = FRAME_TABLE / PAGE_SIZE + metadataPages + plan.frames
  // The frame table describes every arena page, itself included.
  const tablePages = Math.ceil((rest * FRAME_BYTES) / (PAGE_SIZE - FRAME_BYTES)) + 1
  const arenaPages = Math.ceil(((rest + tablePages) * PAGE_SIZE) / WASM_PAGE) * (WASM_PAGE / PAGE_SIZE)
  const zoneStart = Math.ceil((FRAME_TABLE + arenaPages * FRAME_BYTES) / PAGE_SIZE) * PAGE_SIZE
  return { arenaPages, firstPfn: arenaPages - plan.frames, zoneStart }
}

/** Ordered by checksum, trees are shallow because there is a root slot for every few pages; by content there is one. */
function rootBits(plan: ArenaPlan): number {
  if (plan.index === INDEX_CONTENT) return 0
  return Math.min(17, Math.max(8, Math.round(Math.log2(plan.frames / 8))))
}

function reserve(wasmPages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true })
  } catch (cause) {
    const refused = sharingRefused()
    if (refused !== undefined) throw refused
    throw new PagefoldError('ENOMEM', `cannot reserve an arena of ${(wasmPages * WASM_PAGE) / 2 ** 20} MiB`, {
      cause,
    })
  }
}

function cacheField(cache: number, field: number): number {
  return HEADER_CACHES + cache * CACHE_BYTES + field
}

function wordsOf(at: number, bytes: number): number[] {
  return Array.from({ length: bytes / 4 }, (_, word) => at / 4 + word)
}
