// The report of pagefold hash: checksums and indexes side by side, as bars.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { ChecksumQuality, HashComparison, PageSet, StrategyResult } from '../lab/hash/compare.ts'
import { CHANGES, WIDTHS } from '../lab/hash/quality.ts'
import type { BarsSection, Report, Section } from './section.ts'

/** What a JavaScript user does today, beside our own. */
export const USER_CHECKSUM = 'xxhash-wasm'

/** A time as Benchmark.js reckons it. */
export interface Timing {
  /** Nanoseconds a page. */
  readonly ns: number
  /** Relative margin of error, percent. */
  readonly rme: number
  /** Samples taken. */
  readonly samples: number
}

/** What a checksum costs. */
export interface HashCost {
  /** Its name, or USER_CHECKSUM. */
  readonly checksum: string
  /** On a page that is in the cache. */
  readonly hot: Timing
  /** On pages that memory has to bring. */
  readonly cold: Timing
}

/** What pagefold hash prints with --json. */
export interface HashReport extends HashComparison {
  readonly images: readonly { readonly source: string; readonly pages: number }[]
  readonly sample_words: number
  readonly costs: readonly HashCost[]
  /** What it takes to raise the strength of a sample by half, on a page not in the cache. */
  readonly resample: Timing
}

const USER_BITS = 64

/** Makes the report. */
export function hashReport(result: HashReport): Report {
  const { images, sets, checksums, strategies } = result
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const merged = result.merged_pages.toLocaleString('en-US')
  const sample = result.merged_pages === pages ? '' : `; merged is a sample of ${merged} pages`
  return {
    title: 'pagefold hash',
    subtitle:
      `${images.length} ${images.length === 1 ? 'image' : 'images'}, ${pages.toLocaleString('en-US')} pages; ` +
      `sampled reads ${result.sample_words} words${sample}`,
    sections: [
      time(result),
      speed(result),
      convergence(strategies),
      searches(strategies),
      metadata(strategies),
      ...sets.map((set, i) => collisions(set, i, checksums)),
      missed(checksums),
      {
        kind: 'table',
        title: 'Images',
        columns: [
          { label: 'source', values: images.map(({ source }) => source) },
          { label: 'pages', unit: 'count', values: images.map((image) => image.pages) },
          { label: 'size', unit: 'bytes', values: images.map((image) => image.pages * PAGE_SIZE) },
        ],
      },
    ],
    result,
  }
}

function time({ costs, checksums, resample }: HashReport): BarsSection {
  const byName = new Map<string, ChecksumQuality>(checksums.map((quality) => [quality.checksum, quality]))
  const each = (of: (quality: ChecksumQuality) => number, user: number): number[] =>
    costs.map(({ checksum }) => (checksum === USER_CHECKSUM ? user : of(byName.get(checksum)!)))
  const aside = (label: string, unit: 'bytes' | 'count' | 'share', values: readonly number[]) =>
    ({ label, unit, values, tableOnly: true }) as const
  return {
    kind: 'bars',
    title: 'Time a page',
    note:
      `Hot: the page is in the cache. Cold: it comes from memory, as in a scan. Raising the strength of a sample by ` +
      `half takes ${resample.ns.toFixed(0)} ns cold. ${USER_CHECKSUM} is what a JavaScript program does without pagefold.`,
    label: 'checksum',
    labels: costs.map(({ checksum }) => checksum),
    series: [
      { label: 'cold', unit: 'ns', values: costs.map(({ cold }) => cold.ns) },
      { label: 'hot', unit: 'ns', values: costs.map(({ hot }) => hot.ns) },
      aside(
        'cold, ±',
        'share',
        costs.map(({ cold }) => cold.rme / 100),
      ),
      aside(
        'hot, ±',
        'share',
        costs.map(({ hot }) => hot.rme / 100),
      ),
      aside(
        'bytes read',
        'bytes',
        each((q) => q.touched.bytes, PAGE_SIZE),
      ),
      aside(
        'of cache lines',
        'bytes',
        each((q) => q.touched.line_bytes, PAGE_SIZE),
      ),
      aside(
        'bits',
        'count',
        each((q) => q.traits.bits, USER_BITS),
      ),
    ],
  }
}

