// How the cost of a call grows with what it is linear in: processor time at three sizes, and the exponent between them. Times
// of one size mean nothing here, only how they grow; so a busy machine, which slows all sizes alike, does no harm.

import { median } from '../../src/lab/index.ts'

/** One measurement: what is to be timed, made ready beforehand and thrown away afterwards. */
export interface Prepared {
  run(): unknown
  done?(): void
}

/** A call, or many, whose cost should grow with `n` and no faster than n log n. */
export interface Growth {
  readonly name: string
  /** What n counts. */
  readonly of: string
  /** The three sizes, ascending. Default: SIZES. */
  readonly sizes?: Sizes
  prepare(n: number): Prepared | Promise<Prepared>
}

export type Sizes = readonly [number, number, number]

/** What came of it. */
export interface Grown {
  readonly name: string
  readonly of: string
  readonly sizes: Sizes
  /** Milliseconds of processor time at each size, medians. */
  readonly ms: readonly number[]
  /** From the middle size to the largest the time grows as n to the power of this. */
  readonly exponent: number
  readonly verdict: 'ok' | 'worse than n log n' | 'too short to tell'
}

export const SIZES: Sizes = [2048, 8192, 32_768]
/** A program run to see that everything works, not how it grows. */
export const SMOKE_SIZES: Sizes = [8, 16, 32]

/** n log n has 1.1 between these sizes, half as much on top where the larger no longer fits into the caches; a square has 2. */
const LIMIT = 1.6
/** Shorter ones are one garbage collection. */
const SHORT_MS = 4
/** A measurement that looks bad is taken again: a thing that grows too fast does so every time. */
const ATTEMPTS = 3
const SAMPLES = 3
/** Small sizes are measured until they have taken as much together: the first times are the compiler's. */
const ENOUGH_MS = 40
const MAX_SAMPLES = 25

/** Measures one. */
export async function grow(growth: Growth, smoke: boolean): Promise<Grown> {
  const sizes = smoke ? SMOKE_SIZES : (growth.sizes ?? SIZES)
  let best: Grown | undefined
  for (let attempt = 0; attempt < (smoke ? 1 : ATTEMPTS); attempt++) {
    const grown = await measure(growth, sizes, smoke ? 1 : SAMPLES)
    if (best === undefined || grown.exponent < best.exponent) best = grown
    if (best.verdict !== 'worse than n log n') break
  }
  return best!
}

async function measure(growth: Growth, sizes: Sizes, least: number): Promise<Grown> {
  const ms: number[] = []
  for (const n of sizes) ms.push(await timeOf(growth, n, least))
  return { name: growth.name, of: growth.of, sizes, ms, ...verdictOf(sizes, ms) }
}

/** How a time grows, and whether that is too fast. */
export function verdictOf(sizes: Sizes, ms: readonly number[]): Pick<Grown, 'exponent' | 'verdict'> {
  const exponent = Math.log(ms[2]! / ms[1]!) / Math.log(sizes[2] / sizes[1])
  const verdict = ms[2]! < SHORT_MS ? 'too short to tell' : exponent > LIMIT ? 'worse than n log n' : 'ok'
  return { exponent, verdict }
}

async function timeOf(growth: Growth, n: number, least: number): Promise<number> {
  const samples: number[] = []
  let spent = 0
  while (samples.length < least || (least > 1 && spent < ENOUGH_MS && samples.length < MAX_SAMPLES)) {
    const { run, done } = await growth.prepare(n)
    globalThis.gc?.()
    const before = process.cpuUsage()
    const result = run()
    if (result instanceof Promise) await result
    const { user, system } = process.cpuUsage(before)
    done?.()
    samples.push((user + system) / 1000)
    spent += samples.at(-1)!
  }
  // Of many the later half: by then the code is compiled.
  return median(samples.length > least ? samples.slice(samples.length >>> 1) : samples)
}
