// Calls of Ksm: knobs with every kind of value, counters, scans, ksmd on its own.

import { type Counters, type Errno, KNOB_NAMES, type KnobName } from '../../src/index.ts'
import type { Random } from '../support/random.ts'
import { type Attempt, notIn } from './attempt.ts'
import type { Draw } from './generators.ts'
import type { World } from './world.ts'

/** Values that a knob takes, or may take. */
const VALUES: Partial<Record<KnobName, readonly (number | string | boolean)[]>> = {
  run: [0, 1, 1, 1, 1, 1, 1, 1, 1, 2, '1\n', '1', '01', 3, '-1', ''],
  max_page_sharing: [2, 3, 4, 256, '2\n', 1, 0, '99999999999'],
  merge_across_nodes: [0, 1, '0', '1\n', 2],
  advisor_mode: ['none', 'scan-time', 'none\n', 'scan-times', ''],
  pages_to_scan: [1, 7, 100, '600', 2 ** 32 - 1, 2 ** 32, '1.5'],
  sleep_millisecs: [0, 20, 2 ** 32 - 1, '7'],
}
const OTHERS: readonly (number | string | boolean)[] = [
  0,
  1,
  2,
  100,
  true,
  false,
  '1',
  '+1',
  '0x1',
  'y',
  -1,
  2 ** 64,
  '',
]
const NO_KNOB: readonly unknown[] = ['pages_shared', 'runs', '', null, undefined, 7, {}, Symbol('run'), 1n]
const NO_VALUE: readonly unknown[] = [
  undefined,
  null,
  {},
  [],
  [1],
  Symbol('one'),
  () => 1,
  1n,
  10n ** 30n,
  Number.NaN,
  0.5,
]

const NO_COUNT = notIn(0, Number.MAX_SAFE_INTEGER)
const SCAN_ERRNOS: readonly Errno[] = ['EINVAL', 'ENOMEM', 'EBUSY']

/** With ksmd stopped a scan is only refused: not worth much. */
const isStopped = (world: World, draw: Random): boolean =>
  world.host.ksm.get('run') !== 1 && draw.below(12) > 0

function set(world: World, draw: Random): Attempt {
  const { host } = world
  const name = draw.below(2) === 0 ? 'run' : draw.pick(KNOB_NAMES)
  const value = name === 'run' && isStopped(world, draw) ? 1 : draw.pick(VALUES[name] ?? OTHERS)
  return {
    call: (...args) => host.ksm.set(...(args as [KnobName, number])),
    args: [name, value],
    hostile: [NO_KNOB, NO_VALUE],
    errnos: [
      'EINVAL',
      'ERANGE',
      'EBUSY',
      ...(name === 'run' ? (['ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'] as const) : []),
    ],
  }
}

function expectCounters(world: World, counters: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(counters)) {
    if (name === 'advisor_mode' || Number.isInteger(value)) continue
    world.fail(`${name} is ${value}`)
  }
  const { pages_shared, pages_sharing, pages_unshared, rmap_items } = counters as unknown as Counters & {
    rmap_items?: number
  }
  if (Math.min(pages_shared, pages_sharing, pages_unshared) < 0 || (rmap_items ?? 0) < 0)
    world.fail('a counter below zero')
}

export const KSM_CALLS = {
  'Ksm.set': [16, set],
  'Ksm.get': [
    4,
    (world, draw) => ({
      call: (name) => world.host.ksm.get(name as KnobName),
      args: [draw.pick(KNOB_NAMES)],
      hostile: [NO_KNOB],
      errnos: [],
      done: (value) => {
        if (value === undefined) world.fail('a knob without a value')
      },
    }),
  ],
  'Ksm.counters': [
    4,
    (world) => ({
      call: () => world.host.ksm.counters(),
      args: [],
      errnos: [],
      done: (counters) => expectCounters(world, counters),
    }),
  ],
  'Ksm.start': [3, (world) => ({ call: () => world.host.ksm.start(), args: [], errnos: [] })],
  'Ksm.stop': [3, (world) => ({ call: () => world.host.ksm.stop(), args: [], errnos: [] })],
  'Ksm.scan': [
    60,
    (world, draw) => {
      if (isStopped(world, draw)) return undefined
      const scans = draw.below(4)
      return {
        call: (...args) => world.host.ksm.scan(...(args as [number])),
        args: draw.below(4) === 0 ? [] : [scans],
        hostile: [NO_COUNT],
        errnos: SCAN_ERRNOS,
        done: (done) => {
          if (!Number.isInteger(done) || done < 0 || done > Math.max(1, scans))
            world.fail(`${done} scans done`)
        },
      }
    },
  ],
  'Ksm.scanPages': [
    30,
    (world, draw) => {
      if (isStopped(world, draw)) return undefined
      const pages = draw.below(10) === 0 ? draw.pick([0, 512, 1000, Number.MAX_SAFE_INTEGER]) : draw.below(20)
      return {
        call: (count) => world.host.ksm.scanPages(count as number),
        args: [pages],
        hostile: [NO_COUNT],
        errnos: SCAN_ERRNOS,
        done: (done) => {
          if (!Number.isInteger(done) || done < 0 || done > pages) world.fail(`${done} pages scanned`)
        },
      }
    },
  ],
} satisfies Record<string, Draw>
