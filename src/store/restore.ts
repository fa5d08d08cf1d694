// A snapshot back into memory.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { expectBytes, mistake } from '../errors.ts'
import { LEAF_PAGES } from './leaves.ts'
import { differingRuns } from './loading.ts'
import { ZERO_PAGE } from './pages.ts'
import { eachRun, readRun } from './reading.ts'
import { Scattered } from './scattered.ts'
import type { StoreState } from './state.ts'

/** How a snapshot is restored. */
export interface RestoreOptions {
  /** The snapshot that the target holds already: only pages that differ are written. Nobody checks it. */
  readonly from?: string
  /** Called now and then with how many pages of how many have been looked at. */
  readonly onProgress?: (done: number, of: number) => void
}

/** What a restore has come to. */
export interface RestoredSnapshot {
  /** The snapshot's. */
  readonly name: string
  /** Pages that it has. */
  readonly pages: number
  /** Of these, pages that were written. */
  readonly pages_written: number
}

/** Between two calls of onProgress, in leaves: 16 MiB. */
const REPORT_LEAVES = 64

/** Throws what SnapshotStore.restore does. */
export function restoreSnapshot(
  state: StoreState,
  name: string,
  into: Uint8Array,
  { from, onProgress }: RestoreOptions,
): RestoredSnapshot {
  const snapshot = state.expect(name)
  const held = from === undefined ? undefined : state.expect(from)
  expectBytes('into', into)
  const { bytes, pages } = snapshot
  if (into.length < bytes)
    throw mistake(new RangeError(`Expected \`into\` to have room for ${bytes} bytes, got ${into.length}`))
  const scattered = new Scattered(state, snapshot, into)
  let pages_written = 0
  for (let leaf = 0; leaf < snapshot.leaves.length; leaf++) {
    const first = leaf * LEAF_PAGES
    for (const [start, end] of differingRuns(state, snapshot, held, leaf)) {
      eachRun(state, snapshot, [first + start, first + end], (page, at, count) => {
        pages_written += count
        if (page !== ZERO_PAGE && state.pages.backing.mayRot) {
          scattered.add(page, at, count)
          return
        }
        const to = into.subarray(at * PAGE_SIZE, Math.min((at + count) * PAGE_SIZE, bytes))
        readRun(state, snapshot, [page, at, count], to)
      })
    }
    if (leaf % REPORT_LEAVES === 0) onProgress?.(Math.min(first + LEAF_PAGES, pages), pages)
  }
  scattered.flush()
  onProgress?.(pages, pages)
  return { name, pages, pages_written }
}
