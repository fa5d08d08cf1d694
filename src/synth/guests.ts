// Synthetic guests from one moment to the next: what a round writes, whose guest is replaced by another, and who has not
// started yet.

import { PagefoldError } from '../errors.ts'
import { layOutDemo } from './demo.ts'
import { layOut, STREAM } from './layout.ts'
import type { Names } from './names.ts'
import { checkParameters, PARAMETER_NAMES, ROUND_PARAMETERS, type SynthParameters } from './parameters.ts'
import { CLASS, CLASS_NAMES, type PageClass, type Plan } from './plan.ts'
import { PRESET_NAMES, PRESETS } from './presets.ts'
import { below, chance, decisions, type Next } from './random.ts'

/** What synthetic guests are to be made of; what is not given is as in the preset. */
export interface SynthOptions {
  /** The name of a preset. */
  readonly preset: string
  /** Pages an image. */
  readonly pages?: number
  /** Guests. */
  readonly images?: number
  /** What chance is drawn from: the same seed gives the same bytes everywhere. Default: 1. */
  readonly seed?: number
  /** Parameters that differ from the preset's. */
  readonly parameters?: Partial<SynthParameters>
}

/** The same with nothing left open. */
export interface SynthRecipe {
  readonly preset: string
  readonly pages: number
  readonly images: number
  readonly seed: number
  readonly parameters: SynthParameters
}

export const SYNTH_OPTIONS: Readonly<Record<keyof SynthOptions, true>> = {
  preset: true,
  pages: true,
  images: true,
  seed: true,
  parameters: true,
}

const MAX_PAGES = 2 ** 26
export const MAX_MOMENTS = 10_000
/** Half of a region that is written for ever is written in each round. */
const THRASH = 0.5

/** Fills in what was left open. Throws EINVAL for a preset or a parameter that does not exist or makes no sense. */
export function recipeOf(options: SynthOptions): SynthRecipe {
  const preset = Object.hasOwn(PRESETS, options.preset) ? PRESETS[options.preset]! : undefined
  if (preset === undefined) {
    throw new PagefoldError('EINVAL', `no such preset; there are: ${PRESET_NAMES.join(', ')}`)
  }
  const { pages = preset.pages, images = preset.images, seed = 1 } = options
  for (const [name, value, least] of [
    ['pages', pages, 1],
    ['images', images, 1],
    ['seed', seed, 0],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new PagefoldError('EINVAL', `${name} takes an integer of at least ${least}, got ${value}`)
    }
  }
  if (pages * images > MAX_PAGES) {
    throw new PagefoldError('EINVAL', `${pages} pages in ${images} images are more than ${MAX_PAGES} in all`)
  }
  const given = options.parameters ?? {}
  for (const name of Object.keys(given) as (keyof SynthParameters)[]) {
    const known: readonly string[] = preset.ownPlan ? ROUND_PARAMETERS : PARAMETER_NAMES
    if (known.includes(name)) continue
    throw new PagefoldError(
      'EINVAL',
      `${options.preset} has no parameter "${name}"; it has ${known.join(', ')}`,
    )
  }
  const parameters = { ...preset.parameters, ...given }
  checkParameters(parameters, images)
  return { preset: options.preset, pages, images, seed, parameters }
}

/** What a round did beside changing the plan. */
export interface Round {
  /** Writes that left the page as it was: ksmd's merges end with them all the same. */
  readonly rewrittenSame: number
}

export class Guests {
  readonly recipe: SynthRecipe
  /** Rounds done. */
  moment = 0
  private readonly plan: Plan
  private readonly names: Names
  private readonly next: Next
  private rewrittenSame = 0

  constructor(recipe: SynthRecipe) {
    const { parameters, pages, images, seed } = recipe
    const make = PRESETS[recipe.preset]!.ownPlan ? layOutDemo : layOut
    const { plan, names } = make(parameters, pages, images, seed)
    this.recipe = recipe
    this.plan = plan
    this.names = names
    this.next = decisions(seed, STREAM.rounds)
    this.chooseThrashed()
  }

  /** The plan of this moment. It changes with the next round, unless guests are still to start. */
  visible(): Plan {
    const { pages, images } = this.plan
    const { bootStorm, bootAt } = this.recipe.parameters
    const late = this.moment < bootAt ? Math.round(images * bootStorm) : 0
    if (late === 0) return this.plan
    const plan = {
      pages,
      images,
      kinds: this.plan.kinds.slice(),
      ids: this.plan.ids.slice(),
      patches: this.plan.patches.slice(),
      classes: this.plan.classes.slice(),
    }
    const firstPage = (images - late) * pages
    for (const numbers of [plan.kinds, plan.ids, plan.patches, plan.classes]) numbers.fill(0, firstPage)
    return plan
  }

