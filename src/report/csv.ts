// Results as tables for spreadsheets and statistics programs: a line of names, then a line for each scan, strategy, trial, moment or
// figure. Comma-separated, as RFC 4180 has it.

import type { ScanRow, SynthTruth } from '../lab/index.ts'
import {
  type BenchResult,
  hasRun,
  hasTimes,
  type PeerMissing,
  type RunningTimes,
  type WrittenResult,
} from './bench-result.ts'
import type { ResultDiff } from './diff/diff.ts'
import { isInterval, type Value } from './diff/measure.ts'
import type { HashReport } from './hash-report.ts'
import { expectReplaceable, type FileKind, replaceFile } from './replaceable.ts'

type Cell = string | number | boolean | null
type Row = Readonly<Record<string, Cell>>

/** Of what command a table is. */
export type CsvKind = 'scan' | 'hash' | 'bench' | 'synth' | 'diff'

/** What is written as a table: each has its own first columns, and by those a file is known that may be replaced. */
const KINDS: Readonly<Record<CsvKind, readonly [string, string]>> = {
  scan: ['scan', 'pages_shared'],
  hash: ['checksum', 'index'],
  bench: ['peer', 'trial'],
  synth: ['moment', 'pages'],
  diff: ['figure', 'unit'],
}

/** Results by their command. */
interface Results {
  readonly scan: { readonly after_each_scan: readonly ScanRow[] }
  readonly hash: HashReport
  readonly bench: BenchResult
  readonly synth: Pick<SynthTruth, 'moments'>
  readonly diff: ResultDiff
}

const ROWS: { readonly [Kind in CsvKind]: (result: Results[Kind]) => readonly Row[] } = {
  scan: ({ after_each_scan }) => after_each_scan.map((row, i) => ({ scan: i + 1, ...row })),
  hash: strategies,
  bench: trials,
  synth: ({ moments }) => moments.map(({ ksmd: _, files: __, ...moment }) => flat(moment)),
  diff: ({ figures }) =>
    figures.map(({ name, unit, before, after, change, verdict }) => ({
      ...{ figure: name, unit },
      ...ends('before', before),
      ...ends('after', after),
      ...{ change, verdict },
    })),
}

/** Makes the text of a table. A name or value with a comma, a quote or a line break stands in quotes. */
export function csvText<Kind extends CsvKind>(kind: Kind, result: Results[Kind]): string {
  const rows = ROWS[kind](result)
  const names = [...new Set([...KINDS[kind], ...rows.flatMap((row) => Object.keys(row))])]
  const lines = rows.map((row) => names.map((name) => cellText(row[name] ?? null)))
  return `${[names.map(cellText), ...lines].map((cells) => cells.join(',')).join('\n')}\n`
}

/** Makes sure that such a table can be written to `path`. Throws EINVAL, ENOENT, EACCES, EEXIST, ENOTSUP. */
export function expectCsvPath(kind: CsvKind, path: string): void {
  expectReplaceable(fileKind(kind), path)
}

/** Writes a table, whole or not at all. Throws what `expectCsvPath` does, EIO. */
export function writeCsv<Kind extends CsvKind>(kind: Kind, path: string, result: Results[Kind]): void {
  replaceFile(fileKind(kind), path, csvText(kind, result))
}

function fileKind(kind: CsvKind): FileKind {
  return { option: '--csv', what: 'such a table', beginning: `${KINDS[kind].join(',')},` }
}

function cellText(cell: Cell): string {
  const text = cell === null ? '' : String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A strategy a line, with what its checksum costs alone, and what it misses. */
function strategies({ strategies, costs, checksums }: HashReport): Row[] {
  return strategies.map(({ checksum, index, ...merge }) => {
    const cost = costs.find((one) => one.checksum === checksum)
    const quality = checksums.find((one) => one.checksum === checksum)
    const { hot, cold } = cost ?? {}
    const { traits, touched, missed } = quality ?? {}
    return { checksum, index, ...flat(merge), ...flat({ hot, cold, traits, touched, missed }) }
  })
}

/** A trial of a peer a line. */
function trials({ peers, written = [], running }: BenchResult): Row[] {
  return Object.entries(peers).flatMap(([peer, result]) =>
    hasTimes(result)
      ? result.samples.map((sample, i) => ({
          ...{ peer, trial: i + 1 },
          ...flat(sample),
          ...runningColumn(running?.peers[peer], i),
          ...Object.fromEntries(
            written.map((row) => [columnOf(row), row.peers[peer]?.scan.samples[i] ?? null]),
          ),
        }))
      : [],
  )
}

function runningColumn(peer: RunningTimes | PeerMissing | undefined, trial: number): Row {
  return hasRun(peer) ? { running_cpu_ms: peer.cpu.samples[trial] ?? null } : {}
}

/** `written_10_other_bytes_ns_per_page`. */
function columnOf({ written_percent, written_with }: WrittenResult): string {
  return `written_${written_percent}_${written_with.replace(' ', '_')}_ns_per_page`
}

function ends(name: string, value: Value): Row {
  if (!isInterval(value)) return { [name]: value }
  return { [name]: value.median, [`${name}_low`]: value.low, [`${name}_high`]: value.high }
}

/** What stands in an object, and in those in it: `hot.ns` becomes `hot_ns`. Lists are left out. */
function flat(part: object, before = ''): Row {
  const entries = Object.entries(part).flatMap(([key, value]): [string, Cell][] => {
    const name = before === '' ? key : `${before}_${key}`
    if (value === undefined || Array.isArray(value)) return []
    if (typeof value === 'object' && value !== null) return Object.entries(flat(value, name))
    return [[name, value as Cell]]
  })
  return Object.fromEntries(entries)
}
