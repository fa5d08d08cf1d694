// The truth about synthetic guests: what the best possible merging saves at each moment, and what ksmd counts when it has
// converged. Counted from the bytes of every page.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { expectOptions, PagefoldError } from '../errors.ts'
import { VERSION } from '../version.ts'
import {
  Guests,
  MAX_MOMENTS,
  recipeOf,
  SYNTH_OPTIONS,
  type SynthOptions,
  type SynthRecipe,
} from './guests.ts'
import type { SynthParameters } from './parameters.ts'
import { CLASSES } from './plan.ts'
import { type MomentTruth, Survey, type SurveyHooks } from './survey.ts'

/** Of the bytes that a recipe gives: counted up when they change. */
export const SYNTH_VERSION = 1

/** Linux's default of max_page_sharing. */
export const DEFAULT_LIMITS: readonly number[] = [256]

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

export interface SynthTruth {
  readonly synth_version: number
  readonly pagefold_version: string
  readonly preset: string
  /** Pages an image. */
  readonly pages: number
  readonly images: number
  readonly seed: number
  readonly parameters: SynthParameters
  readonly page_size: number
  /** What the letters in `layout` stand for. */
  readonly classes: typeof CLASSES
  readonly moments: readonly MomentTruth[]
}

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
  expectOptions('synthTruth', options, TRUTH_OPTIONS)
  expectOptions('synthTruth', hooks, { sink: true, onProgress: true })
  const { recipe, moments, limits } = surveyOf(options)
  const guests = new Guests(recipe)
  const survey = new Survey(recipe, moments, limits, hooks)
  const truths: MomentTruth[] = []
  for (let moment = 0; moment < moments; moment++) {
    const rewrittenSame = moment === 0 ? 0 : guests.advance().rewrittenSame
    truths.push(survey.moment(guests.visible(), moment, rewrittenSame))
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
