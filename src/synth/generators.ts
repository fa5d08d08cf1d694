// The door to assembly/synth.ts, which makes words at the speed of memory. The binary is compiled at its first use, once a
// process, and at once: images are read by callers who cannot wait. Nothing grows: everything is made at one place of a
// small memory and copied from there.

import { WORDS_PER_PAGE } from '../../assembly/abi.ts'
import synth from '../../dist/synth.wasm'
import { fromHex } from '../hex.ts'

/** Makers of words. What each gives stands until the next call of any. */
export interface Generators {
  /** As many random words as asked for, a multiple of eight; not for statistics. */
  random(seed: number, stream: number, words?: number): Uint32Array
  /** A page of letters and spaces that says its number. */
  text(seed: number, id: number): Uint32Array
  /** A page of addresses of one heap; the first is its number's. */
  pointers(seed: number, id: number): Uint32Array
  /** A page of what `xorshift` gives. */
  xorshift(seed: number, stream: number): Uint32Array
}

interface Binary {
  readonly memory: WebAssembly.Memory
  fillRandom(at: number, end: number, seed: number, stream: number): void
  fillText(page: number, seed: number, id: number): void
  fillPointers(page: number, seed: number, id: number): void
  fillXorshift(page: number, seed: number, stream: number): void
}

/**
 * Where words are made, in bytes. Not at the beginning of a page, as most places are that they are copied to: copying to an
 * address whose low twelve bits are a little above the source's can take twice as long (measured).
 */
const AT = 2048

let loaded: Generators | undefined

/** The same for everybody in this process. */
export function generators(): Generators {
  loaded ??= load()
  return loaded
}

function load(): Generators {
  const module = new WebAssembly.Module(fromHex(synth))
  const binary = new WebAssembly.Instance(module).exports as unknown as Binary
  const made = new Uint32Array(binary.memory.buffer, AT)
  const page = made.subarray(0, WORDS_PER_PAGE)
  return {
    random(seed, stream, words = WORDS_PER_PAGE) {
      binary.fillRandom(AT, AT + words * 4, seed, stream)
      return words === WORDS_PER_PAGE ? page : made.subarray(0, words)
    },
    text(seed, id) {
      binary.fillText(AT, seed, id)
      return page
    },
    pointers(seed, id) {
      binary.fillPointers(AT, seed, id)
      return page
    },
    xorshift(seed, stream) {
      binary.fillXorshift(AT, seed, stream)
      return page
    },
  }
}
