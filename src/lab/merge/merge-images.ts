// Merging memory images as ksmd would: each image an mm with one mergeable mapping, scanned in the order given. What
// `pagefold scan` does, without its face.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectInteger, expectOptions, PagefoldError } from '../../errors.ts'
import { Host, type MetadataStats } from '../../host.ts'
import { MAX_WORKERS } from '../../host-options.ts'
import type { Image, ImageFormat } from '../../image.ts'
import { stillClock, systemClock } from '../../ksm/clock.ts'
import type { Counters } from '../../ksm/stats.ts'
import type { GuestsPolicy, KnobName } from '../../ksm/tunables.ts'
import type { Mm } from '../../mm/mm.ts'
import {
  type ChecksumName,
  chosenStrategy,
  type IndexName,
  STRATEGY_OPTIONS,
  type StrategyOptions,
} from '../../options.ts'
import { sameBytes } from '../../platform.ts'
import { type MergedRange, type Sharing, sharingOf } from './sharing.ts'

/** What `mergeImages` merges, and how. Only `images` must be given. */
export interface MergeOptions extends StrategyOptions {
  /** One guest each, scanned in this order. They are read once and stay open. */
  readonly images: readonly Image[]
  /** The same images at a later moment: after the first scans only pages that differ are written. */
  readonly later?: readonly Image[]
  /** Full scans before `later`. Default: until one changes no counter. */
  readonly scans?: number
  /** Full scans after `later`. Default: until one changes no counter. */
  readonly scansAfter?: number
  /** Knobs to write before the first scan. `smart_scan` is 0 unless given: the input holds still. */
  readonly knobs?: Partial<Record<KnobName, number | string>>
  /** `still`: what would take two scans to merge is merged in one. Default: `running`, as Linux. */
  readonly guests?: GuestsPolicy
  /** Threads that take checksums ahead of the scan. Default: 0. */
  readonly workers?: number
  /** Called now and then while images are read and written, and before each scan. */
  readonly onProgress?: (event: MergeProgress) => void
  /** Called after the last scan, while all is still in place: each image a range of an mm, in the order given. */
  readonly inspect?: (host: Host, ranges: readonly MergedRange[]) => void
}

/** What `mergeImages` is at: pages read or written, of how many; or the number of a scan, from 1. */
export type MergeProgress =
  | { readonly stage: 'load' | 'write'; readonly done: number; readonly of: number }
  | { readonly stage: 'scan'; readonly scan: number }

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
  }[]
  /** Knobs of interest, and those that were given, as they were at the end. */
  readonly knobs: Record<string, number | string>
  readonly index: IndexName
  readonly checksum: ChecksumName
  /** A row for each full scan. */
  readonly after_each_scan: readonly ScanRow[]
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
  workers: true,
  onProgress: true,
  inspect: true,
  ...STRATEGY_OPTIONS,
}

/** Knobs a reader of the result wants to see in any case. */
const REPORTED_KNOBS = ['max_page_sharing', 'use_zero_pages', 'smart_scan', 'merge_across_nodes'] as const

/** Settles or never will: a knob can make a scan change counters for ever. */
const MAX_SCANS = 1000

/** Pages read and compared at a time when a later moment is written. */
const CHUNK_PAGES = 1024

interface Guest {
  readonly image: Image
  readonly mm: Mm
  readonly address: number
}

/**
 * Merges images and says what came of it. Throws PagefoldError: EINVAL for what does not fit together, ENOMEM; TypeError
 * or RangeError for a strategy there is not.
 */
export async function mergeImages(options: MergeOptions): Promise<MergeResult> {
  expectOptions('mergeImages', options, MERGE_OPTIONS)
  const { images } = options
  const later = options.later ?? []
  expectSameShape(images, later)
  chosenStrategy(options)
  expectInteger('workers', options.workers ?? 0, 0, MAX_WORKERS)
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const host = await createHost(pages, options)
  try {
    applyKnobs(host, options.knobs ?? {})
    const guests = loadGuests(host, images, pages, options.onProgress)
    const rows: ScanRow[] = []
    const scan = (count: number | undefined): void => scanAndRecord(host, count, rows, options.onProgress)
    scan(options.scans)
    let written: number | undefined
    if (later.length > 0) {
      written = writeMoment(guests, later, pages, options.onProgress)
      scan(options.scansAfter)
    }
    options.inspect?.(host, rangesOf(guests))
    return resultOf(host, guests, options, rows, written)
  } finally {
    host.close()
  }
}

async function createHost(pages: number, options: MergeOptions): Promise<Host> {
  // Every page has a frame of its own at first; breaking a merge takes the new frame before it gives up the old.
  const capacity = { frames: pages + 1, mappings: pages + 1024 }
  const { index, checksum, checksumBits, seed, sampleWords, guests, workers } = options
  const chosen = { index, checksum, checksumBits, seed, sampleWords, guests, workers }
  const strategy = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined))
  try {
    return await Host.create({ ...capacity, ...strategy, clock: stillClock })
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new PagefoldError('ENOMEM', `${pages} pages are more than an arena holds (${cause.message})`, {
      cause,
    })
  }
}

