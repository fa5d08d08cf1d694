// Pages on their way into a store, a leaf at a time. What equals another snapshot at the same place is found by comparing; what is
// left is hashed, found by its hash, and compared, for equality is certain; and what nobody has is new.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Looker } from '../core/looker.ts'
import type { Onlooker } from '../core/onlooker.ts'
import { type SameBytes, sameBytes } from '../platform.ts'
import { LEAF_PAGES, ZERO_LEAF } from './leaves.ts'
import { type Mark, ZERO_PAGE } from './pages.ts'
import type { Snapshot, StoreState } from './state.ts'

const LEAF_BYTES = LEAF_PAGES * PAGE_SIZE
const ZEROS = new Uint8Array(LEAF_BYTES)

export class Saving {
  /** Leaves that have been made, one behind the other. */
  readonly leaves: Uint32Array
  zeroPages = 0
  addedPages = 0
  /** Where pages and leaves ended before. */
  readonly mark: Mark
  readonly firstLeaf: number
  private readonly state: StoreState
  private readonly like: Snapshot | undefined
  private readonly domain: number
  private done = 0
  /** Of the pages of a leaf: their numbers, whether those are settled, their hashes, and what may be equal. */
  private readonly numbers = new Uint32Array(LEAF_PAGES)
  private readonly settled = new Uint8Array(LEAF_PAGES)
  private readonly lows = new Uint32Array(LEAF_PAGES)
  private readonly highs = new Uint32Array(LEAF_PAGES)
  private readonly candidates = new Uint32Array(LEAF_PAGES)

  /** `like`: a snapshot of the same domain that most pages equal. */
  constructor(state: StoreState, pages: number, domain: number, like: Snapshot | undefined) {
    this.state = state
    this.leaves = new Uint32Array(Math.ceil(pages / LEAF_PAGES))
    this.domain = domain
    this.like = like
    this.mark = state.pages.mark()
    this.firstLeaf = state.leaves.count
  }

  /**
   * Takes the next 64 pages, or fewer if they are the last ones, the last of which may be short, from memory; `onlooker`: who can look at them
   * there. Throws what appending does.
   */
  take(bytes: Uint8Array, onlooker?: Onlooker): void {
    this.begin()
    const count = Math.ceil(bytes.length / PAGE_SIZE)
    const same = sameBytes()
    if (same !== undefined && this.compareInPlace(bytes, same)) return
    if (onlooker !== undefined) {
      onlooker.first = this.done * LEAF_PAGES
      this.settleRest(onlooker, count)
      return
    }
    this.stageRest(bytes, count)
    if (same === undefined) this.takeStaged(count)
    else this.settleRest(this.state.stage, count)
  }

  /** The same for pages that have been put on the stage. */
  takeStaged(count: number): void {
    this.begin()
    const alike = this.likeLeaf()
    if (alike !== undefined) this.compareWith(alike, count)
    this.settleRest(this.state.stage, count)
  }

  /** Takes everything back that was taken: as if it had never been. */
  undo(): void {
    const { pages, leaves } = this.state
    for (const leaf of this.leaves.subarray(0, this.done)) this.state.releaseLeaf(leaf)
    leaves.truncate(this.firstLeaf)
    pages.rollback(this.mark)
  }

  private begin(): void {
    this.numbers.fill(ZERO_PAGE)
    this.settled.fill(0)
  }

  /**
   * Settles what equals `like`, or is zeros as a whole, without copying it. If that is all of a leaf, the leaf is taken: there is nothing
   * more to do then.
   */
  private compareInPlace(bytes: Uint8Array, same: SameBytes): boolean {
    const leaf = this.like?.leaves[this.done] ?? ZERO_LEAF
    const numbers = this.likeLeaf() ?? this.state.leaves.pagesOf(ZERO_LEAF)
    const whole = Math.min(Math.floor(bytes.length / PAGE_SIZE), numbers.length)
    let isAll = whole === LEAF_PAGES
    for (let at = 0; at < whole; ) {
      const count = this.state.pages.runAt(numbers, at, whole)
      if (!this.compareRun(bytes, numbers[at]!, at, count, same)) isAll = false
      at += count
    }
    if (!isAll) return false
    this.state.holdAgain(leaf)
    this.finish(leaf, LEAF_PAGES)
    return true
  }

  /** Settles those of a run of adjacent pages that are equal; says whether all are. */
  private compareRun(bytes: Uint8Array, page: number, at: number, count: number, same: SameBytes): boolean {
    const mine = bytes.subarray(at * PAGE_SIZE, (at + count) * PAGE_SIZE)
    const others = this.bytesOf(page, at, count)
    const isSame = same(mine, others)
    // Which of them are zeros is told sooner when they are looked at one by one.
    if (!isSame && page === ZERO_PAGE) return false
    for (let i = 0; i < count; i++) {
      const [start, end] = [i * PAGE_SIZE, (i + 1) * PAGE_SIZE]
      if (isSame || same(mine.subarray(start, end), others.subarray(start, end)))
        this.settle(at + i, page === ZERO_PAGE ? page : page + i)
    }
    return isSame
  }

