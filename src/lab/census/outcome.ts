// What ksmd comes to on memory that stands still, from nothing but how contents are spread over images: its counters, what is saved
// and by whom, who shares with whom. Nothing here looks at a page.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectedKsmd } from '../../synth/expected-ksmd.ts'
import type { Sharing } from '../merge/sharing.ts'
import type { Spread } from './histories.ts'

/** Knobs that decide what ksmd comes to. */
export interface OutcomeKnobs {
  readonly max_page_sharing: number
  readonly use_zero_pages: number
  readonly merge_across_nodes: number
}

/** Counters under their sysfs names, once ksmd has converged. */
export interface CensusCounters {
  /** Merged pages. */
  readonly pages_shared: number
  /** Further pages that are mapped to these: as many frames are saved. */
  readonly pages_sharing: number
  /** Pages that have no equal, or only such that are full. */
  readonly pages_unshared: number
  /** Pages that change too fast to be merged: those that differed between two readings. */
  readonly pages_volatile: number
  /** Pages that gave way to the zero page. */
  readonly ksm_zero_pages: number
  /** Contents that have several merged pages, because of max_page_sharing. */
  readonly stable_node_chains: number
  /** The merged pages of those contents. */
  readonly stable_node_dups: number
  /** Bytes saved less what Linux spends on rmap items, 64 bytes each. */
  readonly general_profit: number
}

/** What a census knows when all pages are read. */
export interface Counted {
  readonly spreads: readonly Spread[]
  /** Pages of zeros, by image. */
  readonly zeros: readonly number[]
  /** Pages that are in view and never merge, of all images. */
  readonly volatile: number
  /** The NUMA node of each image. */
  readonly nodes: readonly number[]
}

/** What Linux takes for an item of a page in view. */
const LINUX_ITEM_BYTES = 64
/** What pagefold takes for it. */
const OUR_ITEM_BYTES = 32

/** Spreads as ksmd sees them: with merge_across_nodes=0 each node's pages are a world of their own. */
function* worldsOf({ spreads, nodes }: Counted, { merge_across_nodes }: OutcomeKnobs): Generator<Spread> {
  for (const spread of spreads) {
    if (merge_across_nodes !== 0) {
      yield spread
      continue
    }
    for (const node of new Set(spread.images.map((image) => nodes[image]!))) {
      const own = spread.images.map((image, i) => [image, spread.pages[i]!] as const)
      const there = own.filter(([image]) => nodes[image] === node)
      yield {
        contents: spread.contents,
        images: there.map(([image]) => image),
        pages: there.map(([, pages]) => pages),
      }
    }
  }
}

/** Zeros as one more spread. */
function zerosAsSpread(zeros: readonly number[]): Spread[] {
  const images = [...zeros.keys()].filter((image) => zeros[image]! > 0)
  return images.length === 0 ? [] : [{ contents: 1, images, pages: images.map((image) => zeros[image]!) }]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

/** The counters, and the profit at pagefold's own 32 bytes an item. */
export function countersOf(
  counted: Counted,
  knobs: OutcomeKnobs,
): { counters: CensusCounters; profit: { linux: number; pagefold: number } } {
  const contents = new Map<number, number>()
  const add = (spread: Spread): void => {
    const pages = sum(spread.pages)
    contents.set(pages, (contents.get(pages) ?? 0) + spread.contents)
  }
  const useZeroPages = knobs.use_zero_pages === 0 ? 0 : 1
  for (const spread of worldsOf(counted, knobs)) add(spread)
  const zeros: Counted = { ...counted, spreads: zerosAsSpread(counted.zeros) }
  if (useZeroPages === 0) for (const spread of worldsOf(zeros, knobs)) add(spread)
  const zeroPages = useZeroPages === 0 ? 0 : sum(counted.zeros)
  const occurrences = { contents, zeroPages, left: 0, zeroLeft: false }
  const expected = expectedKsmd(occurrences, knobs.max_page_sharing, useZeroPages)
  const { pages_shared, pages_sharing, pages_unshared, ksm_zero_pages } = expected
  const pages_volatile = counted.volatile
  const saved = (pages_sharing + ksm_zero_pages) * PAGE_SIZE
  const items = pages_shared + pages_sharing + pages_unshared + pages_volatile
  const linux = saved - items * LINUX_ITEM_BYTES
  const counters = {
    pages_shared,
    pages_sharing,
    pages_unshared,
    pages_volatile,
    ksm_zero_pages,
    stable_node_chains: expected.stable_node_chains,
    stable_node_dups: expected.stable_node_dups,
    general_profit: linux,
  }
  return { counters, profit: { linux, pagefold: saved - items * OUR_ITEM_BYTES } }
}

/**
 * The merged frames of a content, filled in the order of its pages as ksmd fills them, `limit` pages each: calls `use` with the images of
 * each and their pages, and for how many frames that is so. A page that is left over alone has one to itself.
 */
export function eachFrame(
  { images, pages }: Spread,
  limit: number,
  use: (images: readonly number[], pages: readonly number[], frames: number) => void,
): void {
  let inFrame: number[] = []
  let counts: number[] = []
  let room = limit
  const done = (): void => {
    if (room < limit) use(inFrame, counts, 1)
    inFrame = []
    counts = []
    room = limit
  }
  for (const [i, image] of images.entries()) {
    let left = pages[i]!
    if (room < limit) {
      const taken = Math.min(room, left)
      inFrame.push(image)
      counts.push(taken)
      room -= taken
      left -= taken
      if (room === 0) done()
    }
    const full = Math.floor(left / limit)
    if (full > 0) use([image], [limit], full)
    left -= full * limit
    if (left === 0) continue
    inFrame.push(image)
    counts.push(left)
    room -= left
  }
  done()
}

/** Frames saved: pages of zeros, others with an equal page in their own image, or only in another. */
export function savedOf(counted: Counted, knobs: OutcomeKnobs): Sharing {
  const limit = knobs.max_page_sharing
  const sharing: Sharing = { zero: 0, within: 0, between: 0 }
  for (const spread of worldsOf(counted, knobs)) {
    eachFrame(spread, limit, (images, pages, frames) => {
      sharing.between += spread.contents * frames * (images.length - 1)
      sharing.within += spread.contents * frames * (sum(pages) - images.length)
    })
  }
  if (knobs.use_zero_pages !== 0) sharing.zero = sum(counted.zeros)
  else {
    for (const spread of worldsOf({ ...counted, spreads: zerosAsSpread(counted.zeros) }, knobs)) {
      eachFrame(spread, limit, (_, pages, frames) => {
        sharing.zero += frames * (sum(pages) - 1)
      })
    }
  }
  return sharing
}

/**
 * For image i and image j: pages of i that share their frame with a page of j; with i = j, with another page of i. Pages of zeros
 * apart: they are everybody's.
 */
export function sharedBetween(counted: Counted, knobs: OutcomeKnobs): number[][] {
  const matrix = counted.zeros.map(() => counted.zeros.map(() => 0))
  for (const spread of worldsOf(counted, knobs)) {
    eachFrame(spread, knobs.max_page_sharing, (images, pages, frames) => {
      for (const [i, image] of images.entries()) {
        const all = spread.contents * frames * pages[i]!
        for (const other of images) if (other !== image || pages[i]! > 1) matrix[image]![other]! += all
      }
    })
  }
  return matrix
}

/** How many contents each image has; zeros are one. */
export function distinctOf({ spreads, zeros }: Counted): number[] {
  const distinct = zeros.map((pages) => Math.min(pages, 1))
  for (const { contents, images } of spreads) for (const image of images) distinct[image]! += contents
  return distinct
}
