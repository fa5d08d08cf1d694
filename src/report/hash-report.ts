// The report of pagefold hash: checksums and indexes side by side.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { ChecksumQuality, HashComparison, PageSet, StrategyResult } from '../lab/hash/compare.ts'
import { CHANGES, type Collisions, WIDTHS } from '../lab/hash/quality.ts'
import { type Figure, howToRead } from '../lab/measure/figure.ts'
import type { Load } from '../lab/measure/load.ts'
import { imagesTable } from './images-table.ts'
import { least, listed, type Measured, measuredSeries } from './interval.ts'
import { format, plural } from './page/units.ts'
import type { BarsSection, MatrixSection, Report, Series, TableSection, Unit } from './section.ts'
import { shortNames } from './short-names.ts'

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
  const names = shortNames(images.map(({ source }) => source))
  return {
    title: 'pagefold hash',
    subtitle:
      `${images.length} ${images.length === 1 ? 'image' : 'images'}, ${pages.toLocaleString('en-US')} pages; ` +
      `sampled reads ${result.sample_words} words${sample}`,
    verdict: verdict(result),
    sections: [
      convergence(strategies),
      time(result),
      confused(sets, checksums, 64),
      confused(sets, checksums, 16),
      confusedTable(sets, checksums),
      missed(checksums),
      missedTable(checksums),
      searches(strategies),
      imagesTable(
        names,
        images.map(({ source }) => source),
        [
          { label: 'pages', unit: 'count', values: images.map((image) => image.pages) },
          { label: 'size', unit: 'bytes', values: images.map((image) => image.pages * PAGE_SIZE) },
        ],
      ),
    ],
    result,
  }
}

/** Who is fastest, as far as it can be told, and which checksum not to trust. */
function verdict({ costs, checksums, strategies, sets }: HashReport): string {
  const converged = strategies.map((one) => ({ name: `${one.checksum} by ${one.index}`, value: one.time }))
  const whole = wholeOnly(checksums)
  const cold = costs
    .filter(({ checksum }) => whole.has(checksum))
    .map(({ checksum, cold }) => ({ name: checksum as string, value: cold }))
  return [
    ...(converged.length === 0 ? [] : [`${leastTime('Merging takes least time with', converged)}.`]),
    ...(cold.length === 0
      ? []
      : [
          `${leastTime('Of the checksums that read the whole page, the cheapest out of the cache is', cold)}.`,
        ]),
    collisionVerdict(checksums, sets),
  ].join(' ')
}

function leastTime(what: string, all: readonly Measured[]): string {
  const { first, ties } = least(all)
  const time = `${what} ${first.name}, ${format(first.value.median, 'ns')} a page`
  if (ties.length === 0) return time
  if (first.value.low === undefined) return `${time}, as far as medians tell`
  const others = listed(ties.map(({ name }) => name))
  return `${time}, not to be ranked against ${others}: their intervals overlap`
}

function collisionVerdict(checksums: readonly ChecksumQuality[], sets: readonly PageSet[]): string {
  const weak = checksums.filter(
    ({ traits, collisions }) => traits.bits > 0 && collisions.some((one) => (one?.[64] ?? 0) > 0),
  )
  const where = sets.filter((_, i) => weak.some(({ collisions }) => (collisions[i]?.[64] ?? 0) > 0))
  if (weak.length === 0) return 'No checksum confuses pages when all its bits are kept.'
  const places = [...new Set(where.map(({ name }) => name))]
  return (
    `With all bits kept ${listed(weak.map(({ checksum }) => checksum))} ${weak.length === 1 ? 'confuses' : 'confuse'} ` +
    `pages, among ${listed(places)} ones.`
  )
}

/** Names of the checksums that read all of a page; what a user does today is one of them. */
function wholeOnly(checksums: readonly ChecksumQuality[]): ReadonlySet<string> {
  const partial = new Set<string>(
    checksums.filter(({ traits }) => !traits.whole).map(({ checksum }) => checksum),
  )
  return new Set(
    [...checksums.map(({ checksum }) => checksum), USER_CHECKSUM].filter((name) => !partial.has(name)),
  )
}

