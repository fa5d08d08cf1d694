// Measured values with how far they can be trusted: what has whiskers, and what may be ranked.

import { below } from '../lab/measure/figure.ts'
import type { Series, Unit } from './section.ts'

/** Something measured, by name; without `low` and `high` nobody knows how far it can be trusted. */
export interface Measured {
  readonly name: string
  readonly value: { readonly median: number; readonly low?: number; readonly high?: number }
}

/** Is one surely less than the other? Only then they may be ranked. */
export function parted(a: Measured['value'], b: Measured['value']): boolean {
  const [low, high] = a.median < b.median ? [a, b] : [b, a]
  return low.high !== undefined && high.low !== undefined && below({ high: low.high }, { low: high.low })
}

/** Bars with whiskers where there are intervals. */
export function measuredSeries(label: string, unit: Unit, values: readonly Measured['value'][]): Series {
  return {
    label,
    unit,
    values: values.map(({ median }) => median),
    ...(values.some(({ low }) => low !== undefined)
      ? { low: values.map(({ low }) => low ?? null), high: values.map(({ high }) => high ?? null) }
      : {}),
  }
}

/** The least of some, and which others cannot be told from it. */
export function least(all: readonly Measured[]): { readonly first: Measured; readonly ties: Measured[] } {
  const [first, ...others] = [...all].sort((a, b) => a.value.median - b.value.median)
  return { first: first!, ties: others.filter(({ value }) => !parted(first!.value, value)) }
}

/** `a`, `a and b`, `a, b and c`, `a, b and 3 more`. */
export function listed(names: readonly string[], most = 4): string {
  if (names.length > most) return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
