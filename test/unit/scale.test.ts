// Axes: bars begin at 0.

import { describe, expect, it } from 'vitest'
import { fromZero, padded } from '../../src/report/page/scale.ts'

describe('the scale of bars', () => {
  it.each([
    [56.7, 57.9],
    [1, 1],
    [0, 3],
    [-2, 5],
    [-7, -3],
  ])('has 0 in it, and %d to %d', (low, high) => {
    const [from, to] = fromZero(low, high)
    expect(from).toBeLessThanOrEqual(Math.min(low, 0))
    expect(to).toBeGreaterThanOrEqual(Math.max(high, 0))
    if (low >= 0) expect(from).toBeCloseTo(0)
    if (high <= 0) expect(to).toBeCloseTo(0)
  })

  it('has a width where all is nothing', () => {
    expect(fromZero(0, 0)).toEqual([0, 1])
  })
})

describe('the scale of what curves run over', () => {
  it('has a width, and begins at 0 for amounts', () => {
    expect(padded(3, 3, 'count')).toEqual([2, 4])
    expect(padded(3, 9, 'count')).toEqual([3, 9])
    expect(padded(3, 9, 'bytes')).toEqual([0, 9])
  })
})
