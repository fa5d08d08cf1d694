// Does a snapshot lie in its own order? One that was saved first does; one that came late is made of pages that came when each was
// written, all over the store, and every one of them is fetched by itself, until gathering up lays them out.

import { ZERO_PAGE } from './pages.ts'
import { eachRun } from './reading.ts'
import type { Snapshot, StoreState } from './state.ts'

/** The segments whose pages have to move so that those of a snapshot lie in its order; none if they do. */
export function segmentsOutOfOrder(state: StoreState, snapshot: Snapshot): ReadonlySet<number> {
  const { slots } = state.pages.backing
  const course = new Course(slots)
  const segments = new Set<number>()
  let isInOrder = true
  eachRun(state, snapshot, [0, snapshot.pages], (page, _, count) => {
    if (page === ZERO_PAGE) return
    segments.add(Math.floor((page - 1) / slots))
    for (let i = 0; i < count; i++) isInOrder = course.follows(page + i) && isInOrder
  })
  return isInOrder ? new Set() : segments
}

/** Pages that were come by, one behind the other, segment for segment. */
class Course {
  private readonly slots: number
  private last = 0
  /** Between which pages, of each segment. */
  private readonly passed = new Map<number, { readonly first: number; last: number }>()

  constructor(slots: number) {
    this.slots = slots
  }

  /** Is a page the next one, or one that was come by before? */
  follows(page: number): boolean {
    const segment = Math.floor((page - 1) / this.slots)
    const passed = this.passed.get(segment)
    if (passed !== undefined && page >= passed.first && page <= passed.last) return true
    const isNext =
      passed === undefined
        ? this.last === 0 || (this.isEnd(this.last) && this.isEnd(page - 1))
        : page === passed.last + 1 && page === this.last + 1
    if (passed === undefined) this.passed.set(segment, { first: page, last: page })
    else passed.last = Math.max(passed.last, page)
    this.last = page
    return isNext
  }

  /** Does a segment end behind this page? */
  private isEnd(page: number): boolean {
    return page % this.slots === 0
  }
}
