// One call of a public method, made ready: on what, with which arguments, which of them could be spoiled and how, and what follows for the
// shadow if it is done or refused. Nothing has happened yet: the same attempt can be made inside a callback, to be refused there.

import type { Errno } from '../../src/index.ts'
import type { Random } from '../support/random.ts'

export interface Attempt {
  readonly call: (...args: unknown[]) => unknown
  readonly args: readonly unknown[]
  /** For each argument what is certainly wrong there. */
  readonly hostile?: readonly (readonly unknown[])[]
  /** What it may be refused with. */
  readonly errnos: readonly Errno[]
  /** It must be refused: what is asked for is not possible, as long as nobody acts in between. */
  readonly impossible?: boolean
  /** The arguments are a mistake: a RangeError or TypeError is right. */
  readonly mistake?: boolean
  /** What the call does before anybody can be called back. */
  readonly before?: () => void
  // biome-ignore lint/suspicious/noExplicitAny: each knows what its call gives
  readonly done?: (result: any) => void
  readonly failed?: (error: unknown) => void
}

const NO_NUMBERS: readonly unknown[] = ['1', '', null, {}, 1n, true, Symbol('one'), () => 1, [4096]]
const NO_INTEGERS: readonly unknown[] = [
  Number.NaN,
  0.5,
  -0.5,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
]

/** No integer in min..max. */
export const notIn = (min: number, max: number): readonly unknown[] => [
  ...NO_NUMBERS,
  ...NO_INTEGERS,
  min - 1,
  max + 1,
  -(2 ** 53),
  2 ** 64,
  -Number.MAX_VALUE,
]

export const NO_ADDRESS: readonly unknown[] = [...notIn(0, 2 ** 44 - 1), undefined]
export const NO_LENGTH: readonly unknown[] = [...notIn(0, 2 ** 44), undefined]
export const NO_SIZE: readonly unknown[] = [...NO_LENGTH, 0]
export const NO_NAME: readonly unknown[] = [7, null, {}, Symbol('a'), 1n]
export const NO_BYTES: readonly unknown[] = [
  undefined,
  null,
  'bytes',
  7,
  [1, 2],
  {},
  new Uint16Array(2),
  new ArrayBuffer(8),
]
export const NO_OBJECT: readonly unknown[] = [null, 7, 'object', true, 1n, Symbol('none')]
export const NO_BOOLEAN: readonly unknown[] = [0, 1, 'true', null, {}, Number.NaN]

/** What no call takes for options: no object, a name it does not know, a wrong value under one that it knows. */
export function noOptions(known: Readonly<Record<string, readonly unknown[]>>): readonly unknown[] {
  const wrong = Object.entries(known).flatMap(([name, values]) =>
    values.filter((value) => value !== undefined).map((value) => ({ [name]: value })),
  )
  return [...NO_OBJECT, { wroker: 3 }, { __proto__: null, constructor: 1 }, ...wrong]
}

/** The same arguments, one of them wrong. */
export function spoiled({ args, hostile = [] }: Attempt, draw: Random): unknown[] | undefined {
  const places = hostile.flatMap((values, place) => (values.length > 0 ? [place] : []))
  if (places.length === 0) return undefined
  const place = draw.pick(places)
  const wrong = [...args]
  wrong[place] = draw.pick(hostile[place]!)
  return wrong
}
