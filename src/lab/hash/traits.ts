// A checksum with its settings, and what it costs in bytes of every page: those it reads, and those the memory has to
// bring for it.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { sampleOrder } from '../../core/strategy.ts'
import {
  type ChecksumName,
  expectStrategy,
  type OwnChecksum,
  type StrategyOptions,
  traitsOf,
} from '../../options.ts'

/** What memory brings at a time. */
const LINE = 64

/** A checksum to be compared: by name, or one of the caller's own, which must have been tried. */
export type Compared = ChecksumName | OwnChecksum

/** What a checksum costs in memory traffic, per page. */
export interface Touched {
  /** Bytes a checksum reads of a page. */
  readonly bytes: number
  /** Bytes of the cache lines they lie in. */
  readonly line_bytes: number
}

/** What a checksum touches of each page. */
export function touched(checksum: Compared, sampleWords: number): Touched {
  if (traitsOf(checksum).whole) return { bytes: PAGE_SIZE, line_bytes: PAGE_SIZE }
  if (checksum === 'none') return { bytes: 0, line_bytes: 0 }
  if (checksum === 'sampled') {
    const words = sampleOrder(0n).subarray(0, sampleWords)
    return { bytes: 4 * words.length, line_bytes: linesOf(words) }
  }
  const bytes = expectStrategy({ checksum }).own!.bytesRead()
  return { bytes: bytes.length, line_bytes: linesOf(bytes) }
}

/** Bytes of the cache lines that some places lie in. */
function linesOf(places: ArrayLike<number>): number {
  return LINE * new Set(Array.from(places, (at) => Math.floor(at / LINE))).size
}

/** A checksum by its name, `sampled` of a given strength. */
export function strategyOf(checksum: Compared, sampleWords: number): StrategyOptions {
  return { checksum, ...(checksum === 'sampled' ? { sampleWords } : {}) }
}
