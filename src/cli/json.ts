// What each command prints with --json. schemas/ is made of these types and their comments (scripts/schemas.mjs).

import type { KernelKsmStat } from '../images/index.ts'
import type { CensusResult, MergeResult, MomentTruth } from '../lab/index.ts'
import type {
  BenchResult,
  HashReport,
  Machine,
  MetricChange,
  PageMap,
  ResultDiff,
  Versions,
} from '../report/index.ts'
import type { SavedSnapshot, SnapshotInfo, StoreStats, Verification } from '../store/index.ts'

/** What every result says of itself. */
export interface About {
  /** The version of pagefold that made it. */
  readonly version: string
  /** The version of this form: it rises when a name changes its meaning or goes. New names may come at any time. */
  readonly schema: 3
  /** The command line, as a shell takes it. */
  readonly command: string
  /** When it was made, ISO 8601. */
  readonly date: string
  /** Where. */
  readonly machine: Machine
  /** With what. */
  readonly versions: Versions
}

/** What `pagefold scan --json` prints. */
export interface ScanJson extends About, MergeResult {
  /** What became of every page, packed; only with --map. */
  readonly map?: PageMap
}

/** What `pagefold hash --json` prints. */
export interface HashJson extends About, HashReport {}

/** What `pagefold bench --json` prints. */
export interface BenchJson extends Omit<About, 'machine' | 'versions'>, BenchResult {
  /** Only with --baseline: what changed since. */
  readonly changes?: readonly MetricChange[]
}

/** What `pagefold census --json` prints. */
export interface CensusJson extends About, CensusResult {
  /** Only if processes were counted: what the kernel says of itself at the end. */
  readonly kernel?: KernelNow
}

/** What the running kernel says. */
export interface KernelNow {
  /** What stands under /sys/kernel/mm/ksm, as far as it is numbers; empty without KSM. */
  readonly ksm: Readonly<Record<string, number>>
  /** One a process that is still there and tells. */
  readonly processes: readonly KernelKsmStat[]
}

/** What `pagefold fleet --json` prints. */
export interface FleetJson extends About, FleetResult {}

/** What the contents of many hosts say together. */
export interface FleetResult {
  /** What merging saves on each host, every content once; those that save most first. */
  readonly hosts: readonly {
    readonly host: string
    readonly guests: number
    readonly pages: number
    readonly contents: number
    /** Pages saved. */
    readonly saved: number
  }[]
  /** Of all hosts. */
  readonly guests: number
  readonly pages: number
  /** Different ones, in all of the fleet. */
  readonly contents: number
  readonly contents_on_several_hosts: number
  /** By merging on each host, as guests are placed now. */
  readonly bytes_saved: number
  /** Contents that most guests have, zeros apart. */
  readonly everywhere: readonly {
    readonly fingerprint: string
    readonly hosts: number
    readonly guests: number
    readonly pages: number
  }[]
  /** What another placement would save on contents that several guests have, each host with as many guests as now. */
  readonly placement: {
    /** More than 1: reckoned from one content in so many, and multiplied. */
    readonly contents_sampled_one_in: number
    readonly bytes_shared_now: number
    /** If guests were placed at random: the median of nine draws. */
    readonly bytes_shared_at_random: number
    readonly bytes_shared_if_placed: number
    /** What to move where. */
    readonly moves: readonly { readonly guest: string; readonly from: string; readonly to: string }[]
  }
}

/** What `pagefold synth --json` prints: truth.json's object, without the layout of images. */
export interface SynthJson extends About {
  /** Of the bytes that a recipe gives: rises when they change. */
  readonly synth_version: number
  /** The version of pagefold that made the bytes. */
  readonly pagefold_version: string
  /** The name of the preset. */
  readonly preset: string
  /** Pages an image. */
  readonly pages: number
  /** How many images. */
  readonly images: number
  /** What the contents were drawn from. */
  readonly seed: number
  /** All parameters, defaults filled in. */
  readonly parameters: Readonly<Record<string, number | string>>
  /** Bytes in a page. */
  readonly page_size: number
  /** One a moment, from 0. */
  readonly moments: readonly MomentJson[]
}

/** What is true of all images at one moment. */
export interface MomentJson extends Omit<MomentTruth, 'files'> {
  /** One an image. */
  readonly files: readonly ImageJson[]
}

/** What is true of one image at one moment. */
export type ImageJson = Omit<MomentTruth['files'][number], 'layout'>

/** What `pagefold diff --json` prints. */
export interface DiffJson extends About, ResultDiff {
  /** What was compared, as the user named it. */
  readonly files: readonly string[]
  /** Of two benches of the same input: what changed as a multiple of a peer's time. */
  readonly changes?: readonly MetricChange[]
}

/** What `pagefold store ACTION --json` prints. */
export interface StoreJson extends About {
  /** What was done. */
  readonly action: 'save' | 'list' | 'restore' | 'drop' | 'compact' | 'stats' | 'verify'
  /** The store, as the user named it. */
  readonly directory: string
  /** Of save: one a snapshot. */
  readonly saved?: readonly SavedSnapshot[]
  /** Of list. */
  readonly snapshots?: readonly SnapshotInfo[]
  /** Of restore. */
  readonly restored?: RestoredFile
  /** Of drop: the names of those that are gone. */
  readonly dropped?: readonly string[]
  /** Of compact: by how many bytes the store has become smaller. */
  readonly given_back?: number
  /** Of stats, and what is so after drop and compact. */
  readonly stats?: StoreStats
  /** Of verify. */
  readonly verification?: Verification
}

/** A snapshot as a file. */
export interface RestoredFile {
  /** The snapshot's name. */
  readonly name: string
  /** Where it was written. */
  readonly file: string
  /** How large the file is. */
  readonly bytes: number
}
