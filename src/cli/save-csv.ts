// What every command with --csv does: look whether the table can be written before the work, and write it afterwards.

import { type CsvKind, expectCsvPath, writeCsv } from '../report/index.ts'
import { value } from './options.ts'
import { interruptible } from './signals.ts'

/** The option: a path that such a table can be written to. */
export const csv = (kind: CsvKind, what: string) =>
  value('FILE', `also write a table, comma-separated: ${what}`, (path) => {
    expectCsvPath(kind, path)
    return path
  })

/** Writes the table if one was asked for. Throws what `writeCsv` does. */
export async function saveCsv(path: string | undefined, ...[kind, result]: CsvArguments): Promise<void> {
  if (path !== undefined) await interruptible(() => writeCsv(kind, path, result as never))
}

type CsvArguments = {
  [Kind in CsvKind]: [kind: Kind, result: Parameters<typeof writeCsv<Kind>>[2]]
}[CsvKind]
