// Pages on their way out of a store: into memory, and to whoever reads a snapshot as an image. From a disk they are held against
// their hashes on the way.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { expectBytes, expectInteger, PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { LEAF_PAGES } from './leaves.ts'
import { ZERO_PAGE } from './pages.ts'
import type { Snapshot, StoreState } from './state.ts'

/** Calls `use` with the runs of pages [first, end) of a snapshot that lie behind each other in the store, or are zeros. */
export function eachRun(
  state: StoreState,
  snapshot: Snapshot,
  [first, end]: readonly [number, number],
  use: (page: number, at: number, count: number) => void,
): void {
  for (let at = first; at < end; ) {
    const leaf = Math.floor(at / LEAF_PAGES)
    const numbers = state.pagesOf(snapshot, leaf)
    const from = leaf * LEAF_PAGES
    const count = state.pages.runAt(numbers, at - from, Math.min(numbers.length, end - from))
    use(numbers[at - from]!, at, count)
    at += count
  }
}

/** Writes adjacent pages of the store, at most as many as the stage takes, to `into`, which may be a little shorter. Throws EIO, EAGAIN. */
export function readRun(
  state: StoreState,
  snapshot: Snapshot,
  [page, at, count]: readonly [page: number, at: number, count: number],
  into: Uint8Array,
): void {
  if (page === ZERO_PAGE) {
    into.fill(0)
    return
  }
  const { pages } = state
  const view = pages.view(page, count)
  const bytes =
    view ??
    pages.readChecked(page, count, (damaged) => {
      throw damagedPage(snapshot, at + damaged - page)
    })
  into.set(bytes.subarray(0, into.length))
}

/** What to throw for a page of a snapshot that is not as it was written. */
export function damagedPage({ name }: Snapshot, page: number): PagefoldError {
  const what = `page ${page} of snapshot ${JSON.stringify(name)} is damaged`
  return new PagefoldError('EIO', `${what}; verify tells which snapshots are whole`)
}

/** A snapshot, read as any other image. It has nothing to be closed. */
export class SnapshotImage implements Image {
  readonly source: string
  readonly format = 'snapshot'
  readonly pages: number
  readonly notes: readonly string[] = []
  private readonly state: StoreState
  private readonly snapshot: Snapshot

  constructor(state: StoreState, snapshot: Snapshot) {
    this.source = snapshot.name
    this.pages = snapshot.pages
    this.state = state
    this.snapshot = snapshot
  }

  addressOf(page: number): number {
    return page * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    expectInteger('first', first, 0, this.pages)
    expectInteger('count', count, 0, this.pages - first)
    expectBytes('into', into)
    const { snapshot } = this
    if (this.state.snapshots.get(snapshot.name) !== snapshot)
      throw new PagefoldError(
        'ENOENT',
        `snapshot ${JSON.stringify(this.source)} is gone: dropped, or its store closed`,
      )
    eachRun(this.state, snapshot, [first, first + count], (page, at, run) => {
      const start = (at - first) * PAGE_SIZE
      readRun(this.state, snapshot, [page, at, run], into.subarray(start, start + run * PAGE_SIZE))
    })
  }

  close(): void {}
}
