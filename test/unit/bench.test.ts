// What the bench makes of its measurements: figures read off a curve, and two runs compared.

import { describe, expect, it } from 'vitest'
import { compare, NotComparable } from '../../bench/macro/baseline.ts'
import { curveResult, figuresOf } from '../../bench/macro/curve.ts'
import { bestPossible, figureOf, synthImages, synthTruth } from '../../src/lab/index.ts'
import type { BenchResult, CurvePoint } from '../../src/report/index.ts'

describe('a curve', () => {
  const points: CurvePoint[] = [
    [0, 0, 0],
    [100, 10, 0],
    [150, 17, 50],
    [200, 20, 95],
    [300, 21, 95],
  ]

  it('says when nine tenths were there', () => {
    expect(figuresOf(points, 100, 300)).toMatchObject({ scanned_bytes_to_90: 200, cpu_ms_to_90: 20 })
    expect(figuresOf(points, 200, 300)).toMatchObject({ scanned_bytes_to_90: null, cpu_ms_to_90: null })
  })

  it('has an area, of the best possible all the time', () => {
    // 50 x 25 + 50 x 72.5 + 100 x 95, of 300 x 100.
    expect(figuresOf(points, 100, 300).area).toBeCloseTo((1250 + 3625 + 9500) / 30_000, 12)
    // Where a scan passes over what is merged already, the rest of the horizon counts as it ended.
    expect(figuresOf(points, 100, 400).area).toBeCloseTo((1250 + 3625 + 9500 + 9500) / 40_000, 12)
    expect(figuresOf([[0, 0, 0]], 0, 300).area).toBe(0)
  })
})

describe('the best possible', () => {
  it.each(['vm-hetero', 'server-zswap', 'adversarial'])('of %s is what its truth says', (preset) => {
    const options = { preset, pages: 300, images: 2 }
    const [{ best, contents, zero_pages }] = synthTruth(options).moments as [
      ReturnType<typeof synthTruth>['moments'][0],
    ]
    expect(bestPossible(synthImages(options))).toEqual({
      pages: 600,
      contents,
      zero_pages,
      bytes_saved: best.bytes_saved,
      bytes_saved_without_zero_pages: best.bytes_saved_without_zero_pages,
    })
  })
})

