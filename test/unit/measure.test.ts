// How measurements become figures: intervals hold the true median as often as they say, ranks are given only where intervals
// part, turns are drawn, and a busy machine is told from an idle one. No time is measured here: what comes in is made.

import { describe, expect, it, vi } from 'vitest'
import { below, figureOf, howToRead, intervalOf, ranksOf } from '../../src/lab/measure/figure.ts'
import { loadOf } from '../../src/lab/measure/load.ts'
import { inRounds, type Lap, ORDER_SEED, orderOf } from '../../src/lab/measure/rounds.ts'
import { machineCpuTime } from '../../src/platform.ts'
import { decisions } from '../../src/synth/random.ts'

/** Numbers in (0, 1), always the same. */
function uniform(seed: number): () => number {
  const next = decisions(seed, 0)
  return () => (next() + 0.5) / 2 ** 32
}

/** Distributions that times come in, as functions of a uniform number, with their medians. */
const DISTRIBUTIONS: readonly (readonly [name: string, median: number, of: (u: number) => number])[] = [
  ['uniform', 0.5, (u) => u],
  ['exponential: a floor, and a long tail above', Math.LN2, (u) => -Math.log(1 - u)],
  ['Cauchy: outliers without end', 10, (u) => 10 + Math.tan(Math.PI * (u - 0.5))],
  ['two humps, as of a machine that is busy now and then', 3, (u) => (u < 0.5 ? 1 + 4 * u : 8 + u)],
]

describe('a figure', () => {
  it('has the median, an interval between samples, and the samples as they came', () => {
    const samples = [5, 1, 4, 2, 3, 9, 7, 8, 6]
    expect(figureOf('ns', samples)).toEqual({
      unit: 'ns',
      median: 5,
      low: 2,
      high: 8,
      confidence: 1 - (2 * (1 + 9)) / 2 ** 9,
      samples,
    })
    expect(figureOf('ms', [4])).toMatchObject({ median: 4, low: 4, high: 4, confidence: 0 })
    expect(() => figureOf('ns', [])).toThrow(RangeError)
  })

  // The tables of the sign test: the largest symmetric pair of order statistics with at least 95 %.
  it.each([
    [1, 0, 0],
    [3, 0, 0.75],
    [5, 0, 0.9375],
    [6, 0, 0.96875],
    [8, 0, 0.9921875],
    [9, 1, 0.9609375],
    [11, 1, 0.98828125],
    [12, 2, 0.96142578125],
    [15, 3, 0.96484375],
    [20, 5, 0.9586105346679688],
    [25, 7, 0.9567147493362427],
    [100, 39, 0.9647997997822952],
  ])('of %i samples leaves out %i on either side, for a confidence of %f', (count, outside, confidence) => {
    const interval = intervalOf(count)
    expect(interval.outside).toBe(outside)
    expect(interval.confidence).toBeCloseTo(confidence, 12)
  })

  it('of very many samples has an interval all the same', () => {
    const { outside, confidence } = intervalOf(100_000)
    // The normal approximation: half of them, less 1.96 times half of the root.
    expect(Math.abs(outside - (50_000 - 1.96 * Math.sqrt(100_000) * 0.5))).toBeLessThan(3)
    expect(confidence).toBeGreaterThanOrEqual(0.95)
    expect(confidence).toBeLessThan(0.951)
  })

  it.each(
    DISTRIBUTIONS.flatMap(([name, median, of]) =>
      [5, 9, 15, 31].map((count) => ({ name, count, median, of })),
    ),
  )('of $count samples, $name: holds the median as often as it says', ({ count, median, of }) => {
    const random = uniform(count)
    const times = 4000
    let held = 0
    let { confidence } = intervalOf(count)
    for (let i = 0; i < times; i++) {
      const figure = figureOf(
        'ns',
        Array.from({ length: count }, () => of(random())),
      )
      if (figure.low <= median && median <= figure.high) held++
      confidence = figure.confidence
    }
    // Four standard deviations of what so many trials give.
    const noise = 4 * Math.sqrt((confidence * (1 - confidence)) / times)
    expect(Math.abs(held / times - confidence)).toBeLessThan(noise)
  })
})

