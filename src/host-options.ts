// What a host can be created with: the options, what is taken where one is left out, and what is refused.

import { MAX_MAPPINGS } from './core/arena.ts'
import type { ArenaStrategy } from './core/strategy.ts'
import {
  expectBoolean,
  expectInteger,
  expectObject,
  expectOneOf,
  expectOptions,
  expectString,
  mistake,
} from './errors.ts'
import { type Clock, expectClock, systemClock } from './ksm/clock.ts'
import type { ScanPolicy } from './ksm/policy.ts'
import {
  CHANGES_POLICIES,
  type ChangesPolicy,
  GUESTS_POLICIES,
  type GuestsPolicy,
  SMART_SCAN_POLICIES,
  type SmartScanPolicy,
} from './ksm/tunables.ts'
import { COW_POLICIES, type CowPolicy } from './mm/model/cow-policy.ts'
import type { MmOptions } from './mm/model/mm-struct.ts'
import {
  checksumName,
  chosenStrategy,
  DEFAULT_INDEX,
  type IndexName,
  STRATEGY_OPTIONS,
  type StrategyOptions,
} from './options.ts'

/** What a host is made with. Only `frames` must be given. */
export interface HostOptions extends StrategyOptions {
  /** Page frames of 4096 bytes, for guests. Untouched ones cost nothing. */
  readonly frames: number
  /** Page mappings there must be room for, over all mms. Default: four a frame. */
  readonly mappings?: number
  /** NUMA nodes the frames are spread over. Default: 1. */
  readonly numaNodes?: number
  /** Time, as ksmd sees it. Default: the machine's. */
  readonly clock?: Clock
  /** When a write may go to a page that was shared (mm/fault/cow.ts). Default: `anon_exclusive`, as Linux since 5.18. */
  readonly cowPolicy?: CowPolicy
  /** Turn a merged page with a single mapping back into an ordinary one when it is written to. Default: false. */
  readonly reuseKsm?: boolean
  /**
   * Swap pages out (`swapOn`) when a read, a write or a fault of a virtual CPU finds no free frame, rather than refuse it with ENOMEM.
   * Pages that are pinned or locked stay. Default: false.
   */
  readonly reclaim?: boolean
  /** What smart_scan=1 means (ksm/policy.ts). Default: `linux`. */
  readonly smartScan?: SmartScanPolicy
  /** A policy of your own in its place (docs/strategies.md): which pages are passed over while smart_scan is 1. */
  readonly policy?: ScanPolicy
  /**
   * `running`: a page must keep still from one scan to the next before it is searched for, as Linux has it. `still`: the
   * guests are stopped, so that the first scan merges what would take two. Default: `running`.
   */
  readonly guests?: GuestsPolicy
  /**
   * `log`: every write that goes through an mm or a pin is noted, and ksmd reads only what has been written since it last did;
   * writes of others are handed in by `mm.markWritten`. `checksum`: ksmd reads every page in every scan, as Linux must. What is
   * merged and counted is the same. Default: `log`.
   */
  readonly changes?: ChangesPolicy
  /** May mms with a `domain` use the zero page that all share (under use_zero_pages)? Default: false. */
  readonly zeroPagesAcrossDomains?: boolean
  /**
   * Threads beside the caller's that take checksums of the pages a scan is about to visit. What is merged and counted
   * does not depend on them, only the time (and, when metadata runs out, how far a scan comes). They work in batches of
   * 512 pages and more, and end with `close`. More of them than idle processors slow the scan down. Default: 0.
   */
  readonly workers?: number
  /**
   * How long a change waits for the virtual CPUs on other threads that may be using what it takes away, ms. Then what can be taken back is
   * (EAGAIN), and the rest is held until they have come. Default: 1000.
   */
  readonly graceTimeout?: number
  /**
   * The core's binary, `core.wasm` of this very version, from elsewhere: a URL, a compiled module, or its
   * bytes (Uint8Array, ArrayBuffer). For pages that allow no code but what they can name. Default: the one in the code.
   */
  readonly wasm?: object
}

/** The choices a host was made with that are no knobs of Linux. */
export type HostPolicy = Required<
  Pick<
    HostOptions,
    | 'changes'
    | 'cowPolicy'
    | 'graceTimeout'
    | 'guests'
    | 'reclaim'
    | 'reuseKsm'
    | 'workers'
    | 'zeroPagesAcrossDomains'
  >
> & {
  /** The name of the policy that smart_scan=1 means. */
  readonly smartScan: string
}

/** What a host is made of, with nothing left open. */
export interface HostPlan {
  readonly frames: number
  readonly mappings: number
  readonly numaNodes: number
  readonly index: IndexName
  readonly checksum: string
  readonly strategy: ArenaStrategy
  readonly policy: HostPolicy
  readonly skipping: SmartScanPolicy | ScanPolicy
  readonly clock: Clock
  readonly wasm: object | undefined
}

