// The public names.

export { PAGE_SIZE } from '../assembly/abi.ts'
export { type Errno, PagefoldError } from './errors.ts'
export {
  type FrameCounts,
  Host,
  type HostOptions,
  type HostPolicy,
  MAX_WORKERS,
  type MetadataStats,
} from './host.ts'
export type { Image, ImageFormat } from './image.ts'
export { FORMAT_NAMES } from './images/formats.ts'
export { openImage, openRawImage } from './images/open.ts'
export { openSource, openSources } from './images/source.ts'
export { type Clock, stillClock, systemClock } from './ksm/clock.ts'
export type { Ksm } from './ksm/ksmd.ts'
export type { Counters } from './ksm/stats.ts'
export type { AdvisorMode, KnobName, Tunables } from './ksm/tunables.ts'
export {
  GUESTS_POLICIES,
  type GuestsPolicy,
  isKnob,
  KNOB_NAMES,
  parseKnob,
  SMART_SCAN_POLICIES,
  type SmartScanPolicy,
} from './ksm/tunables.ts'
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
export { type BestPossible, bestPossible } from './lab/merge/best.ts'
export { hostFor, type ImageHostOptions, loadGuest } from './lab/merge/host.ts'
export {
  type MergeOptions,
  type MergeProgress,
  type MergeResult,
  mergeImages,
  type ScanRow,
} from './lab/merge/merge-images.ts'
export { type MergedRange, type Sharing, sharingOf } from './lab/merge/sharing.ts'
export { PAGE_STATES, type PageState } from './lab/states/page-state.ts'
export { type PageStates, pageStates } from './lab/states/page-states.ts'
export type { Advice } from './mm/calls/madvise.ts'
export type { MmapOptions } from './mm/calls/mmap.ts'
export type { MremapOptions } from './mm/calls/mremap.ts'
export type { Pin, PinOptions } from './mm/calls/pin.ts'
export type { Prot } from './mm/calls/prot.ts'
export type { KsmStat, Mm } from './mm/mm.ts'
export { COW_POLICIES, type CowPolicy } from './mm/model/cow-policy.ts'
export type { UserfaultHandler } from './mm/model/hooks.ts'
export type { MmOptions } from './mm/model/mm-struct.ts'
export type { FrameInfo } from './mm/page/frame-info.ts'
export type { MemoryFailure } from './mm/reclaim/memory-failure.ts'
export type { ReclaimFailure } from './mm/reclaim/swap-out.ts'
export { fileSwapStore, memorySwapStore, type SwapStore } from './mm/reclaim/swap-store.ts'
export type { Notifier, NotifierEvent, NotifierRange } from './mm/watch/notifier.ts'
export { SecondaryMmu, type Translation } from './mm/watch/secondary-mmu.ts'
export type { TraceEvents, TraceName } from './mm/watch/tracepoints.ts'
export {
  CHECKSUM_NAMES,
  CHECKSUM_TRAITS,
  type ChecksumName,
  type ChecksumTraits,
  DEFAULT_CHECKSUM,
  DEFAULT_INDEX,
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
export type { BestResult, SharingTruth } from './synth/counts.ts'
export type { ExpectedKsmd } from './synth/expected-ksmd.ts'
export type { SynthOptions } from './synth/guests.ts'
export { type SynthImageOptions, synthImage, synthImages } from './synth/images.ts'
export {
  isParameter as isSynthParameter,
  PARAMETERS as SYNTH_PARAMETERS,
  parseParameter as parseSynthParameter,
  type SynthParameters,
} from './synth/parameters.ts'
export { PRESETS as SYNTH_PRESETS, type SynthPreset } from './synth/presets.ts'
export {
  type ImageTruth,
  type MomentTruth,
  SYNTH_VERSION,
  type SynthTruth,
  synthTruth,
  type TruthOptions,
} from './synth/truth.ts'
export { type WriteOptions, writeSynth } from './synth/write.ts'
export { VERSION } from './version.ts'
