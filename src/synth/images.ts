// Synthetic guests as memory images, at any of their moments, and the sources that name them.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../assembly/abi.ts'
import { expectOptions, PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { ContentFiller, type Position } from './content.ts'
import {
  Guests,
  MAX_MOMENTS,
  recipeOf,
  SYNTH_OPTIONS,
  type SynthOptions,
  type SynthRecipe,
} from './guests.ts'
import { PARAMETER_NAMES, type ParameterName, parseParameter, type SynthParameters } from './parameters.ts'
import type { Plan } from './plan.ts'

export const SYNTH_PREFIX = 'synth:'

/** Synthetic guests at one of their moments. */
export interface SynthImageOptions extends SynthOptions {
  /** Rounds after the beginning. Default: 0. */
  readonly moment?: number
}

const IMAGE_OPTIONS: Readonly<Record<keyof SynthImageOptions, true>> = { ...SYNTH_OPTIONS, moment: true }

/**
 * Makes the images of a preset, at one moment. They are made as they are read, so that they cost 10 bytes a page. Throws
 * EINVAL for a preset or a parameter that does not exist or makes no sense.
 */
export function synthImages(options: SynthImageOptions): Image[] {
  expectOptions('synthImages', options, IMAGE_OPTIONS)
  return makeImages(options)
}

function makeImages(options: SynthImageOptions): Image[] {
  const recipe = recipeOf(options)
  const moment = expectBelow('moment', options.moment ?? 0, MAX_MOMENTS)
  const guests = new Guests(recipe)
  while (guests.moment < moment) guests.advance()
  return imagesOf(guests.visible(), recipe, moment)
}

/** Makes one of the images of a preset. Throws EINVAL as `synthImages`, and if there is no such image. */
export function synthImage(options: SynthImageOptions & { readonly image: number }): Image {
  expectOptions('synthImage', options, { ...IMAGE_OPTIONS, image: true })
  const recipe = recipeOf(options)
  expectBelow('image', options.image, recipe.images)
  return makeImages(options)[options.image]!
}

/** The images of a plan. They follow it when it changes. */
export function imagesOf(plan: Plan, recipe: SynthRecipe, moment: number): Image[] {
  return Array.from({ length: plan.images }, (_, image) => new SynthImage(plan, recipe, moment, image))
}

/**
 * Makes the images of `synth:PRESET[,key=value...]`: `pages`, `images`, `seed`, `moment`, `image` for one of them alone,
 * and every parameter by its name. Throws EINVAL.
 */
export function openSynthSource(source: string): Image[] {
  try {
    const { image, ...options } = parseSynthSource(source)
    return image === undefined ? synthImages(options) : [synthImage({ ...options, image })]
  } catch (error) {
    if (!(error instanceof PagefoldError)) throw error
    throw new PagefoldError(error.code, `${source}: ${error.message.slice(error.code.length + 2)}`, {
      cause: error,
    })
  }
}

const COUNTS = ['pages', 'images', 'seed', 'image', 'moment'] as const

function parseSynthSource(source: string): SynthImageOptions & { image?: number } {
  const [preset, ...settings] = source.slice(SYNTH_PREFIX.length).split(',')
  const options: Record<string, number> = {}
  const parameters: Record<string, number | string> = {}
  for (const setting of settings) {
    const [, name, value] = /^(\w+)=(.+)$/.exec(setting) ?? []
    if (name !== undefined && COUNTS.some((count) => count === name) && /^\d+$/.test(value!)) {
      options[name] = Number(value)
    } else if (name !== undefined && PARAMETER_NAMES.some((parameter) => parameter === name)) {
      parameters[name] = parseParameter(name as ParameterName, value!)
    } else {
      const known = `${COUNTS.map((count) => `${count}=`).join(', ')} with a number`
      throw new PagefoldError('EINVAL', `"${setting}" is not one of ${known}, and no parameter of a preset`)
    }
  }
  return { preset: preset!, ...options, parameters: parameters as Partial<SynthParameters> }
}

function expectBelow(name: string, value: number, end: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value < end) return value
  throw new PagefoldError('EINVAL', `${name} ${value} of ${end}; they are counted from 0`)
}

/** How to ask for an image again. */
function sourceOf(
  { preset, pages, images, seed, parameters }: SynthRecipe,
  moment: number,
  image: number,
): string {
  const preset0 = recipeOf({ preset })
  const settings = [
    pages === preset0.pages ? '' : `pages=${pages}`,
    images === preset0.images ? '' : `images=${images}`,
    seed === preset0.seed ? '' : `seed=${seed}`,
    ...PARAMETER_NAMES.map((name) =>
      parameters[name] === preset0.parameters[name] ? '' : `${name}=${parameters[name]}`,
    ),
    moment === 0 ? '' : `moment=${moment}`,
    `image=${image}`,
  ]
  return [`${SYNTH_PREFIX}${preset}`, ...settings.filter((setting) => setting !== '')].join(',')
}

class SynthImage implements Image {
  readonly source: string
  readonly format = 'synth'
  readonly pages: number
  readonly notes = []
  private readonly plan: Plan
  private readonly firstPage: number
  private readonly filler: ContentFiller

  constructor(plan: Plan, recipe: SynthRecipe, moment: number, image: number) {
    this.source = sourceOf(recipe, moment, image)
    this.pages = plan.pages
    this.plan = plan
    this.firstPage = image * plan.pages
    this.filler = new ContentFiller(fillingOf(recipe))
  }

  addressOf(page: number): number {
    return page * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    const { kinds, ids, patches } = this.plan
    const inPlace = into.byteOffset % 4 === 0
    const words = inPlace
      ? new Uint32Array(into.buffer, into.byteOffset, count * WORDS_PER_PAGE)
      : new Uint32Array(count * WORDS_PER_PAGE)
    for (let i = 0; i < count; i++) {
      const page = this.firstPage + first + i
      this.filler.fill(words, i * WORDS_PER_PAGE, kinds[page]!, ids[page]!, patches[page]!)
    }
    if (!inPlace) into.set(new Uint8Array(words.buffer, 0, count * PAGE_SIZE))
  }

  close(): void {}
}

function fillingOf({ seed, parameters }: SynthRecipe) {
  const { sparseWords, nearWords, nearAt, writeWords, writeAt } = parameters
  return {
    seed,
    sparseWords,
    nearWords,
    nearAt: nearAt as Position,
    // A page written as a whole is renamed; what is left are pages of regions that are written for ever: one word.
    writeWords: Math.max(1, writeWords),
    writeAt: writeAt as Position,
  }
}
