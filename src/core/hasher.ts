// One page after another hashed to a number: what the laboratory compares and benches time. What the arena's trees are
// searched for is overwritten, so not while a search is under way.

import type { Arena } from './arena.ts'
import { lowHalf, RESULT } from './key.ts'

/** A function that hashes a page with the strategy in force and returns the low 32 bits. */
export function hasher({ core, u32 }: Arena): (pfn: number) => number {
  return (pfn) => {
    core.checksum(pfn, RESULT)
    return lowHalf(u32, RESULT)
  }
}

/** The same for the step from a sample of `from` words of a page, whatever its hash, to one of `to` words. */
export function resampler({ core, u32 }: Arena, from: number, to: number): (pfn: number) => number {
  return (pfn) => {
    core.resample(pfn, RESULT, from, to)
    return lowHalf(u32, RESULT)
  }
}
