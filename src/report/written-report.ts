// What the report of a bench shows of guests that write: scans after they have written, peers side by side.

import type { Figure } from '../lab/measure/figure.ts'
import type { BenchResult, WrittenResult } from './bench-result.ts'
import type { BarsSection, Series } from './section.ts'

/** Rescans after writes; none where none was measured. */
export function writtenSections({ written = [], clock }: BenchResult): BarsSection[] {
  const [first] = written
  if (first === undefined) return []
  const names = Object.keys(first.peers)
  return [
    {
      kind: 'bars',
      title: 'A scan after guests have written',
      note:
        `${clock === 'processor' ? 'Processor time' : 'Time as it passes, of ksmd processor time,'} of one full scan, per page of all ` +
        'pages, after so many of them were written: with the bytes they held, which parts a page from those it had merged with, or ' +
        'with others. Medians of trials in turns. All shown here counted the same after each scan, and again two scans later.',
      label: 'written',
      labels: written.map(({ written_percent, written_with }) =>
        written_percent === 0 ? 'nothing' : `${written_percent} %, ${written_with}`,
      ),
      series: [
        ...names.flatMap((name) => timesOf(written, name)),
        ...names.filter((name) => name !== 'pagefold').flatMap((name) => ratiosOf(written, name)),
        {
          label: 'pages written',
          unit: 'count',
          values: written.map((row) => row.pages_written),
          tableOnly: true,
        },
      ],
    },
  ]
}

function timesOf(written: readonly WrittenResult[], name: string): Series[] {
  const figures = written.map(({ peers }) => peers[name]!.scan)
  const { values, low, high } = endsOf(figures)
  return [
    { label: name, unit: 'ns', values, low, high },
    { label: `${name}, from`, unit: 'ns', values: low, tableOnly: true },
    { label: `${name}, to`, unit: 'ns', values: high, tableOnly: true },
  ]
}

function ratiosOf(written: readonly WrittenResult[], name: string): Series[] {
  const { values, low, high } = endsOf(written.map(({ peers }) => peers[name]!.over_pagefold))
  const column = (label: string, numbers: number[]): Series => ({
    ...{ label, unit: 'ratio', values: numbers },
    tableOnly: true,
  })
  const over = `${name} over pagefold`
  return [column(over, values), column(`${over}, from`, low), column(`${over}, to`, high)]
}

function endsOf(figures: readonly Figure[]): { values: number[]; low: number[]; high: number[] } {
  return {
    values: figures.map(({ median }) => median),
    low: figures.map(({ low }) => low),
    high: figures.map(({ high }) => high),
  }
}
