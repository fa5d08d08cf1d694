// Merging memory images as ksmd would: each image an mm with one mergeable mapping, scanned in the order given. What
// `pagefold scan` does, without its face.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectInteger, expectOptions, PagefoldError } from '../../errors.ts'
import type { Host, MetadataStats } from '../../host.ts'
import type { Image, ImageFormat } from '../../image.ts'
import { stillClock, systemClock } from '../../ksm/clock.ts'
import type { Counters } from '../../ksm/stats.ts'
import type { KnobName } from '../../ksm/tunables.ts'
import { type IndexName, STRATEGY_OPTIONS } from '../../options.ts'
import { hostFor, type ImageHostOptions, loadGuest } from './host.ts'
import { expectSameShape } from './same-shape.ts'
import { type MergedRange, type Sharing, sharingOf } from './sharing.ts'
import { writeMoment } from './write-moment.ts'

/** What `mergeImages` merges, and how. Only `images` must be given. */
export interface MergeOptions extends Omit<ImageHostOptions, 'clock' | 'mms'> {
  /** One guest each, scanned in this order. They stay open. */
  readonly images: readonly Image[]
  /** The same images at a later moment: after the first scans only pages that differ are written. */
  readonly later?: readonly Image[]
  /** Full scans before `later`. Default: until one changes no counter. */
  readonly scans?: number
  /** Full scans after `later`. Default: until one changes no counter. */
  readonly scansAfter?: number
  /** Called now and then while images are read, scanned and written, and before each scan. */
  readonly onProgress?: (event: MergeProgress) => void
  /**
   * Called after the last scan, while all is still in place: each image a range of an mm, in the order given. With `later`
   * also before it is written: `moment` is 0 then, and 1 at the end.
   */
  readonly inspect?: (host: Host, ranges: readonly MergedRange[], moment: number) => void
  /** Called for each page that `later` changes: the number of the image, and of its page. */
  readonly onWrite?: (image: number, page: number) => void
}

/** What `mergeImages` is at: pages read, scanned or written, of how many; and in which scan, from 1. */
export type MergeProgress =
  | { readonly stage: 'load' | 'write'; readonly done: number; readonly of: number }
  | { readonly stage: 'scan'; readonly scan: number; readonly done: number; readonly of: number }

/** Linux's counters after one full scan, and what the scan took. */
export type ScanRow = Omit<Counters, 'pages_scanned' | 'full_scans'> & {
  /** Milliseconds the scan took. */
  readonly elapsed_ms: number
  /** Milliseconds of processor time, of all threads. */
  readonly cpu_ms: number
}

/** What came of a merge: what `pagefold scan --json` prints. */
export interface MergeResult {
  /** Pages of all images. */
  readonly pages: number
  /** What was merged, in the order given. */
  readonly images: readonly {
    readonly source: string
    readonly format: ImageFormat
    readonly pages: number
    /** Pages of the guest that are not in the file, and not among `pages`. */
    readonly absent_pages: number
  }[]
  /** Knobs of interest, and those that were given, as they were at the end. */
  readonly knobs: Record<string, number | string>
  readonly index: IndexName
  /** Its name. */
  readonly checksum: string
  /** The name of the policy of your own by which pages were passed over; absent without one. */
  readonly policy?: string
  /** A row for each full scan. */
  readonly after_each_scan: readonly ScanRow[]
  /** False if scanning was to go on until a scan changes no counter, and a thousand all did. */
  readonly settled: boolean
  /** Pages that `later` changed; absent without it. */
  readonly pages_written?: number
  /** Frames saved, zero pages included, in bytes. */
  readonly bytes_saved: number
  /** Everything pagefold keeps beside the frames, in bytes. */
  readonly metadata_bytes: number
  /** The same by kind. */
  readonly metadata: MetadataStats
  /** `general_profit` with pagefold's own metadata instead of Linux's 64 bytes an item. */
  readonly profit_after_own_metadata: number
  /** Who shares with whom. */
  readonly sharing: Sharing
}

const MERGE_OPTIONS: Readonly<Record<keyof MergeOptions, true>> = {
  images: true,
  later: true,
  scans: true,
  scansAfter: true,
  knobs: true,
  guests: true,
  changes: true,
  workers: true,
  hugePages: true,
  policy: true,
  onProgress: true,
  inspect: true,
  onWrite: true,
  ...STRATEGY_OPTIONS,
}

/** Knobs a reader of the result wants to see in any case. */
const REPORTED_KNOBS = ['max_page_sharing', 'use_zero_pages', 'smart_scan', 'merge_across_nodes'] as const

/** Full scans that can be asked for at a time. */
export const MAX_SCANS = 100_000
/** Between two calls of `onProgress` within a scan. */
const BATCH_PAGES = 2 ** 14
/** Settles or never will: a knob can make a scan change counters for ever. */
const SCANS_TO_SETTLE = 1000

/**
 * Merges images and says what came of it. Throws PagefoldError: EINVAL for what does not fit together, ENOMEM; TypeError
 * or RangeError for a strategy there is not, a checksum of your own that is not what it says, or more scans than MAX_SCANS; and what code
 * of your own throws in the middle of a scan.
 */
