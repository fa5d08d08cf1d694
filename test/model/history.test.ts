// The engine is a slow, obvious KSM: random histories run on pagefold and on the model, and nothing that can be seen from
// outside may differ after any operation.

import { describe, it } from 'vitest'
import { PROPERTY_TIMEOUT, tryPrograms } from '../support/property.ts'
import { runOnBoth } from './compare.ts'
import { programs } from './programs.ts'

const LENGTH = 100

describe('pagefold and the model agree after every operation of a random history', () => {
  for (const index of ['content', 'hash'] as const) {
    it(`with trees ordered by ${index}`, { timeout: PROPERTY_TIMEOUT }, async () => {
      await tryPrograms(
        { name: `histories, ${index}`, length: LENGTH, runs: 50, share: 0.25 },
        programs(LENGTH),
        ({ ops }) => ops.length,
        (program) => runOnBoth(program, { index }),
      )
    })

    it(`with trees ordered by ${index}, and a helper`, { timeout: PROPERTY_TIMEOUT }, async () => {
      await tryPrograms(
        { name: `histories, ${index}, a helper`, length: LENGTH, runs: 10, share: 0.05 },
        programs(LENGTH),
        ({ ops }) => ops.length,
        (program) => runOnBoth(program, { index, workers: 1 }),
      )
    })

    it(`with trees ordered by ${index}, and every page read in every scan`, {
      timeout: PROPERTY_TIMEOUT,
    }, async () => {
      await tryPrograms(
        { name: `histories, ${index}, checksum`, length: LENGTH, runs: 10, share: 0.05 },
        programs(LENGTH),
        ({ ops }) => ops.length,
        (program) => runOnBoth(program, { index, changes: 'checksum' }),
      )
    })
  }
})
