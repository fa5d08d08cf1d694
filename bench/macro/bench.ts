// Merge throughput beside its peers: the same bytes, in the same run, each trial in a process of its own, the peers
// taking turns so that a machine that slows down slows all of them. Only ratios mean anything.

import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Image, type IndexName, PAGE_SIZE, PagefoldError } from '../../src/index.ts'
import { type BestPossible, bestPossible, median, type Spread, spread } from '../../src/lab/index.ts'
import type { BenchResult, PeerMissing, PeerResult, StillResult } from '../../src/report/index.ts'
import { loadChecksum, loadPolicy } from '../own.ts'
import { PEERS } from '../peers/index.ts'
import { linux } from '../peers/linux.ts'
import { pagefoldStill } from '../peers/pagefold.ts'
import type { Task } from '../peers/peer.ts'
import { type RunTrial, runTrial, TrialFailed } from './children.ts'
import { type CurveTrial, curveResult } from './curve.ts'
import { theseVersions, thisMachine } from './machine.ts'
import type { TrialReport } from './trial.ts'

const CHUNK_PAGES = 4096

export interface BenchOptions {
  readonly images: readonly Image[]
  /** Names of peers beside pagefold. Default: all. */
  readonly peers?: readonly string[]
  readonly index: IndexName
  /** A name, or the path of a file (bench/own.ts). */
  readonly checksum: string
  /** The path of a policy's file. */
  readonly policy?: string
  /** Threads that hash ahead of pagefold's scan. Default: 0. */
  readonly workers?: number
  /** Trials a peer. */
  readonly trials: number
  readonly onProgress?: (done: number, of: number, peer: string) => void
  /** Told when the bench is to end before it is done. */
  readonly stop?: AbortSignal
  /** How a trial is made. Default: in a process of its own. */
  readonly trial?: RunTrial
}

/** pagefold itself came to no result, so there is nothing to compare others with. */
export class NothingToCompare extends Error {}

/** Never told to stop. */
const NEVER = new AbortController().signal

/**
 * Compares the peers. One that fails, or merges otherwise than pagefold, is said to have failed and the others go on. Rejects
 * with `stop`'s reason when told to stop, with NothingToCompare; whatever was written or started is gone then.
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { index, checksum, workers = 0, stop = NEVER, trial: run = runTrial } = options
  const peers = PEERS.filter(({ name }) => name === 'pagefold' || (options.peers?.includes(name) ?? true))
  const missing = new Map<string, PeerMissing>()
  for (const { name, unavailable } of peers) {
    const why = unavailable()
    if (why !== undefined) missing.set(name, { unavailable: why })
  }
  const present = peers.filter(({ name }) => !missing.has(name))
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-'))
  try {
    const { input_digest, ...input } = await writeImages(dir, options.images, stop)
    const own = await namesOf(options)
    const given = options.policy === undefined ? {} : { policy: options.policy }
    const task = { ...input, maxPageSharing: 256, index, checksum, ...given, workers, scratch: dir }
    const reports = new Map<string, TrialReport[]>(present.map(({ name }) => [name, []]))
    const curves: CurveTrial[] = []
    let done = 0
    const turn = (name: string): Promise<unknown> => {
      options.onProgress?.(done++, options.trials * (present.length + 1), name)
      return run(name, task, stop)
    }
    for (let trial = 0; trial < options.trials; trial++) {
      for (const [name, trials] of reports) {
        try {
          trials.push((await turn(name)) as TrialReport)
          expectAgreement(name, reports)
        } catch (error) {
          if (!(error instanceof TrialFailed)) throw error
          if (name === 'pagefold') throw new NothingToCompare(`pagefold failed: ${error.message}`)
          reports.delete(name)
          missing.set(name, { failed: error.message })
        }
      }
      curves.push((await turn('curve')) as CurveTrial)
    }
    const merged = mergeResult(task, reports, missing)
    const best = bestPossible(options.images)
    const still = reports.has(pagefoldStill.name)
      ? stillResult(task.pages, reports, best, (await run('curve-still', task, stop)) as CurveTrial)
      : undefined
    return {
      pages: task.pages,
      sources: options.images.map(({ source }) => source),
      machine: thisMachine(),
      versions: theseVersions(),
      index,
      ...own,
      workers,
      input_digest,
      ...merged,
      ...(still === undefined ? {} : { still }),
      curve: curveResult(curves, best),
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The names of what pagefold was told to scan with. */
async function namesOf({
  checksum,
  policy,
}: BenchOptions): Promise<Pick<BenchResult, 'checksum' | 'policy'>> {
  const own = await loadChecksum(checksum)
  const name = typeof own === 'string' ? own : own.name
  return { checksum: name, ...(policy === undefined ? {} : { policy: (await loadPolicy(policy)).name }) }
}

/** Throws TrialFailed if a peer's last trial merged otherwise than pagefold's first. */
function expectAgreement(name: string, reports: ReadonlyMap<string, readonly TrialReport[]>): void {
  const merge = ({ counters, digest }: TrialReport): string => JSON.stringify({ ...counters, digest })
  const [ours, theirs] = [merge(reports.get('pagefold')![0]!), merge(reports.get(name)!.at(-1)!)]
  if (theirs !== ours) throw new TrialFailed(`merged otherwise than pagefold: ${theirs}, not ${ours}`)
}

/** Writes the images as raw files: every peer reads the same ones. */
async function writeImages(
  dir: string,
  images: readonly Image[],
  stop: AbortSignal,
): Promise<Pick<Task, 'images' | 'pages'> & { input_digest: string }> {
  const hash = createHash('sha256')
  const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  const paths: string[] = []
  for (const [i, image] of images.entries()) {
    const path = join(dir, `image-${i}.raw`)
    const fd = openSync(path, 'w')
    try {
      for (let first = 0; first < image.pages; first += CHUNK_PAGES) {
        const count = Math.min(CHUNK_PAGES, image.pages - first)
        const bytes = chunk.subarray(0, count * PAGE_SIZE)
        image.read(first, count, bytes)
        hash.update(bytes)
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
        await new Promise(setImmediate) // a signal is heard here
        stop.throwIfAborted()
      }
    } catch (cause) {
      const { syscall, code } = cause as NodeJS.ErrnoException
      if (syscall !== 'write') throw cause
      throw new PagefoldError('ENOSPC', `${path}: cannot be written (${code})`, { cause })
    } finally {
      closeSync(fd)
    }
    paths.push(path)
  }
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  return { images: paths, pages, input_digest: hash.digest('hex') }
}

function mergeResult(
  task: Task,
  reports: Map<string, TrialReport[]>,
  missing: ReadonlyMap<string, PeerMissing>,
): Pick<BenchResult, 'digest' | 'counters' | 'peers' | 'ratios'> {
  const [reference] = reports.get('pagefold')!
  const { digest, counters } = reference!
  const results: [string, PeerResult | PeerMissing][] = [...reports].map(([name, trials]) => [
    name,
    peerResult(trials, task.pages),
  ])
  results.push(...missing)
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
