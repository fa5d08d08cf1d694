// Pages that are read from all over a store: in the order in which they lie there, and at once what lies near together. To read
// a page costs a call of the system each time, for which a good many more could be read.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { STAGE_PAGES } from '../core/stage.ts'
import { damagedPage } from './reading.ts'
import type { Snapshot, StoreState } from './state.ts'

/** Runs that are put in order together. */
const MOST_RUNS = 65_536
/** So many pages in between are read for nothing, rather than to read twice. */
const MOST_BETWEEN = 8

export class Scattered {
  private readonly state: StoreState
  private readonly snapshot: Snapshot
  private readonly into: Uint8Array
  /** Where runs of adjacent pages begin in the store, where in the snapshot, and how long they are. */
  private readonly first: Uint32Array
  private readonly at: Uint32Array
  private readonly length: Uint32Array
  private count = 0

  /** `into`: what the snapshot is to be written to. */
  constructor(state: StoreState, snapshot: Snapshot, into: Uint8Array) {
    const runs = Math.min(snapshot.pages, MOST_RUNS)
    this.state = state
    this.snapshot = snapshot
    this.into = into
    this.first = new Uint32Array(runs)
    this.at = new Uint32Array(runs)
    this.length = new Uint32Array(runs)
  }

  /** Has adjacent pages read, now or later. Throws what `flush` does. */
  add(page: number, at: number, count: number): void {
    this.first[this.count] = page
    this.at[this.count] = at
    this.length[this.count] = count
    if (++this.count === this.first.length) this.flush()
  }

  /** Reads everything that was not read yet. Throws EIO, EAGAIN. */
  flush(): void {
    const order = this.sorted()
    for (let i = 0; i < order.length; ) {
      const first = this.first[order[i]!]!
      let [next, end] = [i + 1, this.endOf(order[i]!)]
      for (; next < order.length && this.isNear(first, end, order[next]!); next++)
        end = Math.max(end, this.endOf(order[next]!))
      const bytes = this.state.pages.readNear(first, end - first)
      for (; i < next; i++) this.keep(order[i]!, bytes, first)
    }
    this.count = 0
  }

  /** The runs in the order in which they lie in the store. */
  private sorted(): Uint32Array {
    const keys = new Float64Array(this.count)
    for (let run = 0; run < this.count; run++) keys[run] = this.first[run]! * MOST_RUNS + run
    return Uint32Array.from(keys.sort(), (key) => key % MOST_RUNS)
  }

  private endOf(run: number): number {
    return this.first[run]! + this.length[run]!
  }

  /** May a run be read with those from `first` to before `end`? */
  private isNear(first: number, end: number, run: number): boolean {
    const { slots } = this.state.pages.backing
    const isSegment = Math.floor((first - 1) / slots) === Math.floor((this.first[run]! - 1) / slots)
    return isSegment && this.first[run]! - end <= MOST_BETWEEN && this.endOf(run) - first <= STAGE_PAGES
  }

  /** Writes a run, of what was read from `first` on, to where it belongs. */
  private keep(run: number, bytes: Uint8Array, first: number): void {
    const { pages } = this.state
    const [page, at, count] = [this.first[run]!, this.at[run]!, this.length[run]!]
    const start = page - first
    for (let i = 0; i < count; i++)
      if (!pages.isWhole(page + i, start + i)) throw damagedPage(this.snapshot, at + i)
    const length = Math.min(count * PAGE_SIZE, this.snapshot.bytes - at * PAGE_SIZE)
    this.into.set(bytes.subarray(start * PAGE_SIZE, start * PAGE_SIZE + length), at * PAGE_SIZE)
  }
}
