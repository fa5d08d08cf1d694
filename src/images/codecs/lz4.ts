// LZ4's block format. Every index is checked, since what is read may be damaged.
// Specification: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

import { copyBack, copyLiterals, Damaged } from './copy-back.ts'

/** A match is never shorter. */
const MIN_MATCH = 4

/**
 * Unpacks a block into `into` from `start` on and returns where it ends. What stands before `start` may be referred to.
 * Throws Damaged.
 */
export function unpackLz4(from: Uint8Array, into: Uint8Array, start: number): number {
  let at = 0
  let end = start
  const byte = (): number => {
    if (at >= from.length) throw new Damaged('ends in the middle')
    return from[at++]!
  }
  const length = (short: number): number => {
    let sum = short
    if (short < 15) return sum
    for (;;) {
      const next = byte()
      sum += next
      if (next < 255) return sum
    }
  }
  for (;;) {
    const token = byte()
    const literals = length(token >>> 4)
    copyLiterals(from, at, into, end, literals)
    at += literals
    end += literals
    if (at === from.length) return end
    const distance = byte() | (byte() << 8)
    end = copyBack(into, end, distance, MIN_MATCH + length(token & 15))
  }
}
