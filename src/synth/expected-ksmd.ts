// What ksmd's counters must be when it has converged, from nothing but how many contents have how many pages. Linux 6.18;
// see test/integration/synth.test.ts, which holds this against pagefold and against a running kernel.

import { PAGE_SIZE } from '../../assembly/abi.ts'

const RMAP_ITEM_BYTES = 64

/** Counters under their sysfs names, at rest: nothing changes and smart_scan is 0. */
export interface ExpectedKsmd {
  /** null: no content comes near the limit. */
  readonly max_page_sharing: number | null
  /** The knob, under which the counters are these. */
  readonly use_zero_pages: 0 | 1
  readonly pages_shared: number
  readonly pages_sharing: number
  readonly pages_unshared: number
  readonly pages_volatile: 0
  readonly ksm_zero_pages: number
  readonly stable_node_chains: number
  readonly stable_node_dups: number
  readonly general_profit: number
}

/** How often contents occur. */
export interface Occurrences {
  /** Number of contents, by the number of their pages; zeros are not among them. */
  readonly contents: ReadonlyMap<number, number>
  readonly zeroPages: number
  /** Contents of a single page that is merged all the same: the others of its node were written. They are in `contents`. */
  readonly left: number
  /** The same of the page of zeros. */
  readonly zeroLeft: boolean
}

/** The counters at rest. */
export function expectedKsmd(
  { contents, zeroPages, left, zeroLeft }: Occurrences,
  maxPageSharing: number | null,
  useZeroPages: 0 | 1,
): ExpectedKsmd {
  const row = {
    pages_shared: 0,
    pages_sharing: 0,
    pages_unshared: 0,
    stable_node_chains: 0,
    stable_node_dups: 0,
  }
  const add = (pages: number, count: number): void => {
    const limit = maxPageSharing ?? Math.max(pages, 2)
    // Each node takes as many as it may. What is left over is a further node, or, alone, has nobody to merge with.
    const over = pages % limit
    const nodes = Math.floor(pages / limit) + (over >= 2 ? 1 : 0)
    const alone = over === 1 ? 1 : 0
    row.pages_shared += count * nodes
    row.pages_sharing += count * (pages - alone - nodes)
    row.pages_unshared += count * alone
    if (nodes < 2) return
    row.stable_node_chains += count
    row.stable_node_dups += count * nodes
  }
  for (const [pages, count] of contents) add(pages, count)
  if (useZeroPages === 0 && zeroPages > 0) add(zeroPages, 1)
  const alone = left + (useZeroPages === 0 && zeroLeft ? 1 : 0)
  row.pages_shared += alone
  row.pages_unshared -= alone
  const ksm_zero_pages = useZeroPages === 0 ? 0 : zeroPages
  const items = row.pages_shared + row.pages_sharing + row.pages_unshared
  return {
    max_page_sharing: maxPageSharing,
    use_zero_pages: useZeroPages,
    ...row,
    pages_volatile: 0,
    ksm_zero_pages,
    general_profit: (row.pages_sharing + ksm_zero_pages) * PAGE_SIZE - items * RMAP_ITEM_BYTES,
  }
}
