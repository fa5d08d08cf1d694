// What pagefold bench says of guests that write: how it is asked for, and as tables.

import type { BenchResult, WrittenTimes } from '../report/index.ts'
import { bold, type Column, table } from './format.ts'
import { UsageError } from './usage.ts'

/** From where there is nothing to do to where there is no less to do than ever. */
export const DEFAULT_WRITTEN = [0, 1, 10, 100]

/** Each once: the rows are known by them. */
export function readWritten(text: string, option: string): readonly number[] {
  if (text === 'none') return []
  const percents = text.split(',').map((part) => (/^\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN))
  const wrong = percents.findIndex((percent, i) => !(percent <= 100) || percents.indexOf(percent) !== i)
  if (wrong === -1) return percents
  const part = text.split(',')[wrong]
  throw new UsageError(`${option} takes different percentages from 0 to 100, or none; got "${part}"`)
}

/** Rescans after writes, a row each; nothing where none was measured. */
export function describeWritten({ written = [], clock }: BenchResult): string[] {
  const [first] = written
  if (first === undefined) return []
  const names = Object.keys(first.peers)
  const times = (name: string): WrittenTimes[] => written.map(({ peers }) => peers[name]!)
  const columns = names.flatMap((name): Column[] => [
    { title: name, cells: times(name).map(({ scan }) => ns(scan.median)) },
    ...(name === 'linux' ? overPagefold(times(name)) : []),
  ])
  const kinds = written.map(({ written_with }) =>
    written_with === 'nothing' ? '' : written_with.split(' ')[0]!,
  )
  return [
    [
      bold('A scan after guests have written, ns/page of all pages'),
      table([
        { title: 'written', cells: written.map(({ written_percent }) => `${written_percent} %`) },
        { title: 'bytes', cells: kinds },
        ...columns,
      ]),
      `${clock === 'processor' ? 'Processor time' : 'Time as it passes, of ksmd processor time'}, medians. ` +
        'All peers here have merged the same after each of them, and again two scans later.',
    ].join('\n'),
  ]
}

/** How many times as long ksmd takes, with the interval. */
function overPagefold(times: readonly WrittenTimes[]): Column[] {
  const figures = times.map(({ over_pagefold }) => over_pagefold)
  return [
    { title: 'over pagefold', cells: figures.map(({ median }) => ratio(median)) },
    { title: 'from..to', cells: figures.map(({ low, high }) => `${ratio(low)}..${ratio(high)}`), gives: 1 },
  ]
}

/** A time may be less than one nanosecond a page. */
function ns(time: number): string {
  return time < 10 ? time.toFixed(1) : time.toFixed(0)
}

function ratio(times: number): string {
  return times < 10 ? times.toFixed(2) : times.toFixed(0)
}
