// pagefold bench: merge throughput beside its peers.

import { compare, NotComparable } from '../../../bench/macro/baseline.ts'
import { bench, NothingToCompare } from '../../../bench/macro/bench.ts'
import { TrialFailed } from '../../../bench/macro/children.ts'
import { PEERS } from '../../../bench/peers/index.ts'
import { openSources } from '../../images/index.ts'
import { DEFAULT_CHECKSUM, DEFAULT_INDEX, PAGE_SIZE } from '../../index.ts'
import { type Figure, howToRead } from '../../lab/index.ts'
import {
  type BenchResult,
  benchReport,
  hasTimes,
  type MetricChange,
  type PeerResult,
  whyMissing,
} from '../../report/index.ts'
import { about } from '../about.ts'
import {
  DEFAULT_RUNNING,
  DEFAULT_WRITTEN,
  describeRunning,
  describeWritten,
  readWritten,
} from '../bench-rows.ts'
import { bold, bytes, count, percent, plural, rankShown, table } from '../format.ts'
import { expectToFit, sayNotes } from '../images.ts'
import { sayLoad } from '../load.ts'
import {
  changes,
  checksum,
  given,
  index,
  integer,
  json,
  optionLines,
  parse,
  policy,
  reading,
  value,
  workers,
} from '../options.ts'
import { complain, print, printJson } from '../output.ts'
import { expectHelpable, givenChecksum, givenPolicy } from '../own.ts'
import { Progress } from '../progress.ts'
import { readResult } from '../read-result.ts'
import { csv, saveCsv } from '../save-csv.ts'
import { report, saveReport } from '../save-report.ts'
import { interruptible } from '../signals.ts'
import { UsageError } from '../usage.ts'

const OTHERS = PEERS.map(({ name }) => name).filter((name) => name !== 'pagefold')
const STILL = 'pagefold-still'
/** The fewest with an interval of 95 % that leaves none out and a trial in the middle. */
const DEFAULT_TRIALS = 7
const DEFAULT_SOURCE = 'synth:demo,pages=16384'

const OPTIONS = {
  peers: value(
    'NAME,NAME',
    `${OTHERS.join(', ')} (default: all); one that is not available says why`,
    readPeers,
  ),
  trials: value(
    'N',
    `trials a peer, of which the medians are shown (default: ${DEFAULT_TRIALS})`,
    integer(1),
  ),
  index: index("pagefold's"),
  checksum: checksum("pagefold's"),
  policy: policy("pagefold's"),
  changes,
  written: value(
    'P,P',
    `rescans after so many per cent of all pages were written, by a seeded writer, with the same bytes and
with others (default: ${DEFAULT_WRITTEN.join(',')}); none: not measured`,
    readWritten,
  ),
  running: value(
    'N',
    `guests that write while pagefold and ksmd scan them in batches, for N full scans: bytes saved against
processor time (default: ${DEFAULT_RUNNING}); 0: not measured`,
    integer(0, 1000),
  ),
  workers: workers("threads that take checksums ahead of pagefold's scan (default: 0, as ksmd has)"),
  baseline: value(
    'FILE',
    `compare with an earlier run's --json: what changed beyond noise. Times are compared as multiples
of a peer's in the same run; slower means every trial slower than every earlier one, and the
medians more than 2 % apart. Exit 1 if something is`,
    (path) => ({ path, result: readBaseline(path) }),
  ),
  ...reading,
  csv: csv('bench', 'a trial of a peer a line'),
  report: report('peers side by side, curves, tables'),
  json: json(),
}

