// pagefold scan: merge memory images as ksmd would, and say what came of it.

import {
  FORMAT_NAMES,
  type Image,
  type ImageOptions,
  openSources,
  PACKING_NAMES,
} from '../../images/index.ts'
import {
  expectStrategy,
  GUESTS_POLICIES,
  PAGE_SIZE,
  prometheusText,
  type StrategyOptions,
} from '../../index.ts'
import {
  MAX_SCANS,
  type MergeProgress,
  type MergeResult,
  mergeImages,
  type ScanRow,
} from '../../lab/index.ts'
import { mapOf, mergeReport } from '../../report/index.ts'
import { about } from '../about.ts'
import { bold, bytes, type Column, count, listed, percent, plural, prose, table } from '../format.ts'
import { expectToFit, sayNotes } from '../images.ts'
import { parseKnobs, SETTABLE_KNOBS } from '../knobs.ts'
import {
  changes,
  checksum,
  flag,
  type Given,
  given,
  index,
  integer,
  json,
  mergeable,
  oneOf,
  optionLines,
  parse,
  policy,
  reading,
  value,
  values,
  workers,
} from '../options.ts'
import { complain, print, printable, printJson } from '../output.ts'
import { expectHelpable, givenChecksum, givenPolicy, withOwn } from '../own.ts'
import { Progress } from '../progress.ts'
import { csv, saveCsv } from '../save-csv.ts'
import { report, saveReport } from '../save-report.ts'
import { SeenPages } from '../seen-pages.ts'
import { paint } from '../terminal.ts'
import { splitAtThen } from '../then.ts'
import { UsageError } from '../usage.ts'

const OPTIONS = {
  then: flag(
    'the same sources at a later moment: only pages that differ are written, then scanning goes on',
    'SOURCE...',
  ),
  ...reading,
  mergeable,
  base: values(
    'FILE',
    'what the holes of sparse diff snapshots hold: of those behind --then if it is given, else of all (one for all, or each its own)',
  ),
  scans: value('N', 'full scans (default: until one changes no counter)', integer(1, MAX_SCANS)),
  'scans-after': value(
    'N',
    'full scans after --then (default: until one changes no counter)',
    integer(1, MAX_SCANS),
  ),
  knob: values('NAME=VALUE', 'a knob under /sys/kernel/mm/ksm (repeatable); smart_scan is 0 unless given'),
  index: index('order of the trees'),
  checksum: checksum('page checksum'),
  report: report('a map of memory, curves, tables'),
  'checksum-bits': value('N', 'keep only so many bits of it, 1..64', integer(1)),
  seed: value('N', 'key of the checksum: a number, or random (default: 0, as Linux)', readSeed),
  guests: value(
    'NAME',
    `${GUESTS_POLICIES.join(', ')} (default: running, as Linux): still ones merge in one scan, not two`,
    oneOf(GUESTS_POLICIES),
  ),
  policy: policy('the'),
  changes,
  workers: workers('threads that take checksums ahead of the scan (default: 0): the same result sooner'),
  'huge-pages': flag('ask Linux for huge pages, which takes the package koffi: the same result sooner'),
  csv: csv('scan', 'the counters after every scan'),
  prometheus: flag('print the counters at the end in the text format of Prometheus'),
  map: flag('put into the JSON what became of every page, for the maps of pagefold diff'),
  json: json(),
}

