// The door `pagefold/report`: pages to look at, made of what merges, benches and comparisons came to.

export { benchReport } from './bench-report.ts'
export type {
  BenchResult,
  CurveFigures,
  CurvePoint,
  CurveResult,
  Machine,
  MergeCounters,
  MetricChange,
  PeerMissing,
  PeerResult,
  RunningResult,
  RunningTimes,
  StillResult,
  Versions,
  WrittenResult,
  WrittenTimes,
} from './bench-result.ts'
export { hasRun, hasTimes, whyMissing } from './bench-result.ts'
export { expectContentsPath, writeContentsBy } from './census-file.ts'
export { censusReport } from './census-report.ts'
export { type CsvKind, csvText, expectCsvPath, writeCsv } from './csv.ts'
export {
  type Difference,
  diffResults,
  type FigureChange,
  type ResultDiff,
  type Verdict,
} from './diff/diff.ts'
export { diffReport } from './diff/diff-report.ts'
export { changed, changeText, restText, valueText, verdictText } from './diff/figure-text.ts'
export type { Interval, Value } from './diff/measure.ts'
export type { Origin, ResultKind } from './diff/result.ts'
export {
  type BenchmarkJs,
  type HashCost,
  type HashReport,
  hashReport,
  type NativeLibrary,
  type RankedTiming,
  type Timing,
  USER_CHECKSUM,
} from './hash-report.ts'
export { mapOf, mergeReport } from './merge-report.ts'
export type { Change } from './page-map.ts'
export { expectMetricsPath, writeMetrics } from './prometheus-file.ts'
export type {
  BarsSection,
  Column,
  FiguresSection,
  LinesSection,
  MapSection,
  MatrixSection,
  PageMap,
  Report,
  Section,
  Series,
  Side,
  TableSection,
  Unit,
} from './section.ts'
export { expectReportPath, renderReport, writeReport } from './write-report.ts'