describe('ranks', () => {
  const at = (low: number, high: number, confidence = 0.96) => ({ low, high, confidence })

  it('count who is surely less', () => {
    expect(ranksOf([at(30, 31), at(10, 11), at(20, 21)])).toEqual([3, 1, 2])
    expect(ranksOf([])).toEqual([])
  })

  it('are shared where intervals overlap, and by all that hang together', () => {
    expect(ranksOf([at(10, 20), at(15, 25), at(40, 41)])).toEqual([1, 1, 3])
    // The first and the last part, but neither does from the middle one.
    expect(ranksOf([at(10, 20), at(18, 32), at(30, 40), at(100, 110)])).toEqual([1, 1, 1, 4])
    // One within another.
    expect(ranksOf([at(10, 50), at(20, 21), at(40, 60)])).toEqual([1, 1, 1])
  })

  it('are shared where intervals part by a hair, which the next run may not find', () => {
    expect(ranksOf([at(90, 100), at(101, 110)])).toEqual([1, 1])
    expect(ranksOf([at(90, 100), at(103, 110)])).toEqual([1, 2])
    expect(below(at(90, 100), at(101, 110))).toBe(false)
  })

  it('are all 1 where there are too few samples to tell anything', () => {
    const figures = [1, 2, 3].map((time) => figureOf('ns', Array(5).fill(time)))
    expect(ranksOf(figures)).toEqual([1, 1, 1])
    expect(howToRead(figures[0]!)).toMatch(/93 times of 100\. 5 samples are too few for ranks/)
    const enough = [1, 2, 3].map((time) => figureOf('ns', Array(6).fill(time)))
    expect(ranksOf(enough)).toEqual([1, 2, 3])
    expect(howToRead(enough[0]!)).toMatch(/96 times of 100\. Who shares a rank is not told apart/)
    expect(howToRead(figureOf('ns', [1]))).toMatch(/^One sample says nothing/)
  })

  it('of the same and the different, drawn over and over: the order is never a wrong one but by that chance', () => {
    // Three of one median and one of a median a tenth higher, all with a tail of noise.
    const random = uniform(7)
    const noisy = (floor: number) =>
      figureOf(
        'ns',
        Array.from({ length: 21 }, () => floor * (1 + 0.05 * -Math.log(1 - random()))),
      )
    let told = 0
    let wrong = 0
    const times = 1000
    for (let i = 0; i < times; i++) {
      const [a, b, c, slow] = ranksOf([noisy(100), noisy(100), noisy(100), noisy(115)])
      if (a !== b || b !== c) wrong++
      if (slow === 4) told++
      if (slow! < Math.max(a!, b!, c!)) wrong++
    }
    expect(wrong).toBeLessThan(0.05 * times)
    expect(told).toBeGreaterThan(0.95 * times)
  })
})

