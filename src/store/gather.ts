// Gathering up: the pages of sparse segments are moved together, and the segments given back; leaves that nobody uses go too. Those of
// one snapshot may be laid out in its order on the way. It changes no snapshot, only where its pages are, and all of it at once: until
// then everything is as it was.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { STAGE_PAGES } from '../core/stage.ts'
import type { Disk } from './disk.ts'
import { recordsOfAll } from './index-file.ts'
import { LEAF_PAGES, Leaves } from './leaves.ts'
import { segmentsOutOfOrder } from './order.ts'
import { ZERO_PAGE } from './pages.ts'
import { eachRun } from './reading.ts'
import type { Snapshot, StoreState } from './state.ts'

/** What is known of a segment before it is said whether its pages are to move. */
export interface SegmentUse {
  readonly used: number
  readonly live: number
}

/** What is to move, and how. */
export interface GatherPlan {
  /** The pages of which segments? */
  moves(segment: SegmentUse): boolean
  /** A snapshot whose pages are to lie in its order: those of all segments that it has a part in move, unless they do. */
  readonly inOrder?: Snapshot | undefined
  readonly onProgress?: ((done: number, of: number) => void) | undefined
}

/** Moves pages. Throws what appending does, EIO; nothing has changed then. */
export async function gather(state: StoreState, disk: Disk | undefined, plan: GatherPlan): Promise<void> {
  const { pages } = state
  const scattered = plan.inOrder === undefined ? undefined : segmentsOutOfOrder(state, plan.inOrder)
  const going = [...pages.all()].filter((one) => plan.moves(one) || scattered?.has(one.number))
  const moved = new Moved(pages.backing.slots)
  const mark = pages.mark()
  let mayGo = true
  try {
    if (going.some(({ isOpen }) => isOpen)) pages.closeSegment()
    const of = going.reduce((sum, { live }) => sum + live, 0)
    let done = 0
    const move = (first: number, count: number): void => {
      done += copyRun(state, first, count, moved)
      plan.onProgress?.(done, of)
    }
    if (scattered !== undefined && scattered.size > 0)
      eachRun(state, plan.inOrder!, [0, plan.inOrder!.pages], (page, _, count) => {
        if (page !== ZERO_PAGE) move(page, count)
      })
    for (const { number } of going)
      for (const { first, count } of pages.liveRuns(number, STAGE_PAGES)) move(first, count)
    const fresh = regrown(state, moved)
    if (disk !== undefined) {
      const gone = new Set(going.map(({ number }) => number))
      const runs = runsLeft(state, gone, pages.appendedSince(mark))
      mayGo = await disk.rewrite(recordsOfAll(state, runs, fresh.leaves, fresh.snapshots))
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
  if (mayGo) for (const { number } of going) pages.remove(number)
}

/** Adjacent pages. */
interface Run {
  readonly first: number
  readonly count: number
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

  has(page: number): boolean {
    return this.of(page) !== page
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

/**
 * Copies those of adjacent pages that have not moved yet, and says how many. One that is damaged is copied as it is: it keeps its hash, and
 * whoever reads it is told.
 */
function copyRun({ pages, stage }: StoreState, first: number, count: number, moved: Moved): number {
  const bytes = stage.pages.subarray(0, count * PAGE_SIZE)
  pages.read(first, count, bytes)
  let copied = 0
  for (let i = 0; i < count; i++) {
    if (moved.has(first + i)) continue
    moved.set(first + i, pages.copy(first + i, bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)))
    copied++
  }
  return copied
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
  copies: Iterable<Run>,
): Generator<Run & { domain: string }> {
  const { pages } = state
  const kept = [...pages.all()].filter(({ number }) => !gone.has(number))
  const stay = kept.flatMap(({ number }) => [...pages.liveRuns(number, pages.backing.slots)])
  for (const { first, count } of [...stay, ...copies]) {
    for (let start = first; start < first + count; ) {
      const { domain } = pages.known(start)
      let end = start + 1
      while (end < first + count && pages.known(end).domain === domain) end++
      yield { first: start, count: end - start, domain: state.domainName(domain) }
      start = end
    }
  }
}
