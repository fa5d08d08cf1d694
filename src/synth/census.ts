// A census of contents: takes in pages one by one, tells them apart by SHA-256, and counts how often each content occurs
// and in how many images. What is to be merged is counted from the bytes, never from the plan; the plan is held against
// it.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import { hashes } from '../platform.ts'

const DIGEST_WORDS = 4
const NONE = 0xffff_ffff

/** Looked up once: it is asked for every page. */
let hash: typeof import('node:crypto').hash | undefined

/** The first 128 bits of a page's SHA-256. It comes as text: a Buffer costs half as much as the hashing. */
export function digestOf(page: Uint8Array): Uint32Array {
  hash ??= hashes('telling pages apart by their bytes').hash
  const text = hash('sha256', page, 'binary')
  const digest = new Uint32Array(DIGEST_WORDS)
  for (let i = 0; i < DIGEST_WORDS * 4; i++) digest[i >> 2]! |= text.charCodeAt(i) << (8 * (i & 3))
  return digest
}

export class Census {
  /** Content of each page that was taken in, by the order in which contents were first seen. */
  readonly contentOf: Uint32Array
  /** Contents seen. */
  contents = 0
  /** Pages that have the content, and images that have such a page. */
  counts = new Uint32Array(1024)
  images = new Uint32Array(1024)
  /** Number of the content of zeros, if there is one. */
  zero: number | undefined = undefined
  private lastImage = new Uint32Array(1024)
  private firstPage = new Uint32Array(1024)
  private digests = new Uint32Array(1024 * DIGEST_WORDS)
  private table = new Uint32Array(4096).fill(NONE)
  private readonly zeroDigest = digestOf(new Uint8Array(PAGE_SIZE))

  constructor(pages: number) {
    this.contentOf = new Uint32Array(pages)
  }

  /** Takes in a page; images must come one after the other. Returns its content. */
  add(page: number, image: number, digest: Uint32Array): number {
    const content = this.find(digest)
    if (this.counts[content]! === 0 || this.lastImage[content] !== image) this.images[content]!++
    if (this.counts[content]!++ === 0) this.firstPage[content] = page
    this.lastImage[content] = image
    this.contentOf[page] = content
    return content
  }

  /** The first page that had a content. */
  firstPageOf(content: number): number {
    return this.firstPage[content]!
  }

  /** Whether a content is that of a page with this digest. */
  has(content: number, digest: Uint32Array): boolean {
    const at = content * DIGEST_WORDS
    for (let i = 0; i < DIGEST_WORDS; i++) if (this.digests[at + i] !== digest[i]) return false
    return true
  }

  /** Whether two censuses mean the same by two numbers. */
  same(content: number, other: Census, otherContent: number): boolean {
    const at = otherContent * DIGEST_WORDS
    return this.has(content, other.digests.subarray(at, at + DIGEST_WORDS))
  }

  private find(digest: Uint32Array): number {
    const mask = this.table.length - 1
    let slot = digest[0]! & mask
    for (; this.table[slot] !== NONE; slot = (slot + 1) & mask) {
      if (this.has(this.table[slot]!, digest)) return this.table[slot]!
    }
    const content = this.contents++
    this.table[slot] = content
    if (content === this.counts.length) this.growContents()
    this.digests.set(digest, content * DIGEST_WORDS)
    if (this.zero === undefined && this.has(content, this.zeroDigest)) this.zero = content
    if (this.contents * 2 > this.table.length) this.growTable()
    return content
  }

  private growContents(): void {
    this.counts = twice(this.counts)
    this.images = twice(this.images)
    this.lastImage = twice(this.lastImage)
    this.firstPage = twice(this.firstPage)
    this.digests = twice(this.digests)
  }

  private growTable(): void {
    this.table = new Uint32Array(this.table.length * 2).fill(NONE)
    const mask = this.table.length - 1
    for (let content = 0; content < this.contents; content++) {
      let slot = this.digests[content * DIGEST_WORDS]! & mask
      while (this.table[slot] !== NONE) slot = (slot + 1) & mask
      this.table[slot] = content
    }
  }
}

function twice(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(numbers.length * 2)
  grown.set(numbers)
  return grown
}

/** Two pages that were planned unequal came out equal: the images are no known truth. */
export function unplannedEquality(page: number, other: number): PagefoldError {
  return new PagefoldError(
    'EUCLEAN',
    `pages ${other} and ${page} were meant to differ and are equal; take another seed, or more words for small changes`,
  )
}
