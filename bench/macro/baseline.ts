// Two runs of the bench compared: what changed beyond noise. Times of two runs cannot be compared as they are, because the
// machine was another or in another mood; so each of pagefold's trials is divided by a peer's trial next to it, where
// both runs have that peer.

import { type Spread, spread } from '../../src/lab/index.ts'
import {
  type BenchResult,
  hasRun,
  hasTimes,
  type MetricChange,
  type PeerResult,
  type WrittenResult,
} from '../../src/report/index.ts'

/** Medians closer than this are the same, however steady the machine. */
const NEGLIGIBLE = 0.02
const ENOUGH_TRIALS = 3

/** Peers to divide by, the steadiest first. */
const YARDSTICKS = ['native-inline', 'native', 'js', 'linux'] as const

/** The two runs have not measured the same thing. */
export class NotComparable extends Error {}

/** Compares two results. Throws NotComparable unless both merged the same pages of the same images. */
export function compare(before: BenchResult, after: BenchResult): MetricChange[] {
  for (const name of ['pages', 'input_digest', 'digest', 'index', 'checksum', 'policy'] as const) {
    if (before[name] === after[name]) continue
    throw new NotComparable(`the baseline has ${name} ${before[name]}, this run ${after[name]}`)
  }
  const [old, now] = [before.workers ?? 0, after.workers]
  if (old !== now) throw new NotComparable(`the baseline has ${old} workers, this run ${now}`)
  const [then, today] = [before.clock ?? 'wall', after.clock]
  if (then !== today) throw new NotComparable(`the baseline has ${then} time, this run ${today} time`)
  const over = YARDSTICKS.find((name) => resultOf(before, name) && resultOf(after, name)) ?? null
  const metrics = ['converge_ns_per_page', 'rescan_ns_per_page'] as const
  const changes = metrics.map((metric) =>
    changeOf(metric, over, samplesOf(before, metric, over), samplesOf(after, metric, over)),
  )
  const [soon, sooner] = [timesTo90(before, over), timesTo90(after, over)]
  if (soon.length > 0 && sooner.length > 0) changes.push(changeOf('cpu_ms_to_90', over, soon, sooner))
  changes.push(...changesWritten(before, after, over))
  if (before.running?.batches === after.running?.batches) {
    const [ran, runs] = [timesRunning(before, over), timesRunning(after, over)]
    if (ran.length > 0) changes.push(changeOf('time while guests run', over, ran, runs))
  }
  // How much of the curve's area is missed knows no clock.
  changes.push(changeOf('area missed', null, missedOf(before), missedOf(after)))
  return changes
}

function changeOf(
  metric: string,
  over: string | null,
  before: readonly number[],
  after: readonly number[],
): MetricChange {
  const [old, now] = [spread(before), spread(after)]
  const change =
    old.median === 0 ? (now.median === 0 ? 0 : Number.POSITIVE_INFINITY) : now.median / old.median - 1
  return {
    metric,
    over,
    before: old,
    after: now,
    change,
    verdict: verdictOf(old, now, change, before, after),
  }
}

function verdictOf(
  old: Spread,
  now: Spread,
  change: number,
  before: readonly number[],
  after: readonly number[],
): MetricChange['verdict'] {
  if (Math.min(before.length, after.length) < ENOUGH_TRIALS) return 'too few trials'
  if (Math.abs(change) <= NEGLIGIBLE) return 'same'
  if (now.min > old.max) return 'slower'
  if (now.max < old.min) return 'faster'
  return 'same'
}

function samplesOf(
  result: BenchResult,
  metric: 'converge_ns_per_page' | 'rescan_ns_per_page',
  over: string | null,
): number[] {
  const ours = resultOf(result, 'pagefold')!.samples
  const theirs = over === null ? undefined : resultOf(result, over)!.samples
  return ours.map((sample, i) => sample[metric] / (theirs === undefined ? 1 : theirs[i]![metric]))
}

/** Scans after guests have written, those that both runs have. */
function changesWritten(before: BenchResult, after: BenchResult, over: string | null): MetricChange[] {
  return (before.written ?? []).flatMap((old) => {
    const { written_percent, written_with } = old
    const now = after.written?.find(
      (row) => row.written_percent === written_percent && row.written_with === written_with,
    )
    if (now === undefined) return []
    const metric = `scan after ${written_percent} % written${written_percent === 0 ? '' : `, ${written_with}`}`
    return [changeOf(metric, over, timesOf(old, over), timesOf(now, over))]
  })
}

function timesOf({ peers }: WrittenResult, over: string | null): number[] {
  const theirs = over === null ? undefined : peers[over]!.scan.samples
  return peers.pagefold!.scan.samples.map((time, i) => (theirs === undefined ? time : time / theirs[i]!))
}

/** Processor time to nine tenths of the best, by trial; none if a trial never got there. */
function timesTo90(result: BenchResult, over: string | null): number[] {
  const theirs = over === null ? undefined : resultOf(result, over)!.samples
  const times = result.curve.samples.map(({ cpu_ms_to_90 }, i) => {
    if (cpu_ms_to_90 === null) return undefined
    const nsPerPage = (cpu_ms_to_90 * 1e6) / result.pages
    return theirs === undefined ? nsPerPage : nsPerPage / theirs[i]!.converge_ns_per_page
  })
  return times.every((time) => time !== undefined) ? times : []
}

/** Processor time of all batches while guests ran, by trial; none where that was not measured. */
function timesRunning({ running, pages, ...result }: BenchResult, over: string | null): number[] {
  const ours = running?.peers.pagefold
  if (!hasRun(ours)) return []
  const theirs = over === null ? undefined : resultOf(result, over)!.samples
  return ours.cpu.samples.map((ms, i) => {
    const nsPerPage = (ms * 1e6) / pages
    return theirs === undefined ? nsPerPage : nsPerPage / theirs[i]!.converge_ns_per_page
  })
}

function missedOf(result: BenchResult): number[] {
  return result.curve.samples.map(({ area }) => 1 - area)
}

function resultOf(result: Pick<BenchResult, 'peers'>, name: string): PeerResult | undefined {
  const peer = result.peers[name]
  return hasTimes(peer) ? peer : undefined
}
