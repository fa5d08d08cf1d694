// Micro benchmarks: how a case is written and measured, in two ways. Our own: batches of calls, in rounds in which all cases take
// turns, processor time, median and interval. And Benchmark.js, which takes one case after the other by the wall clock. Only the
// figures of one run compare.

import type Benchmark from 'benchmark'
import { systemClock } from '../../src/index.ts'
import { type Candidate, type Figure, figureOf, inRounds, type Lap, type Load } from '../../src/lab/index.ts'
import type { BenchmarkJs } from '../../src/report/index.ts'
import { optional } from '../optional.ts'

export interface MicroCase {
  readonly name: string
  /** One measured call. Returns something that depends on the work done, so that none of it can be left out. */
  run(): number
  /** What has to be done before a batch of calls, and is not measured. */
  prepare?(): void
  /** What one call handles, in bytes, for a rate; 0 where that makes no sense. */
  readonly bytes: number
}

export interface MicroGroup {
  readonly name: string
  readonly cases: readonly MicroCase[]
}

export interface MicroResult {
  readonly group: string
  readonly name: string
  /** Processor time a call, by round. */
  readonly time: Figure
  readonly benchmark_js: BenchmarkJs
  readonly bytes: number
}

/** How long is measured. */
export interface Effort {
  /** Each case, about, by our own measurement and again by Benchmark.js. */
  readonly seconds: number
  readonly rounds: number
}

const EFFORT: Effort = { seconds: 1, rounds: 31 }
/** As short as can be, to see that nothing has rotted. */
export const SMOKE: Effort = { seconds: 0.01, rounds: 2 }

/** A batch of calls: what it took of each. */
export interface Batch extends Lap {
  readonly calls: number
}

/** Measures the cases of a group. */
export async function runGroup(
  group: MicroGroup,
  smoke: boolean,
): Promise<{ readonly results: readonly MicroResult[]; readonly load: Load }> {
  const effort = smoke ? SMOKE : EFFORT
  const candidates: Candidate<Batch>[] = []
  for (const one of group.cases) candidates.push(await batches(one, effort))
  const { laps, load } = await inRounds(candidates, effort)
  const theirs = await benchmarkJs(group.cases, effort)
  const results = group.cases.map(({ name, bytes }) => ({
    group: group.name,
    name,
    time: timeOf(laps.get(name)!),
    benchmark_js: theirs.get(name)!,
    bytes,
  }))
  return { results, load }
}

/** Nanoseconds a call, by round. */
export function timeOf(batches: readonly Batch[]): Figure {
  return figureOf(
    'ns',
    batches.map(({ cpu_ms, calls }) => (cpu_ms * 1e6) / calls),
  )
}

/** What runs a number of calls, timed. */
export type RunBatch = (calls: number) => Batch | Promise<Batch>

/** A case as a candidate: each lap is a batch of as many calls as take its share of the time. The code is warm by then. */
export function batches({ name, run, prepare }: MicroCase, effort: Effort): Promise<Candidate<Batch>> {
  const loop = loopOf(run)
  return sized(
    name,
    (calls) => {
      prepare?.()
      const [wall, cpu] = [systemClock.now(), systemClock.cpu()]
      sink = (sink + loop(calls)) | 0
      return { cpu_ms: systemClock.cpu() - cpu, wall_ms: systemClock.now() - wall, calls }
    },
    effort,
  )
}

/**
 * Finds out how many calls a batch has, by ever larger ones, until twice the calls take twice the time: while a compiler is at work on
 * another thread, its time is all there is to see.
 */
export async function sized(name: string, batch: RunBatch, effort: Effort): Promise<Candidate<Batch>> {
  const wanted = (effort.seconds * 1000) / effort.rounds
  const shortest = async (calls: number): Promise<number> =>
    Math.min((await batch(calls)).cpu_ms, (await batch(calls)).cpu_ms, (await batch(calls)).cpu_ms)
  let calls = 1
  for (let time = await shortest(calls); ; ) {
    const twice = await shortest(2 * calls)
    if (time >= wanted / 2 && twice > 1.5 * time) return { name, lap: () => batch(calls) }
    calls *= 2
    time = twice
  }
}

let sink = 0

/** A loop of its own for each case: in a common one no call could be inlined, and the cheapest cases would be measured by its cost. */
function loopOf(run: () => number): (calls: number) => number {
  const make = new Function(
    'run',
    'return (calls) => { let sum = 0; for (let i = 0; i < calls; i++) sum = (sum + run()) | 0; return sum }',
  )
  return make(run) as (calls: number) => number
}

/** Measures cases by Benchmark.js, one after the other. Throws ENOENT if it is not installed. */
export async function benchmarkJs(
  cases: readonly MicroCase[],
  { seconds }: Effort,
): Promise<Map<string, BenchmarkJs>> {
  const results = new Map<string, BenchmarkJs>()
  const { Suite } = await optional('benchmark')
  const timing =
    seconds <= SMOKE.seconds
      ? { minSamples: 2, maxTime: seconds, minTime: seconds / 10 }
      : { maxTime: seconds, ...(seconds < EFFORT.seconds ? { minTime: seconds / 20 } : {}) }
  for (const { name, run, prepare } of cases) {
    prepare?.()
    const suite = new Suite()
    suite.add(
      name,
      () => {
        sink = (sink + run()) | 0
      },
      timing,
    )
    suite.on('cycle', ({ target }: Benchmark.Event) => {
      const { stats } = target as unknown as Benchmark
      results.set(name, { ns: stats.mean * 1e9, rme: stats.rme, samples: stats.sample.length })
    })
    suite.run({ async: false })
  }
  if (sink === 0.5) throw new Error('unreachable: keeps the results alive')
  return results
}
