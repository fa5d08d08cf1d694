// Who shares with whom: frames saved inside images and between them, zero pages apart. Read from the page tables, not
// from the counters, so that it can be held against them.

import { PAGE_SIZE, ZERO_PFN } from '../../../assembly/abi.ts'
import type { Mm } from '../../mm/mm.ts'

/** Pages that need no frame of their own any more. The three add up to pages_sharing + ksm_zero_pages. */
export interface Sharing {
  /** Pages of zeros, whether they share a merged page or the zero page. */
  zero: number
  /** Other pages that have an equal one in their own image. */
  within: number
  /** Other pages that only had an equal one in another image. */
  between: number
}

/** A range of an mm that holds an image. */
export interface MergedRange {
  readonly mm: Mm
  /** Bytes. */
  readonly address: number
  readonly pages: number
}

/** Counts the frames that a set of images, each a range of an mm, does without. */
export function sharingOf(ranges: readonly MergedRange[]): Sharing {
  const sharing: Sharing = { zero: 0, within: 0, between: 0 }
  /** For each frame the image that last mapped it, from 1; and whether it holds zeros, once that was asked for. */
  const lastImage = new Uint32Array(ranges.length === 0 ? 0 : ranges[0]!.mm.memory.arena.endPfn)
  const isZero = new Map<number, boolean>()
  for (const [image, { mm, address, pages }] of ranges.entries()) {
    for (let page = 0; page < pages; page++) {
      const at = address + page * PAGE_SIZE
      const pfn = mm.pfn(at)
      if (pfn === undefined) continue
      if (pfn === ZERO_PFN) {
        sharing.zero++
        continue
      }
      const before = lastImage[pfn]!
      lastImage[pfn] = image + 1
      if (before === 0) continue
      let zero = isZero.get(pfn)
      if (zero === undefined) {
        zero = mm.memory.arena.core.isZeroPage(pfn) !== 0
        isZero.set(pfn, zero)
      }
      if (zero) sharing.zero++
      else if (before === image + 1) sharing.within++
      else sharing.between++
    }
  }
  return sharing
}
