// A bottom-k sketch of a set of contents (Broder 1997; Cohen, Kaplan 2007): the k smallest fingerprints. Fingerprints are as good as random, so how
// far the smallest reach tells how many there are, and how many of the smallest two sets have in common, how many they share. For
// hosts that may not send all fingerprints.

import { expectInteger, mistake } from '../../errors.ts'

/** The most fingerprints of a sketch, unless it is told otherwise. How many contents there are is then told with a standard error of 1 in 64. */
export const SKETCH_SIZE = 4096

/** The smallest fingerprints of a set, ascending, by their leading 64 bits. */
export interface Sketch {
  /** How many are kept at most. */
  readonly size: number
  /** Leading words, ascending; fewer than `size` if the set has no more. */
  readonly smallest: readonly bigint[]
}

const RANGE = 2 ** 64

/** Makes a sketch of fingerprints' leading words, in any order; the same word twice counts once. Throws RangeError for a size. */
export function sketchOf(words: Iterable<bigint>, size: number = SKETCH_SIZE): Sketch {
  expectInteger('size', size, 2, 2 ** 24)
  let kept: bigint[] = []
  let limit: bigint | undefined
  const shorten = (): void => {
    kept = [...new Set(kept)].sort((a, b) => (a < b ? -1 : 1)).slice(0, size)
    limit = kept.length === size ? kept.at(-1) : undefined
  }
  for (const word of words) {
    if (limit !== undefined && word >= limit) continue
    kept.push(word)
    if (kept.length >= 2 * size) shorten()
  }
  shorten()
  return { size, smallest: kept }
}

/** The sketch of the union of two sets. Throws RangeError unless both are of one size. */
export function joinSketches(one: Sketch, other: Sketch): Sketch {
  if (one.size !== other.size)
    throw mistake(new RangeError(`sketches of ${one.size} and ${other.size} do not join`))
  return sketchOf([...one.smallest, ...other.smallest], one.size)
}

/** How many contents a set has: exact while the sketch is not full. */
export function distinctIn({ size, smallest }: Sketch): number {
  if (smallest.length < size) return smallest.length
  return Math.round((size - 1) / (Number(smallest.at(-1)!) / RANGE))
}

/** How many contents two sets have in common. Throws what `joinSketches` does. */
export function sharedBySketches(one: Sketch, other: Sketch): number {
  const all = joinSketches(one, other)
  if (all.smallest.length === 0) return 0
  const [mine, theirs] = [new Set(one.smallest), new Set(other.smallest)]
  const common = all.smallest.filter((word) => mine.has(word) && theirs.has(word)).length
  return Math.round((common / all.smallest.length) * distinctIn(all))
}
