// A checksum with its settings, and what it costs in bytes of every page: those it reads, and those the memory has to
// bring for it.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { sampleOrder } from '../../core/strategy.ts'
import { CHECKSUM_TRAITS, type ChecksumName, type StrategyOptions } from '../../options.ts'

/** What memory brings at a time. */
const LINE = 64

/** What a checksum costs in memory traffic, per page. */
export interface Touched {
  /** Bytes a checksum reads of a page. */
  readonly bytes: number
  /** Bytes of the cache lines they lie in. */
  readonly line_bytes: number
}

/** What a checksum touches of each page. */
export function touched(checksum: ChecksumName, sampleWords: number): Touched {
  if (CHECKSUM_TRAITS[checksum].whole) return { bytes: PAGE_SIZE, line_bytes: PAGE_SIZE }
  if (checksum === 'none') return { bytes: 0, line_bytes: 0 }
  const words = sampleOrder(0n).subarray(0, sampleWords)
  return {
    bytes: 4 * words.length,
    line_bytes: LINE * new Set(words.map((at) => Math.floor(at / LINE))).size,
  }
}

/** A checksum by its name, `sampled` of a given strength. */
export function strategyOf(checksum: ChecksumName, sampleWords: number): StrategyOptions {
  return { checksum, ...(checksum === 'sampled' ? { sampleWords } : {}) }
}
