// Packs what became of every page into a few bytes, so that a report of a million pages can still be mailed.

// Not the package's own door: under Node that wants to be Node's.
import { deflateSync } from 'fflate/browser'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { toBase64 } from '../base64.ts'
import type { Image } from '../image.ts'
import { PAGE_STATES } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import { CODE_BYTES, GROUPED, WRITTEN } from './page/map-format.ts'
import type { PageMap } from './section.ts'
import { shortNames } from './short-names.ts'

/** What a later moment changed, written in between. */
export interface Change {
  /** What had become of each page before. */
  readonly before: PageStates
  /** A byte a page: 1 if it was written. */
  readonly written: Uint8Array
}

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
    packed: pack(bytesOf(pages)),
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
  const codes = codesOf(groups.filter((group) => group !== 0))
  const bytes = new Uint8Array(states.length + CODE_BYTES * codes.length)
  bytes.set(states.map((state, page) => (groups[page] === 0 ? state : state | GROUPED)))
  for (let i = 0; i < CODE_BYTES; i++) {
    const at = states.length + i * codes.length
    bytes.set(
      codes.map((code) => code >>> (8 * i)),
      at,
    )
  }
  return bytes
}

function codesOf(groups: Uint32Array): Uint32Array {
  const next = new Uint32Array(groups.length + 1)
  let newest = 0
  let before = 0
  return groups.map((group) => {
    const code = group > newest ? 0 : group === next[before] ? 1 : 2 + newest - group
    newest = Math.max(newest, group)
    next[before] = group
    before = group
    return code
  })
}
