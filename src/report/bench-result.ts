// What `pagefold bench` comes to, as it prints it with --json and as its report is made from.

import type { Figure } from '../lab/measure/figure.ts'
import type { Load } from '../lab/measure/load.ts'
import type { Spread } from '../lab/median.ts'
import type { BestPossible } from '../lab/merge/best.ts'
import type { IndexName } from '../options.ts'

/** Where a result was measured. */
export interface Machine {
  readonly processor: string
  /** Threads that can run at once. */
  readonly cores: number
  readonly memory_bytes: number
  /** Operating system and its release. */
  readonly kernel: string
}

/** What a result was measured with. */
export interface Versions {
  readonly pagefold: string
  readonly node: string
  readonly v8: string
  /** Of the core's memory layout; undefined in results from before it was said. */
  readonly core_abi?: number
}

/** Counters by their sysfs names, the same for every peer. */
export interface MergeCounters {
  readonly pages_shared: number
  readonly pages_sharing: number
  readonly pages_unshared: number
  readonly pages_volatile: number
}

/** How long one peer took, by the clock of the result. */
export interface PeerResult {
  /** To merge everything mergeable, in two full scans; median over the trials, per page of input. */
  readonly converge_ns_per_page: number
  /** For another scan, that finds nothing. */
  readonly rescan_ns_per_page: number
  /** To merge everything mergeable, by trial. */
  readonly converge: Figure
  /** For another scan. */
  readonly rescan: Figure
  /** Time to converge over pagefold's in the same round, by round: what slows both down is not in it. */
  readonly over_pagefold: Figure
  /** From 1, the fastest over pagefold; peers that the trials do not tell apart share one. */
  readonly rank: number
  /** Each trial, also by the clock that passes whoever runs. */
  readonly samples: readonly {
    readonly converge_ns_per_page: number
    readonly rescan_ns_per_page: number
    readonly converge_wall_ns_per_page: number
    readonly rescan_wall_ns_per_page: number
  }[]
}

/**
 * Why a peer has no times: it could not run here; or it failed, or merged otherwise than pagefold, which is a check that
 * did not hold.
 */
export type PeerMissing = { readonly unavailable: string } | { readonly failed: string }

/** Has a peer times? */
export function hasTimes(peer: PeerResult | PeerMissing | undefined): peer is PeerResult {
  return peer !== undefined && 'samples' in peer
}

/** Has a peer scanned guests that ran? */
export function hasRun(peer: RunningTimes | PeerMissing | undefined): peer is RunningTimes {
  return peer !== undefined && 'points' in peer
}

/** Why it has none. */
export function whyMissing(peer: PeerMissing): string {
  return 'failed' in peer ? `failed: ${peer.failed}` : `not available: ${peer.unavailable}`
}

/** What `pagefold bench --json` prints. */
export interface BenchResult {
  /** Pages of all images. */
  readonly pages: number
  /** The images, as the user named them. */
  readonly sources: readonly string[]
  readonly machine: Machine
  readonly versions: Versions
  readonly index: IndexName
  /** Its name. */
  readonly checksum: string
  /** The name of the policy of one's own by which pagefold passed pages over, if it was given one. */
  readonly policy?: string
  /** How pagefold knew what was written; undefined in results from before it was said. */
  readonly changes_policy?: 'log' | 'checksum'
  /** What times are: processor time where every peer has one thread, else time as it passes, but for ksmd's. */
  readonly clock: 'processor' | 'wall'
  /** Of the generator that drew the order of the turns in each round. */
  readonly order_seed: number
  /** What else the machine did meanwhile. */
  readonly load: Load
  /** Threads that hashed ahead of pagefold's scan; every other peer has one thread. */
  readonly workers: number
  /** SHA-256 of the images, one after the other. */
  readonly input_digest: string
  /** Of who shares with whom: the same for every peer that has times. */
  readonly digest: string
  /** What the merge comes to. */
  readonly counters: MergeCounters
  /** By name. */
  readonly peers: Readonly<Record<string, PeerResult | PeerMissing>>
  /** Median of `over_pagefold`, of every other peer that has times. */
  readonly ratios: Readonly<Record<string, number>>
  /** A rescan after guests have written, a row for each share of the pages and each kind of write; absent where none was asked for. */
  readonly written?: readonly WrittenResult[]
  /** Guests that run while they are scanned; absent where that was not asked for. */
  readonly running?: RunningResult
  /** Of the generator that drew which pages are written; absent where none were. */
  readonly writer_seed?: number
  /** What one scan of guests that hold still comes to; absent if `pagefold-still` was not among the peers. */
  readonly still?: StillResult
  /** How pagefold gets there. */
  readonly curve: CurveResult
}

/**
 * A full scan after guests have written since the last one, when nothing else was left to do. Every peer had the same pages written
 * with the same bytes, and counts the same when the scan is over, and again two scans later.
 */
