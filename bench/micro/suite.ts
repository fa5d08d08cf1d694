// Micro benchmarks with Benchmark.js: how a case is written, run and shown. Only the figures of one run compare.

import type Benchmark from 'benchmark'
import { optional } from '../optional.ts'

export interface MicroCase {
  readonly name: string
  /** One measured call. Returns something that depends on the work done, so that none of it can be left out. */
  run(): number
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
  readonly ns: number
  /** Relative margin of error, percent, as Benchmark.js reckons it. */
  readonly rme: number
  readonly samples: number
  readonly bytes: number
}

/** Seconds that each case is measured for, about. */
const DEFAULT_SECONDS = 1

/** `smoke`: as short as can be, to see that nothing has rotted. `seconds`: how long each case is measured, about. */
export async function runGroup(
  group: MicroGroup,
  smoke: boolean,
  seconds = DEFAULT_SECONDS,
): Promise<MicroResult[]> {
  const results: MicroResult[] = []
  const suite = new (await optional('benchmark')).Suite()
  let sink = 0
  const timing = smoke
    ? { minSamples: 2, maxTime: 0.01, minTime: 0.001 }
    : { maxTime: seconds, ...(seconds < DEFAULT_SECONDS ? { minTime: seconds / 20 } : {}) }
  for (const { name, run } of group.cases) {
    const measured = (): void => {
      sink = (sink + run()) | 0
    }
    suite.add(name, measured, timing)
  }
  suite.on('cycle', ({ target }: Benchmark.Event) => {
    const { name, stats } = target as unknown as Benchmark
    const { bytes } = group.cases.find((one) => one.name === name)!
    results.push({
      group: group.name,
      name: name!,
      ns: stats.mean * 1e9,
      rme: stats.rme,
      samples: stats.sample.length,
      bytes,
    })
  })
  suite.run({ async: false })
  if (sink === 0.5) throw new Error('unreachable: keeps the results alive')
  return results
}
