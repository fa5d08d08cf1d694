// What the trials of a bench come to: figures for each peer, and each beside pagefold, round by round.

import { PAGE_SIZE } from '../../src/index.ts'
import { type BestPossible, type Figure, figureOf, type Lap, ranksOf } from '../../src/lab/index.ts'
import type { BenchResult, PeerMissing, PeerResult, StillResult } from '../../src/report/index.ts'
import { linux } from '../peers/linux.ts'
import { pagefoldStill } from '../peers/pagefold.ts'
import type { CurveTrial } from './curve.ts'
import type { TrialReport } from './trial.ts'

/** All trials, by peer: one a round of each that has times. */
export type Reports = ReadonlyMap<string, readonly TrialReport[]>

type Clock = BenchResult['clock']

/** What a trial was as a turn in a round. ksmd works outside of any process. */
export function lapOf(name: string, trial: TrialReport): Lap {
  const { written = [] } = trial
  const sum = (first: number, rows: readonly number[]): number =>
    rows.reduce((all, row) => all + row, first) / 1e6
  const cpu_ms = sum(
    trial.converge_cpu_ns + trial.rescan_cpu_ns,
    written.map((row) => row.scan_cpu_ns),
  )
  const wall_ms = sum(
    trial.converge_ns + trial.rescan_ns,
    written.map((row) => row.scan_ns),
  )
  return { cpu_ms, wall_ms, outside_ms: name === linux.name ? cpu_ms : 0 }
}

/** Puts the peers' trials together. */
export function mergeResult(
  pages: number,
  clock: Clock,
  reports: Reports,
  missing: ReadonlyMap<string, PeerMissing>,
): Pick<BenchResult, 'digest' | 'counters' | 'peers' | 'ratios'> {
  const ours = reports.get('pagefold')!
  const { digest, counters } = ours[0]!
  const names = [...reports.keys()]
  const ratios = names.map((name) => over(reports.get(name)!, ours, clock))
  const ranks = ranksOf(ratios)
  const results = names.map((name, i): [string, PeerResult | PeerMissing] => {
    const times = peerTimes(reports.get(name)!, pages, clock)
    return [name, { ...times, over_pagefold: ratios[i]!, rank: ranks[i]! }]
  })
  return {
    digest,
    counters,
    peers: Object.fromEntries([...results, ...missing]),
    ratios: Object.fromEntries(
      names.flatMap((name, i) => (name === 'pagefold' ? [] : [[name, ratios[i]!.median]])),
    ),
  }
}

/** Time to converge over another's in the same round. */
function over(trials: readonly TrialReport[], others: readonly TrialReport[], clock: Clock): Figure {
  const time = clock === 'processor' ? 'converge_cpu_ns' : 'converge_ns'
  return figureOf(
    'ratio',
    trials.map((trial, round) => trial[time] / others[round]![time]),
  )
}

function peerTimes(
  trials: readonly TrialReport[],
  pages: number,
  clock: Clock,
): Omit<PeerResult, 'over_pagefold' | 'rank'> {
  const samples = trials.map((trial) => ({
    converge_ns_per_page: (clock === 'wall' ? trial.converge_ns : trial.converge_cpu_ns) / pages,
    rescan_ns_per_page: (clock === 'wall' ? trial.rescan_ns : trial.rescan_cpu_ns) / pages,
    converge_wall_ns_per_page: trial.converge_ns / pages,
    rescan_wall_ns_per_page: trial.rescan_ns / pages,
  }))
  const converge = figureOf(
    'ns',
    samples.map((sample) => sample.converge_ns_per_page),
  )
  const rescan = figureOf(
    'ns',
    samples.map((sample) => sample.rescan_ns_per_page),
  )
  return {
    converge_ns_per_page: converge.median,
    rescan_ns_per_page: rescan.median,
    converge,
    rescan,
    samples,
  }
}

/** What one scan of guests that hold still came to. */
export function stillResult(
  pages: number,
  reports: Reports,
  best: BestPossible,
  { points }: CurveTrial,
): StillResult {
  const ours = reports.get(pagefoldStill.name)!
  const bytes_saved = ours[0]!.counters.pages_sharing * PAGE_SIZE
  const theirs = reports.get(linux.name)
  return {
    scanned_bytes: pages * PAGE_SIZE,
    bytes_saved,
    of_best: best.bytes_saved === 0 ? 1 : bytes_saved / best.bytes_saved,
    linux_over: theirs === undefined ? null : over(theirs, ours, 'wall'),
    linux_over_cpu: theirs === undefined ? null : over(theirs, ours, 'processor'),
    points,
  }
}
