// How long ksmd takes over some pages, and how it is told to take less. Only its sleeping is reckoned: what it takes to look at
// pages between two sleeps depends on the processor, and is asked of it (`pagefold bench --peers linux`).

/** How ksmd paces itself. */
export interface PaceKnobs {
  readonly pages_to_scan: number
  readonly sleep_millisecs: number
}

/** How long ksmd takes, without what it takes to look at pages. */
export interface Pace {
  /** Pages a batch. */
  readonly pages_to_scan: number
  /** Milliseconds it sleeps between two. */
  readonly sleep_millisecs: number
  /** Milliseconds it sleeps in a full scan; null: it never comes to an end, with no pages a batch. */
  readonly full_scan_ms: number | null
  /** Until all is merged: a page is merged in the second full scan that sees it. */
  readonly merged_ms: number | null
}

/** Full scans until a page that keeps still is merged. */
const SCANS = 2

/** How long ksmd takes for so many pages. */
export function paceOf(pages: number, { pages_to_scan, sleep_millisecs }: PaceKnobs): Pace {
  const full_scan_ms = pages_to_scan === 0 ? null : Math.ceil(pages / pages_to_scan) * sleep_millisecs
  const merged_ms = full_scan_ms === null ? null : SCANS * full_scan_ms
  return { pages_to_scan, sleep_millisecs, full_scan_ms, merged_ms }
}

/** The fewest pages a batch with which ksmd, sleeping so long in between, has merged so many within so many milliseconds. */
export function pagesToScanFor(pages: number, sleep_millisecs: number, withinMs: number): number {
  const batches = sleep_millisecs === 0 ? pages : Math.floor(withinMs / SCANS / sleep_millisecs)
  return Math.ceil(pages / Math.max(1, batches))
}
