// What snapshots are made of: leaves, which name 64 pages each. A snapshot is a list of leaves; equal ones are one, so that a
// generation in which little has changed costs little more than its pages, and still every one is flat.

import { HashIndex } from './hash-index.ts'

/** Pages a leaf; it is a megabyte's quarter. */
export const LEAF_PAGES = 64

/** The leaf that names nothing but the page of zeros: it is always there, and nobody counts who uses it. */
export const ZERO_LEAF = 0

export class Leaves {
  /** Leaves have numbers from 1 in the order in which they came; those that nobody uses any more leave holes. */
  count = 1
  /** Those in use. */
  live = 0
  private pages = new Uint32Array(16 * LEAF_PAGES)
  private references = new Uint32Array(16)
  private readonly index = new HashIndex((leaf) => hashOf(this.pagesOf(leaf)))

  /** Bytes that they take. */
  get bytes(): number {
    return this.pages.byteLength + this.references.byteLength + this.index.bytes
  }

  /** The numbers of the pages of a leaf; a view. */
  pagesOf(leaf: number): Uint32Array {
    return this.pages.subarray(leaf * LEAF_PAGES, (leaf + 1) * LEAF_PAGES)
  }

  /** The leaf that names these pages; undefined if there is none. */
  find(pages: Uint32Array): number | undefined {
    if (pages.every((page) => page === 0)) return ZERO_LEAF
    const found = this.index.find(hashOf(pages), (leaf) => isSame(this.pagesOf(leaf), pages))
    return found === 0 ? undefined : found
  }

  /** Adds one that nobody uses yet, and that is not found until somebody does. */
  add(pages: Uint32Array): number {
    const leaf = this.count
    if ((leaf + 1) * LEAF_PAGES > this.pages.length) this.grow(2 * leaf)
    this.pages.set(pages, leaf * LEAF_PAGES)
    this.references[leaf] = 0
    this.count++
    return leaf
  }

  /** Counts a user; says whether it is the first. */
  hold(leaf: number): boolean {
    if (leaf === ZERO_LEAF || this.references[leaf]!++ > 0) return false
    this.index.insert(leaf)
    this.live++
    return true
  }

  /** Takes that back; says whether it was the last. */
  release(leaf: number): boolean {
    if (leaf === ZERO_LEAF || --this.references[leaf]! > 0) return false
    this.index.remove(leaf)
    this.live--
    return true
  }

  /** Leaves a hole up to `count`: what was there is not known. */
  skipTo(count: number): void {
    if ((count + 1) * LEAF_PAGES > this.pages.length) this.grow(2 * count)
    this.count = count
  }

  /** Forgets the leaves from `count` on, which nobody uses. */
  truncate(count: number): void {
    this.count = count
  }

  private grow(leaves: number): void {
    const [pages, references] = [this.pages, this.references]
    this.pages = new Uint32Array(leaves * LEAF_PAGES)
    this.pages.set(pages)
    this.references = new Uint32Array(leaves)
    this.references.set(references)
  }
}

function hashOf(pages: Uint32Array): number {
  let hash = 0
  for (const page of pages) {
    hash = Math.imul(hash ^ page, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  return hash >>> 0
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < LEAF_PAGES; i++) if (a[i] !== b[i]) return false
  return true
}