describe('two runs', () => {
  const result = (ours: number[], theirs: number[] | undefined, digest = 'd'): BenchResult => {
    const peer = (times: number[]) => ({
      converge_ns_per_page: 0,
      rescan_ns_per_page: 0,
      samples: times.map((time) => ({ converge_ns_per_page: time, rescan_ns_per_page: 100 })),
    })
    const curve = curveResult(
      ours.map((cpu) => ({
        points: [
          [0, 0, 0],
          [4096, cpu, 4096],
        ],
        bytes_saved: 4096,
        metadata: { total: 10 } as never,
        rescan_cpu_ms: 1,
      })),
      { pages: 2, contents: 1, zero_pages: 0, bytes_saved: 4096, bytes_saved_without_zero_pages: 4096 },
    )
    return {
      pages: 2,
      input_digest: 'i',
      digest,
      index: 'hash',
      checksum: 'xxh3',
      workers: 0,
      clock: 'processor',
      peers: { pagefold: peer(ours), native: theirs ? peer(theirs) : { unavailable: 'no compiler' } },
      curve,
    } as unknown as BenchResult
  }
  const verdict = (before: BenchResult, after: BenchResult) =>
    compare(before, after).find(({ metric }) => metric === 'converge_ns_per_page')!

  it('are the same within their spread, and however steady within 2 %', () => {
    expect(verdict(result([10, 11, 14], [10, 10, 10]), result([13, 14, 15], [10, 10, 10])).verdict).toBe(
      'same',
    )
    expect(verdict(result([100, 100, 100], [9, 9, 9]), result([101, 101, 101], [9, 9, 9])).verdict).toBe(
      'same',
    )
  })

  it('differ where every trial of one is beyond every trial of the other', () => {
    const slow = verdict(result([10, 11, 12], [10, 10, 10]), result([13, 14, 15], [10, 10, 10]))
    expect(slow).toMatchObject({
      verdict: 'slower',
      over: 'native',
      before: { median: 1.1, min: 1, max: 1.2 },
    })
    expect(slow.change).toBeCloseTo(14 / 11 - 1, 12)
    expect(verdict(result([13, 14, 15], [10, 10, 10]), result([10, 11, 12], [10, 10, 10])).verdict).toBe(
      'faster',
    )
  })

  it('are compared as multiples of a peer, so that a slower machine is no slower program', () => {
    expect(verdict(result([10, 11, 12], [10, 10, 10]), result([20, 22, 24], [20, 20, 20])).verdict).toBe(
      'same',
    )
    const plain = verdict(result([10, 11, 12], undefined), result([20, 22, 24], [20, 20, 20]))
    expect(plain).toMatchObject({ verdict: 'slower', over: null })
  })

  it('are compared by their scans after writes too, where both have them', () => {
    const times = (samples: number[]) => ({ scan: figureOf('ns', samples) })
    const row = (percent: number, ours: number[], theirs = [10, 10, 10]) => ({
      ...{ written_percent: percent, written_with: percent === 0 ? 'nothing' : 'other bytes' },
      peers: { pagefold: times(ours), native: times(theirs) },
    })
    const run = (...written: object[]) =>
      ({ ...result([10, 11, 12], [10, 10, 10]), written }) as unknown as BenchResult
    const before = run(row(0, [1, 1, 1]), row(1, [10, 11, 12]), row(10, [20, 20, 20]))
    const after = run(row(0, [2, 2, 2], [20, 20, 20]), row(1, [13, 14, 15]), row(50, [1, 1, 1]))
    const rows = compare(before, after).filter(({ metric }) => metric.startsWith('scan after'))
    expect(rows).toMatchObject([
      { metric: 'scan after 0 % written', verdict: 'same', over: 'native', after: { median: 0.1 } },
      { metric: 'scan after 1 % written, other bytes', verdict: 'slower', before: { median: 1.1 } },
    ])
    expect(compare(before, run()).some(({ metric }) => metric.startsWith('scan after'))).toBe(false)
  })

  it('are compared by what scanning took while guests ran, if for as long', () => {
    const run = (batches: number, ms: number[], theirs = [10, 10, 10]) =>
      ({
        ...result([10, 11, 12], theirs),
        running: { batches, peers: { pagefold: { cpu: figureOf('ms', ms), points: [] } } },
      }) as unknown as BenchResult
    const [change] = compare(run(20, [1, 2, 3]), run(20, [4, 5, 6], [20, 20, 20])).filter(
      ({ metric }) => metric === 'time while guests run',
    )
    // Of two pages, over what the peer took to merge one.
    expect(change).toMatchObject({
      verdict: 'same',
      over: 'native',
      before: { median: 1e5 },
      after: { min: 1e5 },
    })
    const other = compare(run(20, [1, 2, 3]), run(40, [1, 2, 3]))
    expect(other.some(({ metric }) => metric === 'time while guests run')).toBe(false)
  })

  it('say nothing after two trials', () => {
    expect(verdict(result([10, 10], [1, 1]), result([90, 90], [1, 1])).verdict).toBe('too few trials')
  })

  it('are not compared if they merged other pages', () => {
    expect(() => compare(result([1], [1]), result([1], [1], 'other'))).toThrow(NotComparable)
  })

  it('are not compared if one was by another clock, as those were that do not say', () => {
    const { clock, ...old } = result([1], [1])
    expect(clock).toBe('processor')
    expect(() => compare(old as BenchResult, result([1], [1]))).toThrow(/wall time, this run processor time/)
  })
})
