// Pages on their way into a store, a leaf at a time. What equals another snapshot at the same place is found by comparing; what is
// left is hashed, found by its hash, and compared, for equality is certain; and what nobody has is new.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { sameBytes } from '../platform.ts'
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

  /** Takes the next 64 pages, or fewer if they are the last ones, the last of which may be short, from memory. Throws what appending does. */
  take(bytes: Uint8Array): void {
    if (bytes.length === LEAF_BYTES && this.takeInPlace(bytes)) return
    const count = Math.ceil(bytes.length / PAGE_SIZE)
    const { pages } = this.state.stage
    pages.set(bytes)
    pages.fill(0, bytes.length, count * PAGE_SIZE)
    this.takeStaged(count)
  }

  /** The same for pages that have been put on the stage. */
  takeStaged(count: number): void {
    this.numbers.fill(ZERO_PAGE)
    this.settled.fill(0)
    const alike = this.likeLeaf()
    if (alike !== undefined) this.compareWith(alike, count)
    this.search(count)
    this.addRest(count)
    for (let at = 0; at < count; at++) if (this.numbers[at] === ZERO_PAGE) this.zeroPages++
    this.leaves[this.done++] = this.state.holdLeaf(this.numbers)
  }

  /** Takes everything back that was taken: as if it had never been. */
  undo(): void {
    const { pages, leaves } = this.state
    for (const leaf of this.leaves.subarray(0, this.done)) this.state.releaseLeaf(leaf)
    leaves.truncate(this.firstLeaf)
    pages.rollback(this.mark)
  }

  /** Bytes that equal a whole leaf need not be copied to be compared, where the platform compares at once. */
  private takeInPlace(bytes: Uint8Array): boolean {
    const same = sameBytes()
    if (same === undefined) return false
    const leaf = this.like?.leaves[this.done] ?? ZERO_LEAF
    const numbers = this.likeLeaf() ?? this.state.leaves.pagesOf(ZERO_LEAF)
    if (numbers.length < LEAF_PAGES) return false
    let zeros = 0
    for (let at = 0; at < LEAF_PAGES; ) {
      const count = this.state.pages.runAt(numbers, at, LEAF_PAGES)
      const mine = bytes.subarray(at * PAGE_SIZE, (at + count) * PAGE_SIZE)
      if (!same(mine, this.bytesOf(numbers[at]!, at, count))) return false
      if (numbers[at] === ZERO_PAGE) zeros += count
      at += count
    }
    this.state.holdAgain(leaf)
    this.leaves[this.done++] = leaf
    this.zeroPages += zeros
    return true
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
      if (number === ZERO_PAGE ? stage.isZero(at) : stage.isSame(at)) this.settle(at, number)
    }
  }

  /** Hashes what is not settled and compares it with what has the same hash. */
  private search(count: number): void {
    const { stage, pages } = this.state
    this.candidates.fill(ZERO_PAGE)
    for (let at = 0; at < count; at++) {
      if (this.settled[at] === 1) continue
      if (stage.isZero(at)) {
        this.settle(at, ZERO_PAGE)
        continue
      }
      stage.digest(at)
      this.lows[at] = stage.low
      this.highs[at] = stage.high
      this.candidates[at] = pages.find(stage.low, stage.high, this.domain)
    }
    this.readOthers(this.candidates, count)
    for (let at = 0; at < count; at++) {
      const candidate = this.candidates[at]!
      if (candidate !== ZERO_PAGE && stage.isSame(at)) this.settle(at, candidate)
    }
  }

  /** What is not settled yet is new, unless one of the pages before was the same, or there are two pages of one hash. */
  private addRest(count: number): void {
    const { pages, stage } = this.state
    for (let at = 0; at < count; at++) {
      if (this.settled[at] === 1) continue
      const [low, high] = [this.lows[at]!, this.highs[at]!]
      let number = pages.findSame(at, low, high, this.domain)
      if (number === ZERO_PAGE) {
        number = pages.append(
          stage.pages.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE),
          low,
          high,
          this.domain,
        )
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
