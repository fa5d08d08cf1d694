// The report of pagefold hash: checksums and indexes side by side, as bars.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { ChecksumQuality, HashComparison, PageSet, StrategyResult } from '../lab/hash/compare.ts'
import { CHANGES, WIDTHS } from '../lab/hash/quality.ts'
import { type Figure, howToRead } from '../lab/measure/figure.ts'
import type { Load } from '../lab/measure/load.ts'
import type { BarsSection, Report, Section, Series } from './section.ts'

/** What a JavaScript user does today, beside our own. */
export const USER_CHECKSUM = 'xxhash-wasm'

/** What Benchmark.js says of the same work, measured by itself and by the wall clock. */
export interface BenchmarkJs {
  /** Mean, nanoseconds a call. */
  readonly ns: number
  /** Relative margin of error, percent. */
  readonly rme: number
  /** Samples taken. */
  readonly samples: number
}

/** Processor time a page, in ns. */
export interface Timing extends Figure {
  /** `median`, under a name that says the unit. */
  readonly median_ns: number
  /** `low`, likewise. */
  readonly low_ns: number
  /** `high`, likewise. */
  readonly high_ns: number
  readonly benchmark_js: BenchmarkJs
}

/** The same, held against that of the others. */
export interface RankedTiming extends Timing {
  /** From 1, the fastest; those that the measurement does not tell apart share one. */
  readonly rank: number
}

/** What a checksum costs. */
export interface HashCost {
  /** Its name, or USER_CHECKSUM. */
  readonly checksum: string
  /** On a page that is in the cache. */
  readonly hot: RankedTiming
  /** On pages that memory has to bring. */
  readonly cold: RankedTiming
  /** The same of the machine's own libxxhash, if that has it and is here. */
  readonly native?: { readonly hot: Figure; readonly cold: Figure }
}

/** The library in C that stood beside, or why none did. */
export type NativeLibrary = { readonly version: string } | { readonly unavailable: string }

/** What pagefold hash prints with --json. */
export interface HashReport extends HashComparison {
  readonly images: readonly { readonly source: string; readonly pages: number }[]
  readonly sample_words: number
  /** Of the generator that drew the order of the turns in each round. */
  readonly order_seed: number
  readonly costs: readonly HashCost[]
  /** What it takes to raise the strength of a sample by half, on a page not in the cache. */
  readonly resample: Timing
  readonly native: NativeLibrary
  /** What else the machine did while pages were hashed. */
  readonly timing_load: Load
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

function time({ costs, checksums, resample, native }: HashReport): BarsSection {
  const byName = new Map<string, ChecksumQuality>(checksums.map((quality) => [quality.checksum, quality]))
  const each = (of: (quality: ChecksumQuality) => number, user: number): number[] =>
    costs.map(({ checksum }) => (checksum === USER_CHECKSUM ? user : of(byName.get(checksum)!)))
  const aside = (label: string, unit: Series['unit'], values: Series['values']): Series =>
    ({ label, unit, values, tableOnly: true }) as const
  const both = (of: (when: 'cold' | 'hot') => readonly Series[]): Series[] => [...of('cold'), ...of('hot')]
  return {
    kind: 'bars',
    title: 'Time a page',
    note:
      `Processor time. Hot: the page is in the cache. Cold: it comes from memory, as in a scan. ${howToRead(resample)} Raising the strength ` +
      `of a sample by half takes ${resample.median.toFixed(0)} ns cold. ${USER_CHECKSUM} is what a JavaScript program does without ` +
      `pagefold. ${'version' in native ? `In C: libxxhash ${native.version}, in the same run` : `In C: not here (${native.unavailable})`}.`,
    label: 'checksum',
    labels: costs.map(({ checksum }) => checksum),
    series: [
      ...both((when) => [
        intervals(
          when,
          costs.map((cost) => cost[when]),
        ),
      ]),
      ...both((when) => [
        aside(
          `${when}, from`,
          'ns',
          costs.map((cost) => cost[when].low),
        ),
        aside(
          `${when}, to`,
          'ns',
          costs.map((cost) => cost[when].high),
        ),
        aside(
          `${when}, rank`,
          'count',
          costs.map((cost) => cost[when].rank),
        ),
        aside(
          `${when}, Benchmark.js`,
          'ns',
          costs.map((cost) => cost[when].benchmark_js.ns),
        ),
        aside(
          `${when}, in C`,
          'ns',
          costs.map(({ native }) => native?.[when].median ?? null),
        ),
      ]),
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

/** Figures as a series: their medians, and where their intervals begin and end. */
function intervals(label: string, figures: readonly Figure[]): Series {
  return {
    label,
    unit: 'ns',
    values: figures.map(({ median }) => median),
    low: figures.map(({ low }) => low),
    high: figures.map(({ high }) => high),
  }
}

/** Only of checksums that read all of a page: of the others it would be a speed at which nothing is read. */
function speed({ costs, checksums }: HashReport): BarsSection {
  const partial = new Set<string>(
    checksums.filter(({ traits }) => !traits.whole).map(({ checksum }) => checksum),
  )
  const whole = costs.filter(({ checksum }) => !partial.has(checksum))
  const rate = ({ median }: Figure): number => (PAGE_SIZE / median) * 1e9
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
    note: `Processor time of the two full scans of the images after which everything mergeable is merged. All merge the same.${strategies[0] === undefined ? '' : ` ${howToRead(strategies[0].time)}`}`,
    label: STRATEGY,
    labels: namesOf(strategies),
    series: [
      intervals(
        'a page',
        strategies.map(({ time }) => time),
      ),
      { label: 'from', unit: 'ns', values: strategies.map(({ time }) => time.low), tableOnly: true },
      { label: 'to', unit: 'ns', values: strategies.map(({ time }) => time.high), tableOnly: true },
      { label: 'rank', unit: 'count', values: strategies.map(({ rank }) => rank), tableOnly: true },
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
