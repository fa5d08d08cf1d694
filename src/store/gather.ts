// Gathering up: the pages of sparse segments are moved together, and the segments given back; leaves that nobody uses go too. It
// changes no snapshot, only where its pages are, and all of it at once: until then everything is as it was.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { STAGE_PAGES } from '../core/stage.ts'
import type { Disk } from './disk.ts'
import { recordsOfAll } from './index-file.ts'
import { LEAF_PAGES, Leaves } from './leaves.ts'
import { ZERO_PAGE } from './pages.ts'
import type { Snapshot, StoreState } from './state.ts'

/** What is known of a segment before it is said whether its pages are to move. */
export interface SegmentUse {
  readonly used: number
  readonly live: number
  readonly isOpen: boolean
}

/** Moves the pages of all segments of which `moves` says so. Throws what appending does, EIO; nothing has changed then. */
export async function gather(
  state: StoreState,
  disk: Disk | undefined,
  moves: (segment: SegmentUse) => boolean,
  onProgress?: (done: number, of: number) => void,
): Promise<void> {
  const { pages } = state
  const sparse = [...pages.all()].filter(moves)
  // The last one is never full: by itself it need not move.
  if (sparse.length === 1 && sparse[0]!.isOpen && sparse[0]!.live === sparse[0]!.used) sparse.pop()
  const moved = new Moved(pages.backing.slots)
  const mark = pages.mark()
  let mayGo = true
  try {
    if (sparse.some(({ isOpen }) => isOpen)) pages.closeSegment()
    const of = sparse.reduce((sum, { live }) => sum + live, 0)
    let done = 0
    for (const { number } of sparse) {
      for (const { first, count } of pages.liveRuns(number, STAGE_PAGES)) {
        copyRun(state, first, count, moved)
        done += count
        onProgress?.(done, of)
      }
    }
    const fresh = regrown(state, moved)
    if (disk !== undefined) {
      const gone = new Set(sparse.map(({ number }) => number))
      mayGo = await disk.rewrite(
        recordsOfAll(state, runsLeft(state, gone, moved), fresh.leaves, fresh.snapshots),
      )
    }
    for (const [from, to] of moved.all()) pages.moved(from, to)
    state.leaves = fresh.leaves
    for (const [i, snapshot] of [...state.snapshots.values()].entries())
      snapshot.leaves.set(fresh.snapshots[i]!.leaves)
  } catch (error) {
    if (disk === undefined) pages.rollback(mark)
    else disk.undo(() => pages.rollback(mark))
    throw error
  }
  if (mayGo) for (const { number } of sparse) pages.remove(number)
}

/** Where pages have gone: by segment, so that it costs four bytes a page. */
class Moved {
  private readonly slots: number
  private readonly segments = new Map<number, Uint32Array>()

  constructor(slots: number) {
    this.slots = slots
  }

  set(from: number, to: number): void {
    const number = Math.floor((from - 1) / this.slots)
    const segment = this.segments.get(number) ?? new Uint32Array(this.slots)
    this.segments.set(number, segment)
    segment[(from - 1) % this.slots] = to
  }

  /** Where a page is now, if it has moved or not. */
  of(page: number): number {
    if (page === ZERO_PAGE) return page
    return this.segments.get(Math.floor((page - 1) / this.slots))?.[(page - 1) % this.slots] || page
  }

  *all(): Generator<[from: number, to: number]> {
    for (const [number, segment] of this.segments)
      for (const [slot, to] of segment.entries()) if (to !== 0) yield [number * this.slots + slot + 1, to]
  }
}

/** A page that is damaged is copied as it is: it keeps its hash, and whoever reads it is told. */
function copyRun({ pages, stage }: StoreState, first: number, count: number, moved: Moved): void {
  const bytes = stage.pages.subarray(0, count * PAGE_SIZE)
  pages.read(first, count, bytes)
  for (let i = 0; i < count; i++)
    moved.set(first + i, pages.copy(first + i, bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)))
}

/** The leaves that are in use, with the pages where they are now, and the snapshots that are made of them. */
function regrown(state: StoreState, moved: Moved): { leaves: Leaves; snapshots: Snapshot[] } {
  const leaves = new Leaves()
  const numbers = new Map<number, number>()
  const pages = new Uint32Array(LEAF_PAGES)
  const leafFor = (old: number): number => {
    const known = numbers.get(old)
    if (known !== undefined) return known
    for (const [i, page] of state.leaves.pagesOf(old).entries()) pages[i] = moved.of(page)
    const leaf = leaves.find(pages) ?? leaves.add(pages)
    numbers.set(old, leaf)
    return leaf
  }
  const snapshots = [...state.snapshots.values()].map((snapshot) => {
    const renamed = snapshot.leaves.map(leafFor)
    for (const leaf of renamed) leaves.hold(leaf)
    return { ...snapshot, leaves: renamed }
  })
  return { leaves, snapshots }
}

/** Runs of pages that are in use once segments are gone, of one domain each. */
function* runsLeft(
  state: StoreState,
  gone: ReadonlySet<number>,
  moved: Moved,
): Generator<{ first: number; count: number; domain: string }> {
  const { pages } = state
  const kept = [...pages.all()].filter(({ number }) => !gone.has(number))
  const stay = kept.flatMap(({ number }) => [...pages.liveRuns(number, pages.backing.slots)])
  const copies = [...moved.all()].map(([, to]) => ({ first: to, count: 1 }))
  for (const { first, count } of [...stay, ...joined(copies)]) {
    for (let start = first; start < first + count; ) {
      const { domain } = pages.known(start)
      let end = start + 1
      while (end < first + count && pages.known(end).domain === domain) end++
      yield { first: start, count: end - start, domain: state.domainName(domain) }
      start = end
    }
  }
}

function* joined(
  runs: readonly { first: number; count: number }[],
): Generator<{ first: number; count: number }> {
  let current: { first: number; count: number } | undefined
  for (const { first, count } of runs) {
    if (current !== undefined && current.first + current.count === first) current.count += count
    else {
      if (current !== undefined) yield current
      current = { first, count }
    }
  }
  if (current !== undefined) yield current
}
