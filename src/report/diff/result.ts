// A result as `--json` prints it, taken apart for comparing: what made it, what it was asked, on what, and what came of it.

import type { PageMap } from '../section.ts'
import { type Measure, measuresOf } from './measure.ts'

/** What results can be compared: those of a command, each with its own figures. */
export type ResultKind = 'scan' | 'hash' | 'bench'

/** A result's parts. */
export interface Parts {
  readonly kind: ResultKind
  /** Where, when and by what it was made. */
  readonly origin: Origin
  /** What was asked for: knobs, strategies. */
  readonly settings: readonly Measure[]
  /** What it was asked of. */
  readonly inputs: readonly Measure[]
  /** What came of it. */
  readonly figures: readonly Measure[]
  /** The counters after each full scan, of a scan. */
  readonly rows: readonly Record<string, number>[]
  readonly map?: PageMap
}

/** Where a result comes from, as far as it says so. */
export interface Origin {
  readonly version?: string
  readonly schema?: number
  readonly command?: string
  readonly date?: string
  readonly machine?: unknown
  /** What else it was made with. */
  readonly versions?: unknown
}

type Result = Readonly<Record<string, unknown>>

/** By what a result is known, however it was made. */
const SIGNS: readonly (readonly [ResultKind, string])[] = [
  ['scan', 'after_each_scan'],
  ['hash', 'costs'],
  ['bench', 'peers'],
]
const ORIGIN = ['version', 'schema', 'command', 'date', 'machine', 'versions'] as const
const INPUTS = ['pages', 'images', 'sources', 'input_digest', 'merged_pages']
/** What was asked for. */
const SETTINGS = [
  'knobs',
  'index',
  'checksum',
  'checksum_bits',
  'seed',
  'guests',
  'policy',
  'changes',
  'workers',
  'sample_words',
]

/** Which command printed a result; undefined if none of those that can be compared. */
export function kindOf(result: unknown): ResultKind | undefined {
  if (typeof result !== 'object' || result === null) return undefined
  return SIGNS.find(([, sign]) => sign in result)?.[0]
}

/** Takes a result apart. It must have a kind. */
export function partsOf(result: Result): Parts {
  const { map, after_each_scan, ...rest } = result as Record<string, unknown>
  // Of a bench, what it came to beside a baseline: a comparison already, and nothing that was asked for.
  if (Array.isArray(rest.changes)) delete rest.changes
  const rows = (after_each_scan ?? []) as Record<string, number>[]
  const pick = (names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(Object.entries(rest).filter(([name]) => names.includes(name)))
  const known = [...ORIGIN, ...INPUTS, ...SETTINGS] as readonly string[]
  const others = Object.keys(rest).filter((name) => !known.includes(name))
  const { sets, checksums } = rest
  if (Array.isArray(sets) && Array.isArray(checksums)) {
    rest.checksums = checksums.map((one) => ({ ...one, collisions: bySet(one.collisions, sets) }))
  }
  return {
    kind: kindOf(result)!,
    origin: pick(ORIGIN),
    settings: measuresOf(pick(SETTINGS)),
    inputs: measuresOf(pick(INPUTS)),
    figures: measuresOf({ ...(rows.length === 0 ? {} : converged(rows)), ...pick(others) }),
    rows,
    ...(map === undefined ? {} : { map: map as PageMap }),
  }
}

/** Collisions stand in the order of the sets they were counted in; called by those, they can be told from each other. */
function bySet(
  collisions: readonly unknown[],
  sets: readonly { name: string; random_seed?: boolean }[],
): unknown {
  const named = sets.map(({ name, random_seed }, i) => [
    random_seed ? `${name} random_seed` : name,
    collisions[i] ?? null,
  ])
  return Object.fromEntries(named)
}

/** What a scan counts at the end, and what all its scans took. */
function converged(rows: readonly Record<string, number>[]): Record<string, unknown> {
  const { elapsed_ms: _, cpu_ms: __, ...counters } = rows.at(-1)!
  const sum = (name: string): number => rows.reduce((total, row) => total + (row[name] ?? 0), 0)
  return { scans: rows.length, counters, scanning: { elapsed_ms: sum('elapsed_ms'), cpu_ms: sum('cpu_ms') } }
}
