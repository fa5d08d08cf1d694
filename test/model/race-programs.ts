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

/** What guests do to their memory all the time: most of what happens at race points. */
const access: OperationName[] = [
  'write',
  'write',
  'poke',
  'touch',
  'mmuWrite',
  'read',
  'translate',
  'pin',
  'advise',
]
const action: fc.Arbitrary<Step> = fc.oneof(
  step,
  ...access.map((name) => fc.tuple(fc.constant(name), ...OPERATIONS[name].args) as fc.Arbitrary<Step>),
)

/** Two guests with something to merge, perhaps of two domains; shrinking takes away what is not needed. */
function beginnings(): fc.Arbitrary<Step[]> {
  const guest = (slot: number, domain: number): Step[] => [
    ['spawn', slot, domain],
    ['map', slot, 0, 0, 6, 0, 0],
    ['mergeable', slot, 0, 0, 6, 0],
    ['openMmu', slot],
    ...[0, 1, 2, 3].map((page): Step => ['write', slot, 0, page, page % 3]),
    ...[0, 3].map((page): Step => ['translate', slot, 0, page, page % 2]),
  ]
  return fc.constantFrom(0, 0, 0, 1).chain((domain) => {
    const steps: Step[] = [['swapOn'], ...guest(0, domain), ...guest(1, 0)]
    const kept = steps.map((first) => fc.option(fc.constant(first), { freq: 30 }))
    return fc.tuple(...kept).map((found) => found.filter((first) => first !== null))
  })
}

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
      changes: fc.constantFrom('log', 'log', 'checksum'),
      smartScan: fc.constantFrom(...SMART_SCAN_POLICIES),
      zeroPagesAcrossDomains: fc.boolean(),
    },
    { requiredKeys: ['frames', 'numaNodes', 'index'] },
  )
  const kept = beginnings()
  const rest = fc.array(step, { maxLength: 2 * length, size: 'max' })
  const actions = fc.array(fc.record({ after: fc.nat(8), step: action }), { maxLength: length, size: 'max' })
  const failures = fc.array(fc.nat(40), { maxLength: 6, size: 'max' })
  return fc
    .record({ options, kept, rest, actions, failures })
    .map(({ options, kept, rest, actions, failures }) => ({
      options,
      steps: [...kept, ...rest],
      actions,
      failures,
    }))
}
