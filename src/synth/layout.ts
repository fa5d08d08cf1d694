// Moment 0 of a mix: how many pages of each class an image has, and where they lie.

import { Names } from './names.ts'
import type { SynthParameters } from './parameters.ts'
import { CLASS, CLASS_NAMES, emptyPlan, type Plan } from './plan.ts'
import { decisions, type Next, shuffle } from './random.ts'
import { type Runs, shareOut } from './share-out.ts'

/** Streams of decisions, so that a change of one kind of them leaves the others as they were. */
export const STREAM = { sharing: 1, order: 2, filled: 3, rounds: 4 } as const

/** A huge page. Runs of zeros of at least this mean length lie on its boundaries. */
const HUGE_PAGES = 512

/** Classes whose pages stand alone, beside zeros, duplicates, and what is left. */
const SINGLES = ['same-filled', 'near', 'similar', 'colliding', 'volatile'] as const

type Quotas = Readonly<Record<'zero' | (typeof SINGLES)[number], number>>

export interface Laid {
  readonly plan: Plan
  readonly names: Names
}

/** Lays out a mix. */
export function layOut(parameters: SynthParameters, pages: number, images: number, seed: number): Laid {
  const plan = emptyPlan(pages, images)
  const names = new Names(plan, parameters, seed, STREAM.filled)
  const quotas = quotasOf(parameters, pages)
  const order = decisions(seed, STREAM.order)
  if (parameters.dupLayout === 'same-offset') {
    layOutClones(plan, names, parameters, quotas, order)
    return { plan, names }
  }
  const wanted = Math.floor(pages * images * parameters.dupFrac + 1e-9)
  const room = pages - Object.values(quotas).reduce((sum, quota) => sum + quota, 0)
  const runs = shareOut(parameters, images, wanted, room, names, decisions(seed, STREAM.sharing))
  for (let image = 0; image < images; image++) {
    const pieces = new Pieces(pages, runs)
    const huge = addZeros(pieces, parameters, quotas.zero, order)
    for (const single of SINGLES) pieces.addSingles(CLASS[single], quotas[single])
    for (const run of runs.byImage[image]!) pieces.add(FIRST_RUN + run, runs.lengths[run]!)
    pieces.addSingles(CLASS.unique, pieces.missing)
    pieces.place(names, image * pages, huge, order)
  }
  return { plan, names }
}

function quotasOf(parameters: SynthParameters, pages: number): Quotas {
  const quota = (share: number): number => Math.floor(pages * share + 1e-9)
  return {
    zero: quota(parameters.zeroFrac),
    'same-filled': quota(parameters.sameFilledFrac),
    near: quota(parameters.nearFrac),
    similar: quota(parameters.similarFrac),
    colliding: quota(parameters.collideFrac),
    volatile: quota(parameters.volatileFrac),
  }
}

/** Tags up to here are classes, behind them runs of duplicates. */
const FIRST_RUN = CLASS_NAMES.length

/** What an image consists of, in pieces that stay together; then puts them into an order. */
class Pieces {
  private readonly tags: number[] = []
  private readonly lengths: number[] = []
  private readonly pages: number
  private readonly runs: Runs | undefined
  /** Pages that nothing has been added for yet. */
  missing: number

  constructor(pages: number, runs?: Runs) {
    this.pages = pages
    this.missing = pages
    this.runs = runs
  }

  add(tag: number, length: number): void {
    this.tags.push(tag)
    this.lengths.push(length)
    this.missing -= length
  }

  addSingles(tag: number, count: number): void {
    for (let i = 0; i < count; i++) this.add(tag, 1)
  }

  /** Places every piece, in random order, on the pages that are not in `taken` already. */
  place(names: Names, firstPage: number, taken: ReadonlySet<number>, next: Next): void {
    const order = shuffle(
      Uint32Array.from(this.tags, (_, i) => i),
      next,
    )
    let page = 0
    for (const block of taken) {
      for (let i = 0; i < HUGE_PAGES; i++) names.renew(firstPage + block * HUGE_PAGES + i, 'zero')
    }
    for (const piece of order) {
      const tag = this.tags[piece]!
      for (let i = 0; i < this.lengths[piece]!; i++) {
        while (taken.has(Math.floor(page / HUGE_PAGES)) && page < this.pages) page++
        if (tag < FIRST_RUN) names.renew(firstPage + page, CLASS_NAMES[tag]!)
        else names.duplicate(firstPage + page, this.runs!.ids[tag - FIRST_RUN]! + i)
        page++
      }
    }
  }
}

/** Adds runs of zeros around the mean; long ones are taken out as whole huge pages, which are returned. */
function addZeros(
  pieces: Pieces,
  { zeroRunMean }: SynthParameters,
  quota: number,
  next: Next,
): ReadonlySet<number> {
  const blocks = Math.floor(pieces.missing / HUGE_PAGES)
  if (zeroRunMean >= HUGE_PAGES && blocks > 0) {
    const wanted = quota === 0 ? 0 : Math.max(1, Math.round(quota / HUGE_PAGES))
    const order = shuffle(
      Uint32Array.from({ length: blocks }, (_, i) => i),
      next,
    )
    const taken = new Set(order.subarray(0, Math.min(wanted, blocks)))
    pieces.missing -= taken.size * HUGE_PAGES
    return taken
  }
  for (let left = quota; left > 0; ) {
    // Runs of 1 to twice the mean less one, all equally likely.
    const length = Math.min(left, 1 + Math.floor((next() / 2 ** 32) * (2 * zeroRunMean - 1)))
    pieces.add(CLASS.zero, length)
    left -= length
  }
  return new Set()
}

/** All images from one base, page by page the same; each has some pages of its own instead, at random places. */
function layOutClones(
  plan: Plan,
  names: Names,
  parameters: SynthParameters,
  quotas: Quotas,
  next: Next,
): void {
  const { pages, images } = plan
  const base = new Pieces(pages)
  const huge = addZeros(base, parameters, quotas.zero, next)
  base.addSingles(CLASS['same-filled'], quotas['same-filled'])
  base.addSingles(CLASS.duplicate, base.missing)
  base.place(names, 0, huge, next)
  const common = Uint32Array.from({ length: pages }, (_, page) => page).filter(
    (page) => plan.classes[page] === CLASS.duplicate,
  )
  for (let image = images - 1; image >= 0; image--) {
    const firstPage = image * pages
    for (const numbers of [plan.kinds, plan.ids, plan.patches, plan.classes]) {
      numbers.copyWithin(firstPage, 0, pages)
    }
  }
  const kept = Math.floor(pages * parameters.dupFrac + 1e-9)
  for (let image = 0; image < images; image++) {
    const own = shuffle(common.slice(), next).subarray(0, Math.max(0, common.length - kept))
    let at = 0
    for (const single of SINGLES) {
      if (single === 'same-filled') continue
      for (let i = 0; i < quotas[single] && at < own.length; i++)
        names.renew(image * pages + own[at++]!, single)
    }
    while (at < own.length) names.renew(image * pages + own[at++]!, 'unique')
  }
}
