// How many pages have one content: distributions of the number of sharers, by name. Each is at least two, because a
// content of one page is no duplicate.

import { PagefoldError } from '../errors.ts'
import { below, type Next } from './random.ts'

/** Draws the sharers of the next content. */
export type Sharers = () => number

export const SHARERS_HELP = 'images, fixed:K, uniform:MIN:MAX, geometric:MEAN, zipf:S:MAX or heavy-tail:MEAN'

/** A table of cumulated probabilities is cut where so little is left. */
const REST = 2 ** -32
const MAX_TABLE = 1_000_000

/** Of the contents of `heavy-tail`, one in so many is shared by some thousands: chains under Linux's default limit. */
const TAIL_EVERY = 769
const TAIL_UNIT = 256
const TAIL_UNITS = 32

/** Reads a distribution. Throws EINVAL for one that does not exist. */
export function parseSharers(text: string, images: number): (next: Next) => Sharers {
  const [name, ...numbers] = text.split(':')
  const [a, b] = numbers.map(Number)
  const given = numbers.length
  if (name === 'images' && given === 0) return () => () => images
  if (name === 'fixed' && given === 1 && isSharers(a)) return () => () => a
  if (name === 'uniform' && given === 2 && isSharers(a) && isSharers(b) && a <= b) {
    return (next) => () => a + below(next, b - a + 1)
  }
  if (name === 'geometric' && given === 1 && isMean(a)) return (next) => fromTable(geometric(a), next)
  if (name === 'zipf' && given === 2 && a! >= 0 && a! <= 100 && isSharers(b) && b <= MAX_TABLE) {
    return (next) => fromTable(zipf(a!, b), next)
  }
  if (name === 'heavy-tail' && given === 1 && isMean(a)) return (next) => heavyTail(a, next)
  throw new PagefoldError('EINVAL', `sharers takes ${SHARERS_HELP}, got "${text}"`)
}

function isSharers(number: number | undefined): number is number {
  return Number.isSafeInteger(number) && number! >= 2
}

function isMean(number: number | undefined): number is number {
  return number !== undefined && number > 2 && number <= 10_000
}

/** Probabilities of 2, 3, ... sharers. */
function geometric(mean: number): number[] {
  const stop = 1 / (mean - 1)
  const table: number[] = []
  for (let rest = 1; rest > REST && table.length < MAX_TABLE; rest *= 1 - stop) table.push(rest * stop)
  return table
}

function zipf(s: number, max: number): number[] {
  return Array.from({ length: max - 1 }, (_, i) => (i + 2) ** -s)
}

function fromTable(probabilities: readonly number[], next: Next): Sharers {
  const sums: number[] = []
  let sum = 0
  for (const probability of probabilities) {
    sum += probability
    sums.push(sum)
  }
  return () => {
    const drawn = (next() / 2 ** 32) * sum
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! <= drawn) low = middle + 1
      else high = middle
    }
    return low + 2
  }
}

/**
 * What Instagram's hosts showed: nearly all contents around a mean, and one in 769 with 256 to 8192 sharers, which is a
 * seventh of all members. The rare ones come at a fixed pace, so that a small guest's share is not all luck.
 */
function heavyTail(mean: number, next: Next): Sharers {
  const usual = fromTable(geometric(mean), next)
  let contents = TAIL_EVERY >>> 1
  return () => (++contents % TAIL_EVERY === 0 ? TAIL_UNIT * (1 + below(next, TAIL_UNITS)) : usual())
}
