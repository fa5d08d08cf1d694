// The best that merging pages could do on any images: every content once.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import { Census, digestOf } from '../../synth/census.ts'
import { bestOf, occurrencesOf } from '../../synth/counts.ts'

const CHUNK_PAGES = 1024

/** What no merging of these images' pages can surpass. */
export interface BestPossible {
  /** Pages of all images. */
  readonly pages: number
  /** Different contents, zeros among them. */
  readonly contents: number
  /** Pages of zeros. */
  readonly zero_pages: number
  /** Saved if every content is kept once. */
  readonly bytes_saved: number
  /** Without what is saved on pages of zeros. */
  readonly bytes_saved_without_zero_pages: number
}

/** Reads every page once and counts contents, told apart by SHA-256. */
export function bestPossible(images: readonly Image[]): BestPossible {
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const census = new Census(pages)
  const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  let page = 0
  for (const [i, image] of images.entries()) {
    for (let first = 0; first < image.pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, image.pages - first)
      image.read(first, count, chunk)
      for (let at = 0; at < count * PAGE_SIZE; at += PAGE_SIZE) {
        census.add(page++, i, digestOf(chunk.subarray(at, at + PAGE_SIZE)))
      }
    }
  }
  const counted = occurrencesOf(census)
  const { bytes_saved, bytes_saved_without_zero_pages } = bestOf(census, counted)
  const { zeroPages: zero_pages } = counted
  return { pages, contents: census.contents, zero_pages, bytes_saved, bytes_saved_without_zero_pages }
}
