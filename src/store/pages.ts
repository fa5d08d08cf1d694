// The distinct pages of a store: each once in a domain, found by its hash, with how many leaves name it. The number of a page
// says where it is: 0 is the page of zeros, n + 1 the nth slot, counted over all segments.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Looker } from '../core/looker.ts'
import type { Stage } from '../core/stage.ts'
import { PagefoldError } from '../errors.ts'
import type { Backing } from './backing.ts'
import { HashIndex } from './hash-index.ts'

/** The number of the page of zeros, which is nowhere. */
export const ZERO_PAGE = 0
/** Numbers of pages have 32 bits; the last is no page's. */
const MAX_PAGES = 2 ** 32 - 2

/** What is known of the pages of a segment. */
interface Segment {
  /** Two words a page. */
  readonly hashes: Uint32Array
  readonly references: Uint32Array
  readonly domains: Uint32Array
  /** Pages that were appended. */
  used: number
  /** Of these, those that are named by a leaf. */
  live: number
}

/** How far pages had been appended at some time. */
export interface Mark {
  readonly segment: number
  readonly used: number
}

/** No segment is open. */
const NONE = -1

export class Pages {
  readonly backing: Backing
  /** Pages that are named. */
  live = 0
  /** The number of the segment that pages are appended to. */
  private open = NONE
  /** All segments that there ever were have numbers below this. */
  private numbers = 0
  /** Those that were begun since the last mark. */
  private begun: number[] = []
  private readonly segments: (Segment | undefined)[] = []
  private readonly index = new HashIndex((page) => {
    const { low, domain } = this.known(page)
    return keyOf(low, domain)
  })
  private readonly stage: Stage

  constructor(backing: Backing, stage: Stage) {
    this.backing = backing
    this.stage = stage
  }

  // Finding and appending

  /** A page of this hash and domain, if there is one; else 0. */
  find(low: number, high: number, domain: number): number {
    return this.index.find(keyOf(low, domain), (page) => this.has(page, low, high, domain))
  }

