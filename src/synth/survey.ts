// Counting the bytes of every page of some guests, moment after moment, and holding what was planned against them.

import type { Hash } from 'node:crypto'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { hashes } from '../platform.ts'
import { Census, digestOf, unplannedEquality } from './census.ts'
import {
  type BestResult,
  bestOf,
  changesSince,
  occurrencesOf,
  type SharingTruth,
  sameAbove,
} from './counts.ts'
import { type ExpectedKsmd, expectedKsmd, type Occurrences } from './expected-ksmd.ts'
import type { SynthRecipe } from './guests.ts'
import { imagesOf } from './images.ts'
import { CLASS_NAMES, CLASSES, type PageClass, type Plan } from './plan.ts'

export interface MomentTruth {
  readonly moment: number
  /** Pages of all images. */
  readonly pages: number
  /** Pages that are not as they were a moment before; how many of them had an equal page then. Absent at moment 0. */
  readonly pages_written?: number
  readonly shared_pages_written?: number
  /** Writes that left a page as it was. They are in no image. */
  readonly pages_rewritten_same?: number
  /** Different contents, zeros among them, told apart by SHA-256. */
  readonly contents: number
  /** Of these, other than zeros: with a single page, with several, and the most pages one has. */
  readonly unique_contents: number
  readonly shared_contents: number
  readonly most_sharers: number
  readonly zero_pages: number
  readonly sharing: SharingTruth
  readonly best: BestResult
  /** What ksmd counts when it has converged on this moment alone. */
  readonly ksmd: readonly ExpectedKsmd[]
  /** The same when it had converged on the moments before, one after the other. Not for limits that a content with other
   * pages than at moment 0 exceeds: there Linux's result depends on when it prunes its chains. Absent at moment 0. */
  readonly ksmd_after_moments_before?: readonly ExpectedKsmd[]
  readonly pages_by_class: Readonly<Partial<Record<PageClass, number>>>
  readonly files: readonly ImageTruth[]
}

export interface ImageTruth {
  readonly file: string
  readonly image: number
  readonly sha256: string
  /** Classes of the pages in order, run by run: the number of pages and the class's letter. */
  readonly layout: string
}

/** Bytes on their way: where images go beside being counted. */
export interface Sink {
  begin(file: string): void
  write(bytes: Uint8Array): void
  end(): void
}

export interface SurveyHooks {
  readonly sink?: Sink
  readonly onProgress?: (donePages: number, ofPages: number) => void
}

const CHUNK_PAGES = 1024

/** The file of an image at a moment, numbered so that names sort. */
function fileOf(image: number, images: number, moment: number, moments: number): string {
  const pad = (number: number, count: number): string =>
    String(number).padStart(String(count - 1).length, '0')
  return `image-${pad(image, images)}.t${pad(moment, moments)}.raw`
}

/** Counts one moment after another. */
export class Survey {
  private readonly recipe: SynthRecipe
  private readonly moments: number
  private readonly limits: readonly number[]
  private readonly hooks: SurveyHooks
  private readonly chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  private done = 0
  /** The moment before, and which of its contents ksmd had merged pages of. */
  private before: { census: Census; merged: Uint8Array } | undefined
  /** Limits under which no chain of merged pages has changed yet. */
  private settled: readonly number[]

  constructor(recipe: SynthRecipe, moments: number, limits: readonly number[], hooks: SurveyHooks) {
    this.recipe = recipe
    this.moments = moments
    this.limits = limits
    this.settled = limits
    this.hooks = hooks
  }

  moment(plan: Plan, moment: number, rewrittenSame: number): MomentTruth {
    const { images, pages } = this.recipe
    const census = new Census(images * pages)
    const files = imagesOf(plan, this.recipe, moment).map((source, image): ImageTruth => {
      const file = fileOf(image, images, moment, this.moments)
      const hash = hashes('synthTruth').createHash('sha256')
      this.hooks.sink?.begin(file)
      for (let first = 0; first < pages; first += CHUNK_PAGES) {
        const bytes = this.chunk.subarray(0, Math.min(CHUNK_PAGES, pages - first) * PAGE_SIZE)
        source.read(first, bytes.length / PAGE_SIZE, bytes)
        this.take(bytes, image * pages + first, image, plan, census, hash)
      }
      this.hooks.sink?.end()
      const layout = layoutOf(plan.classes.subarray(image * pages, (image + 1) * pages))
      return { file, image, sha256: hash.digest('hex'), layout }
    })
    return this.conclude(plan, census, moment, rewrittenSame, files)
  }

