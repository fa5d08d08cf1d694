// Where a store of snapshots looks at pages: a small memory of its own, not shared, with the core's comparison and its XXH3
// on it (assembly/store.ts). What is to be told apart is copied here, a handful of pages at a time, which stay in the cache.

import { HEADER_RESULT, HEADER_SECRET, PAGE_SIZE } from '../../assembly/abi.ts'
import binary from '../../dist/store.wasm'
import { fromHex } from '../hex.ts'
import type { Looker } from './looker.ts'
import { compiledOnlooker, type Onlooker, Onlookers } from './onlooker.ts'
import { writeSecret } from './strategy.ts'
import { WASM_PAGE } from './wasm.ts'
import type { WasmMemory } from './wasm-memory.ts'

/** How many pages are looked at together. */
export const STAGE_PAGES = 64

/** The header is page 0; behind it are the pages that are looked at, and behind those the others. */
const FIRST = 1
const FIRST_OTHER = FIRST + STAGE_PAGES
const END = FIRST_OTHER + STAGE_PAGES

interface Binary {
  isZeroPage(pfn: number): number
  pagesIdentical(pfn: number, otherPfn: number): number
  digest(pfn: number, out: number): void
}

/** Compiled once: it is stateless, so it serves every store of the process. */
let compiled: Promise<WebAssembly.Module> | undefined

export class Stage implements Looker {
  /** STAGE_PAGES pages, to be filled with what is looked at. */
  readonly pages: Uint8Array<ArrayBuffer>
  /** As many, to be filled with what they may be equal to. */
  readonly others: Uint8Array<ArrayBuffer>
  readonly #binary: Binary
  readonly #result: Uint32Array
  readonly #onlookers: Onlookers

  private constructor(memory: WebAssembly.Memory, binary: Binary, onlooker: WebAssembly.Module) {
    this.#binary = binary
    const buffer = memory.buffer as ArrayBuffer
    this.pages = new Uint8Array(buffer, FIRST * PAGE_SIZE, STAGE_PAGES * PAGE_SIZE)
    this.others = new Uint8Array(buffer, FIRST_OTHER * PAGE_SIZE, STAGE_PAGES * PAGE_SIZE)
    this.#result = new Uint32Array(buffer, HEADER_RESULT, 2)
    this.#onlookers = new Onlookers(onlooker, new DataView(buffer, HEADER_SECRET), this.others)
  }

  /** `seed`: of XXH3, 64 bits. */
  static async create(seed: bigint): Promise<Stage> {
    compiled ??= WebAssembly.compile(fromHex(binary))
    const onlooker = await compiledOnlooker()
    const memory = new WebAssembly.Memory({
      initial: Math.ceil((END * PAGE_SIZE) / WASM_PAGE),
      maximum: 65_536,
    })
    const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } })
    writeSecret(new DataView(memory.buffer), seed, HEADER_SECRET)
    return new Stage(memory, exports as unknown as Binary, onlooker)
  }

  /** Who looks at pages of another module's memory as the stage does at its own; undefined if nobody can. */
  onlookerOn(memory: WasmMemory): Onlooker | undefined {
    return this.#onlookers.on(memory)
  }

  bytes(at: number): Uint8Array {
    return this.pages.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE)
  }

  isZero(at: number): boolean {
    return this.#binary.isZeroPage(FIRST + at) === 1
  }

  areSame(at: number, end: number): boolean {
    for (let page = at; page < end; page++)
      if (this.#binary.pagesIdentical(FIRST + page, FIRST_OTHER + page) === 0) return false
    return true
  }

  digest(at: number): void {
    this.#binary.digest(FIRST + at, HEADER_RESULT)
  }

  /** The same for the other at this place. */
  digestOther(at: number): void {
    this.#binary.digest(FIRST_OTHER + at, HEADER_RESULT)
  }

  get low(): number {
    return this.#result[0]!
  }

  get high(): number {
    return this.#result[1]!
  }
}
