// Checksums of the caller's own: how one is given, and how the core comes to call it. Before that it is tried (trial.ts).

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'

/** A checksum of your own, in JavaScript or in WebAssembly. */
export type OwnChecksum = JsChecksum | WasmChecksum

/** A page checksum in JavaScript. It runs on the scan's own thread only: a host that has one takes no `workers`. */
export interface JsChecksum {
  /** Up to 32 letters, digits and `_ . : + -`: what tables call it. No name of a built-in one. */
  readonly name: string
  /** How many bits it has, 1..64. */
  readonly bits: number
  /** Does it depend on the seed? Default: false. */
  readonly keyed?: boolean
  /**
   * Hashes a page: 4096 bytes, a copy in an array that is the same in every call and has a buffer of its own, so views of that buffer
   * may be kept, its content may not. It is yours until you return. `seed`: 0..2^64-1, 0 unless the host has one. Returns an integer below 2^bits, the same
   * for the same bytes and seed. Only calls that look are possible there (docs/callbacks.md); what it throws comes out of the scan.
   */
  hash(page: Uint8Array, seed: bigint): number | bigint
}

/**
 * A page checksum in WebAssembly: a module that imports the shared memory `env.memory` and nothing else, and exports the function
 * `checksum(at: i32, seed: i64): i64` of the page that begins at the address `at`, a global `bits: i32` (1..64) and, if it depends on
 * the seed, a global `keyed: i32` that is 1. It is trusted code: the memory is the host's, all of it.
 */
export interface WasmChecksum {
  /** As for one in JavaScript. */
  readonly name: string
  /** Compiled (a WebAssembly.Module), or its URL or bytes (Uint8Array, ArrayBuffer). */
  readonly module: object
}

/** Hashes the page at an address of a memory. */
type HashAt = (at: number, seed: bigint) => bigint

/** A checksum of the caller's that has been tried, with what was found. */
export interface TriedChecksum {
  readonly name: string
  readonly bits: number
  readonly seeded: boolean
  /** Does every byte of a page seem to have a say? */
  readonly whole: boolean
  /** Finds the bytes of a page that have one, by their offsets: each is changed in turn. */
  bytesRead(): number[]
  /** In WebAssembly: helpers have instances of their own of it. */
  readonly module?: WebAssembly.Module
  /** Makes a function of it that hashes pages of this memory and can stand in a table. Throws TypeError for one that cannot have such a memory. */
  linkTo(memory: WebAssembly.Memory): HashAt
  /** What to throw for what came out of it in the middle of a scan. */
  explain(error: unknown): unknown
}

/** Where a JavaScript checksum finds a page, and how its answers are read. */
export class PageCopy {
  readonly bytes = new Uint8Array(PAGE_SIZE)
  readonly #own: JsChecksum

  constructor(own: JsChecksum) {
    this.#own = own
  }

  /** Hashes a page. Throws TypeError if what comes is no integer, and what `hash` throws. */
  hash(page: Uint8Array, seed: bigint): bigint {
    this.bytes.set(page)
    const hash: unknown = this.#own.hash(this.bytes, BigInt.asUintN(64, seed))
    if (typeof hash === 'bigint') return hash
    if (typeof hash === 'number' && Number.isInteger(hash)) return BigInt(hash)
    throw new TypeError(
      `\`checksum\` ${this.#own.name}: \`hash\` must return an integer, a number or a bigint; it returned ${shown(hash)}`,
    )
  }

  linkTo({ buffer }: WebAssembly.Memory): HashAt {
    const bytes = new Uint8Array(buffer)
    return forTable((at, seed) => this.hash(bytes.subarray(at >>> 0, (at >>> 0) + PAGE_SIZE), seed))
  }
}

/** The function `checksum` of a module, on this memory. Throws what linking does. */
export function checksumOn(module: WebAssembly.Module, memory: WebAssembly.Memory): HashAt {
  return new WebAssembly.Instance(module, { env: { memory } }).exports.checksum as HashAt
}

/** A table with room for the one function that the core calls. */
export function ownTable(): WebAssembly.Table {
  return new WebAssembly.Table({ element: 'anyfunc', initial: 1 })
}

/** A module that exports the function it imports, `own.checksum` of the type (i32, i64) -> i64. */
const PASSED_ON = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 7, 1, 0x60, 2, 0x7f, 0x7e, 1, 0x7e],
  ...[2, 16, 1, 3, 0x6f, 0x77, 0x6e, 8, 0x63, 0x68, 0x65, 0x63, 0x6b, 0x73, 0x75, 0x6d, 0, 0],
  ...[7, 12, 1, 8, 0x63, 0x68, 0x65, 0x63, 0x6b, 0x73, 0x75, 0x6d, 0, 0],
])

/** What may stand in a table: a function of a module, which one in JavaScript becomes. Throws LinkError for a module's of another type. */
export function forTable(checksum: HashAt): HashAt {
  const module = new WebAssembly.Module(PASSED_ON)
  return new WebAssembly.Instance(module, { own: { checksum } }).exports.checksum as HashAt
}

/** Says that the code of a module has trapped. */
export function trapped(name: string, cause: unknown): PagefoldError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new PagefoldError('EFAULT', `\`checksum\` ${name} trapped: ${why}`, { cause })
}

/** A value, in a few words. */
export function shown(value: unknown): string {
  if (value === null || typeof value !== 'object')
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  return value instanceof Promise
    ? 'a Promise'
    : `an object (${Object.prototype.toString.call(value).slice(8, -1)})`
}
