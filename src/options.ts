// The strategies a host can be created with, by name. One line each: the ABI number is the strategy.

import {
  CHECKSUM_CRC32C,
  CHECKSUM_FNV1A,
  CHECKSUM_JHASH2,
  CHECKSUM_MURMUR3,
  CHECKSUM_NONE,
  CHECKSUM_RAPIDHASH,
  CHECKSUM_SAMPLED,
  CHECKSUM_SUPERFAST,
  CHECKSUM_XXH3,
  CHECKSUM_XXH32,
  CHECKSUM_XXH64,
  INDEX_CONTENT,
  INDEX_HASH,
  WORDS_PER_PAGE,
} from '../assembly/abi.ts'
import type { ArenaStrategy } from './core/strategy.ts'
import { expectInteger, expectOneOf, expectOptions } from './errors.ts'

export type { ArenaStrategy as Strategy } from './core/strategy.ts'
export { CORE_ABI } from './core/wasm.ts'

/** The order of the stable and the unstable tree: `content` is Linux's memcmp order, `hash` orders by checksum. */
export type IndexName = 'content' | 'hash'

export const INDEXES: Readonly<Record<IndexName, number>> = { content: INDEX_CONTENT, hash: INDEX_HASH }

/** All of them. */
export const INDEX_NAMES = Object.keys(INDEXES) as IndexName[]

/** What is to be known about a checksum. */
export interface ChecksumTraits {
  /** How many bits it has: 64, 32 or none. */
  readonly bits: 64 | 32 | 0
  /** Does it take a seed? */
  readonly seeded: boolean
  /** Does it read every byte of a page? */
  readonly whole: boolean
}

/**
 * A page checksum. `xxh64` is Linux's; the low 32 bits of any decide whether a page has changed. `sampled` reads a few
 * words of a page, `none` nothing: every page seems unchanged.
 */
export type ChecksumName =
  | 'xxh64'
  | 'xxh3'
  | 'xxh32'
  | 'crc32c'
  | 'jhash2'
  | 'murmur3'
  | 'rapidhash'
  | 'fnv1a'
  | 'superfast'
  | 'sampled'
  | 'none'

const CHECKSUMS: Readonly<Record<ChecksumName, ChecksumTraits & { readonly number: number }>> = {
  xxh64: { number: CHECKSUM_XXH64, bits: 64, seeded: true, whole: true },
  xxh3: { number: CHECKSUM_XXH3, bits: 64, seeded: true, whole: true },
  xxh32: { number: CHECKSUM_XXH32, bits: 32, seeded: true, whole: true },
  crc32c: { number: CHECKSUM_CRC32C, bits: 32, seeded: false, whole: true },
  jhash2: { number: CHECKSUM_JHASH2, bits: 32, seeded: true, whole: true },
  murmur3: { number: CHECKSUM_MURMUR3, bits: 64, seeded: true, whole: true },
  rapidhash: { number: CHECKSUM_RAPIDHASH, bits: 64, seeded: true, whole: true },
  fnv1a: { number: CHECKSUM_FNV1A, bits: 64, seeded: false, whole: true },
  superfast: { number: CHECKSUM_SUPERFAST, bits: 32, seeded: false, whole: true },
  sampled: { number: CHECKSUM_SAMPLED, bits: 64, seeded: true, whole: false },
  none: { number: CHECKSUM_NONE, bits: 0, seeded: false, whole: false },
}

/** All of them. */
export const CHECKSUM_NAMES = Object.keys(CHECKSUMS) as ChecksumName[]

/** What is to be known about each. */
export const CHECKSUM_TRAITS = Object.fromEntries(
  Object.entries(CHECKSUMS).map(([name, { number: _, ...traits }]) => [name, traits]),
) as Readonly<Record<ChecksumName, ChecksumTraits>>

/** What a host has if nothing is said. */
export const DEFAULT_INDEX: IndexName = 'hash'
/** What a host has if nothing is said. */
export const DEFAULT_CHECKSUM: ChecksumName = 'xxh3'
/** As UKSM begins: 256 bytes of a page. */
export const DEFAULT_SAMPLE_WORDS = 64

/** How pages are told apart and found. */
export interface StrategyOptions {
  /** Order of the trees: `content` is Linux's, `hash` is faster and merges the same. Default: `hash`. */
  readonly index?: IndexName
  /** Page checksum: `xxh64` is Linux's. Default: `xxh3`. */
  readonly checksum?: ChecksumName
  /** Keep only so many bits of the checksum, 1..64. Default: all it has. */
  readonly checksumBits?: number
  /**
   * Key of the checksum, so that nobody who does not know it can prepare pages that collide: 0..2^64-1 (for a checksum
   * of 32 bits its low half counts), or `random` for one nobody knows. Default: 0, as Linux.
   */
  readonly seed?: number | bigint | 'random'
  /** For `sampled`: how many words of 4 bytes it reads of a page, 1..1024. Default: 64. */
  readonly sampleWords?: number
}

export const STRATEGY_OPTIONS: Readonly<Record<keyof StrategyOptions, true>> = {
  index: true,
  checksum: true,
  checksumBits: true,
  seed: true,
  sampleWords: true,
}

/** Checks the choice of a strategy. Throws TypeError or RangeError. */
export function expectStrategy(options: StrategyOptions): ArenaStrategy {
  return chosenStrategy(expectOptions('expectStrategy', options, STRATEGY_OPTIONS))
}

/** The same for options among which there are others. */
export function chosenStrategy(options: StrategyOptions): ArenaStrategy {
  const index = expectOneOf('index', options.index ?? DEFAULT_INDEX, INDEX_NAMES)
  const checksum = expectOneOf('checksum', options.checksum ?? DEFAULT_CHECKSUM, CHECKSUM_NAMES)
  const { number, bits, seeded, whole } = CHECKSUMS[checksum]
  const checksumBits = Math.min(bits, expectInteger('checksumBits', options.checksumBits ?? 64, 1, 64))
  if (options.seed !== undefined && !seeded) {
    const able = CHECKSUM_NAMES.filter((name) => CHECKSUM_TRAITS[name].seeded).join(', ')
    throw new RangeError(`Expected no \`seed\`: checksum ${checksum} takes none; these do: ${able}`)
  }
  if (options.sampleWords !== undefined && checksum !== 'sampled')
    throw new RangeError(`Expected no \`sampleWords\`: they are for checksum sampled, got ${checksum}`)
  return {
    index: INDEXES[index],
    checksum: number,
    checksumBits,
    seed: expectSeed(options.seed ?? 0),
    sampleWords: expectInteger('sampleWords', options.sampleWords ?? DEFAULT_SAMPLE_WORDS, 1, WORDS_PER_PAGE),
    tiesAreEqual: whole && checksumBits === 64,
  }
}

function expectSeed(seed: unknown): bigint {
  if (seed === 'random') return crypto.getRandomValues(new BigUint64Array(1))[0]!
  if (typeof seed === 'number') return BigInt(expectInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER))
  if (typeof seed !== 'bigint') throw new TypeError("Expected `seed` to be a number, a bigint or 'random'")
  if (seed < 0n || seed >= 2n ** 64n)
    throw new RangeError(`Expected \`seed\` to be in 0..2^64-1, got ${seed}`)
  return seed
}