export async function mergeImages(options: MergeOptions): Promise<MergeResult> {
  expectOptions('mergeImages', options, MERGE_OPTIONS)
  const { images, later = [], scans, scansAfter, onProgress, inspect, onWrite, ...hostOptions } = options
  for (const [name, count] of Object.entries({ scans, scansAfter })) {
    if (count !== undefined) expectInteger(name, count, 1, MAX_SCANS)
  }
  if (images.length === 0) throw new PagefoldError('EINVAL', 'no image to merge')
  expectSameShape(images, later)
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const host = await hostFor(pages, { ...hostOptions, mms: images.length, clock: stillClock })
  try {
    const guests = loadGuests(host, images, pages, onProgress)
    const rows: ScanRow[] = []
    let settled = true
    const scan = (count: number | undefined): void => {
      const scanned = (scan: number, done: number): void =>
        onProgress?.({ stage: 'scan', scan, done, of: pages })
      settled = scanAndRecord(host, count, rows, scanned) && settled
    }
    scan(scans)
    let written: number | undefined
    if (later.length > 0) {
      inspect?.(host, guests, 0)
      const report = (done: number): void => onProgress?.({ stage: 'write', done, of: pages })
      written = writeMoment(guests, later, report, onWrite)
      scan(scansAfter)
    }
    inspect?.(host, guests, later.length > 0 ? 1 : 0)
    return resultOf(host, guests, options, { rows, written, settled })
  } finally {
    host.close()
  }
}

function loadGuests(
  host: Host,
  images: readonly Image[],
  of: number,
  onProgress: MergeOptions['onProgress'],
): MergedRange[] {
  let before = 0
  return images.map((image) => {
    const report = (done: number): void => onProgress?.({ stage: 'load', done: before + done, of })
    const guest = loadGuest(host, image, report)
    before += image.pages
    return guest
  })
}

/** False if it was to go on until a scan changes no counter, and none came. */
function scanAndRecord(
  host: Host,
  count: number | undefined,
  rows: ScanRow[],
  scanned: (scan: number, pages: number) => void,
): boolean {
  const last = rows.length + (count ?? SCANS_TO_SETTLE)
  let before = ''
  while (rows.length < last) {
    const scan = rows.length + 1
    const started = systemClock.now()
    const cpu = systemClock.cpu()
    fullScan(host, (done) => scanned(scan, done))
    const elapsed_ms = round(systemClock.now() - started)
    const counters = recorded(host)
    rows.push({ ...counters, elapsed_ms, cpu_ms: round(systemClock.cpu() - cpu) })
    const now = JSON.stringify({ ...counters, pages_skipped: 0 })
    if (count === undefined && now === before) return true
    before = now
  }
  return count !== undefined
}

/** One full scan in batches, so that it can be told how far it is; a batch never goes beyond its end. */
function fullScan({ ksm }: Host, scanned: (pages: number) => void): void {
  const before = ksm.counters().full_scans
  for (let pages = 0; ksm.counters().full_scans === before; ) {
    scanned(pages)
    const batch = ksm.scanPages(BATCH_PAGES)
    pages += batch
    if (batch > 0 || ksm.counters().full_scans !== before) continue
    // Nothing to visit, and yet not at the end: a scan says why.
    ksm.scan(1)
    return
  }
}

/** The counters the result shows after every scan. */
function recorded(host: Host): Omit<Counters, 'pages_scanned' | 'full_scans'> {
  const c = host.ksm.counters()
  return {
    pages_shared: c.pages_shared,
    pages_sharing: c.pages_sharing,
    pages_unshared: c.pages_unshared,
    pages_volatile: c.pages_volatile,
    ksm_zero_pages: c.ksm_zero_pages,
    pages_skipped: c.pages_skipped,
    stable_node_chains: c.stable_node_chains,
    stable_node_dups: c.stable_node_dups,
    general_profit: c.general_profit,
  }
}

function resultOf(
  host: Host,
  guests: readonly MergedRange[],
  options: MergeOptions,
  { rows, written, settled }: { rows: readonly ScanRow[]; written: number | undefined; settled: boolean },
): MergeResult {
  const { pages_sharing, ksm_zero_pages } = host.ksm.counters()
  const bytes_saved = (pages_sharing + ksm_zero_pages) * PAGE_SIZE
  const metadata = host.metadata()
  const knobs = [...new Set([...REPORTED_KNOBS, ...Object.keys(options.knobs ?? {})])] as KnobName[]
  return {
    pages: guests.reduce((sum, { pages }) => sum + pages, 0),
    images: options.images.map(({ source, format, pages, absent = 0 }) => ({
      source,
      format,
      pages,
      absent_pages: absent,
    })),
    knobs: Object.fromEntries(knobs.map((name) => [name, host.ksm.get(name)])),
    index: host.index,
    checksum: host.checksum,
    ...(options.policy === undefined ? {} : { policy: options.policy.name }),
    after_each_scan: rows,
    settled,
    ...(written === undefined ? {} : { pages_written: written }),
    bytes_saved,
    metadata_bytes: metadata.total,
    metadata,
    profit_after_own_metadata: bytes_saved - metadata.total,
    sharing: sharingOf(guests),
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
