// The knobs under /sys/kernel/mm/ksm: their values, and what a write to each means. Changing one that has consequences
// is the business of ksmd.ts.

import { mistake, PagefoldError } from '../errors.ts'
import { type KnobText, readNumber, readText, withoutNewline } from './knob-text.ts'

/** `run`: stop, merge, unmerge everything; the last is only ever read: memory is about to be taken away. */
export const KSM_RUN_MERGE = 1
export const KSM_RUN_UNMERGE = 2
export const KSM_RUN_OFFLINE = 4

/** What `advisor_mode` takes. */
export const ADVISOR_MODES = ['none', 'scan-time'] as const
/**
 * Who chooses pages_to_scan: `none`, the user; `scan-time`, the advisor, so that a full scan takes
 * advisor_target_scan_time.
 */
export type AdvisorMode = (typeof ADVISOR_MODES)[number]

/** What smart_scan=1 means; smart-scan.ts has both. */
export const SMART_SCAN_POLICIES = ['linux', 'phased'] as const
/**
 * `linux`: each page counts its own skips, so that two equal old pages may never meet. `phased`: the number of the
 * scan decides, and they meet.
 */
export type SmartScanPolicy = (typeof SMART_SCAN_POLICIES)[number]

/** Do the guests run while they are scanned, or have they been stopped? */
export const GUESTS_POLICIES = ['running', 'still'] as const
/**
 * `running`: a page must keep still from one scan to the next before it is searched for, as on Linux. `still`: nobody
 * writes, and it is searched for at once.
 */
export type GuestsPolicy = (typeof GUESTS_POLICIES)[number]

/** How ksmd knows that a page has changed. */
export const CHANGES_POLICIES = ['log', 'checksum'] as const
/**
 * `log`: the host notes which pages are written, and ksmd reads only those. `checksum`: ksmd reads every page in every scan
 * and compares checksums, as on Linux. What is merged and counted is the same.
 */
export type ChangesPolicy = (typeof CHANGES_POLICIES)[number]

/** The knobs and their values, by their names in sysfs. */
export interface Tunables {
  /** 0: ksmd stands still; 1: it scans; 2: everything is unmerged, and ksmd stands still. */
  run: number
  /** Pages that a batch of ksmd visits when it runs on its own. */
  pages_to_scan: number
  /** Milliseconds that ksmd sleeps between two batches. */
  sleep_millisecs: number
  /** 1: pages of all NUMA nodes merge; 0: only pages of the same node. To be changed only while nothing is merged. */
  merge_across_nodes: number
  /**
   * Most mappings of one merged page; beyond that another page of the same content begins. To be changed only while
   * nothing is merged.
   */
  max_page_sharing: number
  /** 1: a page of zeros gives way to the zero page that all share, instead of being merged. */
  use_zero_pages: number
  /** Milliseconds after which the pages of one content (a chain) are looked through for those that are gone. */
  stable_node_chains_prune_millisecs: number
  /** 1: pages that have not merged for some scans are visited less and less often. */
  smart_scan: number
  /** `scan-time`: pages_to_scan is chosen after every full scan; see advisor.ts. */
  advisor_mode: AdvisorMode
  /** Percent of a processor. */
  advisor_max_cpu: number
  /** Seconds. */
  advisor_target_scan_time: number
  /** What pages_to_scan begins at when the advisor takes over; no lower bound, whatever Linux's documentation says. */
  advisor_min_pages_to_scan: number
  /** Most that the advisor makes of pages_to_scan. */
  advisor_max_pages_to_scan: number
}

/** The name of a knob under /sys/kernel/mm/ksm. */
export type KnobName = keyof Tunables

/** The knobs that are numbers: all but advisor_mode. */
export type NumericKnob = Exclude<KnobName, 'advisor_mode'>

interface Knob {
  /** Linux's value after boot. */
  readonly boot: number
  readonly min: number
  readonly max: number
  /** How a text becomes a number (knob-text.ts). */
  readonly text: KnobText
}

