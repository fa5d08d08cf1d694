// A later moment written over guests that were merged: only what differs, as the guests themselves would have.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import type { MergedRange } from './sharing.ts'

/** Pages read at a time. */
const CHUNK_PAGES = 1024

/**
 * Writes the pages in which the images of a later moment differ from their guests, all of which are present, and returns
 * how many those were. Throws EIO, ENOMEM.
 */
export function writeMoment(
  guests: readonly MergedRange[],
  later: readonly Image[],
  onProgress: (pages: number) => void,
): number {
  const words = new Uint32Array(CHUNK_PAGES * WORDS_PER_PAGE)
  const bytes = new Uint8Array(words.buffer)
  let written = 0
  let done = 0
  for (const [i, { mm, address, pages }] of guests.entries()) {
    for (let first = 0; first < pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, pages - first)
      later[i]!.read(first, count, bytes.subarray(0, count * PAGE_SIZE))
      for (let page = 0; page < count; page++) {
        const at = address + (first + page) * PAGE_SIZE
        // Compared where it lies: a copy of the guest's pages costs as much as all the rest.
        let same = false
        mm.memory.bytes.show(mm.pfn(at)!, (present) => {
          same = isPageOf(words, page, present)
        })
        if (same) continue
        mm.write(at, bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE))
        written++
      }
      done += count
      onProgress(done)
    }
  }
  return written
}

/** Is `present` what stands in `words` as its page number `page`? */
function isPageOf(words: Uint32Array, page: number, { buffer, byteOffset }: Uint8Array): boolean {
  const present = new Uint32Array(buffer, byteOffset, WORDS_PER_PAGE)
  const start = page * WORDS_PER_PAGE
  for (let word = 0; word < WORDS_PER_PAGE; word++) {
    if (present[word] !== words[start + word]) return false
  }
  return true
}
