// Guests that write between scans: which pages, and what they hold then. Drawn from a seed, so that every peer has the same pages
// written with the same.

/** What all of it is drawn from: the same in every run. */
export const WRITER_SEED = 1

/** Two kinds of writes: who asks the processor what was written cannot tell them apart, who reads pages can. */
export type WrittenWith = 'nothing' | 'same bytes' | 'other bytes'

/** What guests do between two scans. */
export interface Turn {
  /** Share of all pages that are written. */
  readonly percent: number
  readonly written_with: WrittenWith
  /** By number over all images, each once, in the order in which they are written. */
  readonly pages: Uint32Array
  /** What every word of 32 bits of each is XORed with: 0 leaves them as they are. */
  readonly words: Uint32Array
}

const NO_WRITES = ['nothing'] as const
const WRITES = ['same bytes', 'other bytes'] as const

/** As many different words a turn: pages that were equal are equal again if they have drawn the same. */
const WORDS = 4

/** Returns what guests of so many pages do: one turn where nothing is to be written, and else one of either kind. */
export function turnsOf(pages: number, percents: readonly number[]): Turn[] {
  const next = random(WRITER_SEED)
  const kinds = percents.flatMap((percent): Pick<Turn, 'percent' | 'written_with'>[] =>
    (percent === 0 ? NO_WRITES : WRITES).map((written_with) => ({ percent, written_with })),
  )
  return kinds.map((kind, turn) => {
    const written = someOf(pages, Math.round((pages * kind.percent) / 100), next)
    const words = written.map(() => (kind.written_with === 'other bytes' ? wordOf(turn, next) : 0))
    return { ...kind, pages: written, words }
  })
}

/** Batches a full scan of guests that run meanwhile. */
export const BATCHES_PER_SCAN = 20
/** Of all pages, in per cent: those that running guests write, over and over. */
const BUSY = 10

/**
 * Returns what guests do that run while they are scanned: between two batches they write some of their busy pages, each about once a
 * scan, with other bytes, and now and then with what it held before.
 */
export function busyTurns(pages: number, batches: number): Pick<Turn, 'pages' | 'words'>[] {
  const next = random(WRITER_SEED)
  const busy = someOf(pages, Math.ceil((pages * BUSY) / 100), next)
  const each = Math.ceil(busy.length / BATCHES_PER_SCAN)
  return Array.from({ length: batches }, () => {
    const written = someOf(busy.length, each, next).map((i) => busy[i]!)
    return { pages: written, words: written.map(() => wordOf(0, next)) }
  })
}

/** One of a few words, each turn its own, and none of them 0. */
export function wordOf(turn: number, next: () => number): number {
  return Math.imul(turn * WORDS + (next() % WORDS) + 1, 0x9e3779b1) >>> 0
}

/** Writes a page that lies in words. */
export function writePage(page: Uint32Array, word: number): void {
  if (word === 0)
    Atomics.store(page, 0, page[0]!) // a compiler takes no such store away
  else for (let i = 0; i < page.length; i++) page[i]! ^= word
}

/** Some of so many, each once, in random order. */
function someOf(all: number, count: number, next: () => number): Uint32Array {
  const numbers = Uint32Array.from({ length: all }, (_, i) => i)
  for (let i = 0; i < count; i++) {
    const j = i + (next() % (all - i))
    const other = numbers[j]!
    numbers[j] = numbers[i]!
    numbers[i] = other
  }
  return numbers.slice(0, count)
}

/** A generator of 32-bit numbers, the same on every machine: mulberry32. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