describe('turns', () => {
  const named = (names: readonly string[], taken: string[], lap: () => Lap | undefined = () => LAP) =>
    names.map((name) => ({
      name,
      lap: () => {
        taken.push(name)
        return lap()
      },
    }))
  const LAP: Lap = { cpu_ms: 1, wall_ms: 1 }

  it('are taken once a round by everybody, in another order each time, the same for a seed', async () => {
    const run = async (seed?: number): Promise<string[]> => {
      const taken: string[] = []
      await inRounds(named(['a', 'b', 'c', 'd', 'e', 'f'], taken), {
        rounds: 20,
        ...(seed === undefined ? {} : { seed }),
      })
      return taken
    }
    const taken = await run()
    const rounds = Array.from({ length: 20 }, (_, round) => taken.slice(round * 6, round * 6 + 6).join(''))
    for (const round of rounds) expect([...round].sort().join('')).toBe('abcdef')
    expect(new Set(rounds).size).toBeGreaterThan(15)
    expect(await run()).toEqual(taken)
    expect(await run(ORDER_SEED)).toEqual(taken)
    expect(await run(ORDER_SEED + 1)).not.toEqual(taken)
  })

  it('put every candidate in every place, and behind every other, about as often', () => {
    const [count, rounds] = [5, 5000]
    const places = new Map<string, number>()
    const note = (key: string): unknown => places.set(key, (places.get(key) ?? 0) + 1)
    for (let round = 0; round < rounds; round++) {
      const order = orderOf(count, ORDER_SEED, round)
      for (const [place, one] of order.entries()) {
        note(`${one} at ${place}`)
        if (place > 0) note(`${one} behind ${order[place - 1]}`)
      }
    }
    expect(places.size).toBe(count * count + count * (count - 1))
    for (const times of places.values()) {
      expect(Math.abs(times - rounds / count)).toBeLessThan(5 * Math.sqrt(rounds / count))
    }
  })

  it('that warm up are not counted', async () => {
    const taken: string[] = []
    const { laps, load } = await inRounds(named(['a', 'b'], taken), { rounds: 3, warmUp: 2 })
    expect(taken).toHaveLength(10)
    expect(laps.get('a')).toHaveLength(3)
    expect(load.rounds).toHaveLength(3)
  })

  it('are left out by who takes no part any more', async () => {
    const taken: string[] = []
    let turns = 0
    const failing = named(['b'], taken, () => (++turns === 2 ? undefined : LAP))
    const { laps } = await inRounds([...named(['a'], taken), ...failing], { rounds: 4 })
    expect(taken.filter((name) => name === 'b')).toHaveLength(2)
    expect(laps.get('a')).toHaveLength(4)
    expect(laps.get('b')).toHaveLength(1)
  })

  it('are told of before they are taken', async () => {
    const heard: string[] = []
    await inRounds(named(['a', 'b'], []), {
      rounds: 2,
      onProgress: (done, of, name) => heard.push(`${done}/${of} ${name}`),
    })
    expect(heard.map((one) => one.replace(/ .*/, ''))).toEqual(['0/4', '1/4', '2/4', '3/4'])
  })

  it('are watched: time without a processor is waited, and what the laps spent elsewhere is not the others', async () => {
    let spent = 0
    const ours = (): number => spent
    const waiting = named(['a', 'b'], [], () => ({ cpu_ms: 3, wall_ms: 12 }))
    const { load } = await inRounds(waiting, { rounds: 3, ours })
    expect(load.waited).toBe(0.75)
    expect(load.busy).toBe(true)
    // What this process and its children spent is never held against the machine, however much it was.
    spent = -1e12
    const idle = named(['a'], [], () => ({ cpu_ms: 2, wall_ms: 2, outside_ms: 1e12 }))
    expect((await inRounds(idle, { rounds: 3, ours })).load).toMatchObject({ waited: 0, busy: false })
  })
})

describe('the load', () => {
  const IDLE = { waited: 0.01, others: 0.1 }
  const laps = (...times: number[]) => [times.map((cpu_ms) => ({ cpu_ms }))]

  it('of idle rounds is none', () => {
    const load = loadOf([IDLE, IDLE, IDLE], laps(1, 1, 1))
    expect(load).toMatchObject({ busy: false, busy_rounds: 0, waited: 0.01, others: 0.1, busy_time: null })
    expect(load.idle_time).toMatchObject({ median: 1, samples: [1, 1, 1] })
  })

  it('is worth a warning where most rounds waited, or others kept processors busy', () => {
    expect(
      loadOf([IDLE, { waited: 0.4, others: null }, { waited: 0.4, others: 0 }], laps(1, 1, 1)),
    ).toMatchObject({
      busy: true,
      busy_rounds: 2,
      waited: 0.4,
    })
    expect(loadOf([{ waited: 0, others: 0.9 }], laps(1))).toMatchObject({ busy: true, others: 0.9 })
    expect(loadOf([{ waited: 0, others: null }], laps(1))).toMatchObject({ busy: false, others: null })
  })

  it('of a few rounds is worth one only if they part from the idle ones', () => {
    const BUSY = { waited: 0.3, others: 1.5 }
    const rounds = [BUSY, IDLE, IDLE, BUSY, IDLE, IDLE, IDLE]
    expect(loadOf(rounds, laps(10, 10, 11, 10, 10, 9, 10))).toMatchObject({ busy: false, busy_rounds: 2 })
    const apart = loadOf(rounds, laps(15, 10, 11, 16, 10, 9, 10))
    expect(apart).toMatchObject({ busy: true, busy_rounds: 2 })
    expect(apart.busy_time).toMatchObject({ low: 1.5, high: 1.6 })
    expect(apart.idle_time).toMatchObject({ median: 1 })
  })

  it('is known of the machine as a whole, where it is known', () => {
    const before = machineCpuTime()!
    const until = performance.now() + 50
    while (performance.now() < until);
    expect(before).toBeGreaterThan(0)
    expect(machineCpuTime()!).toBeGreaterThanOrEqual(before)
  })

  it('is not known where the system may not be asked', () => {
    const cpus = vi.spyOn(process.getBuiltinModule('node:os'), 'cpus').mockImplementation(() => {
      throw new Error('Requires sys access')
    })
    expect(machineCpuTime()).toBeUndefined()
    cpus.mockRestore()
  })
})
