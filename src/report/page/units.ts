// Numbers as a reader wants them.

import type { Unit } from '../section.ts'

const BYTES = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const

/** Writes a number as its unit asks; null is a dash. */
export function format(value: number | null, unit: Unit): string {
  if (value === null) return '–'
  switch (unit) {
    case 'count':
      return grouped(value)
    case 'bytes':
      return bytes(value)
    case 'ms':
      return value >= 10_000 ? `${fixed(value / 1000)} s` : `${fixed(value)} ms`
    case 'ns':
      return `${fixed(value)} ns`
    case 'share':
      return `${(100 * value).toFixed(1)} %`
    case 'ratio':
      return `${value.toFixed(2)} ×`
    case 'rate':
      return `${fixed(value / 1e9)} GB/s`
  }
}

/** Writes from where to where something lies: `690–714 ns`. */
export function formatRange(low: number, high: number, unit: Unit): string {
  const [from, to] = [format(low, unit), format(high, unit)]
  const [number, tail] = from.split(' ')
  return tail !== undefined && to.endsWith(` ${tail}`) ? `${number}–${to}` : `${from} – ${to}`
}

function bytes(value: number): string {
  const sign = value < 0 ? '−' : ''
  const size = Math.abs(value)
  for (const [unit, factor] of BYTES)
    if (size >= factor) return `${sign}${(size / factor).toFixed(1)} ${unit}`
  return `${sign}${fixed(size)} B`
}

function fixed(value: number): string {
  return grouped(value, value < 100 ? 1 : 0)
}

/**
 * A number with its thousands apart and at most so many digits behind the point. The browser's own way takes a phone a sixth
 * of a second, the first time.
 */
export function grouped(value: number, digits = 3): string {
  const [whole, part] = String(Number(value.toFixed(digits))).split('.')
  const apart = whole!.replace(/\B(?=(\d{3})+$)/g, ',')
  return part === undefined ? apart : `${apart}.${part}`
}

/** `1 page`, `2 pages`. */
export function plural(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`
}

export function hex(address: number): string {
  return `0x${address.toString(16)}`
}
