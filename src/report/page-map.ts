// Packs what became of every page into a few bytes, so that a report of a million pages can still be mailed.

// Not the package's own door: under Node that wants to be Node's.
import { deflateSync } from 'fflate/browser'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { toBase64 } from '../base64.ts'
import type { Image } from '../image.ts'
import { PAGE_STATES } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import type { PageMap } from './section.ts'

/** A varint carries so many bits a byte. */
const VARINT_BITS = 7

/** Packs the states of some images' pages. `max_page_sharing`: as it was when they were merged. */
export function packPageMap(images: readonly Image[], pages: PageStates, max_page_sharing: number): PageMap {
  return {
    states: PAGE_STATES,
    images: images.map((image) => ({
      source: image.source,
      pages: image.pages,
      extents: extentsOf(image),
    })),
    max_page_sharing,
    data: toBase64(deflateSync(bytesOf(pages), { level: 9 })),
  }
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