  /** Goes on to the next moment. */
  advance(): Round {
    this.moment++
    this.rewrittenSame = 0
    this.replaceRuns()
    this.replaceGuests()
    const { classes } = this.plan
    const rates = this.rates()
    for (let page = 0; page < classes.length; page++) {
      const pageClass = classes[page]!
      if (chance(this.next, rates[pageClass]!)) this.write(page, CLASS_NAMES[pageClass]!)
    }
    return { rewrittenSame: this.rewrittenSame }
  }

  /** The probability that a round writes a page, by class. */
  private rates(): number[] {
    const { volatileRate, writeUnique, writeDup, writeZero } = this.recipe.parameters
    const rates: Record<PageClass, number> = {
      zero: writeZero,
      'same-filled': writeZero,
      duplicate: writeDup,
      thrashed: THRASH,
      near: writeUnique,
      similar: writeUnique,
      colliding: writeUnique,
      volatile: volatileRate,
      unique: writeUnique,
    }
    return CLASS_NAMES.map((name) => rates[name])
  }

  private write(page: number, pageClass: PageClass): void {
    const { rewriteSame, flipBack, writeWords } = this.recipe.parameters
    const { ids, patches } = this.plan
    if (rewriteSame > 0 && chance(this.next, rewriteSame)) {
      this.rewrittenSame++
    } else if (pageClass === 'thrashed') {
      // What was shared comes back, or it would be merged and broken only once.
      if (patches[page] !== 0) patches[page] = 0
      else this.names.touch(page)
    } else if (pageClass === 'volatile' && flipBack > 0 && chance(this.next, flipBack)) {
      if (patches[page] !== 0) patches[page] = 0
      else ids[page] = (ids[page]! ^ 1) >>> 0
    } else if (writeWords > 0) {
      if (pageClass !== 'volatile') this.plan.classes[page] = CLASS.unique
      this.names.touch(page)
    } else {
      this.names.renew(page, pageClass === 'volatile' ? 'volatile' : 'unique')
    }
  }

  /** Ends the life of some runs of duplicates: their pages get another run, the same everywhere. */
  private replaceRuns(): void {
    const { lifetime } = this.recipe.parameters
    if (lifetime === 0) return
    const { ids, classes, patches } = this.plan
    const { run } = this.names
    const end = 1 - 2 ** (-1 / lifetime)
    const successors = new Map<number, number>()
    for (let page = 0; page < ids.length; page++) {
      if (classes[page] !== CLASS.duplicate && classes[page] !== CLASS.thrashed) continue
      const first = ids[page]! - (ids[page]! % run)
      let successor = successors.get(first)
      if (successor === undefined) {
        successor = chance(this.next, end) ? this.names.freshRun() : first
        successors.set(first, successor)
      }
      if (successor === first) continue
      const pageClass = classes[page]!
      const patch = patches[page]!
      this.names.duplicate(page, successor + (ids[page]! % run))
      classes[page] = pageClass
      patches[page] = patch
    }
  }

  /** Puts other guests in the place of some: pages of their own are new, shared ones stay. */
  private replaceGuests(): void {
    const { churn } = this.recipe.parameters
    const { pages, images, classes } = this.plan
    const due = Math.floor(churn * images * this.moment) - Math.floor(churn * images * (this.moment - 1))
    for (let i = 0; i < due; i++) {
      const firstPage = below(this.next, images) * pages
      for (let page = firstPage; page < firstPage + pages; page++) {
        const pageClass = classes[page]!
        if (pageClass >= FIRST_OWN_CLASS) this.names.renew(page, CLASS_NAMES[pageClass]!)
      }
    }
  }

  /** Takes the pages that are written for ever from each image's duplicates, the first in order of address. */
  private chooseThrashed(): void {
    const { cowRate } = this.recipe.parameters
    if (cowRate === 0) return
    const { pages, images, classes } = this.plan
    for (let image = 0; image < images; image++) {
      const mine = classes.subarray(image * pages, (image + 1) * pages)
      const duplicates = mine.reduce((sum, pageClass) => sum + (pageClass === CLASS.duplicate ? 1 : 0), 0)
      let left = Math.round(duplicates * Math.min(1, cowRate / THRASH))
      for (let page = 0; left > 0 && page < pages; page++) {
        if (mine[page] !== CLASS.duplicate) continue
        mine[page] = CLASS.thrashed
        left--
      }
    }
  }
}

/** Behind the classes that several images have in common. */
const FIRST_OWN_CLASS = CLASS.near
