// A generator for every public method: how often it is called, and how a call of it is drawn. What answers where is what the tables
// of the tests say (test/support/api.ts), which docs/callbacks.md is held to.

import { CALLS } from '../support/api.ts'
import type { Random } from '../support/random.ts'
import type { Attempt } from './attempt.ts'
import { CPU_CALLS } from './cpu-calls.ts'
import { HOST_CALLS } from './host-calls.ts'
import { KSM_CALLS } from './ksm-calls.ts'
import { MM_CALLS } from './mm-calls.ts'
import { MMU_CALLS, PIN_CALLS } from './pin-calls.ts'
import { RANGE_CALLS } from './range-calls.ts'
import type { World } from './world.ts'

/** How often a call is made, and what makes one ready; undefined where there is nothing to call. */
export type Draw = readonly [weight: number, make: (world: World, draw: Random) => Attempt | undefined]

interface Generator {
  readonly weight: number
  readonly make: Draw[1]
  /** Only looks: answers on a closed host too, and nothing has happened afterwards. */
  readonly looks: boolean
  readonly onClosed: boolean
  /** `either`: refused unless the answer is known already, or a mistake. */
  readonly inCallback: 'answers' | 'refused' | 'either'
}

const DRAWS = {
  ...HOST_CALLS,
  ...KSM_CALLS,
  ...MM_CALLS,
  ...RANGE_CALLS,
  ...PIN_CALLS,
  ...MMU_CALLS,
  ...CPU_CALLS,
}

export type MethodName = keyof typeof DRAWS

/** Beside those that look, these are possible on a closed host. */
const ON_CLOSED = new Set<MethodName>(['Host.close', 'Ksm.stop', 'Pin.release', 'SecondaryMmu.translate'])
const IN_CALLBACK: Partial<Record<MethodName, Generator['inCallback']>> = {
  'Ksm.stop': 'answers',
  'SecondaryMmu.translate': 'either',
}

export const GENERATORS = Object.fromEntries(
  Object.entries(DRAWS).map(([name, [weight, make]]) => {
    const [of, method] = name.split('.') as [string, string]
    const call = CALLS[of]!.calls[method]
    const answers = call?.looks === true
    const method_ = name as MethodName
    const inCallback = IN_CALLBACK[method_] ?? call?.inCallback ?? (answers ? 'answers' : 'refused')
    // A CPU is detached from a closed host too, and does something then.
    const looks = answers && inCallback !== 'refused'
    return [name, { weight, make, looks, onClosed: answers || ON_CLOSED.has(method_), inCallback }]
  }),
) as Record<MethodName, Generator>

export const METHOD_NAMES = Object.keys(GENERATORS) as MethodName[]

/** Each as often as it is to be called. */
export const SOMETIMES: readonly MethodName[] = METHOD_NAMES.flatMap((name) =>
  new Array<MethodName>(GENERATORS[name].weight).fill(name),
)
