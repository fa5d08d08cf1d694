// pagefold diff: two results of one command compared.

import { compare, NotComparable } from '../../../bench/macro/baseline.ts'
import {
  type BenchResult,
  changed,
  changeText,
  type Difference,
  diffReport,
  diffResults,
  type MetricChange,
  type ResultDiff,
  restText,
  valueText,
  verdictText,
} from '../../report/index.ts'
import { about } from '../about.ts'
import { bold, plural, prose, table } from '../format.ts'
import { json, optionLines, parse } from '../options.ts'
import { complain, print, printable, printJson } from '../output.ts'
import { readResult } from '../read-result.ts'
import { csv, saveCsv } from '../save-csv.ts'
import { report, saveReport } from '../save-report.ts'
import { paint } from '../terminal.ts'
import { UsageError } from '../usage.ts'
import { describeChanges } from './bench.ts'

const OPTIONS = {
  csv: csv('diff', 'a figure that differs a line'),
  report: report('figures side by side, and maps if both have one'),
  json: json(),
}

export const help = `usage: pagefold diff A.json B.json [options]

Says what differs between two results of scan, hash or bench: settings, inputs,
and what came out. Each is a file that --json printed, or a report. Figures that
have an interval and overlap are within noise; times that were measured once
differ always, and nobody knows what that means. Of two benches it also says
what changed as a multiple of a peer's time, as bench --baseline does.

Maps of scans are in the report if both were made with --map, or are reports.
Differences are no error: the exit code is 0.

${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(OPTIONS, args)
  const [before, after, ...more] = positionals
  if (before === undefined || after === undefined || more.length > 0)
    throw new UsageError(`two results are compared, got ${positionals.length}; see pagefold diff --help`)
  const names = [before, after] as const
  const results = names.map((name) => readResult(name, name, 'pagefold scan, hash or bench'))
  const [old, now] = results as [Record<string, unknown>, Record<string, unknown>]
  const diff = compared(old, now, names)
  const changes = diff.of === 'bench' ? changesOf(old, now) : undefined
  for (const warning of diff.warnings) complain(warning)
  const page = values.report === undefined ? undefined : diffReport(old, now, names)
  if (
    page !== undefined &&
    diff.of === 'scan' &&
    page.sections.filter(({ kind }) => kind === 'map').length < 2
  )
    complain(
      'no maps beside each other: both scans must be made with --map, or be reports, by this version of pagefold',
    )
  const result = about({ ...diff, files: names, ...(changes === undefined ? {} : { changes }) })
  if (values.json) printJson(result)
  else print(describe(result, names, changes))
  await saveCsv(values.csv, 'diff', diff)
  if (page !== undefined) await saveReport(values.report!, { ...page, result }, values.json)
  return 0
}

function compared(before: object, after: object, names: readonly [string, string]): ResultDiff {
  try {
    return diffResults(before, after)
  } catch (error) {
    throw new UsageError(`${names.join(' and ')}: ${(error as Error).message.replace(/^E[A-Z]+: /, '')}`)
  }
}

/** As multiples of a peer's times; none if the two have not merged the same. */
function changesOf(before: unknown, after: unknown): MetricChange[] | undefined {
  try {
    return compare(before as BenchResult, after as BenchResult)
  } catch (error) {
    if (!(error instanceof NotComparable)) throw error
    return undefined
  }
}

function describe(
  diff: ResultDiff,
  names: readonly [string, string],
  changes: MetricChange[] | undefined,
): string {
  const rows = changed(diff)
  return [
    bold(printable(`Two results of ${diff.of}: ${names[0]} and ${names[1]}`)),
    ...describeDifferences('Settings that differ', diff.settings),
    ...describeDifferences('Inputs that differ', diff.inputs),
    ...(changes === undefined ? [] : [describeChanges(changes)]),
    ...(rows.length === 0 ? [] : [describeFigures(diff)]),
    prose(
      `${rows.length === 0 ? 'Nothing came out otherwise' : `${plural(rows.length, 'figure')} differ`}; ${restText(diff)}`,
    ),
  ].join('\n\n')
}

function describeDifferences(title: string, rows: readonly Difference[]): string[] {
  if (rows.length === 0) return []
  const columns = [
    { title: 'name', cells: rows.map(({ name }) => printable(name)) },
    { title: 'before', cells: rows.map(({ before }) => printable(valueText(before))) },
    { title: 'after', cells: rows.map(({ after }) => printable(valueText(after))) },
  ]
  return [`${bold(title)}\n${table(columns)}`]
}

function describeFigures(diff: ResultDiff): string {
  const rows = changed(diff)
  return table([
    { title: 'figure', cells: rows.map(({ name }) => printable(name)) },
    { title: 'before', cells: rows.map(({ before, unit }) => printable(valueText(before, unit))), gives: 2 },
    { title: 'after', cells: rows.map(({ after, unit }) => printable(valueText(after, unit))), gives: 3 },
    { title: 'change', cells: rows.map(changeText) },
    {
      title: 'verdict',
      cells: rows.map(({ verdict }) => verdictText(verdict)),
      paint: (cell, row) => paint(rows[row]!.verdict === 'once' ? 'doubtful' : 'head', cell),
      gives: 1,
    },
  ])
}
