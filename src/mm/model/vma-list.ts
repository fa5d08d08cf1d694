// The vmas of one address space: a list, and a tree over it that knows of each of its parts how wide its widest hole is, so
// that whatever is looked for is found in the logarithm of their number. A treap: the shape follows from numbers
// drawn for each vma, nothing has to be balanced.
//
// Linux: the maple tree mm->mm_mt, find_vma(), vm_unmapped_area()

import { VPN_LIMIT } from './address.ts'
import type { Vma } from './vma.ts'

/** Where a mapping goes first when no address is asked for. */
const MMAP_BASE = 0x10_0000

/** A vma's place in the tree and in the list. */
class Place {
  readonly vma: Vma
  /** The greater is above the lesser. */
  readonly rank: number
  left: Place | undefined = undefined
  right: Place | undefined = undefined
  next: Place | undefined = undefined
  prev: Place | undefined = undefined
  /** Of the part of the tree below, with this one: where it begins and ends, and its widest hole, in pages. */
  start: number
  end: number
  hole = 0

  constructor(vma: Vma, rank: number) {
    this.vma = vma
    this.rank = rank
    this.start = vma.start
    this.end = vma.end
  }
}

/** The vmas of an mm, ascending, never overlapping. */
export class VmaList {
  #root: Place | undefined
  #first: Place | undefined
  /** Where the last lookup ended: the next is usually there or beside it. */
  #hint: Place | undefined
  #count = 0
  #random = 1

  get length(): number {
    return this.#count
  }

  *[Symbol.iterator](): IterableIterator<Vma> {
    for (let place = this.#first; place !== undefined; place = place.next) yield place.vma
  }

  /** The first vma that ends behind `vpn`, whether or not it has begun. Linux: find_vma() */
  find(vpn: number): Vma | undefined {
    return this.#placeAt(vpn)?.vma
  }

  /** The vma that covers `vpn`. Linux: vma_lookup() */
  at(vpn: number): Vma | undefined {
    const vma = this.#placeAt(vpn)?.vma
    return vma !== undefined && vma.start <= vpn ? vma : undefined
  }

  /** The vma behind this one. */
  after(vma: Vma): Vma | undefined {
    return this.#placeAt(vma.start)?.next?.vma
  }

  before(vma: Vma): Vma | undefined {
    return this.#placeAt(vma.start)?.prev?.vma
  }

  insert(vma: Vma): void {
    const place = new Place(vma, this.#draw())
    place.next = this.#placeAt(vma.start)
    place.prev = place.next === undefined ? lastOf(this.#root) : place.next.prev
    if (place.prev === undefined) this.#first = place
    else place.prev.next = place
    if (place.next !== undefined) place.next.prev = place
    this.#root = inserted(this.#root, place)
    this.#hint = place
    this.#count++
  }

  remove(vma: Vma): void {
    const { prev, next } = this.#placeAt(vma.start)!
    if (prev === undefined) this.#first = next
    else prev.next = next
    if (next !== undefined) next.prev = prev
    this.#root = removed(this.#root!, vma)
    this.#hint = next
    this.#count--
  }

  /** Moves the end of a vma of the list. */
  setEnd(vma: Vma, end: number): void {
    vma.end = end
    refreshed(this.#root!, vma)
  }

  /** The vmas that touch [start, end), at this moment; none touches an empty range. */
  within(start: number, end: number): Vma[] {
    const found: Vma[] = []
    if (start >= end) return found
    for (let place = this.#placeAt(start); place !== undefined; place = place.next) {
      if (place.vma.start >= end) break
      found.push(place.vma)
    }
    return found
  }

  /** Where `pages` would fit: behind the last vma, else in the first hole that is wide enough; -1 if nowhere. */
  findRoom(pages: number): number {
    const start = Math.max(MMAP_BASE, this.#root?.end ?? 0)
    return start + pages <= VPN_LIMIT ? start : firstHole(this.#root, MMAP_BASE, pages)
  }

  #placeAt(vpn: number): Place | undefined {
    const hint = this.#hint
    if (hint !== undefined && vpn < hint.vma.end && (hint.prev === undefined || hint.prev.vma.end <= vpn)) {
      return hint
    }
    let found: Place | undefined
    for (let place = this.#root; place !== undefined; ) {
      if (place.vma.end > vpn) {
        found = place
        place = place.left
      } else {
        place = place.right
      }
    }
    this.#hint = found
    return found
  }

  /** The next of always the same numbers. Marsaglia's xorshift32. */
  #draw(): number {
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    return x
  }
}

function lastOf(root: Place | undefined): Place | undefined {
  let place = root
  while (place?.right !== undefined) place = place.right
  return place
}

/** What a place knows of the part below it, told anew from the two halves. */
function refresh(place: Place): Place {
  const { vma, left, right } = place
  place.start = left === undefined ? vma.start : left.start
  place.end = right === undefined ? vma.end : right.end
  place.hole = Math.max(
    left === undefined ? 0 : Math.max(left.hole, vma.start - left.end),
    right === undefined ? 0 : Math.max(right.hole, right.start - vma.end),
  )
  return place
}

function inserted(root: Place | undefined, place: Place): Place {
  if (root === undefined) return place
  if (place.rank > root.rank) {
    ;[place.left, place.right] = split(root, place.vma.start)
    return refresh(place)
  }
  if (place.vma.start < root.vma.start) root.left = inserted(root.left, place)
  else root.right = inserted(root.right, place)
  return refresh(root)
}

/** Parts a tree into what begins before `start` and the rest. */
function split(root: Place | undefined, start: number): [Place | undefined, Place | undefined] {
  if (root === undefined) return [undefined, undefined]
  if (root.vma.start < start) {
    const [left, right] = split(root.right, start)
    root.right = left
    return [refresh(root), right]
  }
  const [left, right] = split(root.left, start)
  root.left = right
  return [left, refresh(root)]
}

function removed(root: Place, vma: Vma): Place | undefined {
  if (root.vma === vma) return joined(root.left, root.right)
  if (vma.start < root.vma.start) root.left = removed(root.left!, vma)
  else root.right = removed(root.right!, vma)
  return refresh(root)
}

function joined(left: Place | undefined, right: Place | undefined): Place | undefined {
  if (left === undefined || right === undefined) return left ?? right
  if (left.rank > right.rank) {
    left.right = joined(left.right, right)
    return refresh(left)
  }
  right.left = joined(left, right.left)
  return refresh(right)
}

function refreshed(root: Place, vma: Vma): void {
  if (root.vma !== vma) refreshed(vma.start < root.vma.start ? root.left! : root.right!, vma)
  refresh(root)
}

/** The first hole of so many pages from `from` on, where nothing before this part of the tree reaches; -1 if none. */
function firstHole(root: Place | undefined, from: number, pages: number): number {
  if (root === undefined || root.end <= from) return -1
  if (root.hole < pages && root.start - from < pages) return -1
  const { vma, left, right } = root
  const before = firstHole(left, from, pages)
  if (before >= 0) return before
  const start = Math.max(from, left?.end ?? 0)
  if (vma.start - start >= pages) return start
  return firstHole(right, Math.max(from, vma.end), pages)
}
