// The counters after every full scan as a table for spreadsheets.

import type { ScanRow } from '../lab/merge/merge-images.ts'
import { expectReplaceable, type FileKind, replaceFile } from './replaceable.ts'

const CSV: FileKind = { option: '--csv', what: 'such a table', beginning: 'scan,pages_shared,' }

/** Makes sure that such a table can be written to `path`. Throws EINVAL, ENOENT, EACCES, EEXIST, ENOTSUP. */
export function expectCsvPath(path: string): void {
  expectReplaceable(CSV, path)
}

/** Writes a line for each scan, whole or not at all. Throws what `expectCsvPath` does, EIO. */
export function writeScanCsv(path: string, rows: readonly ScanRow[]): void {
  const lines = rows.map((row, i) => [i + 1, ...Object.values(row)].join(','))
  const head = ['scan', ...Object.keys(rows[0] ?? { pages_shared: 0, pages_sharing: 0 })].join(',')
  replaceFile(CSV, path, `${[head, ...lines].join('\n')}\n`)
}
