// The convergence curve: what a scan has saved after so many bytes and so much processor time. One figure for the end says
// nothing about how soon it came.

import { type GuestsPolicy, type MetadataStats, PAGE_SIZE } from '../../src/index.ts'
import { type BestPossible, figureOf, median } from '../../src/lab/index.ts'
import type { CurveFigures, CurvePoint, CurveResult } from '../../src/report/index.ts'
import { loadedHost } from '../peers/pagefold.ts'
import type { Task } from '../peers/peer.ts'

/** Points a full scan. */
const RESOLUTION = 50
/** Two scans merge, the third shows what a scan costs that finds nothing. */
const SCANS = 3

/** One run of the curve. */
export interface CurveTrial {
  readonly points: readonly CurvePoint[]
  readonly bytes_saved: number
  readonly metadata: MetadataStats
  readonly rescan_cpu_ms: number
}

/** Scans in small batches and notes after each what was saved; what noting costs is not counted. */
export async function runCurve(task: Task, policy: GuestsPolicy): Promise<CurveTrial> {
  const host = await loadedHost(task, policy)
  const batch = Math.max(1, Math.ceil(task.pages / RESOLUTION))
  const begin = host.ksm.counters()
  const points: CurvePoint[] = [[0, 0, 0]]
  let cpu = 0
  let converged = 0
  for (let scans = 0; scans < SCANS; ) {
    const before = process.cpuUsage()
    host.ksm.scanPages(batch)
    const { user, system } = process.cpuUsage(before)
    cpu += (user + system) / 1000
    const { pages_scanned, pages_sharing, ksm_zero_pages, full_scans } = host.ksm.counters()
    scans = full_scans - begin.full_scans
    if (scans < SCANS - 1) converged = cpu
    const scanned = (pages_scanned - begin.pages_scanned) * PAGE_SIZE
    points.push([scanned, Math.round(cpu * 1000) / 1000, (pages_sharing + ksm_zero_pages) * PAGE_SIZE])
  }
  return { points, bytes_saved: points.at(-1)![2], metadata: host.metadata(), rescan_cpu_ms: cpu - converged }
}

/** Reads the figures off a curve. `best` is the best possible, `horizon` three full scans, in bytes. */
export function figuresOf(points: readonly CurvePoint[], best: number, horizon: number): CurveFigures {
  const reached = points.find(([, , saved]) => best > 0 && saved >= 0.9 * best)
  let area = 0
  for (const [i, [scanned, , saved]] of points.entries()) {
    if (i === 0) continue
    const [scannedBefore, , savedBefore] = points[i - 1]!
    area += (scanned - scannedBefore) * ((saved + savedBefore) / 2)
  }
  const [scanned, , saved] = points.at(-1)!
  // Zero pages are visited no more once they are merged: the rest of the horizon stays as it is.
  area += Math.max(0, horizon - scanned) * saved
  return {
    scanned_bytes_to_90: reached?.[0] ?? null,
    cpu_ms_to_90: reached?.[1] ?? null,
    area: best === 0 ? 0 : area / (best * Math.max(horizon, scanned)),
  }
}

/** Puts the runs together. They scan the same pages in the same order, so only their times differ. */
export function curveResult(trials: readonly CurveTrial[], best: BestPossible): CurveResult {
  const samples = trials.map(({ points, rescan_cpu_ms }) => ({
    ...figuresOf(points, best.bytes_saved, SCANS * best.pages * PAGE_SIZE),
    rescan_cpu_ms,
    points,
  }))
  const [first] = trials
  const all = (values: readonly (number | null)[]): number[] | undefined =>
    values.some((value) => value === null) ? undefined : (values as number[])
  const scanned = all(samples.map(({ scanned_bytes_to_90 }) => scanned_bytes_to_90))
  const times = all(samples.map(({ cpu_ms_to_90 }) => cpu_ms_to_90))
  const cpu_to_90 = times === undefined ? null : figureOf('ms', times)
  const rescan_cpu = figureOf(
    'ms',
    samples.map((sample) => sample.rescan_cpu_ms),
  )
  return {
    best,
    bytes_saved: first!.bytes_saved,
    metadata_bytes: first!.metadata.total,
    net_profit: first!.bytes_saved - first!.metadata.total,
    scanned_bytes_to_90: scanned === undefined ? null : median(scanned),
    cpu_ms_to_90: cpu_to_90?.median ?? null,
    area: median(samples.map((sample) => sample.area)),
    rescan_cpu_ms: rescan_cpu.median,
    cpu_to_90,
    rescan_cpu,
    samples,
  }
}
