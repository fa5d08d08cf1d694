// Histories as they are kept in files: the program, and the rows the kernel counted, one operation or row a line and names
// only once, so that many stay small and a change can be read.

import { COUNTERS, type Operation, type Program, type Row, STATS } from './history.ts'

export interface Recording {
  /** Which kernel counted, like `Linux 6.18.44`. */
  readonly kernel: string
  readonly program: Program
  readonly rows: readonly Row[]
}

type Cell = number | string

/** The JSON in the file. */
interface Packed {
  readonly kernel: string
  readonly knobs: Readonly<Record<string, number>>
  readonly ops: readonly Operation[]
  /** What the counters and the numbers of each process in a row are, in order. */
  readonly counters: readonly string[]
  readonly stats: readonly string[]
  readonly rows: readonly [
    op: number,
    error: string | null,
    counters: readonly number[],
    mms: Readonly<Record<string, readonly Cell[]>>,
    traced?: readonly string[],
  ][]
}

export function formatRecording({ kernel, program, rows }: Recording): string {
  const packed = rows.map((row): Packed['rows'][number] => {
    const { op, error, traced } = row
    const numbers = COUNTERS.map((name) => row[name])
    const mms = Object.entries(row.mms).map(([p, stat]) => [p, STATS.map((name) => stat[name]!)])
    const cells = [op, error, numbers, Object.fromEntries(mms) as Record<string, Cell[]>] as const
    return traced === undefined ? [...cells] : [...cells, traced]
  })
  const fields = [
    ['kernel', JSON.stringify(kernel)],
    ['knobs', JSON.stringify(program.knobs ?? {})],
    ['ops', lines(program.ops)],
    ['counters', JSON.stringify(COUNTERS)],
    ['stats', JSON.stringify(STATS)],
    ['rows', lines(packed)],
  ]
  return `{\n${fields.map(([name, text]) => `"${name}": ${text}`).join(',\n')}\n}\n`
}

export function parseRecording(text: string): Recording {
  const { kernel, knobs, ops, counters, stats, rows } = JSON.parse(text) as Packed
  return {
    kernel,
    program: {
      knobs,
      ops,
      ...(rows.some(([, , , , traced]) => traced !== undefined) ? { traced: true } : {}),
    },
    rows: rows.map(([op, error, numbers, mms, traced]) => ({
      op,
      error,
      ...(named(counters, numbers) as Omit<Row, 'op' | 'error' | 'mms' | 'traced'>),
      ...(traced === undefined ? {} : { traced }),
      mms: Object.fromEntries(Object.entries(mms).map(([p, cells]) => [p, named(stats, cells)])),
    })) as Row[],
  }
}

function named(names: readonly string[], cells: readonly Cell[]): Record<string, Cell> {
  return Object.fromEntries(names.map((name, i) => [name, cells[i]!]))
}

function lines(items: readonly unknown[]): string {
  return `[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]`
}
