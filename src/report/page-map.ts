// Packs what became of every page into a few bytes, so that a report of a million pages can still be mailed.

// Not the package's own door: under Node that wants to be Node's.
import { deflateSync } from 'fflate/browser'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { toBase64 } from '../base64.ts'
import type { Image } from '../image.ts'
import { PAGE_STATES } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import type { PageMap } from './section.ts'
import { shortNames } from './short-names.ts'

/** What a later moment changed, written in between. */
export interface Change {
  /** What had become of each page before. */
  readonly before: PageStates
  /** A byte a page: 1 if it was written. */
  readonly written: Uint8Array
}

/** A varint carries so many bits a byte. */
const VARINT_BITS = 7
/** Beside the state before: the page was written. */
const WRITTEN = 128

/** Packs the states of some images' pages. `max_page_sharing`: as it was when they were merged. */
export function packPageMap(
  images: readonly Image[],
  pages: PageStates,
  max_page_sharing: number,
  change?: Change,
): PageMap {
  const names = shortNames(images.map(({ source }) => source))
  return {
    states: PAGE_STATES,
    images: images.map((image, i) => ({
      source: image.source,
      name: names[i]!,
      pages: image.pages,
      extents: extentsOf(image),
    })),
    max_page_sharing,
    data: pack(bytesOf(pages)),
    ...(change === undefined ? {} : { before: pack(changeOf(change)) }),
  }
}

function pack(bytes: Uint8Array): string {
  return toBase64(deflateSync(bytes, { level: 9 }))
}

function changeOf({ before, written }: Change): Uint8Array {
  return before.states.map((state, page) => state | (written[page] === 0 ? 0 : WRITTEN))
}

function extentsOf(image: Image): [number, number][] {
  const extents: [number, number][] = []
  let expected = -1
  for (let page = 0; page < image.pages; page++) {
    const address = image.addressOf(page)
    if (address !== expected) extents.push([page, address])
    expected = address + PAGE_SIZE
  }
  return extents
}

function bytesOf({ states, groups }: PageStates): Uint8Array {
  const codes: number[] = []
  let highest = 0
  let before = 0
  for (const group of groups) {
    pushVarint(codes, codeOf(group, before, highest))
    if (group === 0) continue
    highest = Math.max(highest, group)
    before = group
  }
  const bytes = new Uint8Array(states.length + codes.length)
  bytes.set(states)
  bytes.set(codes, states.length)
  return bytes
}

function codeOf(group: number, before: number, highest: number): number {
  if (group === 0) return 0
  if (group > highest) return 1
  const difference = group - before
  return 2 + (difference < 0 ? -2 * difference - 1 : 2 * difference)
}

function pushVarint(bytes: number[], value: number): void {
  while (value >= 1 << VARINT_BITS) {
    bytes.push((value & 0x7f) | 0x80)
    value >>>= VARINT_BITS
  }
  bytes.push(value)
}
