// pagefold census: whether merging would pay, on memory of any size.

import { hostname } from 'node:os'
import {
  FORMAT_NAMES,
  type Image,
  kernelKsm,
  kernelKsmStat,
  openSources,
  PACKING_NAMES,
} from '../../images/index.ts'
import { PAGE_SIZE, prometheusText } from '../../index.ts'
import { CENSUS_KNOBS, type CensusResult, census } from '../../lab/index.ts'
import { censusReport } from '../../report/index.ts'
import { about } from '../about.ts'
import { out, writeContentsFile } from '../fleet/contents-file.ts'
import { bold, bytes, count, listed, percent, plural, prose, table } from '../format.ts'
import { sayNotes } from '../images.ts'
import type { KernelNow } from '../json.ts'
import { parseKnobs } from '../knobs.ts'
import {
  flag,
  given,
  integer,
  json,
  mergeable,
  optionLines,
  parse,
  reading,
  value,
  values,
  workers,
} from '../options.ts'
import { print, printable, printJson } from '../output.ts'
import { Progress } from '../progress.ts'
import { metrics, saveMetrics } from '../save-metrics.ts'
import { report, saveReport } from '../save-report.ts'
import { interruptible } from '../signals.ts'
import { paint } from '../terminal.ts'
import { splitAtThen } from '../then.ts'
import { UsageError } from '../usage.ts'

const OPTIONS = {
  then: flag(
    'the same sources at a later moment: pages that differ are volatile, and merge with nothing',
    'SOURCE...',
  ),
  again: value(
    'MS',
    'read everything once more, so many milliseconds later: pages that differ are volatile. 8 bytes more a page',
    integer(0),
  ),
  ...reading,
  mergeable,
  knob: values(
    'NAME=VALUE',
    `as it would be under /sys/kernel/mm/ksm (repeatable): ${CENSUS_KNOBS.join(', ')}`,
  ),
  node: value(
    'N,N',
    'the NUMA node of each image, for merge_across_nodes=0 (default: of processes the one where most of their pages lie; else all on one)',
    (text, option) => text.split(',').map((one) => integer(0)(one, option)),
  ),
  within: value('SECONDS', 'say what pages_to_scan has all merged in this time', integer(1)),
  key: value(
    'HEX',
    'key of the fingerprints, 32 digits: the same where censuses are to be joined (default: a new one)',
    readKey,
  ),
  out,
  host: value('NAME', 'what this host is called in the file of --out (default: its name)'),
  verify: flag('compare the bytes of all pages that have one fingerprint: slow, 5 bytes more a content'),
  workers: workers(
    'threads that read beside the one that counts (default: with it one a processor, at most 8)',
  ),
  prometheus: metrics('the counters'),
  report: report('who shares with whom, contents that pay, tables; 5 bytes more a content'),
  json: json(),
}

