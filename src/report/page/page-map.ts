// The map unpacked: what became of each page, who belongs with it, and where it lies. The inverse of packPageMap.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { PageMap } from '../section.ts'
import { CODE_BYTES, GROUPED, WRITTEN } from './map-format.ts'
import { isDue, pause } from './pause.ts'

/** Pages gone through before the clock is looked at: so many take a slow phone a millisecond or two. */
const AT_A_TIME = 2 ** 14

/** A page by its place: which image, and which page of it. */
export interface Place {
  readonly image: number
  readonly page: number
}

export interface MapImage {
  readonly source: string
  /** What it is called where there is little room. */
  readonly name: string
  readonly pages: number
  /** Its first page among those of all images. */
  readonly first: number
  readonly extents: PageMap['images'][number]['extents']
}

/** Which pages belong together. */
interface Groups {
  /** The group of each page; 0: none. */
  readonly of: Uint32Array
  /** The pages of each group, one group after the other. */
  readonly members: Uint32Array
  /** Where in `members` each group begins; one more at the end. */
  readonly starts: Uint32Array
}

export class Pages {
  readonly images: readonly MapImage[]
  readonly maxPageSharing: number
  readonly count: number
  /** What the states are called. */
  readonly names: readonly string[]
  /** What became of each page, as a number. */
  readonly states: Uint8Array
  /** The same before a later moment was written; undefined if none was. */
  readonly before: Uint8Array | undefined
  /** 1 for each page that it wrote. */
  readonly written: Uint8Array | undefined
  private readonly groups: Groups

  constructor(map: PageMap, states: Uint8Array, groups: Groups, change?: Uint8Array) {
    let first = 0
    this.images = map.images.map((image) => {
      const placed = { ...image, first }
      first += image.pages
      return placed
    })
    this.count = first
    this.maxPageSharing = map.max_page_sharing
    this.names = map.states
    this.states = states
    this.before = change?.map((byte) => byte & ~WRITTEN)
    this.written = change?.map((byte) => Number((byte & WRITTEN) !== 0))
    this.groups = groups
  }

  /** What became of a page. */
  state(index: number): string {
    return this.names[this.states[index]!]!
  }

  group(index: number): number {
    return this.groups.of[index]!
  }

  /** The pages that belong with this one, itself among them, ascending. */
  membersWith(index: number): Uint32Array {
    const { of, members, starts } = this.groups
    const group = of[index]!
    return group === 0 ? Uint32Array.of(index) : members.subarray(starts[group], starts[group + 1])
  }

  placeOf(index: number): Place {
    let [image, behind] = [0, this.images.length]
    while (behind - image > 1) {
      const middle = (image + behind) >>> 1
      if (this.images[middle]!.first <= index) image = middle
      else behind = middle
    }
    return { image, page: index - this.images[image]!.first }
  }

  indexOf({ image, page }: Place): number {
    return this.images[image]!.first + page
  }

  /** The guest's own address of a page, in bytes. */
  addressOf({ image, page }: Place): number {
    const [first, address] = this.images[image]!.extents.findLast(([start]) => start <= page)!
    return address + (page - first) * PAGE_SIZE
  }

  /** The page of an image that an address lies in, if it has one. */
  pageAt(image: number, address: number): number | undefined {
    const { extents, pages } = this.images[image]!
    const i = extents.findLastIndex(([, start]) => start <= address)
    if (i < 0) return undefined
    const [first, start] = extents[i]!
    const page = first + Math.floor((address - start) / PAGE_SIZE)
    return page < (extents[i + 1]?.[0] ?? pages) ? page : undefined
  }

  /**
   * The next page of an image behind `index` that shares its frame with a page of another image, or with another page of
   * its own, pages of zeros apart; from the beginning again if there is none; -1 if no page does.
   */
  nextShared(image: number, other: number, index: number): number {
    const { first, pages } = this.images[image]!
    const shared = new Set(['shared_within', 'shared_between'].map((state) => this.names.indexOf(state)))
    const start = index >= first && index < first + pages ? index - first + 1 : 0
    for (let step = 0; step < pages; step++) {
      const page = first + ((start + step) % pages)
      if (shared.has(this.states[page]!) && this.isShared(page, other)) return page
    }
    return -1
  }

  private isShared(page: number, other: number): boolean {
    return within(this.membersWith(page), this.images[other]!).some((member) => member !== page)
  }
}

/** Unpacks a map. Rejects if the data is damaged. */
export async function unpack(map: PageMap): Promise<Pages> {
  const [bytes, change] = await Promise.all([inflate(map.packed), map.before && inflate(map.before)])
  const pages = map.images.reduce((sum, image) => sum + image.pages, 0)
  const groups = await groupsOf(await unpackGroups(bytes, pages))
  const states = bytes.subarray(0, pages).map((byte) => byte & ~GROUPED)
  return new Pages(map, states, groups, change || undefined)
}

async function inflate(text: string): Promise<Uint8Array> {
  const letters = atob(text)
  const packed = new Uint8Array(letters.length)
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i)
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** The group of each page. */
async function unpackGroups(bytes: Uint8Array, pages: number): Promise<Uint32Array> {
  const groups = new Uint32Array(pages)
  const grouped = (bytes.length - pages) / CODE_BYTES
  const next = new Uint32Array(grouped + 1)
  let at = pages
  let newest = 0
  let before = 0
  for (let page = 0; page < pages; page++) {
    if (page % AT_A_TIME === 0 && isDue()) await pause()
    if ((bytes[page]! & GROUPED) === 0) continue
    let code = 0
    for (let i = 0; i < CODE_BYTES; i++) code += bytes[at + i * grouped]! * 2 ** (8 * i)
    at++
    const group = code === 0 ? ++newest : code === 1 ? next[before]! : newest + 2 - code
    if (!(group >= 1)) throw new Error(`page ${page} belongs with pages that there are not`)
    groups[page] = group
    next[before] = group
    before = group
  }
  return groups
}

async function groupsOf(of: Uint32Array): Promise<Groups> {
  const counts: number[] = [0]
  for (let page = 0; page < of.length; page++) {
    if (page % AT_A_TIME === 0 && isDue()) await pause()
    const group = of[page]!
    counts[group] = (counts[group] ?? 0) + 1
  }
  const starts = new Uint32Array(counts.length + 1)
  for (let group = 1; group < counts.length; group++) starts[group + 1] = starts[group]! + counts[group]!
  const members = new Uint32Array(starts.at(-1)!)
  const next = starts.slice()
  for (let page = 0; page < of.length; page++) {
    if (page % AT_A_TIME === 0 && isDue()) await pause()
    const group = of[page]!
    if (group !== 0) members[next[group]!++] = page
  }
  return { of, members, starts }
}

/** Those of some pages, ascending, that are an image's. */
export function within(members: Uint32Array, { first, pages }: MapImage): Uint32Array {
  return members.subarray(atLeast(members, first), atLeast(members, first + pages))
}

/** Where in a sorted list the first number is that is not less than `least`. */
export function atLeast(sorted: Uint32Array, least: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < least) low = middle + 1
    else high = middle
  }
  return low
}
