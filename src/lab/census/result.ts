// What a census comes to, as it is told.

import type { ImageFormat } from '../../image.ts'
import type { Sharing } from '../merge/sharing.ts'
import type { NodesBy } from './nodes.ts'
import type { CensusCounters } from './outcome.ts'
import type { Pace } from './pace.ts'

/** The knobs that a census goes by. */
export const CENSUS_KNOBS = [
  'max_page_sharing',
  'use_zero_pages',
  'merge_across_nodes',
  'pages_to_scan',
  'sleep_millisecs',
] as const
/** A knob that a census goes by, under /sys/kernel/mm/ksm. */
export type CensusKnob = (typeof CENSUS_KNOBS)[number]

/** A content that many pages have. */
export interface PayingContent {
  /** Its fingerprint, 32 hexadecimal digits. */
  readonly fingerprint: string
  /** Pages that have it. */
  readonly pages: number
  /** Images that have such pages. */
  readonly images: number
  /** What keeping it once saves. */
  readonly bytes_saved: number
  /** Where it was first met, if that was asked for: the image's number, the page's number in it, the page's address. */
  readonly first?: { readonly image: number; readonly page: number; readonly address: number }
}

/** What is counted of an image. */
export interface CensusImage {
  readonly source: string
  readonly format: ImageFormat
  /** Pages counted. */
  readonly pages: number
  /** Pages of the guest that are not in the file. */
  readonly absent_pages: number
  /** Different contents, zeros among them. */
  readonly distinct: number
  /** Pages of zeros. */
  readonly zero_pages: number
  /** Pages that differed between two readings. */
  readonly volatile_pages: number
  /** Pages that were gone when they were to be read; they are not among `pages`. */
  readonly gone_pages: number
  /** The NUMA node it is counted on. */
  readonly node: number
  /** Which part of its pages lies on other nodes, from 0 to 1: the system's count of a process, 0 where it has none. */
  readonly part_on_other_nodes: number
}

/** What came of a census: what `pagefold census --json` prints. */
export interface CensusResult {
  /** Pages of all images, volatile ones among them. */
  readonly pages: number
  /** Different contents of those that are not volatile, zeros among them. */
  readonly distinct: number
  /** Pages of zeros. */
  readonly zero_pages: number
  /** What was counted, in the order given. */
  readonly images: readonly CensusImage[]
  /** The knobs that it is reckoned for. */
  readonly knobs: Readonly<Record<CensusKnob, number>>
  /**
   * Who says on which NUMA node images are, which counts with merge_across_nodes=0: `given` by the caller; `measured`, the system has all pages of each on one;
   * `estimated`, some pages lie elsewhere; `assumed`, nobody tells, and all are taken to be on one.
   */
  readonly nodes_by: NodesBy
  /** What ksmd comes to. */
  readonly counters: CensusCounters
  /** Frames saved: pages of zeros, others with an equal page in their own image, others with one only in another. */
  readonly saved: Readonly<Sharing>
  /** The same in bytes, all of it. */
  readonly bytes_saved: number
  /** Row i, column j: pages of image i that share their frame with one of j; i = j: with another of i. Zeros apart. Empty for more than 1,024 images. */
  readonly shared_between: readonly (readonly number[])[]
  /** Bytes saved less what is spent on a record of every page in view: 64 bytes by Linux, 32 by pagefold. */
  readonly profit: { readonly linux: number; readonly pagefold: number }
  /** Contents that pay most; zeros are not among them. */
  readonly most: readonly PayingContent[]
  /** How long ksmd sleeps until all is merged. */
  readonly pace: Pace
  /** With `within`: the fewest pages a batch that have all merged in that time. */
  readonly pages_to_scan_wanted?: number
  /** Bits of a fingerprint. */
  readonly fingerprint_bits: 128
  /** At most so likely is it that two contents were taken for one. */
  readonly collision_bound: number
  /** With `verify`: pages whose bytes were compared. */
  readonly verified_pages?: number
  /** Threads that read beside the one that counts. */
  readonly workers: number
  /** Bytes of the table of contents. */
  readonly table_bytes: number
  /** The most memory that the process had, in bytes; 0 where nobody tells. */
  readonly peak_memory_bytes: number
  /** Milliseconds it took. */
  readonly elapsed_ms: number
}
