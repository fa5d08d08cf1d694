// What every command with --report does when its work is done.

import { type Report, writeReport } from '../report/index.ts'
import { bytes } from './format.ts'

/** Writes a report and says where it is; on stdout, so not beside a result as JSON. Throws what `writeReport` does. */
export function saveReport(path: string, report: Report, json: boolean | undefined): void {
  const size = writeReport(path, report)
  if (!json) console.log(`\nA page to look at is in ${path} (${bytes(size)}).`)
}