/** Only of checksums that read all of a page: of the others it would be a speed at which nothing is read. */
function speed({ costs, checksums }: HashReport): BarsSection {
  const partial = new Set<string>(
    checksums.filter(({ traits }) => !traits.whole).map(({ checksum }) => checksum),
  )
  const whole = costs.filter(({ checksum }) => !partial.has(checksum))
  const rate = ({ ns }: Timing): number => (PAGE_SIZE / ns) * 1e9
  return {
    kind: 'bars',
    title: 'Speed',
    note: 'Of the checksums that read the whole page.',
    label: 'checksum',
    labels: whole.map(({ checksum }) => checksum),
    series: [
      { label: 'cold', unit: 'rate', values: whole.map(({ cold }) => rate(cold)) },
      { label: 'hot', unit: 'rate', values: whole.map(({ hot }) => rate(hot)) },
    ],
  }
}

const STRATEGY = 'checksum, index'

function namesOf(strategies: readonly StrategyResult[]): string[] {
  return strategies.map(({ checksum, index }) => `${checksum}, ${index}`)
}

function convergence(strategies: readonly StrategyResult[]): BarsSection {
  return {
    kind: 'bars',
    title: 'Time to converge',
    note: 'The two full scans of the images after which everything mergeable is merged. All merge the same.',
    label: STRATEGY,
    labels: namesOf(strategies),
    series: [
      { label: 'a page', unit: 'ns', values: strategies.map((one) => one.ns_per_page) },
      { label: 'in all', unit: 'ms', values: strategies.map((one) => one.elapsed_ms), tableOnly: true },
      { label: 'processor time', unit: 'ms', values: strategies.map((one) => one.cpu_ms), tableOnly: true },
      {
        label: 'pages merged',
        unit: 'count',
        values: strategies.map((one) => one.pages_merged),
        tableOnly: true,
      },
      {
        label: 'merged a second of processor time',
        unit: 'count',
        values: strategies.map((one) => one.merged_per_cpu_second),
        tableOnly: true,
      },
    ],
  }
}

function searches(strategies: readonly StrategyResult[]): BarsSection {
  const counted = (label: string, of: (one: StrategyResult) => number, tableOnly = true) =>
    ({ label, unit: 'count', values: strategies.map(of), tableOnly }) as const
  return {
    kind: 'bars',
    title: 'Searches',
    note: 'Nodes of a tree passed in a search; pages compared, on the way and before merging, and how often in vain.',
    label: STRATEGY,
    labels: namesOf(strategies),
    series: [
      counted('probes a search', (one) => one.probes_per_search, false),
      counted('searches', (one) => one.searches),
      counted('comparisons', (one) => one.comparisons),
      counted('in vain', (one) => one.failed_comparisons),
    ],
  }
}

function metadata(strategies: readonly StrategyResult[]): BarsSection {
  return {
    kind: 'bars',
    title: 'Metadata',
    note: 'All that pagefold keeps beside the frames.',
    label: STRATEGY,
    labels: namesOf(strategies),
    series: [
      { label: 'a page', unit: 'bytes', values: strategies.map((one) => one.metadata_bytes_per_page) },
    ],
  }
}

const CHANCE = 'by chance'

/** Beside each other what an ideal checksum would confuse and what these do. `none` would leave room for nothing else. */
function collisions(set: PageSet, at: number, all: readonly ChecksumQuality[]): Section {
  const checksums = all.filter(({ traits }) => traits.bits > 0)
  return {
    kind: 'bars',
    title: `Confused: ${set.name}${set.random_seed ? ', random seed' : ''}`,
    note:
      `Pairs with one checksum, by how many of its bits are kept, among ${set.pages.toLocaleString('en-US')} different ` +
      `pages; ${CHANCE}: as many as an ideal checksum would have, the birthday bound.`,
    label: 'checksum',
    labels: [CHANCE, ...checksums.map(({ checksum }) => checksum)],
    series: WIDTHS.map((width) => ({
      label: `${width} bits`,
      unit: 'count' as const,
      values: [set.birthday[width], ...checksums.map((one) => one.collisions[at]?.[width] ?? null)],
      tableOnly: width !== 16 && width !== 64,
    })),
  }
}

function missed(checksums: readonly ChecksumQuality[]): BarsSection {
  return {
    kind: 'bars',
    title: 'Changes missed',
    note: 'The share of changes between two scans that 32 bits of the checksum miss, on pages of the images.',
    label: 'checksum',
    labels: checksums.map(({ checksum }) => checksum),
    series: [
      ...CHANGES.map((change) => ({
        label: `one ${change}`,
        unit: 'share' as const,
        values: checksums.map((one) => one.missed[change]),
      })),
      ...CHANGES.map((change) => ({
        label: `one ${change}, expected`,
        unit: 'share' as const,
        values: checksums.map((one) => one.missed_expected[change]),
        tableOnly: true,
      })),
    ],
  }
}
