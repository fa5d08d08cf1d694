// Bottom-k sketches against exact counts.

import { describe, expect, it } from 'vitest'
import { distinctIn, joinSketches, SKETCH_SIZE, sharedBySketches, sketchOf } from '../../src/lab/index.ts'
import { random as seeded } from '../support/random.ts'

const drawn = (seed: number): (() => bigint) => {
  const random = seeded(seed)
  return () => (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32))
}
const many = (count: number, next: () => bigint): bigint[] => Array.from({ length: count }, next)

describe('a sketch', () => {
  it('is exact as long as it is not full, whatever comes twice', () => {
    const words = many(500, drawn(1))
    const sketch = sketchOf([...words, ...words.slice(0, 100)], 600)
    expect(distinctIn(sketch)).toBe(500)
    const other = sketchOf([...words.slice(0, 200), ...many(50, drawn(2))], 600)
    expect(sharedBySketches(sketch, other)).toBe(200)
    expect(sharedBySketches(sketchOf([]), sketchOf([]))).toBe(0)
  })

  it('keeps the smallest, in whatever order they come, and of what two sets have together', () => {
    const words = many(5000, drawn(3))
    const expected = [...words].sort((a, b) => (a < b ? -1 : 1)).slice(0, 64)
    expect(sketchOf(words, 64).smallest).toEqual(expected)
    expect(sketchOf([...words].reverse(), 64).smallest).toEqual(expected)
    const joined = joinSketches(sketchOf(words.slice(0, 3000), 64), sketchOf(words.slice(2000), 64))
    expect(joined.smallest).toEqual(expected)
  })

  it.each([1, 2, 3, 4, 5])(
    'tells how many there are, and how many are shared, within five standard errors, seed %i',
    (seed) => {
      const next = drawn(10 + seed)
      const [common, mine, theirs] = [many(20_000, next), many(40_000, next), many(25_000, next)]
      const [one, other] = [sketchOf([...common, ...mine]), sketchOf([...common, ...theirs])]
      const error = 1 / Math.sqrt(SKETCH_SIZE - 2)
      expect(Math.abs(distinctIn(one) / 60_000 - 1)).toBeLessThan(5 * error)
      // The share of the union, and its size, each with an error of their own.
      const share = 20_000 / 85_000
      const shareError = Math.sqrt((share * (1 - share)) / SKETCH_SIZE) / share
      expect(Math.abs(sharedBySketches(one, other) / 20_000 - 1)).toBeLessThan(5 * (error + shareError))
    },
  )

  it('joins only one of its size', () => {
    expect(() => joinSketches(sketchOf([1n], 4), sketchOf([1n], 8))).toThrow('sketches of 4 and 8')
    expect(() => sketchOf([], 1)).toThrow(RangeError)
  })
})
