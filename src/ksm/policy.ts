// Which pages a scan passes over while the knob smart_scan is 1: what a policy is, and the two that are built in.
//
//   linux   each page counts its own skips, so its visits have the phase of its birth. Two equal pages whose phases
//           differ may never be in the unstable tree in the same scan, and then never merge.
//   phased  the number of the scan decides: all pages of one age are visited in the same scans. As many visits, and
//           equal pages meet within eighteen scans of both being old.
//
// Linux: should_skip_rmap_item(), skip_age()

import type { SmartScanPolicy } from './tunables.ts'

/** Decides which pages a scan passes over. Merged pages, and those that are the zero page, it is not asked about. */
export interface ScanPolicy {
  /** What `host.policy.smartScan` calls it. */
  readonly name: string
  /**
   * Is the page to be passed over in this scan? Asked once for each page in each full scan, in the order of the scan. Only calls that look are
   * possible there (docs/callbacks.md); what it throws comes out of the scan, and the page has been passed over.
   */
  skip(page: ScannedPage): boolean
}

/** A page that a scan has come to. One object serves for all: what it says is of now, and it may not be kept. */
export interface ScannedPage {
  /** The name of the mm it is a page of. */
  readonly mm: string
  /** Its address there. */
  readonly address: number
  /** Full scans since the first that came to it, which finds 0; it stops at 15. */
  readonly age: number
  /** The number of this scan: how many full scans there were before it. */
  readonly scan: number
  /** At its last visit, was it as at the one before, and had no equal? Then it waits for one. */
  readonly unshared: boolean
  /** At its last visit, had it the checksum of a page of zeros? */
  readonly zero: boolean
  /** 0..15, kept with the page for the policy, 0 at first. Linux's has here how many scans are still to pass it over. */
  skips: number
}

/** So many visits are never skipped: a page needs two to merge. */
const YOUNG = 3

export const POLICIES: Readonly<Record<SmartScanPolicy, ScanPolicy>> = {
  linux: {
    name: 'linux',
    skip(page) {
      if (page.age < YOUNG) return false
      const skip = page.skips > 0
      page.skips = skip ? page.skips - 1 : skipAge(page.age)
      return skip
    },
  },
  phased: {
    name: 'phased',
    skip: ({ age, scan }) => age >= YOUNG && scan % (skipAge(age) + 1) !== 0,
  },
}

/** How many visits a page of this age may skip in a row. */
function skipAge(age: number): number {
  if (age <= 3) return 1
  if (age <= 5) return 2
  if (age <= 8) return 4
  return 8
}
