// The contents of a census: each that was met, by its fingerprint, and how it is spread over images. Twenty bytes each, and a fifth of
// that for those that wait to be merged in: never more than 24 once there are many. Where a table of one memory would not do, there are
// several, each for its share of fingerprints.

import { PagefoldError } from '../../errors.ts'
import {
  type CensusBinary,
  instantiate,
  MOST_PRINTS,
  PRINT_WORDS,
  printsOf,
  SLOTS_WORD,
  wordsOf,
  zeroPrintOf,
} from './binary.ts'
import { Histories } from './histories.ts'

/** Words of a slot, and of one that knows where its content was first met. */
const SLOT_WORDS = 5
const LOCATED_WORDS = 6
/** Contents that one memory holds, safely. */
const MOST_CONTENTS = 2 ** 27

/** Hears of a page that was met, and the page that had its content first. */
export type Again = (page: number, first: number) => void

/** What contents are told of from the beginning. */
export interface ContentsOptions {
  /** How many pages there will be at most. */
  readonly pages: number
  /** The fingerprint of zeros, which are no content. */
  readonly zero: Uint32Array
  /** It is to be known where each content was first met. */
  readonly located: boolean
  /** Called for each page whose content had been met before, if it is known where. */
  readonly again?: Again | undefined
  readonly mostContents?: number
}

export class Contents {
  readonly histories = new Histories()
  private readonly tables: Table[]

  constructor(
    module: WebAssembly.Module,
    { pages, zero, located, again, mostContents = MOST_CONTENTS }: ContentsOptions,
  ) {
    const count = Math.max(1, Math.ceil(pages / mostContents))
    this.tables = Array.from({ length: count }, () => new Table(module, zero, located, this.histories, again))
  }

  /** How many there are, but for pages met since `settle`. */
  get count(): number {
    return this.tables.reduce((sum, table) => sum + table.count, 0)
  }

  /** Bytes that they take. */
  get bytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, this.histories.bytes)
  }

  /**
   * Meets pages of an image, one after the other, whose fingerprints are `prints`; the first is number `page` of all. They are looked at when
   * there are enough of them. Returns how many are zeros. Throws ENOMEM.
   */
  meet(prints: Uint32Array, image: number, page: number): number {
    const [only, ...others] = this.tables
    if (others.length === 0) return only!.meet(prints, image, page)
    let zeros = 0
    for (let at = 0; at < prints.length; at += PRINT_WORDS, page++) {
      const print = prints.subarray(at, at + PRINT_WORDS)
      zeros += this.tables[print[PRINT_WORDS - 1]! % this.tables.length]!.meet(print, image, page)
    }
    return zeros
  }

  /** Looks at all pages that were met. Throws ENOMEM. */
  settle(): void {
    for (const table of this.tables) table.settle()
  }

  /**
   * Goes through them as they were when last settled; in one memory by ascending fingerprints. `print` says where in `words` the fingerprint
   * begins, which stands until the next.
   */
  each(use: (history: number, words: Uint32Array, print: number, first: number | undefined) => void): void {
    for (const table of this.tables) table.each(use)
  }
}

class Table {
  private readonly binary: CensusBinary
  private readonly slotWords: number
  private prints: Uint32Array

  constructor(
    module: WebAssembly.Module,
    zero: Uint32Array,
    located: boolean,
    histories: Histories,
    again: Again | undefined,
  ) {
    this.binary = instantiate(module, (history, image, page, first) => {
      if (history === 0) return histories.begin(image)
      again?.(page >>> 0, first >>> 0)
      return histories.next(history, image)
    })
    this.slotWords = located ? LOCATED_WORDS : SLOT_WORDS
    if (!this.binary.initTable(this.slotWords * 4)) this.noMemory()
    zeroPrintOf(this.binary).set(zero)
    this.prints = printsOf(this.binary)
  }

  get count(): number {
    return this.binary.used()
  }

  get bytes(): number {
    return this.binary.memory.buffer.byteLength
  }

  meet(prints: Uint32Array, image: number, page: number): number {
    let zeros = 0
    const most = MOST_PRINTS * PRINT_WORDS
    for (let from = 0; from < prints.length; from += most) {
      const some = prints.subarray(from, from + most)
      if (this.prints.length === 0) this.prints = printsOf(this.binary)
      this.prints.set(some)
      const zero = this.binary.gather(some.length / PRINT_WORDS, image, page + from / PRINT_WORDS)
      if (zero < 0) this.noMemory()
      zeros += zero
    }
    return zeros
  }

  settle(): void {
    if (!this.binary.settle()) this.noMemory()
  }

  each(use: Parameters<Contents['each']>[0]): void {
    const { slotWords } = this
    const words = wordsOf(this.binary)
    const located = slotWords === LOCATED_WORDS
    const end = SLOTS_WORD + this.count * slotWords
    for (let at = SLOTS_WORD; at < end; at += slotWords) {
      use(words[at + PRINT_WORDS]!, words, at, located ? words[at + PRINT_WORDS + 1]! : undefined)
    }
  }

  private noMemory(): never {
    throw new PagefoldError('ENOMEM', `no memory for more than ${this.count} contents`)
  }
}
