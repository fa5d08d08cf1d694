// The measurements of growth: each can be made, in every size there is room for, and what they come to is judged rightly. How
// long anything takes is for `npm run bench:growth` to say.

import { describe, expect, it } from 'vitest'
import { GROWTHS } from '../../bench/growth/index.ts'
import { grow, SIZES, verdictOf } from '../../bench/growth/measure.ts'

describe('the growth of a cost', () => {
  it.each([
    ['n', (n: number) => n / 500, 'ok'],
    ['n log n', (n: number) => (n * Math.log2(n)) / 5000, 'ok'],
    ['n squared', (n: number) => n ** 2 / 1e6, 'worse than n log n'],
    ['n squared beside much that is linear', (n: number) => n / 100 + n ** 2 / 1e6, 'worse than n log n'],
    ['next to nothing', (n: number) => n ** 2 / 1e9, 'too short to tell'],
  ])('as %s', (_, time, verdict) => {
    expect(verdictOf(SIZES, SIZES.map(time)).verdict).toBe(verdict)
  })

  it('is measured of each thing once', () => {
    const names = GROWTHS.map(({ name, of }) => `${name}, ${of}`)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(60)
  })

  it.each(GROWTHS.map((growth) => [`${growth.name} (${growth.of})`, growth] as const))(
    'can be measured of %s',
    async (_, growth) => {
      const { ms, sizes } = await grow(growth, true)
      expect(ms).toHaveLength(sizes.length)
    },
  )
})