/** Most helper threads that a host takes. */
export const MAX_WORKERS = 64
const HOST_OPTIONS: Readonly<Record<keyof HostOptions, true>> = {
  frames: true,
  mappings: true,
  numaNodes: true,
  clock: true,
  cowPolicy: true,
  reuseKsm: true,
  reclaim: true,
  smartScan: true,
  policy: true,
  guests: true,
  changes: true,
  zeroPagesAcrossDomains: true,
  workers: true,
  graceTimeout: true,
  wasm: true,
  ...STRATEGY_OPTIONS,
}

const MAX_GRACE_TIMEOUT = 2 ** 31 - 1
const MAX_FRAMES = 2 ** 20
const MAX_NUMA_NODES = 16

/** Checks the options of Host.create and fills in what they leave open. Throws TypeError or RangeError. */
export function expectHostOptions(options: HostOptions): HostPlan {
  expectOptions('Host.create', options, HOST_OPTIONS)
  const frames = expectInteger('frames', options.frames, 1, MAX_FRAMES)
  const strategy = chosenStrategy(options)
  const skipping = expectSkipping(options)
  return {
    frames,
    mappings: expectInteger('mappings', options.mappings ?? defaultMappings(frames), 1, MAX_MAPPINGS),
    numaNodes: expectInteger('numaNodes', options.numaNodes ?? 1, 1, Math.min(frames, MAX_NUMA_NODES)),
    index: options.index ?? DEFAULT_INDEX,
    checksum: checksumName(options),
    strategy,
    policy: {
      ...expectPolicy(options, strategy),
      smartScan: typeof skipping === 'string' ? skipping : skipping.name,
    },
    skipping,
    clock: expectClock(options.clock ?? systemClock),
    wasm: options.wasm,
  }
}

function expectPolicy(options: HostOptions, { own }: ArenaStrategy): Omit<HostPolicy, 'smartScan'> {
  const workers = expectInteger('workers', options.workers ?? 0, 0, MAX_WORKERS)
  if (workers > 0 && own !== undefined && own.module === undefined) {
    const why = `\`checksum\` ${own.name} is JavaScript, which runs on the scan's own thread only`
    throw new RangeError(`Expected no \`workers\`: ${why}; one in a module runs on theirs too`)
  }
  return {
    cowPolicy: expectOneOf('cowPolicy', options.cowPolicy ?? 'anon_exclusive', COW_POLICIES),
    reclaim: expectBoolean('reclaim', options.reclaim ?? false),
    reuseKsm: expectBoolean('reuseKsm', options.reuseKsm ?? false),
    guests: expectOneOf('guests', options.guests ?? 'running', GUESTS_POLICIES),
    changes: expectOneOf('changes', options.changes ?? 'log', CHANGES_POLICIES),
    workers,
    graceTimeout: expectInteger('graceTimeout', options.graceTimeout ?? 1000, 1, MAX_GRACE_TIMEOUT),
    zeroPagesAcrossDomains: expectBoolean('zeroPagesAcrossDomains', options.zeroPagesAcrossDomains ?? false),
  }
}

/** What smart_scan=1 is to mean. */
function expectSkipping({ smartScan, policy }: HostOptions): SmartScanPolicy | ScanPolicy {
  if (policy === undefined) return expectOneOf('smartScan', smartScan ?? 'linux', SMART_SCAN_POLICIES)
  expectObject('policy', policy, ['skip'])
  expectString('name` of a `policy', policy.name ?? null)
  if (smartScan === undefined) return policy
  throw new RangeError(`Expected no \`smartScan\` beside \`policy\` ${policy.name}: that takes its place`)
}

/** Four a frame, as long as that leaves most of a 4 GiB arena to frames. */
function defaultMappings(frames: number): number {
  return Math.min(4 * frames + 4096, Math.max(frames + 4096, 2 ** 21))
}

/** How `loadImage` makes its mm. */
export interface LoadOptions extends MmOptions {
  /** Called now and then with how many pages have been read; only calls that look are possible there (docs/callbacks.md). */
  readonly onProgress?: (pages: number) => void
  /** Where its mapping begins, in bytes, a multiple of 4096. Default: where `mmap` puts one; with `holes`, 0. */
  readonly address?: number
  /** Leave out what the image leaves out: pages lie at their addresses in the guest, counted from `address`, a mapping for each stretch. Default: false. */
  readonly holes?: boolean
}

const LOAD_OPTIONS = { name: true, domain: true, onProgress: true, address: true, holes: true } as const

/** Checks the options of `loadImage` and fills in what they leave open. Throws TypeError. */
export function expectLoadOptions(options: LoadOptions): LoadOptions & { readonly holes: boolean } {
  const given = expectOptions('loadImage', options, LOAD_OPTIONS)
  const { onProgress, holes = false } = given
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw mistake(new TypeError('Expected `onProgress` to be a function'))
  return { ...given, holes: expectBoolean('holes', holes) }
}
