// The truth about synthetic guests: what the best possible merging saves at each moment, and what ksmd counts when it has
// converged. Counted from the bytes of every page.

import type { Hash } from 'node:crypto'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { expectOptions, PagefoldError } from '../errors.ts'
import { hashes } from '../platform.ts'
import { VERSION } from '../version.ts'
import { Census, digestOf, unplannedEquality } from './census.ts'
import { bestOf, changesSince, occurrencesOf, sameAbove } from './counts.ts'
import { type ExpectedKsmd, expectedKsmd, type Occurrences } from './expected-ksmd.ts'
import {
  Guests,
  MAX_MOMENTS,
  recipeOf,
  SYNTH_OPTIONS,
  type SynthOptions,
  type SynthRecipe,
} from './guests.ts'
import { imagesOf } from './images.ts'
import { CLASS_NAMES, CLASSES, type PageClass, type Plan } from './plan.ts'
import type { ImageTruth, MomentTruth, SynthTruth } from './truth-json.ts'

/** Of the bytes that a recipe gives: counted up when they change. */
export const SYNTH_VERSION = 1

/** Linux's default of max_page_sharing. */
export const DEFAULT_LIMITS: readonly number[] = [256]

/** Which synthetic guests `synthTruth` makes and counts, and over how many moments. */
export interface TruthOptions extends SynthOptions {
  /** How many moments, from 0. Default: 1. */
  readonly moments?: number
  /** Values of max_page_sharing to say what ksmd counts under, beside no limit. Default: 256. */
  readonly maxPageSharing?: readonly number[]
}

export const TRUTH_OPTIONS: Readonly<Record<keyof TruthOptions, true>> = {
  ...SYNTH_OPTIONS,
  moments: true,
  maxPageSharing: true,
}

/** Bytes on their way: where images go beside being counted. */
export interface Sink {
  /** An image begins; `file` is what `writeSynth` would call it. */
  begin(file: string): void
  /** The next bytes of it. They are not the sink's to keep: the array is used again. */
  write(bytes: Uint8Array): void
  /** The image is complete. */
  end(): void
}

/** What `synthTruth` gives beside what it returns. */
export interface SurveyHooks {
  /** Gets the bytes of every image. */
  readonly sink?: Sink
  /** Called now and then, with how many pages of how many have been made, over all moments. */
  readonly onProgress?: (donePages: number, ofPages: number) => void
}

const CHUNK_PAGES = 1024

/** What a truth is to be told about, with nothing left open. Throws EINVAL. */
export function surveyOf(options: TruthOptions): {
  recipe: SynthRecipe
  moments: number
  limits: readonly number[]
} {
  const recipe = recipeOf(options)
  const moments = expectWithin('moments', options.moments ?? 1, 1, MAX_MOMENTS)
  const limits = options.maxPageSharing ?? DEFAULT_LIMITS
  for (const limit of limits) expectWithin('maxPageSharing', limit, 2, 2 ** 31 - 1)
  return { recipe, moments, limits }
}

/** Makes every image of every moment once and counts. Throws EINVAL for a bad recipe, ENOTSUP where SHA-256 has to be waited for, EUCLEAN if a content collided. */
export function synthTruth(options: TruthOptions, hooks: SurveyHooks = {}): SynthTruth {
  return drained(truthSteps(options, hooks))
}

/** Goes through all steps at once. */
export function drained<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** The same as `synthTruth`, some megabytes a step. */
export function* truthSteps(options: TruthOptions, hooks: SurveyHooks): Generator<void, SynthTruth> {
  expectOptions('synthTruth', options, TRUTH_OPTIONS)
  expectOptions('synthTruth', hooks, { sink: true, onProgress: true })
  const { recipe, moments, limits } = surveyOf(options)
  const guests = new Guests(recipe)
  const survey = new Survey(recipe, moments, limits, hooks)
  const truths: MomentTruth[] = []
  for (let moment = 0; moment < moments; moment++) {
    const rewrittenSame = moment === 0 ? 0 : guests.advance().rewrittenSame
    truths.push(yield* survey.moment(guests.visible(), moment, rewrittenSame))
  }
  const { preset, pages, images, seed, parameters } = recipe
  return {
    synth_version: SYNTH_VERSION,
    pagefold_version: VERSION,
    preset,
    pages,
    images,
    seed,
    parameters,
    page_size: PAGE_SIZE,
    classes: CLASSES,
    moments: truths,
  }
}

function expectWithin(name: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new PagefoldError('EINVAL', `${name} takes an integer in ${least}..${most}, got ${value}`)
}

/** The file of an image at a moment, numbered so that names sort. */
export function fileOf(image: number, images: number, moment: number, moments: number): string {
  const pad = (number: number, count: number): string =>
    String(number).padStart(String(count - 1).length, '0')
  return `image-${pad(image, images)}.t${pad(moment, moments)}.raw`
}

class Survey {
  private readonly recipe: SynthRecipe
  private readonly moments: number
  private readonly limits: readonly number[]
  private readonly hooks: SurveyHooks
  private readonly chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  private done = 0
  /** The moment before, and which of its contents ksmd had merged pages of. */
  private before: { census: Census; merged: Uint8Array } | undefined = undefined
  /** Limits under which no chain of merged pages has changed yet. */
  private settled: readonly number[]

  constructor(recipe: SynthRecipe, moments: number, limits: readonly number[], hooks: SurveyHooks) {
    this.recipe = recipe
    this.moments = moments
    this.limits = limits
    this.settled = limits
    this.hooks = hooks
  }

  *moment(plan: Plan, moment: number, rewrittenSame: number): Generator<void, MomentTruth> {
    const { images, pages } = this.recipe
    const census = new Census(images * pages)
    const files: ImageTruth[] = []
    for (const [image, source] of imagesOf(plan, this.recipe, moment).entries()) {
      const file = fileOf(image, images, moment, this.moments)
      const hash = hashes('synthTruth').createHash('sha256')
      this.hooks.sink?.begin(file)
      for (let first = 0; first < pages; first += CHUNK_PAGES) {
        const bytes = this.chunk.subarray(0, Math.min(CHUNK_PAGES, pages - first) * PAGE_SIZE)
        source.read(first, bytes.length / PAGE_SIZE, bytes)
        this.take(bytes, image * pages + first, image, plan, census, hash)
        yield
      }
      this.hooks.sink?.end()
      const layout = layoutOf(plan.classes.subarray(image * pages, (image + 1) * pages))
      files.push({ file, image, sha256: hash.digest('hex'), layout })
    }
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