export const help = `usage: pagefold census SOURCE... [--then SOURCE...] [options]

Says whether merging would pay, on memory of any size: reads each page once and
keeps only a fingerprint of it, and reckons from those what ksmd would come to,
what that saves and where, and how long ksmd would take.

SOURCE is a file (${listed(FORMAT_NAMES)}, recognised by
content, unpacked if it is ${listed(PACKING_NAMES)}), a pipe, - for standard input,
synthetic memory, synth:PRESET[,key=value...], or processes that run: pid:N,
comm:NAME, all. Each is one address space. Of processes only anonymous memory is
read that KSM could have; nothing is stopped or changed, and pages that are gone
when it is their turn are left out.

Memory used does not grow with what is read, but with the different contents in
it: at most 24 bytes for each, and some tens of MiB. Each different way in which
contents are spread over images takes 28 bytes more. What is packed or a pipe is
put away in a temporary file first (TMPDIR).

${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, tokens } = parse(OPTIONS, args)
  const { sources, later } = splitAtThen(tokens)
  const { again, within, node, key, verify, workers, report } = values
  if (sources.length === 0) throw new UsageError('no SOURCE given; see pagefold census --help')
  if (values.then && later.length === 0) throw new UsageError('--then names no SOURCE')
  if (values.then && again !== undefined) throw new UsageError('--then and --again: one of them at a time')
  if (values.host !== undefined && values.out === undefined)
    throw new UsageError('--host means nothing without --out')
  if (values.out !== undefined && key === undefined) {
    throw new UsageError('--out needs --key, the same for all files that are to be joined')
  }
  const knobs = parseKnobs(values.knob, CENSUS_KNOBS)
  const read = given({ format: values.format, absent: values.absent, mergeable: values.mergeable })
  const live = { ...read, inUse: true }
  const images = openSources(sources, live)
  const laterImages = openSources(later, live)
  sayNotes([...images, ...laterImages])
  if (node !== undefined && node.length !== images.length) {
    throw new UsageError(`--node names ${plural(node.length, 'node')} for ${plural(images.length, 'image')}`)
  }
  const progress = new Progress()
  try {
    const counted = await interruptible((stop) =>
      census({
        images,
        later: laterImages,
        knobs,
        ...given({ againAfter: again, within: within && within * 1000, nodes: node, key, verify, workers }),
        locate: report !== undefined,
        ...(values.out === undefined
          ? {}
          : {
              onContents: (contents) =>
                writeContentsFile(values.out!, values.host ?? hostname(), sourcesOf(images), contents),
            }),
        onProgress: (done, of) => {
          stop.throwIfAborted()
          progress.show('reading', done, of, 'pages')
        },
      }),
    ).finally(() => progress.clear())
    const result = about(counted)
    const kernel = kernelNow(images)
    if (values.json) printJson(kernel === undefined ? result : { ...result, kernel })
    else print([describe(result), ...describeKernel(kernel)].join('\n\n'))
    await saveMetrics(values.prometheus, () => metricsOf(result))
    if (report !== undefined) await saveReport(report, censusReport(result), values.json)
    return 0
  } finally {
    for (const image of [...images, ...laterImages]) image.close()
  }
}

/** What the kernel says of the processes among the images, and of KSM as a whole. */
function kernelNow(images: readonly Image[]): KernelNow | undefined {
  const ids = images.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))
  if (ids.length === 0) return undefined
  const processes = ids.map(kernelKsmStat).filter((stat) => stat !== undefined)
  return { ksm: kernelKsm() ?? {}, processes }
}

function describeKernel(kernel: KernelNow | undefined): string[] {
  if (kernel === undefined) return []
  const { ksm, processes } = kernel
  const sum = (of: (stat: KernelNow['processes'][number]) => number): number =>
    processes.reduce((all, stat) => all + of(stat), 0)
  const now =
    ksm.run === undefined
      ? 'This kernel has no KSM.'
      : `What the kernel says now: run=${ksm.run}, pages_shared ${count(ksm.pages_shared ?? 0)}, pages_sharing ` +
        `${count(ksm.pages_sharing ?? 0)}, of the whole machine; of these processes ${count(sum((one) => one.ksm_merging_pages))} pages are ` +
        `merged, ${count(sum((one) => one.ksm_zero_pages))} gave way to the zero page, and the profit of all is ` +
        `${bytes(sum((one) => one.ksm_process_profit))}.`
  return [prose(now)]
}

/** What guests are called in a file: their sources, told apart. */
function sourcesOf(images: readonly Image[]): string[] {
  const seen = new Map<string, number>()
  return images.map(({ source }) => {
    const times = (seen.get(source) ?? 0) + 1
    seen.set(source, times)
    return times === 1 ? source : `${source} (${times})`
  })
}

function readKey(text: string, option: string): string {
  if (/^[0-9a-f]{32}$/i.test(text)) return text
  throw new UsageError(`${option} takes 32 hexadecimal digits; \`openssl rand -hex 16\` makes some`)
}

function metricsOf({ counters }: CensusResult): string {
  return prometheusText({ ...counters })
}

function describe(result: CensusResult): string {
  return [
    describeImages(result),
    describeCounters(result),
    summarise(result),
    ...describeNodes(result),
    ...describeMatrix(result),
    ...describeMost(result),
    describePace(result),
    describeWork(result),
  ].join('\n\n')
}

/** More images than these are not listed one by one. */
const LISTED_IMAGES = 40

function describeImages({ images, pages, distinct }: CensusResult): string {
  const lines = images
    .slice(0, LISTED_IMAGES)
    .map(({ source, format, pages, distinct, zero_pages, ...image }) => {
      const rest = [
        [zero_pages, 'zeros'],
        [image.volatile_pages, 'volatile'],
        [image.gone_pages, 'gone'],
        [image.absent_pages, 'absent'],
      ] as const
      const shown = rest.filter(([some]) => some > 0).map(([some, what]) => `, ${count(some)} ${what}`)
      return `  ${printable(source)} (${format}, ${plural(pages, 'page')}, ${plural(distinct, 'content')}${shown.join('')})`
    })
  const left = images.length - lines.length
  if (left > 0) lines.push(`  and ${plural(left, 'image')} more; --json has all`)
  const total = `${plural(pages, 'page')}, ${bytes(pages * PAGE_SIZE)}; ${plural(distinct, 'content')}`
  return [bold(`${plural(images.length, 'image')}, ${total}`), ...lines].join('\n')
}

function describeCounters({ counters }: CensusResult): string {
  const column = (title: string, cell: string, gives?: number) => ({
    title,
    cells: [cell],
    ...given({ gives }),
  })
  return [
    bold('What ksmd would come to'),
    table([
      column('pages_shared', count(counters.pages_shared)),
      column('pages_sharing', count(counters.pages_sharing)),
      column('pages_unshared', count(counters.pages_unshared)),
      column('pages_volatile', count(counters.pages_volatile), 2),
      column('ksm_zero_pages', count(counters.ksm_zero_pages), 3),
      column('chains/dups', `${counters.stable_node_chains}/${counters.stable_node_dups}`, 1),
      column('profit', bytes(counters.general_profit)),
    ]),
  ].join('\n')
}

