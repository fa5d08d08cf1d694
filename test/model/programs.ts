// Random programs for the property tests: few processes, few pages, few contents, so that pages merge, fork, fill chains
// and turn stale all the time. An operation by a process that is not there is left out; one on pages that are not mapped
// stays, for its error code. What a failing test prints is a program that can be run again as it stands.

import fc from 'fast-check'
import type { Operation, Program } from '../support/history.ts'

export const PROCESSES = [1, 2, 3, 4]
export const REGIONS = [1, 2]
export const REGION_PAGES = 8

const process = fc.constantFrom(...PROCESSES)
const region = fc.constantFrom(...REGIONS)
const page = fc.nat(REGION_PAGES - 1)
const count = fc.integer({ min: 1, max: REGION_PAGES })
const content = fc.nat(3)

/** Nearly all of it stays, so that programs begin with something to merge; shrinking takes away what is not needed. */
const beginning: Operation[] = [1, 2].flatMap((p) => [
  ['spawn', p],
  ['map', p, 1, REGION_PAGES],
  ['mergeable', p, 1, 0, REGION_PAGES],
  ...[0, 1, 2, 3, 4, 5].map((i): Operation => ['write', p, 1, i, i % 3]),
])

const range = (name: 'mergeable' | 'unmergeable' | 'dontneed' | 'unmap'): fc.Arbitrary<Operation> =>
  fc.tuple(fc.constant(name), process, region, page, count)

const knob: fc.Arbitrary<Operation> = fc
  .constantFrom<[string, number]>(
    ['max_page_sharing', 2],
    ['max_page_sharing', 3],
    ['max_page_sharing', 256],
    ['max_page_sharing', 1],
    ['use_zero_pages', 0],
    ['use_zero_pages', 1],
    ['smart_scan', 0],
    ['smart_scan', 1],
    ['smart_scan', 2],
    ['merge_across_nodes', 0],
    ['merge_across_nodes', 1],
    ['stable_node_chains_prune_millisecs', 0],
    ['stable_node_chains_prune_millisecs', 1_000_000],
  )
  .map(([name, value]) => ['knob', name, value])

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 34, arbitrary: fc.tuple(fc.constant('write'), process, region, page, content) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant('poke'), process, region, page, fc.constantFrom(0, 4095), fc.nat(2)),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constant('read'), process, region, page) },
  { weight: 22, arbitrary: fc.tuple(fc.constant('scan'), fc.constantFrom(1, 1, 1, 2, 3)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('spawn'), process) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('fork'), process, process) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('exit'), process) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('map'), process, region, count) },
  { weight: 6, arbitrary: range('mergeable') },
  { weight: 3, arbitrary: range('unmergeable') },
  { weight: 3, arbitrary: range('dontneed') },
  { weight: 3, arbitrary: range('unmap') },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constant('mprotect'), process, region, page, count, fc.constantFrom(0, 1, 3, 3)),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('merge_any'), process, fc.nat(1)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('pin'), process, region, page) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('unpin'), process, region, page) },
  { weight: 3, arbitrary: knob },
  { weight: 1, arbitrary: fc.constantFrom<Operation[]>(['run', 2], ['run', 2], ['run', 0], ['run', 3]) },
) as fc.Arbitrary<Operation>

/** Programs of about `length` operations. */
export function programs(length: number): fc.Arbitrary<Program> {
  const knobs = fc.record({
    max_page_sharing: fc.constantFrom(256, 3, 2),
    use_zero_pages: fc.nat(1),
    smart_scan: fc.nat(1),
    stable_node_chains_prune_millisecs: fc.constantFrom(0, 1_000_000),
  })
  const first = fc.tuple(...beginning.map((op) => fc.option(fc.constant(op), { freq: 30 })))
  const rest = fc.array(operation, { minLength: 0, maxLength: 2 * length, size: 'max' })
  return fc.tuple(knobs, first, rest).map(([knobs, first, rest]) => ({
    knobs,
    ops: possible([...first.filter((op) => op !== null), ...rest]),
  }))
}

/** Leaves out what no process is there for. */
function possible(ops: readonly Operation[]): Operation[] {
  const live = new Set<number>()
  return ops.filter((op) => {
    switch (op[0]) {
      case 'knob':
      case 'run':
      case 'scan':
      case 'unpin':
        return true
      case 'spawn':
        return !live.has(op[1]) && live.add(op[1])
      case 'fork':
        return live.has(op[1]) && !live.has(op[2]) && live.add(op[2])
      case 'exit':
        return live.delete(op[1])
      default:
        return live.has(op[1])
    }
  })
}
