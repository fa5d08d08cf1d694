// The door `pagefold`: the simulated machine, its guests and its ksmd. The other doors are images/index.ts, lab/index.ts and
// report/index.ts.

import { PAGE_SIZE as BYTES } from '../assembly/abi.ts'

/** Bytes in a page. */
export const PAGE_SIZE: number = BYTES

export { type Errno, PagefoldError } from './errors.ts'
export { type FrameCounts, Host, type MetadataStats } from './host.ts'
export { type HostOptions, type HostPolicy, type LoadOptions, MAX_WORKERS } from './host-options.ts'
export type { Image, ImageFormat } from './image.ts'
export { type Clock, type SleepSignal, stillClock, systemClock } from './ksm/clock.ts'
export type { Ksm } from './ksm/ksmd.ts'
export type { ScannedPage, ScanPolicy } from './ksm/policy.ts'
export { prometheusText } from './ksm/prometheus.ts'
export type { CounterName, Counters } from './ksm/stats.ts'
export {
  ADVISOR_MODES,
  type AdvisorMode,
  CHANGES_POLICIES,
  type ChangesPolicy,
  GUESTS_POLICIES,
  type GuestsPolicy,
  isKnob,
  KNOB_NAMES,
  type KnobName,
  parseKnob,
  SMART_SCAN_POLICIES,
  type SmartScanPolicy,
  type Tunables,
} from './ksm/tunables.ts'
export type { KsmStat } from './mm/calls/ksm-stat.ts'
export { ADVICES, type Advice } from './mm/calls/madvise.ts'
export type { ChangedRange } from './mm/calls/make-equal.ts'
export type { MmapOptions } from './mm/calls/mmap.ts'
export type { MremapOptions } from './mm/calls/mremap.ts'
export type { Pin, PinOptions } from './mm/calls/pin.ts'
export type { Prot } from './mm/calls/prot.ts'
export type { MappingStat } from './mm/calls/smaps.ts'
export type { Mm } from './mm/mm.ts'
export { COW_POLICIES, type CowPolicy } from './mm/model/cow-policy.ts'
export type { UserfaultHandler } from './mm/model/hooks.ts'
export type { MmOptions } from './mm/model/mm-struct.ts'
export type { PageSource } from './mm/model/shared-object.ts'
export type { FrameInfo } from './mm/page/frame-info.ts'
export type { MemoryFailure } from './mm/reclaim/memory-failure.ts'
export type { ReclaimFailure } from './mm/reclaim/swap-out.ts'
export { fileSwapStore, memorySwapStore, type SwapStore } from './mm/reclaim/swap-store.ts'
export type { Snapshot } from './mm/snapshot.ts'
export type { Notifier, NotifierEvent, NotifierRange } from './mm/watch/notifier.ts'
export { SecondaryMmu, type Translation } from './mm/watch/secondary-mmu.ts'
export type { TraceEvents, TraceName } from './mm/watch/tracepoints.ts'
export {
  CHECKSUM_NAMES,
  CHECKSUM_TRAITS,
  type ChecksumName,
  type ChecksumTraits,
  CORE_ABI,
  DEFAULT_CHECKSUM,
  DEFAULT_INDEX,
  DEFAULT_SAMPLE_WORDS,
  expectStrategy,
  INDEX_NAMES,
  type IndexName,
  type JsChecksum,
  type OwnChecksum,
  type Strategy,
  type StrategyOptions,
  tryChecksum,
  type WasmChecksum,
} from './options.ts'
export { VERSION } from './version.ts'
