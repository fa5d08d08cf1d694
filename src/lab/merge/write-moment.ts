// A later moment written over guests that were merged: only what differs, as the guests themselves would have.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import type { MergedRange } from './sharing.ts'

/** Pages read at a time. */
const CHUNK_PAGES = 1024

/**
 * Writes the pages in which the images of a later moment differ from their guests, all of which are present, and returns
 * how many those were; `onWrite` is called for each. Throws EIO, ENOMEM.
 */
export function writeMoment(
  guests: readonly MergedRange[],
  later: readonly Image[],
  onProgress: (pages: number) => void,
  onWrite?: (image: number, page: number) => void,
): number {
  const words = new Uint32Array(CHUNK_PAGES * WORDS_PER_PAGE)
  const bytes = new Uint8Array(words.buffer)
  const present = new Uint32Array(WORDS_PER_PAGE)
  const presentBytes = new Uint8Array(present.buffer)
  let written = 0
  let done = 0
  for (const [i, { mm, address, pages }] of guests.entries()) {
    for (let first = 0; first < pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, pages - first)
      later[i]!.read(first, count, bytes.subarray(0, count * PAGE_SIZE))
      for (let page = 0; page < count; page++) {
        const at = address + (first + page) * PAGE_SIZE
        mm.memory.bytes.read(mm.pfn(at)!, 0, PAGE_SIZE, presentBytes, 0)
        if (isPageOf(words, page, present)) continue
        mm.write(at, bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE))
        onWrite?.(i, first + page)
        written++
      }
      done += count
      onProgress(done)
    }
  }
  return written
}

/** Is `present` what stands in `words` as its page number `page`? Eight words at a time: one at a time takes a third longer. */
function isPageOf(words: Uint32Array, page: number, present: Uint32Array): boolean {
  const start = page * WORDS_PER_PAGE
  for (let i = 0; i < WORDS_PER_PAGE; i += 8) {
    const at = start + i
    const different =
      (words[at]! ^ present[i]!) |
      (words[at + 1]! ^ present[i + 1]!) |
      (words[at + 2]! ^ present[i + 2]!) |
      (words[at + 3]! ^ present[i + 3]!) |
      (words[at + 4]! ^ present[i + 4]!) |
      (words[at + 5]! ^ present[i + 5]!) |
      (words[at + 6]! ^ present[i + 6]!) |
      (words[at + 7]! ^ present[i + 7]!)
    if (different !== 0) return false
  }
  return true
}
