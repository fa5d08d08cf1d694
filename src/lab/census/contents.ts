// The contents of a census: each that was met, by its fingerprint, and how it is spread over images. Twenty bytes a slot, of which
// at least 83 in 100 are taken once there are many: never more than 24 bytes a content. Where a table of one memory would not do,
// there are several, each for its share of fingerprints.

import { PagefoldError } from '../../errors.ts'
import {
  type CensusBinary,
  instantiate,
  MOST_PRINTS,
  PRINT_WORDS,
  printsOf,
  SLOTS_WORD,
  wordsOf,
} from './binary.ts'
import { Histories } from './histories.ts'

/** Words of a slot, and of one that knows where its content was first met. */
const SLOT_WORDS = 5
const LOCATED_WORDS = 6
const FIRST_SLOTS = 4096
/** Contents that one memory holds, safely. */
const MOST_CONTENTS = 2 ** 27

/** Hears of a page that was met, and the page that had its content first. */
export type Again = (page: number, first: number) => void

export class Contents {
  readonly histories = new Histories()
  private readonly tables: Table[]

  /** `pages`: how many there will be at most. `located`: it is to be known where each content was first met. */
  constructor(module: WebAssembly.Module, pages: number, located: boolean, mostContents = MOST_CONTENTS) {
    const count = Math.max(1, Math.ceil(pages / mostContents))
    this.tables = Array.from(
      { length: count },
      () => new Table(module, located ? LOCATED_WORDS : SLOT_WORDS, this.histories),
    )
  }

  /** How many there are. */
  get count(): number {
    return this.tables.reduce((sum, table) => sum + table.count, 0)
  }

  /** Bytes that they take. */
  get bytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, this.histories.bytes)
  }

  /**
   * Meets the first `count` of some pages of an image, their fingerprints and their numbers among the pages of all images; `again` is called
   * for each that was met before, with the page that had its content first, if that is known. Throws ENOMEM.
   */
  meet(prints: Uint32Array, pages: Uint32Array, count: number, image: number, again?: Again): void {
    const [only, ...others] = this.tables
    if (others.length === 0) {
      only!.meet(prints, pages, count, image, again)
      return
    }
    for (let i = 0; i < count; i++) {
      const print = prints.subarray(i * PRINT_WORDS, (i + 1) * PRINT_WORDS)
      const table = this.tables[print[PRINT_WORDS - 1]! % this.tables.length]!
      table.meet(print, pages.subarray(i, i + 1), 1, image, again)
    }
  }

  /** Goes through them; in one memory by ascending fingerprints. `print` says where in `words` the fingerprint begins, which stands until the next. */
  each(use: (history: number, words: Uint32Array, print: number, first: number | undefined) => void): void {
    for (const table of this.tables) table.each(use)
  }
}

class Table {
  private readonly binary: CensusBinary
  private readonly slotWords: number
  private readonly histories: Histories
  private words: Uint32Array
  private prints: Uint32Array

  constructor(module: WebAssembly.Module, slotWords: number, histories: Histories) {
    this.binary = instantiate(module)
    this.binary.initTable(slotWords * 4, FIRST_SLOTS)
    this.slotWords = slotWords
    this.histories = histories
    this.words = wordsOf(this.binary)
    this.prints = printsOf(this.binary)
  }

  get count(): number {
    return this.binary.used()
  }

  get bytes(): number {
    return this.binary.memory.buffer.byteLength
  }

  meet(prints: Uint32Array, pages: Uint32Array, count: number, image: number, again?: Again): void {
    const { binary, histories } = this
    const located = this.slotWords === LOCATED_WORDS
    const fresh = histories.first(image)
    for (let from = 0; from < count; from += MOST_PRINTS) {
      const some = Math.min(MOST_PRINTS, count - from)
      this.prints.set(prints.subarray(from * PRINT_WORDS, (from + some) * PRINT_WORDS))
      binary.touch(some)
      for (let i = 0; i < some; i++) {
        const found = binary.add(i, fresh) >>> 0
        if (found === 0) throw new PagefoldError('ENOMEM', `no memory for more than ${this.count} contents`)
        // Where the memory has grown, the views of it are empty.
        if (this.words.length === 0) this.lookAgain()
        const word = (found >>> 2) + PRINT_WORDS
        if ((found & 1) === 0) {
          histories.add(fresh)
          if (located) this.words[word + 1] = pages[from + i]!
          continue
        }
        this.words[word] = histories.next(this.words[word]!, image)
        if (again !== undefined) again(pages[from + i]!, this.words[word + 1]!)
      }
    }
  }

  private lookAgain(): void {
    this.words = wordsOf(this.binary)
    this.prints = printsOf(this.binary)
  }

  each(use: Parameters<Contents['each']>[0]): void {
    const { words, slotWords } = this
    const located = slotWords === LOCATED_WORDS
    const end = (this.binary.slotsEnd() >>> 0) / 4
    for (let at = SLOTS_WORD; at < end; at += slotWords) {
      const history = words[at + PRINT_WORDS]!
      if (history !== 0) use(history, words, at, located ? words[at + PRINT_WORDS + 1]! : undefined)
    }
  }
}
