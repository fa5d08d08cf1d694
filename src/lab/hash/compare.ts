// All checksums and indexes side by side: what they confuse, what they miss, and how a merge goes with each.

import { expectOptions } from '../../errors.ts'
import type { Image } from '../../image.ts'
import { CHECKSUM_TRAITS, type ChecksumName, type ChecksumTraits, type IndexName } from '../../options.ts'
import type { Load } from '../measure/load.ts'
import { type Convergence, converge } from './converge.ts'
import { FAMILIES } from './families.ts'
import { Pages } from './pages.ts'
import {
  birthdayPairs,
  CHANGES,
  type Change,
  type Collisions,
  collisions,
  expectedMiss,
  type Missed,
  missedChanges,
} from './quality.ts'
import { sampleOf } from './sample.ts'
import { strategyOf, type Touched, touched } from './traits.ts'

/** What `compareHashes` compares, and how thoroughly. */
export interface CompareOptions {
  /** Guests whose pages are hashed and merged. */
  readonly images: readonly Image[]
  readonly checksums: readonly ChecksumName[]
  readonly indexes: readonly IndexName[]
  /** Words that `sampled` reads of a page. */
  readonly sampleWords: number
  /** Pages of each family, and at most so many of the images', on which collisions are counted. */
  readonly pages: number
  /** At most so many of the images' pages are merged, spread evenly over them. Default: all, each time in a host of its own. */
  readonly mergePages?: number
  /** Times each merge is timed: once a round, in which all strategies take turns. An interval of 95 % takes six. */
  readonly rounds: number
  /** Called before each step, with what it is and how many of how many are done. */
  readonly onProgress?: (step: string, done: number, of: number) => void
}

/** Different pages that collisions are counted among: a family, or `images`, and whether the checksums had a seed. */
export interface PageSet {
  readonly name: string
  readonly pages: number
  /** Is the seed a random one? Otherwise 0. */
  readonly random_seed: boolean
  /** Pairs that an ideal checksum would confuse, by how many bits are kept. */
  readonly birthday: Collisions
}

/** What one checksum confuses and misses. */
export interface ChecksumQuality {
  readonly checksum: ChecksumName
  readonly traits: ChecksumTraits
  readonly touched: Touched
  /** Pairs confused in each of the page sets, in their order; undefined with a seed for a checksum that takes none. */
  readonly collisions: readonly (Collisions | undefined)[]
  /** The share of changes that 32 bits of it miss, measured on the images' pages. */
  readonly missed: Missed
  /** What was to be expected. */
  readonly missed_expected: Missed
}

/** What a merge with one checksum and one index came to. */
export interface StrategyResult extends Convergence {
  readonly checksum: ChecksumName
  readonly index: IndexName
}

/** What `compareHashes` found: every checksum with every index. */
export interface HashComparison {
  /** What collisions were counted on. */
  readonly sets: readonly PageSet[]
  /** One for each checksum, in the order asked for. */
  readonly checksums: readonly ChecksumQuality[]
  /** One for each checksum with each index. */
  readonly strategies: readonly StrategyResult[]
  /** What else the machine did while they were timed. */
  readonly merging_load: Load
  /** Pages that were merged, all of the images or a sample of them. */
  readonly merged_pages: number
}

const COMPARE_OPTIONS: Readonly<Record<keyof CompareOptions, true>> = {
  images: true,
  checksums: true,
  indexes: true,
  sampleWords: true,
  pages: true,
  mergePages: true,
  rounds: true,
  onProgress: true,
}

const SEED = 1

/** Compares them. Nothing but the times depends on the machine, and on chance only what has a random seed. */
export async function compareHashes(options: CompareOptions): Promise<HashComparison> {
  expectOptions('compareHashes', options, COMPARE_OPTIONS)
  const families = FAMILIES.map((family) => () => Pages.ofFamily(family, options.pages, SEED))
  const ofImages = (): Promise<Pages> => Pages.ofImages('images', options.images, options.pages)
  const sets: PageSet[] = []
  const counted = new Map<ChecksumName, (Collisions | undefined)[]>(
    options.checksums.map((name) => [name, []]),
  )
  const missed = new Map<ChecksumName, Missed>()
  const merged = sampleOf(options.images, options.mergePages ?? Number.POSITIVE_INFINITY)
  for (const [done, make] of [...families, ofImages].entries()) {
    options.onProgress?.('confusing pages', done, FAMILIES.length + 1)
    const pages = await make()
    for (const random_seed of pages.name === 'adversarial' ? [false, true] : [false]) {
      sets.push({ name: pages.name, pages: pages.count, random_seed, birthday: birthdayPairs(pages.count) })
      for (const checksum of options.checksums) {
        const strategy = strategyOf(checksum, options.sampleWords)
        const able = CHECKSUM_TRAITS[checksum].seeded
        const pairs = random_seed
          ? able && collisions(pages, { ...strategy, seed: 'random' })
          : collisions(pages, strategy)
        counted.get(checksum)!.push(pairs || undefined)
      }
    }
    if (pages.name !== 'images') continue
    for (const checksum of options.checksums)
      missed.set(checksum, missedChanges(pages, strategyOf(checksum, options.sampleWords)))
  }
  return {
    sets,
    checksums: options.checksums.map((checksum) => ({
      checksum,
      traits: CHECKSUM_TRAITS[checksum],
      touched: touched(checksum, options.sampleWords),
      collisions: counted.get(checksum)!,
      missed: missed.get(checksum)!,
      missed_expected: expected(checksum, options.sampleWords),
    })),
    ...(await convergeAll({ ...options, images: merged })),
    merged_pages: merged.reduce((sum, image) => sum + image.pages, 0),
  }
}

async function convergeAll(
  options: CompareOptions,
): Promise<Pick<HashComparison, 'strategies' | 'merging_load'>> {
  const { images, checksums, indexes, rounds } = options
  const pairs = checksums.flatMap((checksum) => indexes.map((index) => ({ checksum, index })))
  const strategies = pairs.map(({ checksum, index }) => ({
    ...strategyOf(checksum, options.sampleWords),
    index,
  }))
  const { results, load } = await converge(images, strategies, rounds, (done, of) =>
    options.onProgress?.('merging', done, of),
  )
  return { strategies: pairs.map((pair, i) => ({ ...pair, ...results[i]! })), merging_load: load }
}

function expected(checksum: ChecksumName, sampleWords: number): Missed {
  const shares = CHANGES.map((change: Change) => [change, expectedMiss(checksum, sampleWords, change)])
  return Object.fromEntries(shares) as Missed
}
