// The map unpacked: what became of each page, who belongs with it, and where it lies. The inverse of packPageMap.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { PageMap } from '../section.ts'
import { pause } from './pause.ts'

/** Pages unpacked before the browser is let do something else. */
const AT_A_TIME = 2 ** 18

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
  private readonly groups: Uint32Array
  /** Where in `members` each group begins; one more at the end. */
  private readonly starts: Uint32Array
  private readonly members: Uint32Array

  constructor(map: PageMap, states: Uint8Array, groups: Uint32Array, change?: Uint8Array) {
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
    this.before = change?.map((byte) => byte & 127)
    this.written = change?.map((byte) => byte >> 7)
    this.groups = groups
    ;[this.starts, this.members] = membersByGroup(groups)
  }

  /** What became of a page. */
  state(index: number): string {
    return this.names[this.states[index]!]!
  }

  group(index: number): number {
    return this.groups[index]!
  }

  /** The pages that belong with this one, itself among them, ascending. */
  membersWith(index: number): Uint32Array {
    const group = this.groups[index]!
    return group === 0
      ? Uint32Array.of(index)
      : this.members.subarray(this.starts[group], this.starts[group + 1])
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
  const [bytes, change] = await Promise.all([inflate(map.data), map.before && inflate(map.before)])
  const pages = map.images.reduce((sum, image) => sum + image.pages, 0)
  const groups = await unpackGroups(bytes, pages)
  return new Pages(map, bytes.subarray(0, pages), groups, change || undefined)
}

async function inflate(text: string): Promise<Uint8Array> {
  const letters = atob(text)
  const packed = new Uint8Array(letters.length)
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i)
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

async function unpackGroups(bytes: Uint8Array, pages: number): Promise<Uint32Array> {
  const groups = new Uint32Array(pages)
  let at = pages
  let highest = 0
  let before = 0
  for (let page = 0; page < pages; page++) {
    if (page % AT_A_TIME === 0) await pause()
    let code = 0
    let shift = 0
    for (;;) {
      const byte = bytes[at++]!
      code |= (byte & 0x7f) << shift
      if (byte < 0x80) break
      shift += 7
    }
    if (code === 0) continue
    const zigzag = code - 2
    before = code === 1 ? ++highest : before + (zigzag & 1 ? -(zigzag + 1) / 2 : zigzag / 2)
    groups[page] = before
  }
  return groups
}

/** The pages of each group, one group after the other, and where each begins. */
function membersByGroup(groups: Uint32Array): [Uint32Array, Uint32Array] {
  let highest = 0
  for (const group of groups) if (group > highest) highest = group
  const starts = new Uint32Array(highest + 2)
  for (const group of groups) if (group !== 0) starts[group + 1]!++
  for (let group = 1; group < starts.length; group++) starts[group]! += starts[group - 1]!
  const members = new Uint32Array(starts.at(-1)!)
  const next = starts.slice()
  for (let page = 0; page < groups.length; page++) {
    const group = groups[page]!
    if (group !== 0) members[next[group]!++] = page
  }
  return [starts, members]
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
