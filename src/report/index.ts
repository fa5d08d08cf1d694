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
  StillResult,
  Versions,
} from './bench-result.ts'
export { hasTimes, whyMissing } from './bench-result.ts'
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
export { mergeReport } from './merge-report.ts'
export type { Change } from './page-map.ts'
export { expectCsvPath, writeScanCsv } from './scan-csv.ts'
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
