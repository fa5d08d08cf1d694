// Merge throughput beside its peers: the same bytes, in the same run, each trial in a process of its own, the peers
// taking turns so that a machine that slows down slows all of them. Only ratios mean anything.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ChecksumName, type Image, type IndexName, PAGE_SIZE } from '../../src/index.ts'
import { type BestPossible, bestPossible, median, type Spread, spread } from '../../src/lab/index.ts'
import type { BenchResult, PeerResult, StillResult } from '../../src/report/index.ts'
import { PEERS } from '../peers/index.ts'
import { linux } from '../peers/linux.ts'
import { pagefoldStill } from '../peers/pagefold.ts'
import type { Task } from '../peers/peer.ts'
import { type CurveTrial, curveResult } from './curve.ts'
import { theseVersions, thisMachine } from './machine.ts'
import type { TrialReport } from './trial.ts'

const TRIAL = fileURLToPath(new URL('./trial.js', import.meta.url))
const CHUNK_PAGES = 4096

export interface BenchOptions {
  readonly images: readonly Image[]
  /** Names of peers beside pagefold. Default: all. */
  readonly peers?: readonly string[]
  readonly index: IndexName
  readonly checksum: ChecksumName
  /** Threads that hash ahead of pagefold's scan. Default: 0. */
  readonly workers?: number
  /** Trials a peer. */
  readonly trials: number
  readonly onProgress?: (done: number, of: number, peer: string) => void
}

/** Two peers merged differently: the one thing a bench must not shrug at. */
export class Disagreement extends Error {}

export function bench(options: BenchOptions): BenchResult {
  const { index, checksum, workers = 0 } = options
  const peers = PEERS.filter(({ name }) => name === 'pagefold' || (options.peers?.includes(name) ?? true))
  const missing = new Map<string, string>()
  for (const { name, unavailable } of peers) {
    const why = unavailable()
    if (why !== undefined) missing.set(name, why)
  }
  const present = peers.filter(({ name }) => !missing.has(name))
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-'))
  try {
    const { input_digest, ...input } = writeImages(dir, options.images)
    const task = { ...input, maxPageSharing: 256, index, checksum, workers }
    const reports = new Map<string, TrialReport[]>(present.map(({ name }) => [name, []]))
    const curves: CurveTrial[] = []
    let done = 0
    const turn = <Report>(name: string): Report => {
      options.onProgress?.(done++, options.trials * (present.length + 1), name)
      return spawnTrial<Report>(name, task)
    }
    for (let trial = 0; trial < options.trials; trial++) {
      for (const { name } of present) reports.get(name)!.push(turn<TrialReport>(name))
      curves.push(turn<CurveTrial>('curve'))
    }
    const merged = mergeResult(task, reports, missing)
    const best = bestPossible(options.images)
    const still = reports.has(pagefoldStill.name)
      ? stillResult(task.pages, reports, best, spawnTrial<CurveTrial>('curve-still', task))
      : undefined
    return {
      pages: task.pages,
      sources: options.images.map(({ source }) => source),
      machine: thisMachine(),
      versions: theseVersions(),
      index,
      checksum,
      workers,
      input_digest,
      ...merged,
      ...(still === undefined ? {} : { still }),
      curve: curveResult(curves, best),
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** Writes the images as raw files: every peer reads the same ones. */
function writeImages(
  dir: string,
  images: readonly Image[],
): Pick<Task, 'images' | 'pages'> & { input_digest: string } {
  const hash = createHash('sha256')
  const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  const paths = images.map((image, i) => {
    const path = join(dir, `image-${i}.raw`)
    const fd = openSync(path, 'w')
    for (let first = 0; first < image.pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, image.pages - first)
      const bytes = chunk.subarray(0, count * PAGE_SIZE)
      image.read(first, count, bytes)
      hash.update(bytes)
      writeSync(fd, bytes)
    }
    closeSync(fd)
    return path
  })
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  return { images: paths, pages, input_digest: hash.digest('hex') }
}

function spawnTrial<Report>(peer: string, task: Task): Report {
  const { status, stdout, stderr, signal } = spawnSync(
    process.execPath,
    [TRIAL, peer, JSON.stringify(task)],
    {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    },
  )
  if (status !== 0) throw new Error(`the ${peer} peer failed (${signal ?? `exit ${status}`}):\n${stderr}`)
  return JSON.parse(stdout) as Report
}

function mergeResult(
  task: Task,
  reports: Map<string, TrialReport[]>,
  missing: Map<string, string>,
): Pick<BenchResult, 'digest' | 'counters' | 'peers' | 'ratios'> {
  const [reference] = reports.get('pagefold')!
  const { digest, counters } = reference!
  for (const [name, trials] of reports) {
    for (const trial of trials) {
      if (trial.digest === digest && JSON.stringify(trial.counters) === JSON.stringify(counters)) continue
      const theirs = JSON.stringify({ ...trial.counters, digest: trial.digest })
      throw new Disagreement(
        `${name} merged otherwise than pagefold: ${theirs}, not ${JSON.stringify({ ...counters, digest })}`,
      )
    }
  }
  const results: [string, PeerResult | { unavailable: string }][] = [...reports].map(([name, trials]) => [
    name,
    peerResult(trials, task.pages),
  ])
  for (const [name, unavailable] of missing) results.push([name, { unavailable }])
  const ours = peerResult(reports.get('pagefold')!, task.pages).converge_ns_per_page
  const ratios = [...reports.keys()]
    .filter((name) => name !== 'pagefold')
    .map((name) => [name, peerResult(reports.get(name)!, task.pages).converge_ns_per_page / ours] as const)
  return {
    digest,
    counters,
    peers: Object.fromEntries(results),
    ratios: Object.fromEntries(ratios),
  }
}

function stillResult(
  pages: number,
  reports: ReadonlyMap<string, readonly TrialReport[]>,
  best: BestPossible,
  { points }: CurveTrial,
): StillResult {
  const ours = reports.get(pagefoldStill.name)!
  const bytes_saved = ours[0]!.counters.pages_sharing * PAGE_SIZE
  const theirs = reports.get(linux.name)
  const over = (time: 'converge_ns' | 'converge_cpu_ns'): Spread | null =>
    theirs === undefined ? null : spread(theirs.map((trial, i) => trial[time]! / ours[i]![time]!))
  return {
    scanned_bytes: pages * PAGE_SIZE,
    bytes_saved,
    of_best: best.bytes_saved === 0 ? 1 : bytes_saved / best.bytes_saved,
    linux_over: over('converge_ns'),
    linux_over_cpu: over('converge_cpu_ns'),
    points,
  }
}

function peerResult(trials: readonly TrialReport[], pages: number): PeerResult {
  const samples = trials.map(({ converge_ns, rescan_ns }) => ({
    converge_ns_per_page: converge_ns / pages,
    rescan_ns_per_page: rescan_ns / pages,
  }))
  return {
    converge_ns_per_page: median(samples.map((sample) => sample.converge_ns_per_page)),
    rescan_ns_per_page: median(samples.map((sample) => sample.rescan_ns_per_page)),
    samples,
  }
}
