// The strategies a host can be created with. Built-in ones by name, one line each: the ABI number is the strategy. A checksum of
// the caller's own is an object, tried before anything depends on it.

import {
  CHECKSUM_CRC32C,
  CHECKSUM_FNV1A,
  CHECKSUM_JHASH2,
  CHECKSUM_MURMUR3,
  CHECKSUM_NONE,
  CHECKSUM_OWN,
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
import type { OwnChecksum, TriedChecksum } from './core/own.ts'
import type { ArenaStrategy } from './core/strategy.ts'
import { tryOwn } from './core/trial.ts'
import { expectInteger, expectOneOf, expectOptions } from './errors.ts'

export type { JsChecksum, OwnChecksum, WasmChecksum } from './core/own.ts'
export type { ArenaStrategy as Strategy } from './core/strategy.ts'
export { CORE_ABI } from './core/wasm.ts'

/** The order of the stable and the unstable tree: `content` is Linux's memcmp order, `hash` orders by checksum. */
export type IndexName = 'content' | 'hash'

export const INDEXES: Readonly<Record<IndexName, number>> = { content: INDEX_CONTENT, hash: INDEX_HASH }

/** All of them. */
export const INDEX_NAMES = Object.keys(INDEXES) as IndexName[]

/** What is to be known about a checksum. */
export interface ChecksumTraits {
  /** How many bits it has: 64, 32 or none; of one of your own 1 to 64. */
  readonly bits: number
  /** Does it take a seed? */
  readonly seeded: boolean
  /** Does it read every byte of a page? Of one of your own: as far as its trial shows. */
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
  /** Page checksum, by name (`xxh64` is Linux's) or one of your own (docs/strategies.md). Default: `xxh3`. */
  readonly checksum?: ChecksumName | OwnChecksum
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

/** Trials under way or passed, and what came of those that are over. */
const trials = new WeakMap<object, Promise<TriedChecksum>>()
const passed = new WeakMap<object, TriedChecksum>()

/**
 * Tries a checksum of your own on pages of its own, as whatever takes one does first, and says what it is. An object is tried once, and from then
 * on is what it was then. Rejects with TypeError for what is no checksum, RangeError for one that is not what it says (it throws or traps,
 * has other bits, does not depend on the page and the seed alone, writes to memory), ENOENT or EIO if its module cannot be fetched.
 */
export async function tryChecksum(own: OwnChecksum): Promise<ChecksumTraits & { readonly name: string }> {
  const { name, bits, seeded, whole } = await (trials.get(own) ?? trialOf(own))
  return { name, bits, seeded, whole }
}

function trialOf(own: OwnChecksum): Promise<TriedChecksum> {
  const trial = tryOwn(own, CHECKSUM_NAMES)
  if (typeof own !== 'object' || own === null) return trial
  trials.set(own, trial)
  trial.then(
    (tried) => passed.set(own, tried),
    () => trials.delete(own),
  )
  return trial
}

/** Tries what was given as a checksum if it is one of the caller's own. Throws what tryChecksum does. */
export async function expectTried(checksum: StrategyOptions['checksum']): Promise<void> {
  if (typeof checksum === 'object' && checksum !== null) await tryChecksum(checksum)
}

/** Checks the choice of a strategy; a checksum of your own must have been tried (tryChecksum). Throws TypeError or RangeError. */
export function expectStrategy(options: StrategyOptions): ArenaStrategy {
  return chosenStrategy(expectOptions('expectStrategy', options, STRATEGY_OPTIONS))
}

/** The same for options among which there are others. */
export function chosenStrategy(options: StrategyOptions): ArenaStrategy {
  const index = expectOneOf('index', options.index ?? DEFAULT_INDEX, INDEX_NAMES)
  const { name: checksum, number, bits, seeded, whole, ...own } = chosenChecksum(options)
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
    ...own,
    checksumBits,
    seed: expectSeed(options.seed ?? 0),
    sampleWords: expectInteger('sampleWords', options.sampleWords ?? DEFAULT_SAMPLE_WORDS, 1, WORDS_PER_PAGE),
    tiesAreEqual: whole && checksumBits === 64,
  }
}

/** The name of the checksum of a strategy that has been checked. */
export function checksumName(options: StrategyOptions): string {
  const checksum = options.checksum ?? DEFAULT_CHECKSUM
  return typeof checksum === 'object' ? checksum.name : checksum
}

/** What is to be known about a checksum; one of the caller's own must have been tried. */
export function traitsOf(checksum: ChecksumName | OwnChecksum): ChecksumTraits {
  const { bits, seeded, whole } = chosenChecksum({ checksum })
  return { bits, seeded, whole }
}

function chosenChecksum(options: StrategyOptions): ChecksumTraits & {
  readonly name: string
  readonly number: number
  readonly own?: TriedChecksum
} {
  const checksum = options.checksum ?? DEFAULT_CHECKSUM
  if (typeof checksum !== 'object') {
    const name = expectOneOf('checksum', checksum, CHECKSUM_NAMES)
    return { name, ...CHECKSUMS[name] }
  }
  const own = passed.get(checksum)
  if (own === undefined)
    throw new TypeError('Expected `checksum`, an object, to have been tried: await tryChecksum first')
  const { name, bits, seeded, whole } = own
  return { name, number: CHECKSUM_OWN, bits, seeded, whole, own }
}

function expectSeed(seed: unknown): bigint {
  if (seed === 'random') return crypto.getRandomValues(new BigUint64Array(1))[0]!
  if (typeof seed === 'number') return BigInt(expectInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER))
  if (typeof seed !== 'bigint') throw new TypeError("Expected `seed` to be a number, a bigint or 'random'")
  if (seed < 0n || seed >= 2n ** 64n)
    throw new RangeError(`Expected \`seed\` to be in 0..2^64-1, got ${seed}`)
  return seed
}