export const help = `usage: pagefold bench [SOURCE...] [options]

Merges the same pages with pagefold and its peers, each trial in a process of
its own, in turns, and compares the time to converge (two full scans) and of a
rescan. Every peer must merge the same pages with the same: one that does not,
or fails, is named, has no times, and makes the exit code 1. ${STILL} is
pagefold told that the guests hold still, and must merge the same in one scan;
pagefold-checksum reads every page in every scan, as ksmd does.
Then guests write, and what the next scan takes is measured, by what part of the
pages was written; and what is saved while they write and are scanned.
Then pagefold's convergence curve: what it has saved after how many bytes
scanned and how much processor time, against the best possible.

  SOURCE                as for scan (default: ${DEFAULT_SOURCE})
${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(OPTIONS, args)
  const {
    peers,
    trials = DEFAULT_TRIALS,
    written = DEFAULT_WRITTEN,
    running = DEFAULT_RUNNING,
    index = DEFAULT_INDEX,
    checksum = DEFAULT_CHECKSUM,
    workers,
    policy,
    baseline,
  } = values
  expectHelpable(checksum, workers)
  await givenChecksum(checksum)
  if (policy !== undefined) await givenPolicy(policy)
  const { format, absent } = values
  const sources = positionals.length > 0 ? positionals : [DEFAULT_SOURCE]
  const images = openSources(sources, given({ format, absent }))
  sayNotes(images)
  expectToFit(images)
  const progress = new Progress()
  try {
    const measured = await interruptible((stop) =>
      bench({
        images,
        trials,
        written,
        running,
        index,
        checksum,
        ...given({ peers, workers, policy, changes: values.changes }),
        onProgress: (done, of, peer) => progress.show('bench', done, of, `trials, now ${peer}`),
        stop,
      }),
    )
    progress.clear()
    const result = about(measured)
    sayLoad('while the peers merged', result.load)
    const since = baseline === undefined ? undefined : compare(baseline.result, result)
    if (values.json) printJson(since === undefined ? result : { ...result, changes: since })
    else print([describe(result), ...(since === undefined ? [] : [describeChanges(since)])].join('\n\n'))
    await saveCsv(values.csv, 'bench', result)
    if (values.report !== undefined) await saveReport(values.report, benchReport(result, since), values.json)
    const failed = [...Object.entries(result.peers), ...Object.entries(result.running?.peers ?? {})].flatMap(
      ([name, peer]) => ('failed' in peer ? [[name, whyMissing(peer)]] : []),
    )
    for (const [name, why] of failed) complain(`${name}: ${why}`)
    return failed.length > 0 || since?.some(({ verdict }) => verdict === 'slower') ? 1 : 0
  } catch (error) {
    if (error instanceof NotComparable) throw new UsageError(`--baseline ${baseline?.path}: ${error.message}`)
    progress.clear()
    if (!(error instanceof NothingToCompare || error instanceof TrialFailed)) throw error
    complain(error.message)
    return 1
  } finally {
    for (const image of images) image.close()
  }
}

function describe(result: BenchResult): string {
  const rows = Object.entries(result.peers).filter(([, peer]) => hasTimes(peer)) as [string, PeerResult][]
  const missing = Object.entries(result.peers).flatMap(([name, peer]) =>
    hasTimes(peer) ? [] : [`${name}: ${whyMissing(peer)}`],
  )
  const { pages_shared, pages_sharing, pages_unshared } = result.counters
  const threads = result.workers === 0 ? '' : `pagefold with ${plural(result.workers, 'helper thread')}; `
  const reading = result.changes_policy === 'checksum' ? 'pagefold reads every page in every scan; ' : ''
  const head = `${plural(result.pages, 'page')}, ${bytes(result.pages * PAGE_SIZE)}; ${threads}${reading}every peer below: pages_shared ${count(pages_shared)}, pages_sharing ${count(pages_sharing)}, pages_unshared ${count(pages_unshared)}, digest ${result.digest}`
  const range = ({ low, high }: Figure, digits: number): string =>
    `${low.toFixed(digits)}..${high.toFixed(digits)}`
  const clock =
    result.clock === 'processor'
      ? 'Processor time.'
      : 'Time as it passes, because pagefold has more than one thread; of ksmd, processor time.'
  const shared = rows.map(([, { rank }]) => rank)
  return [
    bold(head),
    table([
      { title: 'peer', cells: rows.map(([name]) => name) },
      { title: 'ns/page', cells: rows.map(([, { converge }]) => converge.median.toFixed(0)) },
      { title: 'from..to', cells: rows.map(([, { converge }]) => range(converge, 0)) },
      { title: 'rescan', cells: rows.map(([, { rescan }]) => rescan.median.toFixed(0)) },
      { title: 'over pagefold', cells: rows.map(([, peer]) => peer.over_pagefold.median.toFixed(2)) },
      { title: 'from..to', cells: rows.map(([, peer]) => range(peer.over_pagefold, 2)) },
      { title: 'rank', cells: rows.map(([, { rank }]) => rankShown(rank, shared)) },
    ]),
    `${clock} ns/page: to converge, the median of the trials; over pagefold: of the same round. ${howToRead(rows[0]![1].converge)}`,
    ...describeWritten(result),
    ...describeRunning(result),
    ...describeStill(result),
    describeCurve(result),
    ...missing,
  ].join('\n\n')
}

function describeStill({ still }: BenchResult): string[] {
  if (still === undefined) return []
  const { scanned_bytes, bytes_saved, of_best, linux_over, linux_over_cpu } = still
  const times = ({ median, low, high }: Figure): string =>
    `${median.toFixed(1)} (${low.toFixed(1)}..${high.toFixed(1)})`
  const speed =
    linux_over === null || linux_over_cpu === null
      ? ''
      : ` ksmd takes ${times(linux_over)} times as long to the same point, ` +
        `${times(linux_over_cpu)} times the processor time.`
  return [
    `${STILL} has read each page once, ${bytes(scanned_bytes)}, and saved ${bytes(bytes_saved)}: ` +
      `${(100 * of_best).toFixed(1)} % of the best possible.${speed}`,
  ]
}

/** Lines of the curve: what was saved after each of so many equal parts of the way. */
const CURVE_LINES = 12

function describeCurve({ pages, curve }: BenchResult): string {
  const { best, samples } = curve
  const { points } = samples[0]!
  const step = Math.max(1, Math.floor((points.length - 1) / CURVE_LINES))
  const shown = points.filter((_, i) => i % step === 0 && i > 0)
  const soon =
    curve.cpu_ms_to_90 === null
      ? `Nine tenths of the best possible are not reached.`
      : `Nine tenths of the best possible are saved after ${bytes(curve.scanned_bytes_to_90!)} scanned, ` +
        `${curve.cpu_ms_to_90.toFixed(1)} ms of processor time.`
  return [
    bold(
      `How pagefold gets there; the best possible saves ${bytes(best.bytes_saved)} of ${bytes(pages * PAGE_SIZE)}`,
    ),
    table([
      { title: 'scanned', cells: shown.map(([scanned]) => bytes(scanned)) },
      { title: 'cpu ms', cells: shown.map(([, cpu]) => cpu.toFixed(1)) },
      { title: 'saved', cells: shown.map(([, , saved]) => bytes(saved)) },
      { title: 'of the best', cells: shown.map(([, , saved]) => percent(saved, best.bytes_saved)) },
    ]),
    `${soon} Over three scans ${(100 * curve.area).toFixed(0)} % of the best possible is saved on average. ` +
      `A scan that finds nothing takes ${curve.rescan_cpu_ms.toFixed(1)} ms. ` +
      `Of ${bytes(curve.bytes_saved)} saved, ${bytes(curve.net_profit)} are left after ${bytes(curve.metadata_bytes)} of records.`,
  ].join('\n')
}

/** What changed since an earlier run. */
export function describeChanges(changes: readonly MetricChange[]): string {
  const [{ over }] = changes as [MetricChange]
  const figure = ({ median, min, max }: MetricChange['before']): string =>
    `${median.toPrecision(3)} (${min.toPrecision(3)}..${max.toPrecision(3)})`
  return [
    bold(
      `Against the baseline${over === null ? ', in plain times: no peer is in both' : `, as multiples of ${over}`}`,
    ),
    table([
      { title: 'metric', cells: changes.map(({ metric }) => metric) },
      { title: 'before', cells: changes.map(({ before }) => figure(before)) },
      { title: 'now', cells: changes.map(({ after }) => figure(after)) },
      { title: 'change', cells: changes.map(({ change }) => `${(100 * change).toFixed(1)} %`) },
      { title: 'verdict', cells: changes.map(({ verdict }) => verdict) },
    ]),
  ].join('\n')
}

function readPeers(text: string, option: string): readonly string[] {
  const peers = text.split(',').filter((name) => name !== '')
  const unknown = peers.find((name) => !OTHERS.includes(name) && name !== 'pagefold')
  if (unknown === undefined) return peers
  throw new UsageError(`${option}: no peer "${unknown}"; there are: ${OTHERS.join(', ')}`)
}

function readBaseline(path: string): BenchResult {
  const what = `--baseline ${path}`
  const result = readResult(what, path, 'pagefold bench') as unknown as BenchResult
  if (result.peers?.pagefold !== undefined && result.curve?.samples?.length > 0) return result
  throw new UsageError(`${what}: not what pagefold bench --json prints`)
}
