// The way into assembly/census.ts: what it exports, and where in its memory what lies. Its bytes are in module.ts, because a thread
// is given the compiled module and need not carry them.

import { PAGE_SIZE } from '../../../assembly/abi.ts'

/** A secret of 128 bits, of which fingerprints are made. */
export interface CensusKey {
  readonly low: bigint
  readonly high: bigint
}

/** 32-bit words of a fingerprint. */
export const PRINT_WORDS = 4

const ZERO_PRINT = 16
const PRINTS = 8192
const PRINTS_END = 16_384
const PAGES = PRINTS_END
const SLOTS = 65_536
const WASM_PAGE = 65_536

/** What an instance exports. */
export interface CensusBinary {
  readonly memory: WebAssembly.Memory
  setKey(low: bigint, high: bigint): void
  fingerprints(count: number): void
  sipHash(low: bigint, high: bigint, first: bigint, second: bigint, third: bigint, out: number): void
  initTable(stride: number): number
  used(): number
  gather(count: number, image: number, page: number): number
  settle(): number
}

/** Hears of a page: what was kept of its content, 0 if it is new, and the page that had it first. Returns what is to be kept. */
export type Met = (kept: number, image: number, page: number, first: number) => number

const nothingMet: Met = () => 0

/** Makes an instance, with a memory of its own; `met` is for its table. */
export function instantiate(module: WebAssembly.Module, met = nothingMet): CensusBinary {
  return new WebAssembly.Instance(module, { contents: { met } }).exports as unknown as CensusBinary
}

/** Fingerprints that an instance takes or gives at a time. */
export const MOST_PRINTS = (PRINTS_END - PRINTS) / (PRINT_WORDS * 4)

/** Where they stand, as words. It is empty once the memory has grown. */
export function printsOf({ memory }: CensusBinary): Uint32Array {
  return new Uint32Array(memory.buffer, PRINTS, (PRINTS_END - PRINTS) / 4)
}

/** Where the one of zeros stands: a table goes by it too. */
export function zeroPrintOf({ memory }: CensusBinary): Uint32Array {
  return new Uint32Array(memory.buffer, ZERO_PRINT, PRINT_WORDS)
}

/** The memory as words. It is of no use any more once the memory has grown: it is empty then. */
export function wordsOf({ memory }: CensusBinary): Uint32Array {
  return new Uint32Array(memory.buffer)
}

/** Where slots begin, in words. */
export const SLOTS_WORD = SLOTS / 4

/** Whether fingerprint `i` of some is fingerprint `j` of others. */
export function samePrint(prints: Uint32Array, i: number, others: Uint32Array, j: number): boolean {
  const [a, b] = [i * PRINT_WORDS, j * PRINT_WORDS]
  return (
    prints[a] === others[b] &&
    prints[a + 1] === others[b + 1] &&
    prints[a + 2] === others[b + 2] &&
    prints[a + 3] === others[b + 3]
  )
}

/** Makes fingerprints of pages that are put into `pages`. */
export class Fingerprinter {
  /** Pages taken at a time: few enough to be in the processor's cache when they have been read. */
  static readonly pages = 128
  /** Where to put them. */
  readonly pages: Uint8Array
  private readonly binary: CensusBinary
  private readonly prints: Uint32Array

  constructor(module: WebAssembly.Module, { low, high }: CensusKey) {
    const bytes = Fingerprinter.pages * PAGE_SIZE
    this.binary = instantiate(module)
    this.binary.setKey(low, high)
    this.binary.memory.grow(Math.ceil((PAGES + bytes) / WASM_PAGE) - 1)
    this.pages = new Uint8Array(this.binary.memory.buffer, PAGES, bytes)
    this.prints = printsOf(this.binary)
  }

  /** Fingerprints of the first `count` pages; they stand until the next call. */
  take(count: number): Uint32Array {
    this.binary.fingerprints(count)
    return this.prints.subarray(0, count * PRINT_WORDS)
  }

  /** The fingerprint of a page of zeros. */
  zero(): Uint32Array {
    this.pages.fill(0, 0, PAGE_SIZE)
    return this.take(1).slice()
  }
}