  /** Puts what is not settled on the stage. */
  private stageRest(bytes: Uint8Array, count: number): void {
    const { pages } = this.state.stage
    for (let at = 0; at < count; ) {
      let end = at
      while (end < count && this.settled[end] === 0) end++
      if (end > at) pages.set(bytes.subarray(at * PAGE_SIZE, end * PAGE_SIZE), at * PAGE_SIZE)
      at = end + 1
    }
    pages.fill(0, bytes.length, count * PAGE_SIZE)
  }

  /** Finds, or adds, what is not settled yet, and makes a leaf of all. */
  private settleRest(looker: Looker, count: number): void {
    this.search(looker, count)
    this.addRest(looker, count)
    this.finish(this.state.holdLeaf(this.numbers), count)
  }

  private finish(leaf: number, count: number): void {
    for (let at = 0; at < count; at++) if (this.numbers[at] === ZERO_PAGE) this.zeroPages++
    this.leaves[this.done++] = leaf
  }

  private bytesOf(page: number, at: number, count: number): Uint8Array {
    if (page === ZERO_PAGE) return ZEROS.subarray(0, count * PAGE_SIZE)
    const view = this.state.pages.view(page, count)
    if (view !== undefined) return view
    const other = this.state.stage.others.subarray(at * PAGE_SIZE, (at + count) * PAGE_SIZE)
    this.state.pages.read(page, count, other)
    return other
  }

  private likeLeaf(): Uint32Array | undefined {
    const { like } = this
    return like === undefined || this.done >= like.leaves.length
      ? undefined
      : this.state.pagesOf(like, this.done)
  }

  private compareWith(numbers: Uint32Array, count: number): void {
    const end = Math.min(count, numbers.length)
    this.readOthers(numbers, end)
    const { stage } = this.state
    for (let at = 0; at < end; at++) {
      const number = numbers[at]!
      if (number === ZERO_PAGE ? stage.isZero(at) : stage.areSame(at, at + 1)) this.settle(at, number)
    }
  }

  /** Hashes what is not settled and compares it with what has the same hash. */
  private search(looker: Looker, count: number): void {
    const { pages } = this.state
    this.candidates.fill(ZERO_PAGE)
    for (let at = 0; at < count; at++) {
      if (this.settled[at] === 1) continue
      if (looker.isZero(at)) {
        this.settle(at, ZERO_PAGE)
        continue
      }
      looker.digest(at)
      this.lows[at] = looker.low
      this.highs[at] = looker.high
      this.candidates[at] = pages.find(looker.low, looker.high, this.domain)
    }
    this.readOthers(this.candidates, count)
    for (let at = 0; at < count; at++)
      if (this.candidates[at] !== ZERO_PAGE) at = this.confirm(looker, at, count)
  }

  /** Compares the candidates from `at` on, up to the next page that has none; returns which that is. */
  private confirm(looker: Looker, at: number, count: number): number {
    let end = at + 1
    while (end < count && this.candidates[end] !== ZERO_PAGE) end++
    const isSame = looker.areSame(at, end)
    for (let i = at; i < end; i++) if (isSame || looker.areSame(i, i + 1)) this.settle(i, this.candidates[i]!)
    return end
  }

  /** What is not settled yet is new, unless one of the pages before was the same, or there are two pages of one hash. */
  private addRest(looker: Looker, count: number): void {
    const { pages } = this.state
    for (let at = 0; at < count; at++) {
      if (this.settled[at] === 1) continue
      const [low, high] = [this.lows[at]!, this.highs[at]!]
      let number = pages.findSame(looker, at, low, high, this.domain)
      if (number === ZERO_PAGE) {
        number = pages.append(looker.bytes(at), low, high, this.domain)
        this.addedPages++
      }
      this.settle(at, number)
    }
  }

  /** Reads pages to their places among the others on the stage, neighbours at once. */
  private readOthers(numbers: Uint32Array, end: number): void {
    const { pages, stage } = this.state
    for (let at = 0; at < end; ) {
      const count = pages.runAt(numbers, at, end)
      if (numbers[at] !== ZERO_PAGE)
        pages.read(numbers[at]!, count, stage.others.subarray(at * PAGE_SIZE, (at + count) * PAGE_SIZE))
      at += count
    }
  }

  private settle(at: number, number: number): void {
    this.numbers[at] = number
    this.settled[at] = 1
  }
}
