// Random programs for mutants: those of test/model, told apart so that each is a test of its own, small enough to be tried
// with thousands of mutants.

import fc from 'fast-check'
import { describe, it } from 'vitest'
import { runOnBoth } from '../model/compare.ts'
import { programs } from '../model/programs.ts'
import { racePrograms } from '../model/race-programs.ts'
import { runRace } from '../model/race-world.ts'

const HISTORIES = 20
const HISTORY_LENGTH = 100
const RACES = 80
const RACE_LENGTH = 60

describe.each(['content', 'hash'] as const)('pagefold and the model agree', (index) => {
  it.each(fc.sample(programs(HISTORY_LENGTH), { seed: 1, numRuns: HISTORIES }))('on a history', (program) =>
    runOnBoth(program, { index }),
  )
})

describe('a guest reads what it wrote', () => {
  it.each(fc.sample(racePrograms(RACE_LENGTH), { seed: 2, numRuns: RACES }))('in a race', (program) =>
    runRace(program),
  )
})