function time({ costs, checksums, resample, native }: HashReport): BarsSection {
  const sorted = [...costs].sort((a, b) => a.cold.median - b.cold.median)
  const byName = new Map<string, ChecksumQuality>(checksums.map((quality) => [quality.checksum, quality]))
  const whole = wholeOnly(checksums)
  const each = (of: (quality: ChecksumQuality) => number, user: number): number[] =>
    sorted.map(({ checksum }) => (checksum === USER_CHECKSUM ? user : of(byName.get(checksum)!)))
  const aside = (label: string, unit: Unit, values: Series['values']): Series =>
    ({ label, unit, values, tableOnly: true }) as const
  // Of those that do not read all of a page it would be a speed at which nothing is read.
  const speed = ({ checksum }: HashCost, { median }: Figure): number | null =>
    whole.has(checksum) ? (PAGE_SIZE / median) * 1e9 : null
  return {
    kind: 'bars',
    title: 'Time a page',
    note:
      `Processor time. Hot: the page is in the cache. Cold: it comes from memory, as in a scan. ${howToRead(resample)} Raising the strength ` +
      `of a sample by half takes ${resample.median.toFixed(0)} ns cold. ${USER_CHECKSUM} is what a JavaScript program does without ` +
      `pagefold. ${'version' in native ? `In C: libxxhash ${native.version}, in the same run` : `In C: not here (${native.unavailable})`}.`,
    label: 'checksum',
    labels: sorted.map(({ checksum }) => checksum),
    series: [
      measuredSeries(
        'cold',
        'ns',
        sorted.map(({ cold }) => cold),
      ),
      measuredSeries(
        'hot',
        'ns',
        sorted.map(({ hot }) => hot),
      ),
      ...(['cold', 'hot'] as const).flatMap((when) => [
        aside(
          `${when}, from`,
          'ns',
          sorted.map((cost) => cost[when].low),
        ),
        aside(
          `${when}, to`,
          'ns',
          sorted.map((cost) => cost[when].high),
        ),
        aside(
          `${when}, rank`,
          'count',
          sorted.map((cost) => cost[when].rank),
        ),
        aside(
          `${when}, Benchmark.js`,
          'ns',
          sorted.map((cost) => cost[when].benchmark_js.ns),
        ),
        aside(
          `${when}, in C`,
          'ns',
          sorted.map(({ native }) => native?.[when].median ?? null),
        ),
        aside(
          `${when}, speed`,
          'rate',
          sorted.map((cost) => speed(cost, cost[when])),
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

const STRATEGY = 'checksum, index'

function nameOf({ checksum, index }: StrategyResult): string {
  return `${checksum}, ${index}`
}

function convergence(strategies: readonly StrategyResult[]): BarsSection {
  const sorted = [...strategies].sort((a, b) => a.time.median - b.time.median)
  const aside = (label: string, unit: Unit, of: (one: StrategyResult) => number) =>
    ({ label, unit, values: sorted.map(of), tableOnly: true }) as const
  const [first] = sorted
  return {
    kind: 'bars',
    title: 'Time to converge',
    note:
      'Processor time of the two full scans of the images after which everything mergeable is merged. All merge the same.' +
      (first === undefined ? '' : ` ${howToRead(first.time)}`),
    label: STRATEGY,
    labels: sorted.map(nameOf),
    series: [
      measuredSeries(
        'a page',
        'ns',
        sorted.map(({ time }) => time),
      ),
      aside('from', 'ns', ({ time }) => time.low),
      aside('to', 'ns', ({ time }) => time.high),
      aside('rank', 'count', ({ rank }) => rank),
      aside('in all', 'ms', (one) => one.elapsed_ms),
      aside('processor time', 'ms', (one) => one.cpu_ms),
      aside('pages merged', 'count', (one) => one.pages_merged),
      aside('merged a second of processor time', 'count', (one) => one.merged_per_cpu_second),
      aside('metadata a page', 'bytes', (one) => one.metadata_bytes_per_page),
    ],
  }
}

function searches(strategies: readonly StrategyResult[]): BarsSection {
  const sorted = [...strategies].sort((a, b) => a.probes_per_search - b.probes_per_search)
  const counted = (label: string, of: (one: StrategyResult) => number, tableOnly = true) =>
    ({ label, unit: 'count', values: sorted.map(of), tableOnly }) as const
  return {
    kind: 'bars',
    title: 'Searches',
    note: 'Nodes of a tree passed in a search; pages compared, on the way and before merging, and how often in vain.',
    label: STRATEGY,
    labels: sorted.map(nameOf),
    series: [
      counted('probes a search', (one) => one.probes_per_search, false),
      counted('searches', (one) => one.searches),
      counted('comparisons', (one) => one.comparisons),
      counted('in vain', (one) => one.failed_comparisons),
    ],
  }
}

const CHANCE = 'by chance'

function setName({ name, random_seed }: PageSet): string {
  return `${name}${random_seed ? ', random seed' : ''}`
}

/** All but `none`, which would leave room for nothing else. */
function withBits(all: readonly ChecksumQuality[]): ChecksumQuality[] {
  return all.filter(({ traits }) => traits.bits > 0)
}

/** What an ideal checksum would confuse, and below it what these do. */
function confused(sets: readonly PageSet[], all: readonly ChecksumQuality[], width: 16 | 64): MatrixSection {
  const checksums = withBits(all)
  const kept = width === 64 ? 'all bits' : `${width} bits`
  return {
    kind: 'matrix',
    title: `Confused, ${kept} kept`,
    note:
      width === 64
        ? `Pairs of different pages with one checksum, by kind of page. ${CHANCE}: what an ideal checksum would confuse, the birthday bound.`
        : `The same with ${width} bits of the checksum: even an ideal one confuses some; what lies far above it is a pattern.`,
    rows: { label: 'checksum', names: [CHANCE, ...checksums.map(({ checksum }) => checksum)] },
    columns: {
      label: 'pages',
      names: sets.map(setName),
      titles: sets.map((set) => `${setName(set)}: ${plural(set.pages, 'page')}`),
    },
    unit: 'count',
    scale: 'log',
    values: [
      sets.map(({ birthday }) => birthday[width]),
      ...checksums.map(({ collisions }) => sets.map((_, i) => collisions[i]?.[width] ?? null)),
    ],
  }
}

function confusedTable(sets: readonly PageSet[], all: readonly ChecksumQuality[]): TableSection {
  const rows = sets.flatMap((set, i) => [
    { set, checksum: CHANCE, pairs: set.birthday as Collisions | undefined },
    ...withBits(all).map(({ checksum, collisions }) => ({ set, checksum, pairs: collisions[i] })),
  ])
  return {
    kind: 'table',
    title: 'Confused, by bits kept',
    folded: true,
    columns: [
      { label: 'pages', values: rows.map(({ set }) => setName(set)) },
      { label: 'checksum', values: rows.map(({ checksum }) => checksum) },
      ...WIDTHS.map((width) => ({
        label: `${width} bits`,
        unit: 'count' as const,
        values: rows.map(({ pairs }) => pairs?.[width] ?? null),
      })),
    ],
  }
}

function missed(checksums: readonly ChecksumQuality[]): MatrixSection {
  return {
    kind: 'matrix',
    title: 'Changes missed',
    note: 'The share of changes between two scans that 32 bits of the checksum miss, on pages of the images.',
    rows: { label: 'checksum', names: checksums.map(({ checksum }) => checksum) },
    columns: { label: 'change', names: CHANGES.map((change) => `one ${change}`) },
    unit: 'share',
    values: checksums.map((one) => CHANGES.map((change) => one.missed[change])),
  }
}

function missedTable(checksums: readonly ChecksumQuality[]): TableSection {
  return {
    kind: 'table',
    title: 'Changes missed, beside what was to be expected',
    folded: true,
    columns: [
      { label: 'checksum', values: checksums.map(({ checksum }) => checksum) },
      ...CHANGES.flatMap((change) => [
        {
          label: `one ${change}`,
          unit: 'share' as const,
          values: checksums.map((one) => one.missed[change]),
        },
        {
          label: `one ${change}, expected`,
          unit: 'share' as const,
          values: checksums.map((one) => one.missed_expected[change]),
        },
      ]),
    ],
  }
}
