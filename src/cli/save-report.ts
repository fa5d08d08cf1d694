// What every command with --report does: look whether it can be written before the work, and write it afterwards.

import { expectReportPath, type Report, writeReport } from '../report/index.ts'
import { bytes } from './format.ts'
import { value } from './options.ts'
import { print, printable } from './output.ts'
import { interruptible } from './signals.ts'

/** The option: a path that a report can be written to. */
export const report = (what: string) =>
  value('FILE', `also write a page to look at: ${what}; one file, opens offline`, (path) => {
    expectReportPath(path)
    return path
  })

/** Writes a report and says where it is; on stdout, so not beside a result as JSON. Throws what `writeReport` does. */
export async function saveReport(path: string, report: Report, json: boolean | undefined): Promise<void> {
  const size = await interruptible(() => writeReport(path, report))
  if (!json) print(`\nA page to look at is in ${printable(path)} (${bytes(size)}).`)
}
