// The public names.

export { type Errno, PagefoldError } from './errors.ts'
export {
  type FrameCounts,
  Host,
  type HostOptions,
  type HostPolicy,
  MAX_WORKERS,
  type MetadataStats,
} from './host.ts'
export type { Image, ImageFormat } from './image/image.ts'
export { openImage, openRawImage } from './image/image.ts'
export { type Clock, stillClock, systemClock } from './ksm/clock.ts'
export type { Ksm } from './ksm/ksmd.ts'
export { SMART_SCAN_POLICIES, type SmartScanPolicy } from './ksm/smart-scan.ts'
export { GUESTS_POLICIES, type GuestsPolicy } from './ksm/state.ts'
export type { Counters } from './ksm/stats.ts'
export type { AdvisorMode, KnobName, Tunables } from './ksm/tunables.ts'
export { isKnob, KNOB_NAMES, parseKnob } from './ksm/tunables.ts'
export { type BestPossible, bestPossible } from './lab/best.ts'
export {
  type ChecksumQuality,
  type CompareOptions,
  compareHashes,
  type HashComparison,
  type PageSet,
  type StrategyResult,
} from './lab/hash/compare.ts'
export type { Convergence } from './lab/hash/converge.ts'
export {
  CHANGES,
  type Change,
  type Collisions,
  type Missed,
  WIDTHS,
} from './lab/hash/quality.ts'
export type { Touched } from './lab/hash/traits.ts'
export {
  type MergeOptions,
  type MergeProgress,
  type MergeResult,
  mergeImages,
  type ScanRow,
} from './lab/merge-images.ts'
export { PAGE_STATES, type PageState } from './lab/page-state.ts'
export { type PageStates, pageStates } from './lab/page-states.ts'
export { type MergedRange, type Sharing, sharingOf } from './lab/sharing.ts'
export type { BestResult, SharingTruth } from './lab/synth/counts.ts'
export type { ExpectedKsmd } from './lab/synth/expected-ksmd.ts'
export type { SynthOptions } from './lab/synth/guests.ts'
export { type SynthImageOptions, synthImage, synthImages } from './lab/synth/images.ts'
export {
  isParameter as isSynthParameter,
  PARAMETERS as SYNTH_PARAMETERS,
  parseParameter as parseSynthParameter,
  type SynthParameters,
} from './lab/synth/parameters.ts'
export { PRESETS as SYNTH_PRESETS, type SynthPreset } from './lab/synth/presets.ts'
export {
  type ImageTruth,
  type MomentTruth,
  SYNTH_VERSION,
  type SynthTruth,
  synthTruth,
  type TruthOptions,
} from './lab/synth/truth.ts'
export { type WriteOptions, writeSynth } from './lab/synth/write.ts'
export { COW_POLICIES, type CowPolicy } from './mm/cow.ts'
export type { FrameInfo } from './mm/frame-info.ts'
export type { Pin, PinOptions } from './mm/gup.ts'
export type { Advice } from './mm/madvise.ts'
export type { MemoryFailure } from './mm/memory-failure.ts'
export type { KsmStat, Mm, MmapOptions, MremapOptions } from './mm/mm.ts'
export type { MmOptions } from './mm/mm-struct.ts'
export type { Notifier, NotifierEvent, NotifierRange } from './mm/notifier.ts'
export type { Prot } from './mm/prot.ts'
export { SecondaryMmu, type Translation } from './mm/secondary-mmu.ts'
export type { ReclaimFailure } from './mm/swap-out.ts'
export { fileSwapStore, memorySwapStore, type SwapStore } from './mm/swap-store.ts'
export type { TraceEvents, TraceName } from './mm/tracepoints.ts'
export type { UserfaultHandler } from './mm/userfault.ts'
export {
  CHECKSUM_NAMES,
  CHECKSUM_TRAITS,
  type ChecksumName,
  type ChecksumTraits,
  DEFAULT_SAMPLE_WORDS,
  expectStrategy,
  INDEX_NAMES,
  type IndexName,
  type StrategyOptions,
} from './options.ts'
export { mergeReport } from './report/merge-report.ts'
export type {
  BarsSection,
  FiguresSection,
  LinesSection,
  MapSection,
  Report,
  Section,
  Series,
  TableSection,
  Unit,
} from './report/section.ts'
export { expectReportPath, writeReport } from './report/write-report.ts'
export { openSource, openSources } from './sources.ts'
export { VERSION } from './version.ts'
