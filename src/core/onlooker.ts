// Looking at pages of another module's memory where they lie: the same as the stage does (stage.ts), by a binary that has nothing of its own in
// that memory (assembly/onlooker.ts). Nothing is written there, and it may grow whenever its owner likes.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import binary from '../../dist/onlooker.wasm'
import { fromHex } from '../hex.ts'
import { type SameBytes, sameBytes } from '../platform.ts'
import type { Looker } from './looker.ts'
import { bytesOf, sizeOf, type WasmMemory } from './wasm-memory.ts'

interface Binary {
  begin(): void
  isZeroPage(pfn: number): number
  digest(pfn: number): number
  upper(): number
}

let compiled: Promise<WebAssembly.Module> | undefined

/** Compiled once: what it knows of a store is in its instances. */
export function compiledOnlooker(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(fromHex(binary))
  return compiled
}

/** Sees a handful of adjacent pages of a memory, from `first` on. */
export class Onlooker implements Looker {
  /** The page of the memory that is at place 0. */
  first = 0
  low = 0
  high = 0
  readonly #memory: WasmMemory
  readonly #binary: Binary
  readonly #others: Uint8Array
  readonly #same: SameBytes

  constructor(memory: WasmMemory, binary: Binary, others: Uint8Array, same: SameBytes) {
    this.#memory = memory
    this.#binary = binary
    this.#others = others
    this.#same = same
  }

  bytes(at: number, end = at + 1): Uint8Array {
    return bytesOf(this.#memory, (this.first + at) * PAGE_SIZE, (end - at) * PAGE_SIZE)
  }

  isZero(at: number): boolean {
    return this.#binary.isZeroPage(this.first + at) === 1
  }

  areSame(at: number, end: number): boolean {
    return this.#same(this.bytes(at, end), this.#others.subarray(at * PAGE_SIZE, end * PAGE_SIZE))
  }

  digest(at: number): void {
    this.low = this.#binary.digest(this.first + at) >>> 0
    this.high = this.#binary.upper() >>> 0
  }
}

/** The onlookers of a store: one a memory, as long as that is there. */
export class Onlookers {
  readonly #module: WebAssembly.Module
  readonly #secret: DataView
  readonly #others: Uint8Array
  readonly #known = new WeakMap<WasmMemory, Onlooker | undefined>()

  /** `secret`: of XXH3, the seed in it; `others`: where pages of the store are put to be compared. */
  constructor(module: WebAssembly.Module, secret: DataView, others: Uint8Array) {
    this.#module = module
    this.#secret = secret
    this.#others = others
  }

  /**
   * Undefined where nobody can look: at memory that is shared, where what was seen may be another the moment after; that has addresses of 64
   * bits; or where the platform compares no bytes of two memories.
   */
  on(memory: WasmMemory): Onlooker | undefined {
    if (!this.#known.has(memory)) this.#known.set(memory, this.#made(memory))
    return this.#known.get(memory)
  }

  #made(memory: WasmMemory): Onlooker | undefined {
    const same = sameBytes()
    if (same === undefined || sizeOf(memory) % PAGE_SIZE !== 0) return undefined
    const word = (at: number): bigint => this.#secret.getBigUint64(at, true)
    try {
      const imports = { env: { memory: memory as WebAssembly.Memory }, onlooker: { word } }
      const instance = new WebAssembly.Instance(this.#module, imports)
      const onlooker = instance.exports as unknown as Binary
      onlooker.begin()
      return new Onlooker(memory, onlooker, this.#others, same)
    } catch (error) {
      if (error instanceof WebAssembly.LinkError) return undefined
      throw error
    }
  }
}
