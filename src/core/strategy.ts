// Writes what the checksum in force needs to know into the arena: seed, width, and the tables of those that have any.
// The core has no static data, so all of it stands in the header and in the table page behind it.

import {
  CHECKSUM_CRC32C,
  CHECKSUM_SAMPLED,
  HEADER_CHECKSUM,
  HEADER_INDEX,
  HEADER_SECRET,
  HEADER_STRATEGY,
  STRATEGY_MARK,
  STRATEGY_MASK,
  STRATEGY_SAMPLE_WORDS,
  STRATEGY_SEED,
  STRATEGY_STILL,
  TABLE_CRC_ROW,
  TABLE_CRC_WORD,
  TABLE_SAMPLE,
  TABLES,
  WORDS_PER_PAGE,
} from '../../assembly/abi.ts'
import type { TriedChecksum } from './own.ts'
import { XXH3_SECRET } from './xxh3-secret.ts'

/** How pages are told apart and found, in numbers. Names and defaults are in src/options.ts. */
export interface ArenaStrategy {
  /** CHECKSUM_* */
  readonly checksum: number
  /** For CHECKSUM_OWN: which. @internal */
  readonly own?: TriedChecksum
  /** INDEX_* */
  readonly index: number
  /** How many bits of the checksum are kept, at most as many as it has: 0..64. */
  readonly checksumBits: number
  /** 64 bits. */
  readonly seed: bigint
  /** For CHECKSUM_SAMPLED: how many words it reads of a page. */
  readonly sampleWords: number
  /** Do equal checksums almost surely mean equal pages? */
  readonly tiesAreEqual: boolean
  /** Do the guests hold still, so that pages may be searched for at their first visit? Default: false. */
  readonly still?: boolean
}

const ALL_BITS = 2n ** 64n - 1n
const CRC32C_POLYNOMIAL = 0x82f63b78

/** Writes it all. Called once, when the arena is made. */
export function writeStrategy(buffer: ArrayBufferLike, strategy: ArenaStrategy): void {
  const { checksum, index, checksumBits, seed, sampleWords } = strategy
  const view = new DataView(buffer)
  view.setUint32(HEADER_CHECKSUM, checksum, true)
  view.setUint32(HEADER_INDEX, index, true)
  view.setBigUint64(HEADER_STRATEGY + STRATEGY_SEED, seed, true)
  view.setBigUint64(HEADER_STRATEGY + STRATEGY_MASK, ALL_BITS >> BigInt(64 - checksumBits), true)
  // A fresh rmap item has checksum 0. With few bits many a page would have it too, and pass for unchanged.
  view.setUint32(HEADER_STRATEGY + STRATEGY_MARK, checksumBits < 32 ? 2 ** checksumBits : 0, true)
  view.setUint32(HEADER_STRATEGY + STRATEGY_SAMPLE_WORDS, sampleWords, true)
  view.setUint32(HEADER_STRATEGY + STRATEGY_STILL, strategy.still ? 1 : 0, true)
  writeSecret(view, seed, HEADER_SECRET)
  if (checksum === CHECKSUM_CRC32C) writeCrcTables(view)
  if (checksum === CHECKSUM_SAMPLED) {
    for (const [i, offset] of sampleOrder(seed).entries())
      view.setUint16(TABLES + TABLE_SAMPLE + i * 2, offset, true)
  }
}

/** The secret of XXH3, at `to`: the default one, the seed added to every other word and subtracted from those between. */
export function writeSecret(view: DataView, seed: bigint, to: number): void {
  for (let at = 0; at < XXH3_SECRET.length; at += 8) {
    const word = new DataView(XXH3_SECRET.buffer).getBigUint64(at, true)
    view.setBigUint64(to + at, at % 16 === 0 ? word + seed : word - seed, true)
  }
}

/** The products of each nibble of a word with x^512, byte by byte, and with x^32. See assembly/abi.ts. */
function writeCrcTables(view: DataView): void {
  for (let nibble = 0; nibble < 8; nibble++) {
    for (let value = 0; value < 16; value++) {
      const factor = (value << (4 * nibble)) >>> 0
      const byWord = timesPowerOfX(factor, 32)
      view.setUint32(TABLES + TABLE_CRC_WORD + nibble * 64 + value * 4, byWord, true)
      const byRow = timesPowerOfX(byWord, 512 - 32)
      for (let byte = 0; byte < 4; byte++) {
        view.setUint8(TABLES + TABLE_CRC_ROW + nibble * 64 + byte * 16 + value, byRow >>> (8 * byte))
      }
    }
  }
}

/** A polynomial, its bits reflected, times x^power, modulo that of CRC32C. */
function timesPowerOfX(polynomial: number, power: number): number {
  let product = polynomial
  for (let i = 0; i < power; i++) {
    product = (product >>> 1) ^ ((product & 1) === 0 ? 0 : CRC32C_POLYNOMIAL)
  }
  return product >>> 0
}

/** The byte offsets of all words of a page in the order in which CHECKSUM_SAMPLED reads them: another for each seed. */
export function sampleOrder(seed: bigint): Uint16Array {
  const order = Uint16Array.from({ length: WORDS_PER_PAGE }, (_, word) => word * 4)
  let state = seed
  for (let last = WORDS_PER_PAGE - 1; last > 0; last--) {
    state = (state + 0x9e3779b97f4a7c15n) & ALL_BITS
    const other = Number(mixed(state) % BigInt(last + 1))
    const offset = order[last]!
    order[last] = order[other]!
    order[other] = offset
  }
  // Neighbours after neighbours as far as a sample of any strength allows: each power of two begins a new pass.
  for (let start = 1; start < order.length; start *= 2) order.subarray(start, 2 * start).sort()
  return order
}

/** The mixing of SplitMix64. */
function mixed(state: bigint): bigint {
  let z = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & ALL_BITS
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & ALL_BITS
  return z ^ (z >> 31n)
}
