// pagefold hash: all checksums and indexes side by side.

import { hashCosts } from '../../../bench/micro/hash.ts'
import { isFile } from '../../../bench/own.ts'
import { openSources } from '../../images/index.ts'
import { CHECKSUM_NAMES, DEFAULT_SAMPLE_WORDS, INDEX_NAMES, PAGE_SIZE } from '../../index.ts'
import {
  CHANGES,
  type ChecksumQuality,
  type Collisions,
  compareHashes,
  type Figure,
  howToRead,
  ORDER_SEED,
  type PageSet,
  type StrategyResult,
  WIDTHS,
} from '../../lab/index.ts'
import { type HashCost, type HashReport, hashReport, USER_CHECKSUM } from '../../report/index.ts'
import { about } from '../about.ts'
import { bold, bytes, count, percent, plural, prose, rankShown, table } from '../format.ts'
import { sayNotes } from '../images.ts'
import { sayLoad } from '../load.ts'
import {
  flag,
  given,
  integer,
  json,
  optionLines,
  parse,
  reading,
  values as several,
  someOf,
  value,
} from '../options.ts'
import { print, printJson } from '../output.ts'
import { givenChecksum, readChecksum, withOwn } from '../own.ts'
import { Progress } from '../progress.ts'
import { csv, saveCsv } from '../save-csv.ts'
import { report, saveReport } from '../save-report.ts'
import { UsageError } from '../usage.ts'

const DEFAULT_SOURCE = 'synth:demo'
/** Seconds and rounds of a timing; pages of a family, most pages merged, rounds of merging. */
const QUICK = { timing: { seconds: 0.1, rounds: 21 }, pages: 4096, mergePages: 8192, rounds: 15 }
const THOROUGH = { timing: { seconds: 1, rounds: 51 }, pages: 49_152, mergePages: 65_536, rounds: 31 }

const OPTIONS = {
  checksum: several(
    'NAME,NAME',
    `of ${CHECKSUM_NAMES.join(', ')} (default: all),
or a FILE of your own, .wasm or .js (docs/strategies.md), which is compared with all unless names are given too (repeatable)`,
    (text, option) => text.split(',').map((name) => readChecksum(name, option)),
  ),
  index: value('NAME,NAME', `of ${INDEX_NAMES.join(', ')} (default: all)`, someOf(INDEX_NAMES)),
  'sample-words': value(
    'N',
    `words that the checksum sampled reads of a page (default: ${DEFAULT_SAMPLE_WORDS})`,
    readSampleWords,
  ),
  thorough: flag('more pages and longer measurements: minutes instead of seconds'),
  ...reading,
  csv: csv('hash', 'a strategy a line'),
  report: report('all of it as bars and tables'),
  json: json(),
}

