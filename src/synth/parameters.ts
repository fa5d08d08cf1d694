// What a preset is made of, number by number, and how a user changes one.

import { PagefoldError } from '../errors.ts'
import { POSITIONS } from './content.ts'
import { KINDS, type Kind } from './plan.ts'
import { parseSharers, SHARERS_HELP } from './sharers.ts'

/** Kinds of ordinary contents, those that weights can be given to. */
const ORDINARY: readonly Kind[] = ['random', 'text', 'pointers', 'sparse']

const LAYOUTS_HELP = 'scattered, runs:LENGTH, or same-offset in all images, as forks have them'

/** What a parameter starts from and may be. Its value is a number or a text, as `standard` is. */
export interface Parameter<Value extends number | string> {
  /** What it is where neither the preset nor the user says otherwise. */
  readonly standard: Value
  /** One line for people. */
  readonly help: string
  /** The least that a number may be. */
  readonly least?: number
  /** The most. */
  readonly most?: number
  /** Must it be an integer? */
  readonly whole?: boolean
}

const share = (help: string): Parameter<number> => ({ standard: 0, help, least: 0, most: 1 })
const rate = share
const words = (standard: number, least: number, help: string): Parameter<number> => {
  return { standard, help, least, most: 1024, whole: true }
}
const choice = (standard: string, help: string): Parameter<string> => ({ standard, help })

/** Every parameter: what it starts from, what it may be, and what it means. */
export const PARAMETERS = {
  zeroFrac: share('pages of zeros'),
  zeroRunMean: {
    standard: 4,
    help: 'mean length of their runs; from 512 on they are whole aligned 2 MiB',
    least: 1,
    most: 2 ** 20,
  },
  sameFilledFrac: share('pages of one repeated word other than 0'),
  dupFrac: share('other pages that have an equal one'),
  sharers: choice('fixed:2', `how many are equal: ${SHARERS_HELP}`),
  selfShare: { ...share('how many of these stay in the image of the first'), standard: 0.5 },
  dupLayout: choice('scattered', `where they lie: ${LAYOUTS_HELP}`),
  entropy: choice('random:1', `bytes of contents: ${ORDINARY.join(', ')}, weighted as random:3+text:1`),
  sparseWords: words(16, 1, 'words other than 0 in a sparse page'),
  nearFrac: share('pages equal but for some words'),
  nearFamily: { standard: 4, help: 'how many are so to each other', least: 2, most: 2 ** 20, whole: true },
  nearWords: words(1, 1, 'how many words differ'),
  nearAt: choice('uniform', `where: ${POSITIONS.join(', ')}`),
  similarFrac: share('pages of which most 64-byte chunks are elsewhere too, at other offsets'),
  collideFrac: share('unequal pages with equal checksums, half under XXH64, half under XXH3'),
  volatileFrac: share('pages that are written again and again'),
  volatileRate: { ...rate('probability that a round writes one'), standard: 1 },
  flipBack: rate('probability that one goes back to its content before last'),
  writeUnique: rate('probability that a round writes a page that is like no other'),
  writeDup: rate('probability that a round writes a page that has an equal one'),
  writeZero: rate('probability that a round writes a page of zeros or of one word'),
  writeWords: words(0, 0, 'words that a write changes; 0: all'),
  writeAt: choice('uniform', `where: ${POSITIONS.join(', ')}`),
  rewriteSame: rate('probability that a write writes what was there'),
  lifetime: {
    standard: 0,
    help: 'rounds after which half the duplicates have given way to others; 0: never',
    least: 0,
    most: 1e6,
  },
  cowRate: rate(
    'share of the duplicates a round writes within regions that never rest, half a region each time',
  ),
  churn: rate('share of the images that a round gives to another guest: all that is its own is new'),
  bootStorm: share('images that are all zeros until they start, all at once'),
  bootAt: { standard: 1, help: 'the moment at which they do', least: 1, most: 1e6, whole: true },
}

/** A value for every parameter. Shares are of all pages of an image at moment 0, what they leave over is unique;
 * probabilities are per page and round, a round being the step from one moment to the next. */
export type SynthParameters = {
  readonly [Name in keyof typeof PARAMETERS]: (typeof PARAMETERS)[Name] extends Parameter<string>
    ? string
    : number
}

