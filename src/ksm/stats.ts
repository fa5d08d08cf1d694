// Reads the counters, by their names in sysfs. Derived values are computed here and stored nowhere.

import {
  COUNTER_FULL_SCANS,
  COUNTER_KSM_ZERO_PAGES,
  COUNTER_PAGES_SCANNED,
  COUNTER_PAGES_SHARED,
  COUNTER_PAGES_SHARING,
  COUNTER_PAGES_SKIPPED,
  COUNTER_PAGES_UNSHARED,
  COUNTER_RMAP_ITEMS,
  COUNTER_STABLE_NODE_CHAINS,
  COUNTER_STABLE_NODE_DUPS,
  PAGE_SIZE,
} from '../../assembly/abi.ts'
import { LINUX_RMAP_ITEM_BYTES } from '../mm/model/mm-struct.ts'

/** The counters under /sys/kernel/mm/ksm. */
export interface Counters {
  /** Merged pages: different contents that several pages have, or had. */
  pages_shared: number
  /** Further pages that are mapped to these: as many frames are saved. */
  pages_sharing: number
  /** Pages that keep still and have no equal yet: those in the unstable tree. */
  pages_unshared: number
  /** Pages in view that are nothing of that: new, or changing too fast. */
  pages_volatile: number
  /** Visits to pages, since the host was made. */
  pages_scanned: number
  /** Visits that smart scan spared, since the host was made. */
  pages_skipped: number
  /** Full scans completed, since the host was made. */
  full_scans: number
  /** Contents that have several merged pages, because each may have max_page_sharing mappings only. */
  stable_node_chains: number
  /** The merged pages of those contents. */
  stable_node_dups: number
  /** Pages that gave way to the zero page. */
  ksm_zero_pages: number
  /** Bytes saved less what Linux would spend on rmap items, 64 bytes each. */
  general_profit: number
}

/** The name of one. */
export type CounterName = keyof Counters

export function readCounters(counters: Float64Array): Counters {
  const pages_shared = counters[COUNTER_PAGES_SHARED]!
  const pages_sharing = counters[COUNTER_PAGES_SHARING]!
  const pages_unshared = counters[COUNTER_PAGES_UNSHARED]!
  const ksm_zero_pages = counters[COUNTER_KSM_ZERO_PAGES]!
  const items = counters[COUNTER_RMAP_ITEMS]!
  return {
    pages_shared,
    pages_sharing,
    pages_unshared,
    // Read in the middle of a scan the rest can exceed the whole for a moment.
    pages_volatile: Math.max(0, items - pages_shared - pages_sharing - pages_unshared),
    pages_scanned: counters[COUNTER_PAGES_SCANNED]!,
    pages_skipped: counters[COUNTER_PAGES_SKIPPED]!,
    full_scans: counters[COUNTER_FULL_SCANS]!,
    stable_node_chains: counters[COUNTER_STABLE_NODE_CHAINS]!,
    stable_node_dups: counters[COUNTER_STABLE_NODE_DUPS]!,
    ksm_zero_pages,
    general_profit: (pages_sharing + ksm_zero_pages) * PAGE_SIZE - items * LINUX_RMAP_ITEM_BYTES,
  }
}