export const help = `usage: pagefold scan SOURCE... [--then SOURCE...] [options]

Merges the pages of one or more memory images as Linux's ksmd would, and prints
what it counts after every full scan. Each SOURCE is one address space with one
mergeable mapping, in the order given.

SOURCE is a file (${listed(FORMAT_NAMES)}, recognised by
content, unpacked if it is ${listed(PACKING_NAMES)}), a pipe, - for standard input,
synthetic memory, synth:PRESET[,key=value...], or processes that run, copied as
they are now: pid:N, comm:NAME, all. docs/formats.md tells how to make files.

On a terminal that is too narrow columns of the table give way: those of zeros,
chains/dups, pages_skipped, ms, pages_volatile, ksm_zero_pages, profit, in this
order. In a pipe or a file nothing is left out.

${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, tokens } = parse(OPTIONS, args)
  const { sources, later } = splitAtThen(tokens)
  const { scans, guests, workers, report } = values
  const scansAfter = values['scans-after']
  const knobs = parseKnobs(values.knob, SETTABLE_KNOBS)
  if (sources.length === 0) throw new UsageError('no SOURCE given; see pagefold scan --help')
  if (values.then && later.length === 0) throw new UsageError('--then names no SOURCE')
  if (values.prometheus && values.json) throw new UsageError('--prometheus and --json: one of them at a time')
  if (values.map && !values.json) throw new UsageError('--map means nothing without --json')
  if (scansAfter !== undefined && !values.then)
    throw new UsageError('--scans-after means nothing without --then')
  expectHelpable(values.checksum, workers)
  const strategy = await strategyOf(values)
  const own = values.policy === undefined ? undefined : await givenPolicy(values.policy)

  const read = given({ format: values.format, absent: values.absent, mergeable: values.mergeable })
  const images = openAll(sources, read, values.then ? [] : values.base)
  const laterImages = openAll(later, read, values.then ? values.base : [])
  sayNotes([...images, ...laterImages])
  expectToFit(images)
  const progress = new Progress()
  const seen = new SeenPages(images)
  const merged = await withOwn([values.checksum, values.policy], () =>
    mergeImages({
      images,
      later: laterImages,
      knobs,
      ...strategy,
      ...given({ scans, scansAfter, guests, changes: values.changes, workers, policy: own }),
      hugePages: values['huge-pages'] ?? false,
      onProgress: (event) => showProgress(progress, event),
      ...(report === undefined && !values.map ? {} : { inspect: seen.inspect, onWrite: seen.onWrite }),
    }),
  )
  progress.clear()
  const result = about(merged)
  if (values.map) printJson({ ...result, map: mapOf(images, merged, seen.pages, seen.change) })
  else if (values.json) printJson(result)
  else if (values.prometheus) print(metrics(result))
  else print(describe(result))
  if (!result.settled) {
    const scans = plural(result.after_each_scan.length, 'scan')
    complain(`not settled: the last of ${scans} still changed a counter`)
  }
  await saveCsv(values.csv, 'scan', result)
  if (report !== undefined) {
    const page = mergeReport(images, result, seen.pages, seen.change)
    await saveReport(report, page, values.json ?? values.prometheus)
  }
  for (const image of [...images, ...laterImages]) image.close()
  return 0
}

/** Opens sources, those that are diff snapshots with their bases. */
function openAll(sources: readonly string[], options: ImageOptions, bases: readonly string[] = []): Image[] {
  if (bases.length === 0) return openSources(sources, options)
  if (bases.length !== 1 && bases.length !== sources.length) {
    throw new UsageError(
      `--base is given ${bases.length} times for ${plural(sources.length, 'source')}; once is for all`,
    )
  }
  return sources.flatMap((source, i) => openSources([source], { ...options, base: bases[i] ?? bases[0]! }))
}

function readSeed(text: string, option: string): number | 'random' {
  return text === 'random' ? text : integer(0)(text, option)
}

async function strategyOf(values: Given<typeof OPTIONS>['values']): Promise<StrategyOptions> {
  const { index, seed } = values
  const checksum = values.checksum === undefined ? undefined : await givenChecksum(values.checksum)
  const strategy = given({ index, checksum, checksumBits: values['checksum-bits'], seed })
  try {
    expectStrategy(strategy)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  return strategy
}

/** Those of the last scan, and how many there were. */
function metrics({ after_each_scan }: MergeResult): string {
  return prometheusText({ ...after_each_scan.at(-1), full_scans: after_each_scan.length }).trimEnd()
}

function showProgress(progress: Progress, event: MergeProgress): void {
  const label = { load: 'reading', write: 'writing', scan: '' }[event.stage]
  progress.show(event.stage === 'scan' ? `scan ${event.scan}` : label, event.done, event.of, 'pages')
}

function describe(result: MergeResult): string {
  return [describeImages(result), scanTable(result.after_each_scan), summarise(result)].join('\n\n')
}

function describeImages({ images, pages, index, checksum }: MergeResult): string {
  const lines = images.map(
    (image) =>
      `  ${printable(image.source)} (${image.format}, ${plural(image.pages, 'page')}${absent(image)})`,
  )
  const total = `${plural(pages, 'page')}, ${bytes(pages * PAGE_SIZE)}; index ${index}, checksum ${checksum}`
  return [bold(`${plural(images.length, 'image')}, ${total}`), ...lines].join('\n')
}

function absent({ absent_pages }: { absent_pages: number }): string {
  return absent_pages === 0 ? '' : `, ${count(absent_pages)} absent`
}

function scanTable(rows: readonly ScanRow[]): string {
  const column = (title: string, cell: (row: ScanRow) => string, gives?: number): Column => ({
    title,
    cells: rows.map(cell),
    ...given({ gives }),
  })
  return table([
    { title: 'scan', cells: rows.map((_, i) => String(i + 1)) },
    column('pages_shared', (row) => count(row.pages_shared)),
    column('pages_sharing', (row) => count(row.pages_sharing)),
    column('pages_unshared', (row) => count(row.pages_unshared)),
    column('pages_volatile', (row) => count(row.pages_volatile), 4),
    column('ksm_zero_pages', (row) => count(row.ksm_zero_pages), 5),
    column('pages_skipped', (row) => count(row.pages_skipped), 2),
    column('chains/dups', (row) => `${row.stable_node_chains}/${row.stable_node_dups}`, 1),
    column('profit', (row) => bytes(row.general_profit), 6),
    column('ms', (row) => row.elapsed_ms.toFixed(1), 3),
  ])
}

function summarise(result: MergeResult): string {
  const { sharing, metadata, pages } = result
  const total = pages * PAGE_SIZE
  const saved = (frames: number): string => `${bytes(frames * PAGE_SIZE)} (${percent(frames, pages)})`
  const parts = [
    `Merging saves ${paint('good', bytes(result.bytes_saved))} of ${bytes(total)} (${percent(result.bytes_saved, total)}):`,
    `  ${saved(sharing.zero)} are pages of zeros,`,
    `  ${saved(sharing.within)} have an equal page in their own image,`,
    `  ${saved(sharing.between)} have one only in another image.`,
    `pagefold's own records cost ${bytes(metadata.total)}, ${(metadata.total / pages).toFixed(1)} bytes a page: ` +
      `page tables ${bytes(metadata.pageTables)}, frame table ${bytes(metadata.frameTable)}, ` +
      `rmap items ${bytes(metadata.rmapItems)}, stable nodes ${bytes(metadata.stableNodes)}, ` +
      `tree roots ${bytes(metadata.roots)}.`,
    `Net of that, ${bytes(result.profit_after_own_metadata)} are gained.`,
  ]
  if (result.pages_written !== undefined) {
    parts.unshift(`Between the two moments ${plural(result.pages_written, 'page')} changed.`)
  }
  return prose(parts.join('\n'))
}
