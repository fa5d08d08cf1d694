// What the benches compare: the same bytes, merged by ksmd's rules, by pagefold and by others. Each peer runs in a
// process of its own, once a trial.

import { type ChangesPolicy, type IndexName, systemClock } from '../../src/index.ts'
import type { MergeCounters } from '../../src/report/index.ts'
import { type Turn, turnsOf, type WrittenWith } from './writer.ts'

/** What every peer reports of one trial. Processor time is that of all threads; a peer that knows no other gives it twice. */
export interface Trial {
  /** Time until everything mergeable is merged: of two full scans, of one for `pagefold-still`. */
  readonly converge_ns: number
  /** Processor time of the same. */
  readonly converge_cpu_ns: number
  /** Time of one more, which finds nothing new. */
  readonly rescan_ns: number
  /** Processor time of the same. */
  readonly rescan_cpu_ns: number
  /** For each page, over all images in order, the first page whose frame it shares. */
  readonly places: Uint32Array
  readonly counters: MergeCounters
  /** After that, scans after which guests have written; absent of a peer whose guests hold still. */
  readonly written?: readonly WrittenTrial[]
}

/** What is merged at some moment. */
export interface Merged {
  readonly counters: MergeCounters
  /** For each page something that pages have in common which share a frame; in a trial, canonical. */
  readonly places: Uint32Array
}

/** One scan after guests have written. */
export interface WrittenTrial {
  readonly percent: number
  readonly written_with: WrittenWith
  readonly pages_written: number
  readonly scan_ns: number
  readonly scan_cpu_ns: number
  /** When that scan is over. */
  readonly after: Merged
  /** When what was written has had two more scans to merge. */
  readonly settled: Merged
}

/** Scans by a peer whose guests run. */
export interface RunningTrial {
  /** Processor time since the beginning, after each batch. */
  readonly cpu_ms: readonly number[]
  /** After each batch, before the next pages are written. */
  readonly bytes_saved: readonly number[]
  readonly elapsed_ms: number
  /** At the end. */
  readonly merged: Merged
}

/** What all peers are told: raw images and Linux's default limit on sharing. */
export interface Task {
  /** Raw files, whole pages. */
  readonly images: readonly string[]
  readonly pages: number
  readonly maxPageSharing: number
  /** For pagefold alone. */
  readonly index: IndexName
  /** A name, or the path of a file (bench/own.ts). */
  readonly checksum: string
  /** The path of a policy's file. */
  readonly policy?: string
  /** How pagefold knows what was written. */
  readonly changes: ChangesPolicy
  /** A directory for what a trial has to write; whoever made it removes it. */
  readonly scratch: string
  /** Threads that hash ahead of the scan. */
  readonly workers: number
  /** After how many per cent of all pages written a scan is to be measured. */
  readonly written: readonly number[]
  /** For how many full scans guests are to run that are scanned in batches. */
  readonly running: number
}

export interface Peer {
  readonly name: string
  /** With guests that run meanwhile; absent of a peer that does not scan in batches. */
  running?(task: Task): Promise<RunningTrial>
  /** Why it cannot run here, or not beside pagefold as the task has it; undefined if it can. */
  unavailable(task: Pick<Task, 'changes'>): string | undefined
  run(task: Task): Promise<Trial>
}

/**
 * Milliseconds, a day: chains are not pruned while a trial lasts. How long a scan takes would else decide which of several copies a
 * page joins.
 */
export const NEVER_PRUNED = 86_400_000

/** What a peer does for its guests to write. */
export interface Writable {
  /** Time a full scan takes. */
  scan(): Spent | Promise<Spent>
  write(turn: Turn): void
  merged(): Merged
}

/** Scans after a measured one: what was written merges in the first, and the second sees that nothing is new. */
const SETTLING = 2

/** Has guests write and measures the scan after each turn; every turn begins where nothing is left to do. */
export async function afterWrites(
  { pages, written }: Pick<Task, 'pages' | 'written'>,
  peer: Writable,
): Promise<WrittenTrial[]> {
  const trials: WrittenTrial[] = []
  for (const turn of turnsOf(pages, written)) {
    peer.write(turn)
    const { wall, cpu } = await peer.scan()
    const after = peer.merged()
    for (let i = 0; i < SETTLING; i++) await peer.scan()
    const { percent, written_with } = turn
    const told = { percent, written_with, pages_written: turn.pages.length }
    trials.push({ ...told, scan_ns: wall, scan_cpu_ns: cpu, after, settled: peer.merged() })
  }
  // Not between the scans: garbage would be collected while they are timed.
  const named = ({ counters, places }: Merged): Merged => ({ counters, places: canonical(places) })
  return trials.map((trial) => ({ ...trial, after: named(trial.after), settled: named(trial.settled) }))
}

/** Nanoseconds that passed, and of processor time. */
export interface Spent {
  readonly wall: number
  readonly cpu: number
}

/** Nanoseconds that passed while some work was done, and of processor time. */
export function timed(work: () => void): Spent {
  const [wall, cpu] = [systemClock.now(), systemClock.cpu()]
  work()
  const [cpuAfter, wallAfter] = [systemClock.cpu(), systemClock.now()]
  return { wall: (wallAfter - wall) * 1e6, cpu: (cpuAfter - cpu) * 1e6 }
}

/** Numbers places by their first page, so that two peers' answers can be compared whatever frame they kept. */
export function canonical(places: ArrayLike<number>): Uint32Array {
  const first = new Map<number, number>()
  return Uint32Array.from({ length: places.length }, (_, page) => {
    const place = places[page]!
    const known = first.get(place)
    if (known !== undefined) return known
    first.set(place, page)
    return page
  })
}
