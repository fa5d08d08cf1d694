// What is said of something measured many times: its middle, an interval that holds the true middle, and every sample. The
// interval lies between two order statistics: of n independent samples the number below the true median is binomial, whatever
// they are distributed like, so nothing is assumed of the noise and nothing is drawn by chance.

import { median } from '../median.ts'

/** What was measured, in `unit`. */
export interface Figure {
  readonly unit: 'ns' | 'ms' | 'ratio'
  /** Of the samples. */
  readonly median: number
  /** Where the interval begins: one of the samples. */
  readonly low: number
  /** Where it ends: as many samples lie above it as lie below `low`. */
  readonly high: number
  /** How often such an interval holds the true median: 0.95 or a little more; less where there are under six samples. */
  readonly confidence: number
  /** All of them, in the order of the rounds. */
  readonly samples: readonly number[]
}

const CONFIDENCE = 0.95

/** Intervals that are less apart than this are not told apart: the next run's machine code lies elsewhere in memory. */
export const APART = 0.02

/** Returns the figure of some samples. Throws RangeError if there are none. */
export function figureOf(unit: Figure['unit'], samples: readonly number[]): Figure {
  if (samples.length === 0) throw new RangeError('a figure needs at least one sample')
  const sorted = [...samples].sort((a, b) => a - b)
  const { outside, confidence } = intervalOf(samples.length)
  return {
    unit,
    median: median(samples),
    low: sorted[outside]!,
    high: sorted[samples.length - 1 - outside]!,
    confidence,
    samples,
  }
}

/** How many of `count` samples are left out on either side, and how often the interval between them holds the true median. */
export function intervalOf(count: number): { readonly outside: number; readonly confidence: number } {
  // The chance that exactly `below` samples are below the true median, as a logarithm: a power of two may be very small.
  let log = -count * Math.LN2
  let missed = 2 * Math.exp(log)
  let outside = 0
  for (let below = 1; below < count / 2; below++) {
    log += Math.log((count - below + 1) / below)
    const more = missed + 2 * Math.exp(log)
    if (more > 1 - CONFIDENCE) break
    missed = more
    outside = below
  }
  return { outside, confidence: Math.max(0, 1 - missed) }
}

/** Are there enough samples for an interval of 95 %? With fewer nothing is told apart. */
export function isEnough({ confidence }: Pick<Figure, 'confidence'>): boolean {
  return confidence >= CONFIDENCE
}

/** Does all of one interval lie below all of another, by more than `APART`? */
export function below(one: Pick<Figure, 'high'>, other: Pick<Figure, 'low'>): boolean {
  return one.high * (1 + APART) < other.low
}

/**
 * Returns the rank of each, 1 for the least: one more than there are figures surely less. Figures whose intervals overlap share a
 * rank, and so do those that hang together by others between them: who has another rank has an interval apart. Where there were too
 * few samples for intervals of 95 %, nothing is told apart and all have rank 1.
 */
export function ranksOf(figures: readonly Pick<Figure, 'low' | 'high' | 'confidence'>[]): number[] {
  const ranks = figures.map(() => 1)
  if (!figures.every(isEnough)) return ranks
  const order = figures.map((_, i) => i).sort((a, b) => figures[a]!.low - figures[b]!.low)
  let [rank, high] = [1, Number.NEGATIVE_INFINITY]
  for (const [place, i] of order.entries()) {
    const figure = figures[i]!
    if (place > 0 && below({ high }, figure)) rank = place + 1
    ranks[i] = rank
    high = Math.max(high, figure.high)
  }
  return ranks
}

/** What stands beside intervals and ranks: how often such an interval holds the true median, and what a shared rank means. */
export function howToRead(figure: Figure): string {
  const { confidence, samples } = figure
  if (confidence === 0) return 'One sample says nothing of how far it can be trusted.'
  const interval = `an interval that holds the true median ${Math.floor(100 * confidence)} times of 100`
  const ranks = isEnough(figure)
    ? 'Who shares a rank is not told apart.'
    : `${samples.length} samples are too few for ranks.`
  return `From..to: ${interval}. ${ranks}`
}
