// What a census of a moment says about merging, and what two of them say about the time between.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Census } from './census.ts'

/** Frames that merging makes free: pages of zeros (all but one), and others with an equal page in their own image, or
 * only in another. The same three numbers as the `sharing` of a scan. */
export interface SharingTruth {
  /** Pages of zeros, but for one. */
  readonly zero: number
  /** Others with an equal page in their own image. */
  readonly within: number
  /** Others with an equal page only in another image. */
  readonly between: number
}

/** What no merging of pages can surpass, in bytes. */
export interface BestResult {
  /** Every content once. */
  readonly bytes_saved: number
  /** Pages of zeros left as they are. */
  readonly bytes_saved_without_zero_pages: number
  /** Zeros need no frame at all: the kernel has a page of them, as with use_zero_pages. */
  readonly bytes_saved_with_zero_page: number
  /** Every content once in each image that has it. */
  readonly bytes_saved_within_images: number
}

/** How often contents occur at one moment; zeros apart. */
export interface Counted {
  /** Number of contents, by the number of their pages. */
  readonly contents: ReadonlyMap<number, number>
  readonly zeroPages: number
  readonly sharedContents: number
  readonly mostSharers: number
  readonly sharing: SharingTruth
}

/** Counts how often contents occur. */
export function occurrencesOf(census: Census): Counted {
  const contents = new Map<number, number>()
  let within = 0
  let between = 0
  let sharedContents = 0
  let mostSharers = 0
  for (let content = 0; content < census.contents; content++) {
    if (content === census.zero) continue
    const count = census.counts[content]!
    contents.set(count, (contents.get(count) ?? 0) + 1)
    if (count > 1) sharedContents++
    mostSharers = Math.max(mostSharers, count)
    between += census.images[content]! - 1
    within += count - census.images[content]!
  }
  const zeroPages = census.zero === undefined ? 0 : census.counts[census.zero]!
  const sharing = { zero: Math.max(0, zeroPages - 1), within, between }
  return { contents, zeroPages, sharedContents, mostSharers, sharing }
}

/** The best that merging could do. */
export function bestOf(census: Census, { sharing, zeroPages }: Counted): BestResult {
  const zeroWithin = census.zero === undefined ? 0 : zeroPages - census.images[census.zero]!
  const other = sharing.within + sharing.between
  return {
    bytes_saved: (other + sharing.zero) * PAGE_SIZE,
    bytes_saved_without_zero_pages: other * PAGE_SIZE,
    bytes_saved_with_zero_page: (other + zeroPages) * PAGE_SIZE,
    bytes_saved_within_images: (sharing.within + zeroWithin) * PAGE_SIZE,
  }
}

/** What was written between two moments. */
export interface Changes {
  readonly counts: { readonly pages_written: number; readonly shared_pages_written: number }
  /** For each content now, the pages that had it before. */
  readonly kept: Uint32Array
}

/** Compares two moments page by page. */
export function changesSince(before: Census, now: Census): Changes {
  const kept = new Uint32Array(now.contents)
  let pages_written = 0
  let shared_pages_written = 0
  for (const [page, content] of now.contentOf.entries()) {
    const old = before.contentOf[page]!
    if (now.same(content, before, old)) {
      kept[content]!++
      continue
    }
    pages_written++
    if (before.counts[old]! > 1) shared_pages_written++
  }
  return { counts: { pages_written, shared_pages_written }, kept }
}

/** Whether the contents of more pages than a limit are the same as before, with the same pages. */
export function sameAbove(limit: number, before: Census, now: Census, kept: Uint32Array): boolean {
  let above = 0
  for (let content = 0; content < now.contents; content++) {
    const count = now.counts[content]!
    if (count <= limit) continue
    const old = before.contentOf[now.firstPageOf(content)]!
    if (kept[content] !== count || before.counts[old] !== count) return false
    above++
  }
  return before.counts.subarray(0, before.contents).every((count) => count <= limit || above-- > 0)
}
