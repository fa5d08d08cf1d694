// What truth.json holds: all that is true of synthetic guests, by its names there.

import type { BestResult, SharingTruth } from './counts.ts'
import type { ExpectedKsmd } from './expected-ksmd.ts'
import type { SynthParameters } from './parameters.ts'
import type { CLASSES, PageClass } from './plan.ts'

/** What is true of synthetic guests: what `synthTruth` counts, and truth.json holds. */
export interface SynthTruth {
  /** SYNTH_VERSION of the maker. */
  readonly synth_version: number
  /** VERSION of the maker. */
  readonly pagefold_version: string
  /** The name of the preset. */
  readonly preset: string
  /** Pages an image. */
  readonly pages: number
  readonly images: number
  /** The seed. */
  readonly seed: number
  /** All parameters, defaults filled in. */
  readonly parameters: SynthParameters
  /** Bytes in a page. */
  readonly page_size: number
  /** What the letters in `layout` stand for. */
  readonly classes: typeof CLASSES
  /** One a moment, from 0. */
  readonly moments: readonly MomentTruth[]
}

/** What is true of all images at one moment. */
export interface MomentTruth {
  /** Its number, from 0. */
  readonly moment: number
  /** Pages of all images. */
  readonly pages: number
  /** Pages that are not as they were a moment before. Absent at moment 0. */
  readonly pages_written?: number
  /** Of these, those that had an equal page then. */
  readonly shared_pages_written?: number
  /** Writes that left a page as it was. They are in no image. */
  readonly pages_rewritten_same?: number
  /** Different contents, zeros among them, told apart by SHA-256. */
  readonly contents: number
  /** Of these, other than zeros, those of a single page. */
  readonly unique_contents: number
  /** Those of several pages. */
  readonly shared_contents: number
  /** The most pages that one has. */
  readonly most_sharers: number
  /** Pages of zeros. */
  readonly zero_pages: number
  /** What merging everything would save, by who shares with whom. */
  readonly sharing: SharingTruth
  /** The most that merging could save. */
  readonly best: BestResult
  /** What ksmd counts when it has converged on this moment alone. */
  readonly ksmd: readonly ExpectedKsmd[]
  /** The same when it had converged on the moments before, one after the other. Not for limits that a content with other
   * pages than at moment 0 exceeds: there Linux's result depends on when it prunes its chains. Absent at moment 0. */
  readonly ksmd_after_moments_before?: readonly ExpectedKsmd[]
  /** How many pages there are of each class; classes without a page are left out. */
  readonly pages_by_class: Readonly<Partial<Record<PageClass, number>>>
  /** One an image. */
  readonly files: readonly ImageTruth[]
}

/** What is true of one image at one moment. */
export interface ImageTruth {
  /** What `writeSynth` calls its file. */
  readonly file: string
  /** Its number, from 0. */
  readonly image: number
  /** Of all its bytes, in hexadecimal. */
  readonly sha256: string
  /** Classes of the pages in order, run by run: the number of pages and the class's letter. */
  readonly layout: string
}
