// Smart scan: a page that has not merged for some scans is visited less and less often. Two ways to choose when.
//
//   linux   each page counts its own skips, so its visits have the phase of its birth. Two equal pages whose phases
//           differ may never be in the unstable tree in the same scan, and then never merge.
//   phased  the number of the scan decides: all pages of one age are visited in the same scans. As many visits, and
//           equal pages meet within eighteen scans of both being old.
//
// Linux: should_skip_rmap_item()

import { COUNTER_PAGES_SKIPPED } from '../../assembly/abi.ts'
import { removeRmapItemFromTree } from './rmap-item.ts'
import type { KsmState } from './state.ts'

/** Ages are told apart up to 8 only, so the four bits an item has for its age are enough. */
const MAX_AGE = 15
/** So many visits are never skipped: a page needs two to merge. */
const YOUNG = 3

/** Decides whether a page is passed over in this scan, and notes it in its item. One that is merged never is. */
export function shouldSkipRmapItem(ksm: KsmState, item: number, merged: boolean): boolean {
  const { items } = ksm
  if (!ksm.tunables.smart_scan || merged) return false
  const age = items.age(item)
  const older = Math.min(age + 1, MAX_AGE)
  const skips = items.remainingSkips(item)
  if (age < YOUNG) {
    items.setAge(item, older, skips)
    return false
  }
  if (ksm.options.smartScan === 'phased' ? ksm.seqnr % (skipAge(age) + 1) === 0 : skips === 0) {
    items.setAge(item, older, skipAge(age))
    return false
  }
  items.setAge(item, older, Math.max(0, skips - 1))
  ksm.counters[COUNTER_PAGES_SKIPPED]!++
  // It must not stay in the unstable tree for longer than one scan.
  removeRmapItemFromTree(ksm, item)
  return true
}

/** Was a page passed over when the scan last came by? A visit leaves it all the skips of its age, a skip fewer. */
export function wasSkipped(ksm: KsmState, item: number): boolean {
  const { items } = ksm
  const before = items.age(item) - 1
  return ksm.tunables.smart_scan !== 0 && before >= YOUNG && items.remainingSkips(item) < skipAge(before)
}

/** How many visits an item of this age may skip in a row. Linux: skip_age() */
function skipAge(age: number): number {
  if (age <= 3) return 1
  if (age <= 5) return 2
  if (age <= 8) return 4
  return 8
}
