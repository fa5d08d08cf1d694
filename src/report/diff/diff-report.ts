// The report of a comparison: what differs in what was asked, what came out otherwise, and where there are maps, both.

import type { Report, Section, Series, TableSection } from '../section.ts'
import { type Difference, diffResults, type FigureChange, type ResultDiff } from './diff.ts'
import { changed, changeText, restText, valueText, verdictText } from './figure-text.ts'
import { isInterval, type Value } from './measure.ts'
import { type Parts, partsOf } from './result.ts'

/** Makes the report of comparing two results, as `--json` prints them; `names`: what they are called. Throws what `diffResults` does. */
export function diffReport(before: object, after: object, names: readonly [string, string]): Report {
  const diff = diffResults(before, after)
  const parts = [before, after].map((result) => partsOf(result as Record<string, unknown>)) as [Parts, Parts]
  return {
    title: `pagefold diff: ${diff.of}`,
    subtitle: `${names[0]} and ${names[1]}`,
    sections: [
      outcome(diff),
      ...differences('What was asked', diff.settings, names),
      ...differences('What it was asked of', diff.inputs, names),
      changes(diff, names),
      ...times(diff, names),
      ...sharing(parts, names),
      ...maps(parts, names),
      origins(diff, names),
    ],
    result: diff,
  }
}

function outcome(diff: ResultDiff): Section {
  const noise = diff.figures.length - changed(diff).length
  const figure = (label: string, value: number, note?: string) =>
    ({ label, value, unit: 'count', ...(note === undefined ? {} : { note }) }) as const
  return {
    kind: 'figures',
    title: 'What differs',
    ...(diff.warnings.length === 0 ? {} : { note: `Mind: ${diff.warnings.join('; ')}.` }),
    figures: [
      figure('Figures that changed', changed(diff).length, 'or of which nobody knows'),
      figure('Within noise', noise, 'their intervals overlap'),
      figure('The same', diff.same),
      figure('Settings that differ', diff.settings.length),
      figure('Inputs that differ', diff.inputs.length),
    ],
  }
}

function differences(
  title: string,
  rows: readonly Difference[],
  names: readonly [string, string],
): TableSection[] {
  if (rows.length === 0) return []
  const side = (label: string, of: (row: Difference) => Value) => ({
    label,
    values: rows.map((row) => valueText(of(row))),
  })
  return [
    {
      kind: 'table',
      title,
      columns: [
        { label: 'name', values: rows.map(({ name }) => name) },
        side(names[0], ({ before }) => before),
        side(names[1], ({ after }) => after),
      ],
    },
  ]
}

function changes(diff: ResultDiff, names: readonly [string, string]): TableSection {
  const rows = diff.figures
  const text = (label: string, of: (row: FigureChange) => string) => ({ label, values: rows.map(of) })
  return {
    kind: 'table',
    title: 'What came out otherwise',
    note: `${restText(diff)} Within noise: the intervals overlap. Measured once: a time without an interval, so nobody knows.`,
    columns: [
      text('figure', ({ name }) => name),
      text(names[0], ({ before, unit }) => valueText(before, unit)),
      text(names[1], ({ after, unit }) => valueText(after, unit)),
      text('change', changeText),
      text('verdict', ({ verdict }) => verdictText(verdict)),
    ],
  }
}

/** Times that have intervals, beside each other. */
function times({ figures }: ResultDiff, names: readonly [string, string]): Section[] {
  const rows = figures.filter(
    ({ unit, before, after }) => unit === 'ns' && isInterval(before) && isInterval(after),
  )
  if (rows.length === 0) return []
  const of = (label: string, pick: (row: FigureChange) => number, tableOnly = false): Series => ({
    label,
    unit: 'ns',
    values: rows.map(pick),
    tableOnly,
  })
  const ends = (['low', 'high'] as const).flatMap((end) =>
    (['before', 'after'] as const).map((side, i) =>
      of(`${names[i]}, ${end}`, (row) => (row[side] as { low: number; high: number })[end], true),
    ),
  )
  return [
    {
      kind: 'bars',
      title: 'Times',
      note: 'Medians; the table has the ends of their intervals.',
      label: 'figure',
      labels: rows.map(({ name }) => name),
      series: [
        ...(['before', 'after'] as const).map((side, i) =>
          of(names[i]!, (row) => (row[side] as { median: number }).median),
        ),
        ...ends,
      ],
    },
  ]
}

/** How two scans get there. */
function sharing([before, after]: readonly [Parts, Parts], names: readonly [string, string]): Section[] {
  const scans = Math.max(before.rows.length, after.rows.length)
  if (scans === 0) return []
  const saved = (rows: Parts['rows'], label: string): Series => ({
    label,
    unit: 'count',
    values: Array.from({ length: scans }, (_, scan) => {
      const row = rows[scan]
      return row === undefined ? null : (row.pages_sharing ?? 0) + (row.ksm_zero_pages ?? 0)
    }),
  })
  return [
    {
      kind: 'lines',
      title: 'Pages saved after every full scan',
      note: 'pages_sharing and ksm_zero_pages together.',
      x: { label: 'scan', unit: 'count', values: Array.from({ length: scans }, (_, scan) => scan + 1) },
      series: [saved(before.rows, names[0]), saved(after.rows, names[1])],
    },
  ]
}

function maps(parts: readonly [Parts, Parts], names: readonly [string, string]): Section[] {
  return parts.flatMap(({ map }, i): Section[] =>
    // A map of an earlier schema is packed otherwise: better none than a wrong one.
    map?.packed === undefined ? [] : [{ kind: 'map', title: `Memory of ${names[i]}`, map }],
  )
}

function origins({ before, after }: ResultDiff, names: readonly [string, string]): TableSection {
  const rows = ['command', 'date', 'version', 'machine'] as const
  const side = (label: string, origin: ResultDiff['before']) => ({
    label,
    values: rows.map((name) => {
      const value = origin[name]
      return typeof value === 'object' && value !== null
        ? Object.values(value).join(', ')
        : ((value as string) ?? '-')
    }),
  })
  return {
    kind: 'table',
    title: 'Where they are from',
    columns: [{ label: 'what', values: rows }, side(names[0], before), side(names[1], after)],
  }
}
