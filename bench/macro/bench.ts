// Merge throughput beside its peers: the same bytes, in the same run, each trial in a process of its own, the peers
// taking turns, in an order drawn for each round, so that a machine that slows down slows all of them. Only ratios mean anything.

import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ChangesPolicy,
  type Image,
  type IndexName,
  PAGE_SIZE,
  PagefoldError,
  systemClock,
} from '../../src/index.ts'
import { bestPossible, type Candidate, inRounds, type Lap, ORDER_SEED } from '../../src/lab/index.ts'
import type { BenchResult, PeerMissing } from '../../src/report/index.ts'
import { loadChecksum, loadPolicy } from '../own.ts'
import { PEERS } from '../peers/index.ts'
import { linux } from '../peers/linux.ts'
import { pagefoldStill } from '../peers/pagefold.ts'
import type { Task } from '../peers/peer.ts'
import { WRITER_SEED } from '../peers/writer.ts'
import { type RunTrial, runTrial, TrialFailed } from './children.ts'
import { type CurveTrial, curveResult } from './curve.ts'
import { theseVersions, thisMachine } from './machine.ts'
import { lapOf, mergeResult, type Reports, stillResult } from './results.ts'
import { RunningTrials } from './running.ts'
import type { MergedReport, TrialReport } from './trial.ts'
import { writtenResults } from './written.ts'

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
  /** How pagefold knows what was written. Default: `log`. */
  readonly changes?: ChangesPolicy
  /** Threads that hash ahead of pagefold's scan. Default: 0. */
  readonly workers?: number
  /** After how many per cent of all pages written rescans are measured. Default: none are. */
  readonly written?: readonly number[]
  /** For how many full scans guests run while they are scanned in batches. Default: 0, not at all. */
  readonly running?: number
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
  const { index, checksum, changes = 'log', workers = 0, written = [], running = 0 } = options
  const { stop = NEVER, trial: run = runTrial } = options
  const peers = PEERS.filter(({ name }) => name === 'pagefold' || (options.peers?.includes(name) ?? true))
  const missing = new Map<string, PeerMissing>()
  for (const { name, unavailable } of peers) {
    const why = unavailable({ changes })
    if (why !== undefined) missing.set(name, { unavailable: why })
  }
  const present = peers.filter(({ name }) => !missing.has(name))
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-'))
  try {
    const { input_digest, ...input } = await writeImages(dir, options.images, stop)
    const own = await namesOf(options)
    const given = options.policy === undefined ? {} : { policy: options.policy }
    const task = {
      ...input,
      maxPageSharing: 256,
      index,
      checksum,
      changes,
      ...given,
      workers,
      written,
      running,
      scratch: dir,
    }
    const reports = new Map<string, TrialReport[]>(present.map(({ name }) => [name, []]))
    const curves: CurveTrial[] = []
    const leaveOut = (name: string, failed: string): void => {
      if (name === 'pagefold') throw new NothingToCompare(`pagefold failed: ${failed}`)
      reports.delete(name)
      missing.set(name, { failed })
    }
    const trialOf = async (name: string): Promise<Lap | undefined> => {
      try {
        const report = (await run(name, task, stop)) as TrialReport
        reports.get(name)!.push(report)
        return lapOf(name, report)
      } catch (error) {
        if (!(error instanceof TrialFailed)) throw error
        leaveOut(name, error.message)
        return undefined
      }
    }
    const curve = async (): Promise<Lap> => {
      const trial = (await run('curve', task, stop)) as CurveTrial
      curves.push(trial)
      const cpu_ms = trial.points.at(-1)![1]
      return { cpu_ms, wall_ms: cpu_ms }
    }
    const candidates: Candidate[] = present.map(({ name }) => ({
      name,
      lap: async () => (reports.has(name) ? trialOf(name) : undefined),
    }))
    const whileRunning = new RunningTrials(task, peers, missing)
    const runners = whileRunning.candidates(run, stop, leaveOut)
    const { load } = await inRounds([...candidates, { name: 'curve', lap: curve }, ...runners], {
      rounds: options.trials,
      ours: familyCpuTime,
      // Not sooner: pagefold's own trial, which the others are held against, may be the last of its round.
      onRound: () => {
        expectAgreement(reports, options, leaveOut)
        whileRunning.expectAgreement()
      },
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    })
    const clock = workers === 0 ? 'processor' : 'wall'
    const merged = mergeResult(task.pages, clock, reports, missing)
    const rows = writtenResults(task.pages, clock, reports)
    const guests = whileRunning.result()
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
      changes_policy: changes,
      workers,
      clock,
      order_seed: ORDER_SEED,
      load,
      input_digest,
      ...merged,
      ...(rows.length === 0 ? {} : { written: rows }),
      ...(guests === undefined ? {} : { running: guests }),
      ...(rows.length === 0 && guests === undefined ? {} : { writer_seed: WRITER_SEED }),
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

/** Leaves out who merged otherwise in its last trial than pagefold in its first. */
function expectAgreement(
  reports: Reports,
  { index, checksum }: Pick<BenchOptions, 'index' | 'checksum'>,
  leaveOut: (name: string, failed: string) => void,
): void {
  const tells = checksum !== 'none'
  for (const [name, trials] of [...reports]) {
    const terms: Terms = { tells, samePages: tells && index === 'content' && name === linux.name }
    const ours = momentsOf(reports.get('pagefold')![0]!, terms)
    const other = momentsOf(trials.at(-1)!, terms).find(({ merged }, i) => merged !== ours[i]!.merged)
    if (other === undefined) continue
    const { when, merged } = other
    const expected = ours.find((one) => one.when === when)!.merged
    leaveOut(name, `merged otherwise than pagefold${when}: ${merged}, not ${expected}`)
  }
}

/** What is asked of two peers in rows after writes. */
interface Terms {
  /** Their checksum tells what was written. */
  readonly tells: boolean
  /**
   * They choose alike among the merged pages of one content, so that each page has come back to the same ones: ksmd and whoever
   * has its order of the trees, in which a search changes the chains that it passes.
   */
  readonly samePages: boolean
}

/** What a trial had merged, at each moment at which all must have merged the same. */
function momentsOf(
  trial: TrialReport,
  { tells, samePages }: Terms,
): { readonly when: string; readonly merged: string }[] {
  const told = ({ counters, digest }: MergedReport): string =>
    JSON.stringify(samePages ? { ...counters, digest } : counters)
  const rows = (trial.written ?? []).flatMap(({ percent, written_with, after, settled }) => {
    const when = ` after ${percent} % of the pages were written with ${written_with}`
    return [
      // Where nothing tells that a page was written it may merge at once, as on no ksmd.
      ...(tells ? [{ when, merged: told(after) }] : []),
      { when: `${when} and two more scans`, merged: told(settled) },
    ]
  })
  const { counters, digest } = trial
  return [{ when: '', merged: JSON.stringify({ ...counters, digest }) }, ...rows]
}

/** Processor time of this process and of those it has started that have ended; undefined where that is not told. */
function familyCpuTime(): number | undefined {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    // cutime and cstime, in hundredths of a second: the 16th and 17th field, of which two are gone.
    return systemClock.cpu() + (Number(fields[13]) + Number(fields[14])) * 10
  } catch {
    return undefined
  }
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
