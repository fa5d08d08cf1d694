// What pagefold bench says of guests that write: how it is asked for, and as tables.

import type { Figure } from '../lab/index.ts'
import { type BenchResult, hasRun, type WrittenTimes, whyMissing } from '../report/index.ts'
import { bold, bytes, type Column, count, plural, table } from './format.ts'
import { UsageError } from './usage.ts'

/** From where there is nothing to do to where there is no less to do than ever. */
export const DEFAULT_WRITTEN = [0, 1, 10, 100]

/** Full scans: two to converge, and three in which as much comes as goes. */
export const DEFAULT_RUNNING = 5

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
        'All peers here count the same after each of them, and again two scans later.',
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

/** Guests that ran while they were scanned; nothing where that was not measured. */
export function describeRunning({ running }: BenchResult): string[] {
  if (running === undefined) return []
  const { batches, batch_pages, writes, peers } = running
  const able = Object.entries(peers).flatMap(([name, peer]) => (hasRun(peer) ? [{ name, peer }] : []))
  const missing = Object.entries(peers).flatMap(([name, peer]) =>
    hasRun(peer) ? [] : [`${name}, guests running: ${whyMissing(peer)}`],
  )
  const step = Math.ceil(batches / RUNNING_LINES)
  const ends = Array.from({ length: Math.floor(batches / step) }, (_, i) => (i + 1) * step - 1)
  const times = ({ median, low, high }: Figure): string => `${ratio(median)} (${ratio(low)}..${ratio(high)})`
  const saved = able.map(({ name, peer }) => `${name} ${bytes(peer.mean_bytes_saved)}`)
  const over = able.flatMap(({ name, peer }) =>
    name === 'pagefold' ? [] : [` ${name} takes ${times(peer.over_pagefold)} times pagefold's time.`],
  )
  return [
    [
      bold(
        `Guests that run: ${count(batches)} batches of ${plural(batch_pages, 'page')}, ${plural(writes, 'write')} between them`,
      ),
      table([
        { title: 'batches', cells: ends.map((end) => count(end + 1)) },
        ...able.flatMap(({ name, peer }) => [
          { title: `${name}, cpu ms`, cells: ends.map((end) => peer.points[end]![0].toFixed(1)) },
          { title: 'saved', cells: ends.map((end) => bytes(peer.points[end]![1])) },
        ]),
      ]),
      `Processor time and bytes of frames, medians. Saved on average over all batches: ${saved.join(', ')}.${over.join('')}`,
      ...missing,
    ].join('\n'),
  ]
}

/** Of the table. */
const RUNNING_LINES = 10

/** A time may be less than one nanosecond a page. */
function ns(time: number): string {
  return time < 10 ? time.toFixed(1) : time.toFixed(0)
}

function ratio(times: number): string {
  return times < 10 ? times.toFixed(2) : times.toFixed(0)
}