function summarise({ pages, saved, bytes_saved, profit }: CensusResult): string {
  const total = pages * PAGE_SIZE
  const part = (frames: number): string => `${bytes(frames * PAGE_SIZE)} (${percent(frames, pages)})`
  const net = (profit: number): string =>
    profit < 0 ? `${bytes(-profit)} are lost` : `${bytes(profit)} are gained`
  return prose(
    [
      `Merging would save ${paint('good', bytes(bytes_saved))} of ${bytes(total)} (${percent(bytes_saved, total)}):`,
      `  ${part(saved.zero)} are pages of zeros,`,
      `  ${part(saved.within)} have an equal page in their own image,`,
      `  ${part(saved.between)} have one only in another image.`,
      `Net of 64 bytes for each page in view, as Linux needs, ${net(profit.linux)}; of pagefold's 32 bytes, ${net(profit.pagefold)}.`,
    ].join('\n'),
  )
}

/** What merge_across_nodes=0 was reckoned with, and how far that goes. */
function describeNodes({ knobs, nodes_by, images, pages }: CensusResult): string[] {
  if (knobs.merge_across_nodes !== 0) return []
  const all = images.reduce((sum, image) => sum + image.pages * image.part_on_other_nodes, 0)
  const texts = {
    given: 'With merge_across_nodes=0 pages merge on the nodes that --node names.',
    measured:
      'With merge_across_nodes=0 pages merge on their NUMA nodes; each of these processes has all its pages on one.',
    estimated:
      'With merge_across_nodes=0 pages merge on their NUMA nodes. All this is an estimate: each process is counted on the one where most of its pages ' +
      `lie, and ${percent(Math.round(all), pages)} of all pages lie on others.`,
    assumed:
      'On which NUMA nodes these pages lie is not known: they are taken to be on one, so merge_across_nodes=0 changes nothing here. --node tells.',
  }
  return [prose(texts[nodes_by])]
}

/** Wider ones are for --report. */
const SHOWN_MATRIX = 8

function describeMatrix({ images, shared_between }: CensusResult): string[] {
  if (images.length < 2 || images.length > SHOWN_MATRIX) return []
  return [
    [
      bold(
        'Pages of an image that would share their frame with a page of another, or of its own; zeros apart',
      ),
      table([
        { title: 'image', cells: images.map((_, i) => String(i + 1)) },
        ...images.map((_, j) => ({
          title: `with ${j + 1}`,
          cells: images.map((_, i) => count(shared_between[i]![j]!)),
        })),
      ]),
    ].join('\n'),
  ]
}

const SHOWN_CONTENTS = 5

function describeMost({ most }: CensusResult): string[] {
  const shown = most.slice(0, SHOWN_CONTENTS)
  if (shown.length === 0) return []
  return [
    [
      bold('Contents that pay most, zeros apart'),
      table([
        { title: 'fingerprint', cells: shown.map(({ fingerprint }) => fingerprint), gives: 1 },
        { title: 'pages', cells: shown.map(({ pages }) => count(pages)) },
        { title: 'images', cells: shown.map(({ images }) => count(images)) },
        { title: 'saves', cells: shown.map(({ bytes_saved }) => bytes(bytes_saved)) },
      ]),
    ].join('\n'),
  ]
}

function describePace({ pace, pages_to_scan_wanted }: CensusResult): string {
  const { pages_to_scan, sleep_millisecs, merged_ms } = pace
  const knobs = `With pages_to_scan=${pages_to_scan} and sleep_millisecs=${sleep_millisecs} ksmd`
  const long =
    merged_ms === null
      ? `${knobs} never looks at a page.`
      : `${knobs} sleeps ${duration(merged_ms)} until all is merged, beside the time it takes to look at pages.`
  const wanted =
    pages_to_scan_wanted === undefined
      ? ''
      : ` In the time that was given it is done with pages_to_scan=${pages_to_scan_wanted}.`
  return prose(`${long}${wanted}`)
}

function describeWork(result: CensusResult): string {
  const { pages, elapsed_ms, workers, collision_bound, table_bytes, peak_memory_bytes, verified_pages } =
    result
  const rate = bytes((pages * PAGE_SIZE * 1000) / Math.max(1, elapsed_ms))
  const sure =
    verified_pages === undefined
      ? `that two contents were taken for one has a chance of at most ${collision_bound.toExponential(0)}`
      : `the bytes of ${plural(verified_pages, 'page')} were compared`
  return prose(
    `Read ${rate} a second with ${plural(workers, 'thread')} beside this one; the contents took ${bytes(table_bytes)}, ` +
      `all of it at most ${bytes(peak_memory_bytes)}. Fingerprints have 128 bits; ${sure}.`,
  )
}

function duration(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`
}
