// What one figure of a result is: a number, with what it counts, and how far it can be trusted. A result is plain data, so this
// goes by what stands there: an interval where one is given, or can be told from the samples beside a number.

import type { Unit } from '../section.ts'

/** A figure that was measured several times. */
export interface Interval {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** One figure of a result; text and switches are figures too, that can only be equal or not. */
export type Value = number | string | boolean | null | Interval

/** A figure with its name, which is the way to it: `peers.native.converge_ns_per_page`. */
export interface Measure {
  readonly name: string
  readonly value: Value
  readonly unit: Unit
  /** A time, or left to chance, and so never twice the same, interval or not. */
  readonly measured: boolean
}

/** Raw samples and curves: what figures are made of. */
const RAW = new Set(['samples', 'points', 'map'])
/** Where the elements of a list differ in one of these, they are known by it, and else by their place. */
const NAMES = ['name', 'peer', 'checksum', 'index', 'random_seed', 'written_percent', 'written_with'] as const

const UNITS: readonly (readonly [RegExp, Unit])[] = [
  [/(^|_)ns(_|$)/, 'ns'],
  [/(^|_)ms(_|$)/, 'ms'],
  [/per_cpu_second|per_second/, 'count'],
  [/(^|_)bytes?(_|$)|profit|^metadata$/, 'bytes'],
  [/(^|\.)(ratios|linux_over\w*)(\.|$)/, 'ratio'],
  [/(^|\.)(missed\w*|area|of_best)(\.|$)/, 'share'],
]
const TIMES = /random_seed|(^|[_.])(ns|ms|ratios|linux_over\w*|per_cpu_second|per_second|load)(_|\.|$)/

/** All figures of a result, or of a part of it, in the order in which they stand there. */
export function measuresOf(part: unknown, path: readonly string[] = []): Measure[] {
  if (typeof part !== 'object' || part === null) return [measure(path, part as Value)]
  const interval = intervalOf(part as Record<string, unknown>)
  if (interval !== undefined) return [{ ...measure(path, interval.value, interval.unit), measured: true }]
  if (Array.isArray(part)) return part.flatMap((one, i) => measuresOf(one, [...path, nameOf(one, i, part)]))
  return Object.entries(part).flatMap(([name, value]) => {
    if (RAW.has(name)) return []
    const sampled = typeof value === 'number' ? sampledAs(name, value, part) : undefined
    return measuresOf(sampled ?? value, [...path, name])
  })
}

function measure(path: readonly string[], value: Value, unit?: string): Measure {
  // What an element of a list is called says nothing of what is counted.
  const name = path.join('.')
  const told = UNITS.find(([sign]) => path.some((part) => sign.test(part)))?.[1] ?? 'count'
  const known = UNITS.map(([, one]) => one).find((one) => one === unit)
  return { name, value, unit: known ?? told, measured: TIMES.test(name) }
}

/** Is it one of those? */
export function isInterval(value: unknown): value is Interval {
  return typeof value === 'object' && value !== null && 'median' in value
}

/**
 * `{ median, low, high }`, with the unit beside it or behind each name; `{ median, min, max }`; and what Benchmark.js gives, a
 * time with its margin of error in per cent. An interval that never holds the true median, that of a single sample, is none.
 */
function intervalOf(part: Record<string, unknown>): { value: Value; unit?: string } | undefined {
  const [, suffix] = Object.keys(part).flatMap((key) => /^median(_\w+)?$/.exec(key) ?? []) as (
    | string
    | undefined
  )[]
  const at = (name: string): number => part[name + (suffix ?? '')] as number
  const unit = typeof part.unit === 'string' ? part.unit : suffix?.slice(1)
  const given = unit === undefined ? {} : { unit }
  for (const [low, high] of [
    ['low', 'high'],
    ['min', 'max'],
  ] as const) {
    const value = { median: at('median'), low: at(low), high: at(high) }
    if (Object.values(value).every((one) => typeof one === 'number'))
      return { value: part.confidence === 0 ? value.median : value, ...given }
  }
  const { ns, rme } = part
  if (typeof ns !== 'number' || typeof rme !== 'number') return undefined
  const margin = (ns * rme) / 100
  return { value: { median: ns, low: Math.max(0, ns - margin), high: ns + margin }, unit: 'ns' }
}

/** The interval of a number whose samples stand beside it, from the least to the greatest. */
function sampledAs(name: string, median: number, part: object): Interval | undefined {
  const samples: unknown = 'samples' in part ? part.samples : undefined
  if (!Array.isArray(samples)) return undefined
  const values = samples.map((sample) => (sample as Record<string, unknown> | null)?.[name])
  if (values.length < 2 || !values.every((value) => typeof value === 'number')) return undefined
  return { median, low: Math.min(...values), high: Math.max(...values) }
}

function nameOf(one: unknown, at: number, all: readonly unknown[]): string {
  const called = (other: unknown): string =>
    NAMES.flatMap((name) => {
      const value = (other as Record<string, unknown> | null)?.[name]
      return value === undefined || value === false ? [] : [value === true ? name : String(value)]
    }).join(' ')
  const name = called(one)
  return name !== '' && all.filter((other) => called(other) === name).length === 1 ? name : String(at)
}
