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
      return value.toLocaleString('en-US')
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
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 })
}

/** `1 page`, `2 pages`. */
export function plural(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`
}

export function hex(address: number): string {
  return `0x${address.toString(16)}`
}
