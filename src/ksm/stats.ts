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
  pages_shared: number
  pages_sharing: number
  pages_unshared: number
  pages_volatile: number
  pages_scanned: number
  pages_skipped: number
  full_scans: number
  stable_node_chains: number
  stable_node_dups: number
  ksm_zero_pages: number
  general_profit: number
}

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