function applyKnobs(host: Host, knobs: Partial<Record<KnobName, number | string>>): void {
  host.ksm.set('smart_scan', 0)
  for (const [name, value] of Object.entries(knobs)) host.ksm.set(name as KnobName, value)
  host.ksm.set('run', 1)
}

function loadGuests(
  host: Host,
  images: readonly Image[],
  of: number,
  onProgress: MergeOptions['onProgress'],
): Guest[] {
  let before = 0
  return images.map((image) => {
    const report = (done: number): void => onProgress?.({ stage: 'load', done: before + done, of })
    const { mm, address } = host.loadImage(image, { onProgress: report })
    mm.madvise(address, image.pages * PAGE_SIZE, 'MADV_MERGEABLE')
    before += image.pages
    return { image, mm, address }
  })
}

function scanAndRecord(
  host: Host,
  count: number | undefined,
  rows: ScanRow[],
  onProgress: MergeOptions['onProgress'],
): void {
  const last = rows.length + Math.min(count ?? MAX_SCANS, MAX_SCANS)
  let before = ''
  while (rows.length < last) {
    onProgress?.({ stage: 'scan', scan: rows.length + 1 })
    const started = systemClock.now()
    const cpu = systemClock.cpu()
    host.ksm.scan(1)
    const elapsed_ms = round(systemClock.now() - started)
    const counters = recorded(host)
    rows.push({ ...counters, elapsed_ms, cpu_ms: round(systemClock.cpu() - cpu) })
    const now = JSON.stringify({ ...counters, pages_skipped: 0 })
    if (count === undefined && now === before) return
    before = now
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

/** Writes what a later moment has different, page by page; returns how many pages that were. */
function writeMoment(
  guests: readonly Guest[],
  later: readonly Image[],
  of: number,
  onProgress: MergeOptions['onProgress'],
): number {
  const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
  let written = 0
  let done = 0
  for (const [i, { mm, address, image }] of guests.entries()) {
    for (let first = 0; first < image.pages; first += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, image.pages - first)
      later[i]!.read(first, count, chunk.subarray(0, count * PAGE_SIZE))
      const start = address + first * PAGE_SIZE
      const present = mm.read(start, count * PAGE_SIZE)
      for (let at = 0; at < count * PAGE_SIZE; at += PAGE_SIZE) {
        const page = chunk.subarray(at, at + PAGE_SIZE)
        if (sameBytes(page, present.subarray(at, at + PAGE_SIZE))) continue
        mm.write(start + at, page)
        written++
      }
      onProgress?.({ stage: 'write', done: done + first + count, of })
    }
    done += image.pages
  }
  return written
}

function resultOf(
  host: Host,
  guests: readonly Guest[],
  options: MergeOptions,
  rows: readonly ScanRow[],
  written: number | undefined,
): MergeResult {
  const { pages_sharing, ksm_zero_pages } = host.ksm.counters()
  const bytes_saved = (pages_sharing + ksm_zero_pages) * PAGE_SIZE
  const metadata = host.metadata()
  const knobs = [...new Set([...REPORTED_KNOBS, ...Object.keys(options.knobs ?? {})])] as KnobName[]
  return {
    pages: guests.reduce((sum, { image }) => sum + image.pages, 0),
    images: guests.map(({ image: { source, format, pages } }) => ({ source, format, pages })),
    knobs: Object.fromEntries(knobs.map((name) => [name, host.ksm.get(name)])),
    index: host.index,
    checksum: host.checksum,
    after_each_scan: rows,
    ...(written === undefined ? {} : { pages_written: written }),
    bytes_saved,
    metadata_bytes: metadata.total,
    metadata,
    profit_after_own_metadata: bytes_saved - metadata.total,
    sharing: sharingOf(rangesOf(guests)),
  }
}

function rangesOf(guests: readonly Guest[]): MergedRange[] {
  return guests.map(({ mm, address, image }) => ({ mm, address, pages: image.pages }))
}

function expectSameShape(images: readonly Image[], later: readonly Image[]): void {
  if (images.length === 0) throw new PagefoldError('EINVAL', 'no image to merge')
  if (later.length === 0) return
  if (later.length !== images.length) {
    throw new PagefoldError(
      'EINVAL',
      `--then names ${later.length} images, the first moment has ${images.length}`,
    )
  }
  for (const [i, image] of images.entries()) {
    const after = later[i]!
    if (after.pages === image.pages) continue
    const pages = `${after.pages} pages, ${image.source} has ${image.pages}`
    throw new PagefoldError('EINVAL', `${after.source}: ${pages}: not the same guest at a later moment`)
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
