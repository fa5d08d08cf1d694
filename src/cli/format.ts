// Numbers and tables for people.

import { styleText } from 'node:util'

/** Colours only where a person looks: not in a pipe, not in a build log, not where NO_COLOR asks for none. */
export function bold(text: string): string {
  return process.stdout.isTTY === true && !process.env.NO_COLOR ? styleText('bold', text) : text
}

export interface Column {
  readonly title: string
  readonly cells: readonly string[]
}

/** Right-aligned columns under a header; no lines, so that it pastes well. */
export function table(columns: readonly Column[]): string {
  const widths = columns.map(({ title, cells }) =>
    Math.max(title.length, ...cells.map((cell) => cell.length)),
  )
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => cell.padStart(widths[i]!)).join('  ')
  const rows = Array.from({ length: columns[0]?.cells.length ?? 0 }, (_, row) =>
    line(columns.map(({ cells }) => cells[row]!)),
  )
  return [bold(line(columns.map(({ title }) => title))), ...rows].join('\n')
}

export function count(number: number): string {
  return number.toLocaleString('en-US')
}

export function bytes(number: number): string {
  const sign = number < 0 ? '-' : ''
  const size = Math.abs(number)
  for (const [unit, factor] of UNITS)
    if (size >= factor) return `${sign}${(size / factor).toFixed(1)} ${unit}`
  return `${sign}${size} bytes`
}

const UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const

export function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(1)} %`
}

/** `a`, `a or b`, `a, b or c`. */
export function listed(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' or ')
}

/** `1 page`, `2 pages`. */
export function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}

/** A rank among all; one that others have too is marked. */
export function rankShown(rank: number, all: readonly number[]): string {
  return `${rank}${all.filter((other) => other === rank).length > 1 ? '=' : ' '}`
}
