// Numbers and tables for people.

import { folded, paint, width } from './terminal.ts'

export function bold(text: string): string {
  return paint('head', text)
}

export interface Column {
  readonly title: string
  readonly cells: readonly string[]
  /** Set if it may be left out where there is no room for all: 1 goes first. */
  readonly gives?: number
  /** Colours a cell, once it is in its place. */
  readonly paint?: (cell: string, row: number) => string
}

const GAP = '  '
/** Says that nothing was there to be counted. */
const NOTHING = /^(0|0\/0|0\.0 %)$/

/**
 * Right-aligned columns under a header; no lines, so that it pastes well. Where the terminal is too narrow, columns give way: those
 * that say nothing but 0 first, then by `gives`; a line below names them.
 */
export function table(columns: readonly Column[], room = width()): string {
  const shown = fitting(columns.map(measured), room)
  const rows = Array.from({ length: columns[0]?.cells.length ?? 0 }, (_, row) =>
    shown.map(({ column, taken }) => {
      const cell = column.cells[row]!.padStart(taken)
      return column.paint?.(cell, row) ?? cell
    }),
  )
  const head = bold(shown.map(({ column, taken }) => column.title.padStart(taken)).join(GAP))
  const left = columns.filter((column) => shown.every((one) => one.column !== column))
  const note =
    left.length === 0
      ? []
      : [paint('aside', folded(`no room for ${left.map(({ title }) => title).join(', ')}`, room))]
  return [head, ...rows.map((cells) => cells.join(GAP)), ...note].join('\n')
}

interface Measured {
  readonly column: Column
  /** Characters. */
  readonly taken: number
}

function measured(column: Column): Measured {
  const taken = column.cells.reduce((most, cell) => Math.max(most, cell.length), column.title.length)
  return { column, taken }
}

function fitting(columns: readonly Measured[], room: number): readonly Measured[] {
  const saysNothing = ({ column }: Measured): boolean =>
    column.cells.every((cell) => NOTHING.test(cell.trim()))
  const order = columns
    .filter(({ column }) => column.gives !== undefined)
    .sort((a, b) => Number(saysNothing(b)) - Number(saysNothing(a)) || a.column.gives! - b.column.gives!)
  let shown = columns
  for (const next of order) {
    if (shown.reduce((sum, { taken }) => sum + taken + GAP.length, -GAP.length) <= room) break
    shown = shown.filter((column) => column !== next)
  }
  return shown
}

/** Sentences, broken where the terminal ends. */
export function prose(text: string): string {
  return folded(text, width())
}

/** A whole number with commas. Not by `toLocaleString`, which takes longer to wake up than all that a command prints. */
export function count(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',')
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
