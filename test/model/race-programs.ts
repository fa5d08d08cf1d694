// Random programs for the race tests: operations in a row, actions of others at race points, allocations that fail.

import fc from 'fast-check'
import { COW_POLICIES, SMART_SCAN_POLICIES } from '../../src/index.ts'
import { OPERATIONS, type OperationName } from './race-operations.ts'
import type { RaceProgram, Step } from './race-world.ts'

const step: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(OPERATIONS).map(([name, { weight, args }]) => ({
    weight,
    arbitrary: fc.tuple(fc.constant(name as OperationName), ...args) as fc.Arbitrary<Step>,
  })),
)

/** Two guests with something to merge; shrinking takes away what is not needed. */
const beginning: Step[] = [
  ['swapOn'],
  ...[0, 1].flatMap((slot): Step[] => [
    ['spawn', slot, 0],
    ['map', slot, 0, 0, 6, 0, 0],
    ['mergeable', slot, 0, 0, 6, 0],
    ...[0, 1, 2, 3].map((page): Step => ['write', slot, 0, page, page % 3]),
  ]),
]

/** Programs of about `length` operations. */
export function racePrograms(length: number): fc.Arbitrary<RaceProgram> {
  const options = fc.record(
    {
      frames: fc.constantFrom(128, 64, 32, 20),
      numaNodes: fc.constantFrom(1, 1, 2),
      index: fc.constantFrom('content' as const, 'hash' as const),
      mappings: fc.constantFrom(60, 200),
      cowPolicy: fc.constantFrom(...COW_POLICIES),
      reuseKsm: fc.constantFrom(true, true, false),
      smartScan: fc.constantFrom(...SMART_SCAN_POLICIES),
      zeroPagesAcrossDomains: fc.boolean(),
    },
    { requiredKeys: ['frames', 'numaNodes', 'index'] },
  )
  const kept = fc.tuple(...beginning.map((first) => fc.option(fc.constant(first), { freq: 30 })))
  const rest = fc.array(step, { maxLength: 2 * length, size: 'max' })
  const actions = fc.array(fc.record({ after: fc.nat(8), step }), { maxLength: length, size: 'max' })
  const failures = fc.array(fc.nat(40), { maxLength: 6, size: 'max' })
  return fc
    .record({ options, kept, rest, actions, failures })
    .map(({ options, kept, rest, actions, failures }) => ({
      options,
      steps: [...kept.filter((first) => first !== null), ...rest],
      actions,
      failures,
    }))
}
