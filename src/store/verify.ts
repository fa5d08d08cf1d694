// Is everything still as it was written? Every page that a snapshot has is read and held against its hash.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { STAGE_PAGES } from '../core/stage.ts'
import type { StoreState } from './state.ts'

/** What `verify` found. */
export interface Verification {
  /** Is everything as it was written? */
  readonly whole: boolean
  /** Distinct pages that were read. */
  readonly pages: number
  /** Those of them that are not as they were written. */
  readonly damaged: readonly DamagedPage[]
  /** All snapshots, and whether each is whole. */
  readonly snapshots: readonly VerifiedSnapshot[]
}

/** A page that is not as it was written, and where it is. */
export interface DamagedPage {
  /** The number of the segment. */
  readonly segment: number
  /** Where in it, in bytes. */
  readonly offset: number
}

/** What `verify` found out about a snapshot. */
export interface VerifiedSnapshot {
  /** Its name. */
  readonly name: string
  /** Can all of it be restored? */
  readonly whole: boolean
  /** How many of its pages are damaged; null if the index has lost it. */
  readonly damaged_pages: number | null
}

/** Reads everything. `onProgress`: called with how many pages of how many. Throws EIO, EAGAIN. */
export function* verifySteps(
  state: StoreState,
  onProgress?: (done: number, of: number) => void,
): Generator<void, Verification> {
  const { pages } = state
  const damaged = new Set<number>()
  const of = pages.live
  let done = 0
  for (const { number } of [...pages.all()]) {
    for (const { first, count } of pages.liveRuns(number, STAGE_PAGES)) {
      pages.readChecked(first, count, (page) => damaged.add(page))
      done += count
      onProgress?.(done, of)
      yield
    }
  }
  const snapshots = [...state.snapshots.values()].map((snapshot) => {
    const { name, lost } = snapshot
    const damaged_pages = lost ? null : damagedOf(state, snapshot.leaves, damaged)
    return { name, whole: damaged_pages === 0, damaged_pages }
  })
  const { slots } = pages.backing
  return {
    whole: damaged.size === 0 && snapshots.every(({ whole }) => whole),
    pages: done,
    damaged: [...damaged].map((page) => ({
      segment: Math.floor((page - 1) / slots),
      offset: ((page - 1) % slots) * PAGE_SIZE,
    })),
    snapshots,
  }
}

function damagedOf({ leaves }: StoreState, of: Uint32Array, damaged: ReadonlySet<number>): number {
  if (damaged.size === 0) return 0
  let count = 0
  for (const leaf of of) for (const page of leaves.pagesOf(leaf)) if (damaged.has(page)) count++
  return count
}
