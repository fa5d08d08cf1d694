// Guests that run while they are scanned: they write between batches of pages_to_scan, and what is merged is counted after each batch.
// For pagefold and ksmd, which scan in batches; the other peers scan everything at once.

import { PAGE_SIZE } from '../../src/index.ts'
import { canonical, type Merged, type RunningTrial, type Spent, type Task } from './peer.ts'
import { BATCHES_PER_SCAN, busyTurns, type Turn } from './writer.ts'

/** What a peer does for its guests to run. */
export interface Runnable {
  /** One batch of `batchOf` pages. */
  batch(): Spent | Promise<Spent>
  write(turn: Pick<Turn, 'pages' | 'words'>): void
  merged(): Merged
}

/** Pages a batch. */
export function batchOf(pages: number): number {
  return Math.max(1, Math.ceil(pages / BATCHES_PER_SCAN))
}

/** Has guests run for as many batches as so many full scans have. */
export async function whileRunning(
  { pages, running }: Pick<Task, 'pages' | 'running'>,
  peer: Runnable,
): Promise<RunningTrial> {
  const cpu_ms: number[] = []
  const bytes_saved: number[] = []
  let [cpu, elapsed] = [0, 0]
  for (const turn of busyTurns(pages, running * BATCHES_PER_SCAN)) {
    const spent = await peer.batch()
    cpu += spent.cpu
    elapsed += spent.wall
    cpu_ms.push(cpu / 1e6)
    bytes_saved.push((pages - distinct(peer.merged().places)) * PAGE_SIZE)
    peer.write(turn)
  }
  const { counters, places } = peer.merged()
  return { cpu_ms, bytes_saved, elapsed_ms: elapsed / 1e6, merged: { counters, places: canonical(places) } }
}

/** How many different numbers there are; puts them in order. */
function distinct(numbers: Uint32Array): number {
  numbers.sort()
  return numbers.reduce((count, number, i) => (i > 0 && numbers[i - 1] === number ? count : count + 1), 0)
}
