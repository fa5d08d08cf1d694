// The engine is a slow, obvious KSM: random histories run on pagefold and on the model, and nothing that can be seen from
// outside may differ after any operation.

import fc from 'fast-check'
import { describe, it } from 'vitest'
import { effort, PROPERTY_TIMEOUT } from '../support/property.ts'
import { runOnBoth } from './compare.ts'
import { programs } from './programs.ts'

const LENGTH = 100

describe('pagefold and the model agree after every operation of a random history', () => {
  for (const index of ['content', 'hash'] as const) {
    it(`with trees ordered by ${index}`, { timeout: PROPERTY_TIMEOUT }, async () => {
      const property = fc.asyncProperty(programs(LENGTH), (program) => runOnBoth(program, index))
      await fc.assert(property, effort(`histories, ${index}`, LENGTH, 100, 0.25))
    })
  }
})