const UINT_MAX = 2 ** 32 - 1
const INT_MAX = 2 ** 31 - 1
/** 2^64, one more than an unsigned long holds: the nearest number to its largest value. */
const ULONG_MAX = 2 ** 64

const KNOBS: Record<NumericKnob, Knob> = {
  run: { boot: 0, min: 0, max: 2, text: 'uint' },
  pages_to_scan: { boot: 100, min: 0, max: UINT_MAX, text: 'uint' },
  sleep_millisecs: { boot: 20, min: 0, max: UINT_MAX, text: 'uint' },
  merge_across_nodes: { boot: 1, min: 0, max: 1, text: 'ulong, told' },
  max_page_sharing: { boot: 256, min: 2, max: INT_MAX, text: 'int, told' },
  use_zero_pages: { boot: 0, min: 0, max: 1, text: 'bool' },
  stable_node_chains_prune_millisecs: { boot: 2000, min: 0, max: UINT_MAX, text: 'uint' },
  smart_scan: { boot: 1, min: 0, max: 1, text: 'bool' },
  advisor_max_cpu: { boot: 70, min: 0, max: UINT_MAX, text: 'ulong, cut to uint' },
  advisor_target_scan_time: { boot: 200, min: 1, max: ULONG_MAX, text: 'ulong' },
  advisor_min_pages_to_scan: { boot: 500, min: 0, max: ULONG_MAX, text: 'ulong' },
  advisor_max_pages_to_scan: { boot: 30_000, min: 0, max: ULONG_MAX, text: 'ulong' },
}

const NUMERIC_KNOBS = Object.keys(KNOBS) as NumericKnob[]
/** All knobs, in the order in which they are shown. */
export const KNOB_NAMES: readonly KnobName[] = [...NUMERIC_KNOBS, 'advisor_mode']

export function defaultTunables(): Tunables {
  const boot = Object.fromEntries(NUMERIC_KNOBS.map((name) => [name, KNOBS[name].boot]))
  return { ...(boot as Record<NumericKnob, number>), advisor_mode: 'none' }
}

/** Tells whether a text is the name of a knob. */
export function isKnob(name: string): name is KnobName {
  return KNOB_NAMES.includes(name as KnobName)
}

/**
 * What a write of `value` to a knob means: a number is the value, true and false are 1 and 0, a text is read as Linux reads
 * it. Throws what Linux answers: EINVAL, ERANGE; TypeError for what is none of these.
 */
export function parseKnob<Name extends KnobName>(
  name: Name,
  value: number | string | boolean,
): Tunables[Name] {
  const knob: KnobName = name
  if (!['number', 'string', 'boolean'].includes(typeof value)) {
    const got = value === null ? 'null' : typeof value
    throw mistake(
      new TypeError(`Expected \`value\` of ${knob} to be a number, a text, true or false, got ${got}`),
    )
  }
  return (knob === 'advisor_mode' ? parseMode(value) : parseNumber(knob, value)) as Tunables[Name]
}

function parseMode(value: unknown): AdvisorMode {
  const text = typeof value === 'string' ? withoutNewline(value) : value
  const mode = ADVISOR_MODES.find((name) => name === text)
  if (mode !== undefined) return mode
  throw new PagefoldError('EINVAL', `advisor_mode takes ${ADVISOR_MODES.join(' or ')}, got ${shown(value)}`)
}

function parseNumber(name: NumericKnob, value: number | string | boolean): number {
  const { min, max, text } = KNOBS[name]
  const number = typeof value === 'string' ? readText(value, text) : readNumber(value, text)
  if (typeof number === 'number' && number >= min && number <= max) return number
  const errno = typeof number === 'string' ? number : 'EINVAL'
  throw new PagefoldError(errno, `${name} takes an integer in ${min}..${max}, got ${shown(value)}`)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