  /** A page that is equal to the one that is looked at, whose hash this is; else 0. Overwrites the other at its place of the stage. */
  findSame(looker: Looker, at: number, low: number, high: number, domain: number): number {
    const other = this.stage.others.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE)
    return this.index.find(keyOf(low, domain), (page) => {
      if (!this.has(page, low, high, domain)) return false
      this.read(page, 1, other)
      return looker.areSame(at, at + 1)
    })
  }

  /** Appends a page and has it found. Nobody names it yet. Throws what the backing does, ENOSPC when numbers are out. */
  append(bytes: Uint8Array, low: number, high: number, domain: number): number {
    const page = this.place(bytes, low, high, domain)
    this.index.insert(page)
    return page
  }

  /** A copy of a page, with its hash, that is not found before `moved`. Throws what `append` does. */
  copy(page: number, bytes: Uint8Array): number {
    const { segment, slot } = this.at(page)
    const { hashes, domains } = segment
    return this.place(bytes, hashes[2 * slot]!, hashes[2 * slot + 1]!, domains[slot]!)
  }

  /** Lets a copy take the place of its page, which nobody names any more then. */
  moved(from: number, to: number): void {
    const [old, fresh] = [this.at(from), this.at(to)]
    this.index.remove(from)
    this.index.insert(to)
    fresh.segment.references[fresh.slot] = old.segment.references[old.slot]!
    old.segment.references[old.slot] = 0
    fresh.segment.live++
    old.segment.live--
  }

  // References

  /** Counts a leaf that names it. */
  hold(page: number): void {
    if (page === ZERO_PAGE) return
    const { segment, slot } = this.at(page)
    if (segment.references[slot]!++ > 0) return
    segment.live++
    this.live++
  }

  /** Takes that back. With the last one it is not found any more. */
  release(page: number): void {
    if (page === ZERO_PAGE) return
    const { segment, slot } = this.at(page)
    if (--segment.references[slot]! > 0) return
    segment.live--
    this.live--
    this.index.remove(page)
  }

  // Bytes

  /** How many of `pages`, from `first` on, lie behind each other in a segment, and so are read at once: at least one. */
  runAt(pages: Uint32Array, first: number, end: number): number {
    const start = pages[first]!
    const { slots } = this.backing
    const most = start === ZERO_PAGE ? end - first : Math.min(end - first, slots - ((start - 1) % slots))
    const step = start === ZERO_PAGE ? 0 : 1
    let count = 1
    while (count < most && pages[first + count] === start + step * count) count++
    return count
  }

  /** Adjacent pages, as they lie; undefined where they have to be read. */
  view(page: number, count: number): Uint8Array | undefined {
    const { slots } = this.backing
    return this.backing.view(Math.floor((page - 1) / slots), (page - 1) % slots, count)
  }

  /** Reads adjacent pages. Throws EIO, EAGAIN. */
  read(page: number, count: number, into: Uint8Array): void {
    const { slots } = this.backing
    this.backing.read(Math.floor((page - 1) / slots), (page - 1) % slots, count, into)
  }

  /** Reads adjacent pages, at most as many as the stage takes, to the first of the others there. Throws EIO, EAGAIN. */
  readNear(page: number, count: number): Uint8Array {
    const bytes = this.stage.others.subarray(0, count * PAGE_SIZE)
    this.read(page, count, bytes)
    return bytes
  }

  /** The same, and calls `damaged` for each that is not as it was written. */
  readChecked(page: number, count: number, damaged: (page: number) => void): Uint8Array {
    const bytes = this.readNear(page, count)
    for (let i = 0; i < count; i++) if (!this.isWhole(page + i, i)) damaged(page + i)
    return bytes
  }

  /** Is a page as it was written? It has been read to a place among the others of the stage. */
  isWhole(page: number, at: number): boolean {
    const { segment, slot } = this.at(page)
    this.stage.digestOther(at)
    const { low, high } = this.stage
    return segment.hashes[2 * slot] === low && segment.hashes[2 * slot + 1] === high
  }

  // Segments

  /** Remembers how far pages have been appended: what comes behind is told by `appendedSince` or taken away by `rollback`. */
  mark(): Mark {
    this.begun = []
    return { segment: this.open, used: this.segments[this.open]?.used ?? 0 }
  }

  /** Takes away what was appended since the last mark; nobody may name it any more. */
  rollback(mark: Mark): void {
    for (const { first, count } of [...this.appendedSince(mark)])
      for (let i = 0; i < count; i++) this.index.remove(first + i)
    for (const segment of this.begun) this.remove(segment)
    const opened = this.segments[mark.segment]
    if (opened !== undefined && opened.used > mark.used) {
      opened.used = mark.used
      this.backing.truncate(mark.segment, mark.used)
    }
    this.open = mark.segment
  }

  /** What was appended since the last mark: runs of adjacent pages. */
  *appendedSince(mark: Mark): Generator<{ first: number; count: number }> {
    for (const segment of [mark.segment, ...this.begun]) {
      const from = segment === mark.segment ? mark.used : 0
      const used = this.segments[segment]?.used ?? 0
      if (used > from) yield { first: segment * this.backing.slots + from + 1, count: used - from }
    }
  }

  /** Pages of a domain that are named. */
  liveOf(domain: number): number {
    let live = 0
    for (const segment of this.segments) {
      if (segment === undefined) continue
      const { references, domains, used } = segment
      for (let slot = 0; slot < used; slot++) if (references[slot]! > 0 && domains[slot] === domain) live++
    }
    return live
  }

  /** Has the next page appended in a segment of its own. */
  closeSegment(): void {
    this.open = NONE
  }

  /** All segments, with how many pages they have and how many of these are named. */
  *all(): Generator<{ number: number; used: number; live: number; isOpen: boolean }> {
    for (const [number, segment] of this.segments.entries()) {
      if (segment !== undefined)
        yield { number, used: segment.used, live: segment.live, isOpen: number === this.open }
    }
  }

  /** Runs of adjacent pages of a segment that are named, at most `most` long. */
  *liveRuns(number: number, most: number): Generator<{ first: number; count: number }> {
    const { references, used } = this.segments[number]!
    for (let slot = 0; slot < used; ) {
      let count = 0
      while (count < most && slot + count < used && references[slot + count]! > 0) count++
      if (count > 0) yield { first: number * this.backing.slots + slot + 1, count }
      slot += Math.max(count, 1)
    }
  }

  /** Gives a segment back. */
  remove(number: number): void {
    this.segments[number] = undefined
    if (this.open === number) this.open = NONE
    this.backing.remove(number)
  }

  /** Has no segment begin below this number. */
  keepNumbersBelow(numbers: number): void {
    this.numbers = Math.max(this.numbers, numbers)
  }

  /** The number of the next segment. */
  get nextNumber(): number {
    return this.numbers
  }

  // What an index on disk tells

  /** A page that was appended when the store was open before. It is not found before `index`. */
  restore(page: number, low: number, high: number, domain: number): void {
    const number = Math.floor((page - 1) / this.backing.slots)
    this.segments[number] ??= this.emptySegment()
    const { segment, slot } = this.at(page)
    segment.used = Math.max(segment.used, slot + 1)
    segment.hashes[2 * slot] = low
    segment.hashes[2 * slot + 1] = high
    segment.domains[slot] = domain
    this.numbers = Math.max(this.numbers, number + 1)
  }

  /** Is anything known of a page? */
  isKnown(page: number): boolean {
    if (page === ZERO_PAGE) return true
    const segment = this.segments[Math.floor((page - 1) / this.backing.slots)]
    return segment !== undefined && (page - 1) % this.backing.slots < segment.used
  }

  /** Has all pages found that are named, and appends go on in the last segment. */
  indexAll(): void {
    const { slots } = this.backing
    for (const [number, segment] of this.segments.entries()) {
      if (segment === undefined) continue
      for (let slot = 0; slot < segment.used; slot++)
        if (segment.references[slot]! > 0) this.index.insert(number * slots + slot + 1)
    }
    const last = this.numbers - 1
    if ((this.segments[last]?.used ?? slots) < slots) this.open = last
  }

  /** The hash and the domain of a page. */
  known(page: number): { low: number; high: number; domain: number } {
    const { segment, slot } = this.at(page)
    const { hashes, domains } = segment
    return { low: hashes[2 * slot]!, high: hashes[2 * slot + 1]!, domain: domains[slot]! }
  }

  private place(bytes: Uint8Array, low: number, high: number, domain: number): number {
    const { backing } = this
    const opened = this.segments[this.open]
    const segment = opened !== undefined && opened.used < backing.slots ? opened : this.begin()
    const slot = segment.used
    backing.append(this.open, slot, bytes)
    segment.hashes[2 * slot] = low
    segment.hashes[2 * slot + 1] = high
    segment.domains[slot] = domain
    segment.references[slot] = 0
    segment.used++
    return this.open * backing.slots + slot + 1
  }

  private begin(): Segment {
    const number = this.backing.reusesNumbers ? this.hole() : this.numbers
    if ((number + 1) * this.backing.slots > MAX_PAGES)
      throw new PagefoldError('ENOSPC', 'no numbers left for pages: export the snapshots into another store')
    this.backing.create(number)
    const segment = this.emptySegment()
    this.segments[number] = segment
    this.begun.push(number)
    this.open = number
    this.numbers = Math.max(this.numbers, number + 1)
    return segment
  }

  private hole(): number {
    let number = 0
    while (this.segments[number] !== undefined) number++
    return number
  }

  private emptySegment(): Segment {
    const { slots } = this.backing
    return {
      hashes: new Uint32Array(2 * slots),
      references: new Uint32Array(slots),
      domains: new Uint32Array(slots),
      used: 0,
      live: 0,
    }
  }

  private at(page: number): { segment: Segment; slot: number } {
    const { slots } = this.backing
    return { segment: this.segments[Math.floor((page - 1) / slots)]!, slot: (page - 1) % slots }
  }

  private has(page: number, low: number, high: number, domain: number): boolean {
    const { segment, slot } = this.at(page)
    const { hashes, domains } = segment
    return hashes[2 * slot] === low && hashes[2 * slot + 1] === high && domains[slot] === domain
  }
}

/** Pages of different domains do not meet, and need not lie together. */
function keyOf(low: number, domain: number): number {
  return (low ^ Math.imul(domain, 0x9e3779b1)) >>> 0
}