export type ParameterName = keyof SynthParameters

export const PARAMETER_NAMES = Object.keys(PARAMETERS) as ParameterName[]

export const DEFAULTS = Object.fromEntries(
  Object.entries(PARAMETERS).map(([name, { standard }]) => [name, standard]),
) as SynthParameters

/** Tells whether a text is the name of a parameter. */
export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name)
}

/** Parameters that decide what happens after moment 0; `demo`, whose moment 0 is made by itself, knows no others. */
export const ROUND_PARAMETERS: readonly ParameterName[] = [
  'writeUnique',
  'writeDup',
  'writeZero',
  'writeWords',
  'writeAt',
  'rewriteSame',
  'cowRate',
  'churn',
  'bootStorm',
  'bootAt',
]

/** Shares that cannot be more than everything together. */
const SHARES = [
  'zeroFrac',
  'sameFilledFrac',
  'dupFrac',
  'nearFrac',
  'similarFrac',
  'collideFrac',
  'volatileFrac',
] as const

/** Reads the value of one parameter as a user writes it. Throws EINVAL. */
export function parseParameter(name: ParameterName, text: string): number | string {
  if (typeof PARAMETERS[name].standard === 'string') return text
  const value = /^(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value)) throw new PagefoldError('EINVAL', `${name} takes a number, got "${text}"`)
  return value
}

/** Checks that parameters mean something, each alone and all together. Throws EINVAL. */
export function checkParameters(parameters: SynthParameters, images: number): void {
  for (const name of PARAMETER_NAMES) checkNumber(name, parameters[name])
  const shares = SHARES.reduce((sum, name) => sum + parameters[name], 0)
  if (shares > 1 + 1e-9) {
    throw invalid(`${SHARES.join(', ')} add up to ${shares.toFixed(4)}, which is more than all pages`)
  }
  parseSharers(parameters.sharers, images)
  parseEntropy(parameters.entropy)
  runLength(parameters.dupLayout)
  for (const name of ['nearAt', 'writeAt'] as const) {
    if (!POSITIONS.some((position) => position === parameters[name])) {
      throw invalid(`${name} takes one of ${POSITIONS.join(', ')}, got "${parameters[name]}"`)
    }
  }
}

function checkNumber(name: ParameterName, value: unknown): void {
  const { standard, least, most, whole }: Parameter<number | string> = PARAMETERS[name]
  if (typeof value !== typeof standard) {
    throw invalid(`${name} takes a ${typeof standard}, got ${JSON.stringify(value) ?? 'nothing'}`)
  }
  if (typeof value !== 'number') return
  if (value >= least! && value <= most! && (!whole || Number.isInteger(value))) return
  throw invalid(`${name} takes ${whole ? 'an integer' : 'a number'} in ${least}..${most}, got ${value}`)
}

/** Reads `random:3+text:1` as kinds with their cumulated probabilities. Throws EINVAL. */
export function parseEntropy(text: string): { kind: number; upTo: number }[] {
  const parts = text.split('+').map((part) => part.split(':'))
  const weights = parts.map(([kind, weight = '1', ...rest]) => {
    const value = Number(weight)
    if (!ORDINARY.some((name) => name === kind) || !(value > 0 && value < 1e9) || rest.length > 0) {
      throw invalid(
        `entropy takes kinds of ${ORDINARY.join(', ')} with weights, as random:3+text:1, got "${text}"`,
      )
    }
    return { kind: KINDS.indexOf(kind as Kind), value }
  })
  const sum = weights.reduce((total, { value }) => total + value, 0)
  let upTo = 0
  return weights.map(({ kind, value }) => {
    upTo += value / sum
    return { kind, upTo }
  })
}

/** Pages that duplicates lie together in; 0 for `same-offset`. Throws EINVAL. */
export function runLength(dupLayout: string): number {
  if (dupLayout === 'scattered') return 1
  if (dupLayout === 'same-offset') return 0
  const length = /^runs:(\d{1,7})$/.exec(dupLayout)?.[1]
  if (length !== undefined && Number(length) >= 1) return Number(length)
  throw invalid(`dupLayout takes ${LAYOUTS_HELP}, got "${dupLayout}"`)
}

function invalid(message: string): PagefoldError {
  return new PagefoldError('EINVAL', message)
}
