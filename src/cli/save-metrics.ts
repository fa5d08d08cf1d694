// What a command with --prometheus FILE does: look whether it can be written before the work, and write it afterwards.

import { expectMetricsPath, writeMetrics } from '../report/index.ts'
import { value } from './options.ts'
import { interruptible } from './signals.ts'

/** The option: a path that metrics can be written to. */
export const metrics = (what: string) =>
  value('FILE', `also write ${what} for Prometheus's textfile collector`, (path) => {
    expectMetricsPath(path)
    return path
  })

/** Writes metrics if they were asked for. Throws what `writeMetrics` does. */
export async function saveMetrics(path: string | undefined, text: () => string): Promise<void> {
  if (path !== undefined) await interruptible(() => writeMetrics(path, text()))
}
