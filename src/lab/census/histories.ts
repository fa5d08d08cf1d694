// How contents are spread over images: for each content in which images it was met, and how often in each. Contents of which the
// same is to be said share one record of it, a history: the image last met, its pages there, and the history before. There are
// far fewer histories than contents, so a content costs the number of one, and all that a census answers is reckoned from
// histories alone. Images come one after the other, or one would stand in a history twice.

/** A way in which contents are spread. */
export interface Spread {
  /** How many contents are spread so. */
  readonly contents: number
  /** The images that have them, ascending. */
  readonly images: readonly number[]
  /** Pages of each content in each of these. */
  readonly pages: readonly number[]
}

const NONE = 0

export class Histories {
  private before = new Uint32Array(1024)
  private image = new Uint32Array(1024)
  private pages = new Uint32Array(1024)
  /** Contents that are at it now. */
  private contents = new Uint32Array(1024)
  /** Histories that go on from it, and one more for that of new contents. */
  private children = new Uint32Array(1024)
  /** The next in its bucket, or the next free one. */
  private link = new Uint32Array(1024)
  private buckets = new Uint32Array(1024)
  private end = 1
  private free = NONE
  /** What `first` gave last. */
  private kept = NONE
  private count = 0

  /** Bytes that they take. */
  get bytes(): number {
    return this.before.byteLength * 6 + this.buckets.byteLength
  }

  /** The history of contents that are met in an image for the first time, which is not 0. It stays until another image is asked for. */
  private first(image: number): number {
    if (this.image[this.kept] === image && this.kept !== NONE) return this.kept
    if (this.kept !== NONE) {
      this.children[this.kept]!--
      this.drop(this.kept)
    }
    this.kept = this.find(NONE, image, 1)
    this.children[this.kept]!++
    return this.kept
  }

  /** One content more is met, for the first time, in an image. Returns its history. */
  begin(image: number): number {
    const history = this.first(image)
    this.contents[history]!++
    return history
  }

  /** A content of a history is met once more, in this image or a later one. Returns its history now. */
  next(history: number, image: number): number {
    const same = this.image[history] === image
    const to = same
      ? this.find(this.before[history]!, image, this.pages[history]! + 1)
      : this.find(history, image, 1)
    this.contents[to]!++
    this.contents[history]!--
    this.drop(history)
    return to
  }

  /** Pages of a content of this history, in all images, and the images. */
  totals(history: number): { pages: number; images: number } {
    let pages = 0
    let images = 0
    for (let at = history; at !== NONE; at = this.before[at]!) {
      pages += this.pages[at]!
      images++
    }
    return { pages, images }
  }

  /** Where contents of a history are. */
  spread(history: number): Spread {
    const images: number[] = []
    const pages: number[] = []
    for (let at = history; at !== NONE; at = this.before[at]!) {
      images.unshift(this.image[at]!)
      pages.unshift(this.pages[at]!)
    }
    return { contents: this.contents[history]!, images, pages }
  }

  /** All ways in which contents are spread. */
  *spreads(): Generator<Spread> {
    for (let history = 1; history < this.end; history++) {
      if (this.contents[history]! > 0) yield this.spread(history)
    }
  }

  private find(before: number, image: number, pages: number): number {
    const bucket = this.bucketOf(before, image, pages)
    for (let at = this.buckets[bucket]!; at !== NONE; at = this.link[at]!) {
      if (this.pages[at] === pages && this.image[at] === image && this.before[at] === before) return at
    }
    return this.make(before, image, pages)
  }

  private make(before: number, image: number, pages: number): number {
    if (this.count >= this.buckets.length) this.growBuckets()
    let history = this.free
    if (history !== NONE) this.free = this.link[history]!
    else {
      history = this.end++
      if (history === this.before.length) this.growRecords()
    }
    this.before[history] = before
    this.image[history] = image
    this.pages[history] = pages
    this.contents[history] = 0
    this.children[history] = 0
    if (before !== NONE) this.children[before]!++
    const bucket = this.bucketOf(before, image, pages)
    this.link[history] = this.buckets[bucket]!
    this.buckets[bucket] = history
    this.count++
    return history
  }

  /** Forgets a history that nothing needs any more, and those before it of which the same is true then. */
  private drop(history: number): void {
    let at = history
    while (at !== NONE && this.contents[at] === 0 && this.children[at] === 0) {
      const before = this.before[at]!
      this.unlink(at)
      this.link[at] = this.free
      this.free = at
      this.count--
      if (before !== NONE) this.children[before]!--
      at = before
    }
  }

  private unlink(history: number): void {
    const bucket = this.bucketOf(this.before[history]!, this.image[history]!, this.pages[history]!)
    let at = this.buckets[bucket]!
    if (at === history) {
      this.buckets[bucket] = this.link[history]!
      return
    }
    while (this.link[at] !== history) at = this.link[at]!
    this.link[at] = this.link[history]!
  }

  private bucketOf(before: number, image: number, pages: number): number {
    const mixed =
      Math.imul(before, 0x9e3779b1) ^ Math.imul(image + 1, 0x85ebca6b) ^ Math.imul(pages, 0xc2b2ae35)
    return (mixed ^ (mixed >>> 15)) & (this.buckets.length - 1)
  }

  private growRecords(): void {
    this.before = twice(this.before)
    this.image = twice(this.image)
    this.pages = twice(this.pages)
    this.contents = twice(this.contents)
    this.children = twice(this.children)
    this.link = twice(this.link)
  }

  private growBuckets(): void {
    const old = this.buckets
    this.buckets = new Uint32Array(old.length * 2)
    for (const first of old) {
      for (let at = first; at !== NONE; ) {
        const next = this.link[at]!
        const bucket = this.bucketOf(this.before[at]!, this.image[at]!, this.pages[at]!)
        this.link[at] = this.buckets[bucket]!
        this.buckets[bucket] = at
        at = next
      }
    }
  }
}

function twice(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(numbers.length * 2)
  grown.set(numbers)
  return grown
}
