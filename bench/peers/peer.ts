// What the benches compare: the same bytes, merged by ksmd's rules, by pagefold and by others. Each peer runs in a
// process of its own, once a trial.

import { type ChangesPolicy, type IndexName, systemClock } from '../../src/index.ts'
import type { MergeCounters } from '../../src/report/index.ts'

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
}

export interface Peer {
  readonly name: string
  /** Why it cannot run here, or undefined if it can. */
  unavailable(): string | undefined
  run(task: Task): Promise<Trial>
}

/** Nanoseconds that passed while some work was done, and of processor time. */
export function timed(work: () => void): { readonly wall: number; readonly cpu: number } {
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
