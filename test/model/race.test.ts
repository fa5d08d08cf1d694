// Nothing a guest reads ever changes but by its own writes, whatever happens in between: random histories over everything a
// host offers, with other actors at every race point and allocations that fail, against a plain map of what each guest
// must read.

import { describe, expect, it } from 'vitest'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { IS_LONG, PROPERTY_TIMEOUT, tryPrograms } from '../support/property.ts'
import { LOCKS } from './race-locks.ts'
import { racePrograms } from './race-programs.ts'
import { pointsTried, runRace } from './race-world.ts'

const LENGTH = 60

describe('a guest reads what it wrote, and nothing is lost or left behind', () => {
  it('whoever acts at the race points and whatever allocation fails', {
    timeout: PROPERTY_TIMEOUT,
  }, async () => {
    await tryPrograms(
      { name: 'races', length: LENGTH, runs: 300, share: 0.5 },
      racePrograms(LENGTH),
      ({ steps }) => steps.length,
      runRace,
    )
    // In a short run some may be missed.
    const untried = Object.keys(LOCKS).filter((point) => !pointsTried.has(point as RacePoint))
    if (IS_LONG) expect(untried).toEqual([])
  })
})