export interface WrittenResult {
  /** Share of all pages that was written, in per cent. */
  readonly written_percent: number
  /** `same bytes`: each page with what it held, which parts it from those it had merged with; `other bytes`: with others. */
  readonly written_with: 'nothing' | 'same bytes' | 'other bytes'
  readonly pages_written: number
  /** When the scan is over. */
  readonly counters: MergeCounters
  /** Of who shares with whom then, by pagefold: of several copies of a content others may choose another. */
  readonly digest: string
  /** By name, of those peers that have times and whose guests write. */
  readonly peers: Readonly<Record<string, WrittenTimes>>
}

/** What such a scan took one peer. */
export interface WrittenTimes {
  /** By the clock of the result, per page of input, whether it was written or not. */
  readonly scan: Figure
  /** The same over pagefold's in the same round. */
  readonly over_pagefold: Figure
}

/**
 * Guests that write between batches of `pages_to_scan` while pagefold or ksmd scans them, from the first page on: the same pages with
 * the same bytes at the same places of the schedule. With index `content` both must have saved as much after every batch, and in the
 * end have merged the same; with `hash` pagefold's unstable tree does not rot as Linux's does when pages in it are written.
 */
export interface RunningResult {
  /** pages_to_scan: the pages of a batch. */
  readonly batch_pages: number
  readonly batches: number
  /** Writes of a page, all in all. */
  readonly writes: number
  /** pagefold and `linux`, by name. */
  readonly peers: Readonly<Record<string, RunningTimes | PeerMissing>>
}

/** What came of all batches, of one of them. */
export interface RunningTimes {
  /** Processor time. */
  readonly cpu: Figure
  /** The same over pagefold's in the same round. */
  readonly over_pagefold: Figure
  /** Bytes of frames that are saved when the last batch is over; a page that has been written saves none. */
  readonly bytes_saved: number
  /** The same on average, over the ends of all batches. */
  readonly mean_bytes_saved: number
  /** After each batch: `[processor time in ms, bytes saved]`, since the beginning; medians of the trials. */
  readonly points: readonly (readonly [number, number])[]
}

/** pagefold told that the guests hold still, after it has read each page once. */
export interface StillResult {
  /** Bytes scanned: each page once. */
  readonly scanned_bytes: number
  readonly bytes_saved: number
  /** Share of what no merging of pages can surpass; 1 where there is nothing to save. */
  readonly of_best: number
  /** ksmd's time until it has merged the same over this one's, trial by trial; null without ksmd. */
  readonly linux_over: Figure | null
  /** The same in processor time on both sides: ksmd's is known in no other, so on a busy machine only this is fair. */
  readonly linux_over_cpu: Figure | null
  /** The curve, of one run. */
  readonly points: readonly CurvePoint[]
}

/** `[bytes scanned, processor time in ms, bytes saved]`, all since the beginning. */
export type CurvePoint = readonly [number, number, number]

/** What a curve comes to. */
export interface CurveFigures {
  /** Bytes scanned until nine tenths of the best possible are saved; null if they never are. */
  readonly scanned_bytes_to_90: number | null
  /** Processor time until then. */
  readonly cpu_ms_to_90: number | null
  /** Mean share of the best possible that was saved, over three full scans: 1 would be everything before the first. */
  readonly area: number
}

/** All runs of the curve. */
export interface CurveResult {
  /** What no merging of pages can surpass. */
  readonly best: BestPossible
  readonly bytes_saved: number
  readonly metadata_bytes: number
  /** Bytes saved less pagefold's own records. */
  readonly net_profit: number
  /** As in CurveFigures, median of the runs. */
  readonly scanned_bytes_to_90: number | null
  /** The same. */
  readonly cpu_ms_to_90: number | null
  /** The same. */
  readonly area: number
  /** Processor time of a full scan that finds nothing. */
  readonly rescan_cpu_ms: number
  /** By run, as `cpu_ms_to_90`; null if one never got there. */
  readonly cpu_to_90: Figure | null
  /** By run, as `rescan_cpu_ms`. */
  readonly rescan_cpu: Figure
  readonly samples: readonly (CurveFigures & {
    readonly rescan_cpu_ms: number
    readonly points: readonly CurvePoint[]
  })[]
}

/** One figure of two runs, compared. */
export interface MetricChange {
  readonly metric: string
  /** What the times were divided by; null if the runs have no peer in common. */
  readonly over: string | null
  readonly before: Spread
  readonly after: Spread
  /** Of the medians: 0.1 is ten per cent more time. */
  readonly change: number
  /** `slower` and `faster`: all trials of one run are beyond all of the other. */
  readonly verdict: 'same' | 'slower' | 'faster' | 'too few trials'
}
