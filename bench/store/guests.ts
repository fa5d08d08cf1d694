// What the store's benches save: memory that is like a guest's, made from a seed, with a part that is zeros and moments that
// differ in a few pages.

import { PAGE_SIZE } from '../../src/index.ts'

/** A guest whose memory changes from one moment to the next. */
export class Guest {
  readonly memory: Uint8Array
  private readonly words: Uint32Array
  /** How many pages, from the first on, it uses. */
  private readonly used: number
  private state: number

  /** `zeros`: which part of the pages. */
  constructor(pages: number, zeros: number, seed: number) {
    this.words = new Uint32Array(pages * (PAGE_SIZE / 4))
    this.memory = new Uint8Array(this.words.buffer)
    this.state = seed
    this.used = Math.round(pages * (1 - zeros))
    for (let word = 0; word < (this.used * PAGE_SIZE) / 4; word++) this.words[word] = this.next()
  }

  /** Runs it on: it writes to some of the pages that it uses. */
  write(pages: number): void {
    for (let i = 0; i < pages; i++) {
      const page = this.next() % this.used
      this.words[page * (PAGE_SIZE / 4) + (this.next() % 1024)] = this.next()
    }
  }

  private next(): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0
    return this.state ^ (this.state >>> 15)
  }
}
