// Metrics in a file, for the textfile collector of Prometheus's node exporter: it may read at any time, so the file is whole at any time.

import { expectReplaceable, type FileKind, replaceFile } from './replaceable.ts'

const METRICS: FileKind = {
  option: '--prometheus',
  what: 'metrics of pagefold',
  beginning: '# HELP pagefold_',
}

/** Makes sure that metrics can be written to `path`. Throws what `expectReportPath` does. */
export function expectMetricsPath(path: string): void {
  expectReplaceable(METRICS, path)
}

/** Writes metrics, the text that `prometheusText` makes, whole or not at all. Throws what `writeReport` does. */
export function writeMetrics(path: string, text: string): void {
  replaceFile(METRICS, path, text)
}