export const help = `usage: pagefold hash [SOURCE...] [options]

Compares every checksum and every index: what a page's checksum costs in the
cache and out of it; which different pages a checksum confuses, beside what an
ideal one would by chance; which changes it misses; and how a merge of the
sources goes with it, on a sample of at most ${count(QUICK.mergePages)} of their pages (${count(THOROUGH.mergePages)}
with --thorough). Only figures of one run compare.

On a terminal that is too narrow columns give way: of the confused pages
pointer-rich, sparse, random, near-duplicate, adversarial; of the changes half,
line, word, bit; of the merges metadata, failed, comparisons, probes, merged, in
this order. In a pipe or a file nothing is left out.

  SOURCE                as for scan (default: ${DEFAULT_SOURCE})
${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(OPTIONS, args)
  const { index: indexes = INDEX_NAMES } = values
  const named = [...new Set(values.checksum?.flat())]
  const own = named.filter(isFile)
  const wanted = named.length === own.length ? [...CHECKSUM_NAMES, ...own] : named
  const checksums = await Promise.all(wanted.map(givenChecksum))
  expectNames(checksums)
  const sampleWords = values['sample-words'] ?? DEFAULT_SAMPLE_WORDS
  const { timing, ...size } = values.thorough ? THOROUGH : QUICK
  const { format, absent } = values
  const sources = positionals.length > 0 ? positionals : [DEFAULT_SOURCE]
  const images = openSources(sources, given({ format, absent }))
  sayNotes(images)
  const progress = new Progress()
  const onProgress = (step: string, done: number, of: number): void => progress.show(step, done, of)
  try {
    const costs = await hashCosts({
      ...timing,
      checksums,
      sampleWords,
      onProgress: (done, of) => onProgress('timing', done, of),
    })
    const comparison = await withOwn(own, () =>
      compareHashes({ images, checksums, indexes, sampleWords, ...size, onProgress }),
    )
    progress.clear()
    const shown = images.map(({ source, pages }) => ({ source, pages }))
    const compared = {
      images: shown,
      sample_words: sampleWords,
      order_seed: ORDER_SEED,
      ...costs,
      ...comparison,
    }
    const result: HashReport = about(compared)
    sayLoad('while pages were hashed', result.timing_load)
    sayLoad('while the images were merged', result.merging_load)
    if (values.json) printJson(result)
    else print(describe(result))
    await saveCsv(values.csv, 'hash', result)
    if (values.report !== undefined) await saveReport(values.report, hashReport(result), values.json)
    return 0
  } finally {
    for (const image of images) image.close()
  }
}

/** Two files may bear one name; in a table nobody could tell them apart. */
function expectNames(checksums: readonly (string | { readonly name: string })[]): void {
  const names = checksums.map((one) => (typeof one === 'string' ? one : one.name))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new UsageError(`--checksum: two are called ${twice}: rename one`)
}

function readSampleWords(text: string, option: string): number {
  const words = integer(1)(text, option)
  if (words * 4 <= PAGE_SIZE) return words
  throw new UsageError(`${option} takes at most ${PAGE_SIZE / 4}, got ${words}`)
}

function describe(report: HashReport): string {
  const pages = report.images.reduce((sum, image) => sum + image.pages, 0)
  return [
    bold(`${plural(report.images.length, 'image')}, ${plural(pages, 'page')}, ${bytes(pages * PAGE_SIZE)}`),
    describeCosts(report),
    describeCollisions(report.sets, report.checksums),
    describeMissed(report.checksums),
    describeStrategies(report, pages),
  ].join('\n\n')
}

function describeCosts(report: HashReport): string {
  const { costs, resample } = report
  const columns = (when: 'cold' | 'hot') => {
    const ranks = costs.map((cost) => cost[when].rank)
    return [
      { title: `ns ${when}`, cells: costs.map((cost) => cost[when].median.toFixed(0)) },
      { title: 'from..to', cells: costs.map((cost) => interval(cost[when])) },
      { title: 'rank', cells: ranks.map((rank) => rankShown(rank, ranks)) },
    ]
  }
  return [
    bold('What the checksum of a page costs, in processor time'),
    table([
      { title: 'checksum', cells: costs.map(({ checksum }) => checksum) },
      ...columns('cold'),
      ...columns('hot'),
    ]),
    prose(
      `sampled reads ${plural(report.sample_words, 'word')}; half as many more, cold, take ${resample.median.toFixed(0)} ns ` +
        `(${interval(resample)}) instead of all anew.`,
    ),
    prose(howToRead(resample)),
    '',
    describeBeside(report),
  ].join('\n')
}

/** From where to where the interval of a figure goes. */
function interval({ low, high }: Pick<Figure, 'low' | 'high'>, digits = 0): string {
  return `${low.toFixed(digits)}..${high.toFixed(digits)}`
}

/** What others make of the same work, and what a checksum reads. */
function describeBeside({ costs, checksums, native }: HashReport): string {
  const names = costs.map(({ checksum }) => checksum)
  const cell = (name: string, of: (quality: ChecksumQuality) => string, user: string): string =>
    name === USER_CHECKSUM ? user : of(checksums.find(({ checksum }) => checksum === name)!)
  const both = (title: string, of: (cost: HashCost, when: 'cold' | 'hot') => string) =>
    (['cold', 'hot'] as const).map((when) => ({
      title: `${title} ${when}`,
      cells: costs.map((cost) => of(cost, when)),
    }))
  return [
    bold('Beside it, in ns: Benchmark.js, and libxxhash in C; and what of a page is read'),
    table([
      { title: 'checksum', cells: names },
      ...both('B.js', (cost, when) => cost[when].benchmark_js.ns.toFixed(0)),
      ...both('C', ({ native }, when) => native?.[when].median.toFixed(0) ?? ''),
      { title: 'bytes', cells: names.map((name) => cell(name, (q) => count(q.touched.bytes), '4,096')) },
      { title: 'lines', cells: names.map((name) => cell(name, (q) => count(q.touched.line_bytes), '4,096')) },
      { title: 'bits', cells: names.map((name) => cell(name, (q) => String(q.traits.bits), '64')) },
      {
        title: 'seed',
        cells: names.map((name) => cell(name, (q) => (q.traits.seeded ? 'yes' : 'no'), 'yes')),
      },
    ]),
    'version' in native ? `C: libxxhash ${native.version}.` : `C: not here, ${native.unavailable}.`,
  ].join('\n')
}

function describeCollisions(sets: readonly PageSet[], checksums: readonly ChecksumQuality[]): string {
  const shown = (pairs: Collisions | undefined): string =>
    pairs === undefined ? 'no seed' : WIDTHS.map((width) => brief(pairs[width])).join('/')
  return [
    bold(`Pairs of different pages with one checksum, if ${WIDTHS.join('/')} bits are kept`),
    table([
      { title: 'checksum', cells: ['by chance', ...checksums.map(({ checksum }) => checksum)] },
      ...sets.map(({ name, random_seed, pages, birthday }, set) => ({
        title: `${name}${random_seed ? ', seeded' : ''} (${count(pages)})`,
        cells: [shown(birthday), ...checksums.map(({ collisions }) => shown(collisions[set]))],
        ...given({ gives: SETS_GIVE[name] }),
      })),
    ]),
  ].join('\n')
}

/** In which order the sets of pages give way in a narrow terminal: those last in which checksums differ. Images stay. */
const SETS_GIVE: Readonly<Record<string, number>> = {
  'pointer-rich': 1,
  sparse: 2,
  random: 3,
  'near-duplicate': 4,
  adversarial: 5,
}

/** A number of pairs in few characters. */
function brief(pairs: number): string {
  if (pairs === 0) return '0'
  if (pairs < 0.1) return '~0'
  if (pairs < 10 && !Number.isInteger(pairs)) return pairs.toFixed(1)
  if (pairs < 1e4) return pairs.toFixed(0)
  return pairs < 1e6 ? `${(pairs / 1e3).toFixed(0)}k` : `${(pairs / 1e6).toFixed(1)}M`
}

function describeMissed(checksums: readonly ChecksumQuality[]): string {
  return [
    bold('Changes missed between two scans, of pages of the images, and to be expected'),
    table([
      { title: 'checksum', cells: checksums.map(({ checksum }) => checksum) },
      ...CHANGES.map((change, i) => ({
        title: `one ${change}`,
        // The large changes, which hardly any misses, first.
        gives: CHANGES.length - i,
        cells: checksums.map(
          ({ missed, missed_expected }) =>
            `${percent(missed[change], 1)} (${percent(missed_expected[change], 1)})`,
        ),
      })),
    ]),
  ].join('\n')
}

function describeStrategies({ strategies, merged_pages }: HashReport, pages: number): string {
  const sample =
    merged_pages === pages ? '' : `, a sample of ${count(merged_pages)} of their ${count(pages)} pages`
  const ranks = strategies.map(({ rank }) => rank)
  const column = (title: string, cell: (result: StrategyResult) => string, gives?: number) => ({
    title,
    cells: strategies.map(cell),
    ...given({ gives }),
  })
  return [
    bold(`Merging the images${sample}: two full scans, in processor time`),
    table([
      column('checksum', ({ checksum }) => checksum),
      column('index', ({ index }) => index),
      column('ns/page', ({ time }) => time.median.toFixed(0)),
      column('from..to', ({ time }) => interval(time)),
      column('rank', ({ rank }) => rankShown(rank, ranks)),
      column('merged', ({ pages_merged }) => count(pages_merged), 5),
      column('merged/CPU s', ({ merged_per_cpu_second }) => count(Math.round(merged_per_cpu_second))),
      column('probes/search', ({ probes_per_search }) => probes_per_search.toFixed(2), 4),
      column('comparisons', ({ comparisons }) => count(comparisons), 3),
      column('failed', ({ failed_comparisons }) => count(failed_comparisons), 2),
      column('metadata/page', ({ metadata_bytes_per_page }) => metadata_bytes_per_page.toFixed(1), 1),
    ]),
  ].join('\n')
}