  private take(
    bytes: Uint8Array,
    first: number,
    image: number,
    plan: Plan,
    census: Census,
    hash: Hash,
  ): void {
    for (let at = 0, page = first; at < bytes.length; at += PAGE_SIZE, page++) {
      const content = census.add(page, image, digestOf(bytes.subarray(at, at + PAGE_SIZE)))
      const other = census.firstPageOf(content)
      if (!sameName(plan, page, other)) throw unplannedEquality(page, other)
    }
    hash.update(bytes)
    this.hooks.sink?.write(bytes)
    this.done += bytes.length / PAGE_SIZE
    this.hooks.onProgress?.(this.done, this.recipe.images * this.recipe.pages * this.moments)
  }

  private conclude(
    plan: Plan,
    census: Census,
    moment: number,
    rewrittenSame: number,
    files: readonly ImageTruth[],
  ): MomentTruth {
    const { before } = this
    const counted = occurrencesOf(census)
    const { zeroPages, mostSharers } = counted
    const changes = before === undefined ? undefined : changesSince(before.census, census)
    if (before !== undefined && changes !== undefined) {
      this.settled = this.settled.filter((limit) => sameAbove(limit, before.census, census, changes.kept))
    }
    const after = { ...counted, ...this.leftOver(census) }
    return {
      moment,
      pages: census.contentOf.length,
      ...(changes === undefined ? {} : { ...changes.counts, pages_rewritten_same: rewrittenSame }),
      contents: census.contents,
      unique_contents: counted.contents.get(1) ?? 0,
      shared_contents: counted.sharedContents,
      most_sharers: mostSharers,
      zero_pages: zeroPages,
      sharing: counted.sharing,
      best: bestOf(census, counted),
      ksmd: rowsOf({ ...counted, left: 0, zeroLeft: false }, this.limits),
      ...(before === undefined ? {} : { ksmd_after_moments_before: rowsOf(after, this.settled) }),
      pages_by_class: countClasses(plan.classes),
      files,
    }
  }

  /** Contents whose one page is merged alone, because ksmd merged it with others that have been written since. */
  private leftOver(census: Census): Pick<Occurrences, 'left' | 'zeroLeft'> {
    const { before } = this
    const merged = new Uint8Array(census.contents)
    let left = 0
    let zeroLeft = false
    for (let content = 0; content < census.contents; content++) {
      merged[content] = census.counts[content]! > 1 ? 1 : 0
      if (before === undefined || merged[content] === 1) continue
      const page = census.firstPageOf(content)
      const old = before.census.contentOf[page]!
      if (before.merged[old] === 0 || !census.same(content, before.census, old)) continue
      merged[content] = 1
      if (content === census.zero) zeroLeft = true
      else left++
    }
    this.before = { census, merged }
    return { left, zeroLeft }
  }
}

function rowsOf(occurrences: Occurrences, limits: readonly number[]): ExpectedKsmd[] {
  return ([0, 1] as const).flatMap((zero) =>
    [null, ...limits].map((limit) => expectedKsmd(occurrences, limit, zero)),
  )
}

function sameName({ kinds, ids, patches }: Plan, page: number, other: number): boolean {
  return kinds[page] === kinds[other] && ids[page] === ids[other] && patches[page] === patches[other]
}

function countClasses(classes: Uint8Array): Partial<Record<PageClass, number>> {
  const counts = new Array<number>(CLASS_NAMES.length).fill(0)
  for (const pageClass of classes) counts[pageClass]!++
  return Object.fromEntries(
    CLASS_NAMES.map((name, i) => [name, counts[i]!]).filter(([, count]) => count !== 0),
  )
}

function layoutOf(classes: Uint8Array): string {
  const runs: string[] = []
  for (let from = 0; from < classes.length; ) {
    let to = from + 1
    while (to < classes.length && classes[to] === classes[from]) to++
    runs.push(`${to - from}${CLASSES[CLASS_NAMES[classes[from]!]!]}`)
    from = to
  }
  return runs.join('')
}
