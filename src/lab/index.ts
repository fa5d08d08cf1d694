// The door `pagefold/lab`: images merged as a whole and looked at page by page, checksums side by side, synthetic guests.

export type { WasmMemory } from '../core/wasm-memory.ts'
export { type MemoryImageOptions, memoryImage } from '../memory-image.ts'
export type { BestResult, SharingTruth } from '../synth/counts.ts'
export type { ExpectedKsmd } from '../synth/expected-ksmd.ts'
export type { SynthOptions } from '../synth/guests.ts'
export { type SynthImageOptions, synthImage, synthImages } from '../synth/images.ts'
export {
  isParameter as isSynthParameter,
  PARAMETERS as SYNTH_PARAMETERS,
  type Parameter as SynthParameter,
  parseParameter as parseSynthParameter,
  type SynthParameters,
} from '../synth/parameters.ts'
export type { PageClass } from '../synth/plan.ts'
export { PRESETS as SYNTH_PRESETS, type SynthPreset } from '../synth/presets.ts'
export {
  type Sink,
  type SurveyHooks,
  SYNTH_VERSION,
  synthTruth,
  type TruthOptions,
} from '../synth/truth.ts'
export type { ImageTruth, MomentTruth, SynthTruth } from '../synth/truth-json.ts'
export { type WriteOptions, writeSynth, writeSynthSteps } from '../synth/write.ts'
export { census } from './census/census.ts'
export type { CensusContents, OnContent } from './census/listed.ts'
export type { NodesBy } from './census/nodes.ts'
export type { CensusOptions } from './census/options.ts'
export type { CensusCounters } from './census/outcome.ts'
export type { Pace } from './census/pace.ts'
export {
  CENSUS_KNOBS,
  type CensusImage,
  type CensusKnob,
  type CensusResult,
  type PayingContent,
} from './census/result.ts'
export {
  type Placement,
  type PlacementTask,
  placeAtRandom,
  placeGuests,
  savedBy,
} from './fleet/placement.ts'
export {
  distinctIn,
  joinSketches,
  SKETCH_SIZE,
  type Sketch,
  sharedBySketches,
  sketchOf,
} from './fleet/sketch.ts'
export {
  type ChecksumQuality,
  type CompareOptions,
  compareHashes,
  type HashComparison,
  type PageSet,
  type StrategyResult,
} from './hash/compare.ts'
export type { Convergence } from './hash/converge.ts'
export { CHANGES, type Change, type Collisions, type Missed, WIDTHS } from './hash/quality.ts'
export type { Touched } from './hash/traits.ts'
export { type Figure, figureOf, howToRead, ranksOf } from './measure/figure.ts'
export type { Load, RoundLoad } from './measure/load.ts'
export {
  type Candidate,
  inRounds,
  type Lap,
  type Measured,
  ORDER_SEED,
  type RoundsOptions,
} from './measure/rounds.ts'
export { median, type Spread, spread } from './median.ts'
export { type BestPossible, bestPossible } from './merge/best.ts'
export { hostFor, type ImageHostOptions, loadGuest, MAX_IMAGE_PAGES } from './merge/host.ts'
export { adviseHugePages } from './merge/huge-pages.ts'
export {
  MAX_SCANS,
  type MergeOptions,
  type MergeProgress,
  type MergeResult,
  mergeImages,
  type ScanRow,
} from './merge/merge-images.ts'
export { type MergedRange, type Sharing, sharingOf } from './merge/sharing.ts'
export { PAGE_STATES, type PageState } from './states/page-state.ts'
export { type PageStates, pageStates } from './states/page-states.ts'
