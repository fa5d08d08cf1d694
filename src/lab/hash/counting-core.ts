// The core with a counter at each door: how many searches, how many tree nodes they pass, how many pages they compare
// and how often in vain. For looking, not for timing: the way down a tree is walked a second time to be counted.

import type { Arena } from '../../core/arena.ts'
import { nodesPassed, nodesPassedBelow } from '../../core/probe.ts'

export interface SearchCounts {
  /** Times a tree was searched for a page. */
  searches: number
  /** Nodes passed on the way. */
  probes: number
  /** Pages compared, on the way and before merging. */
  comparisons: number
  /** Comparisons that found the pages different. */
  failed_comparisons: number
}

/** Returns the arena's core, counting, and the counts. */
export function countingCore(arena: Arena): { core: Arena['core']; counts: SearchCounts } {
  const { core } = arena
  const counts = { searches: 0, probes: 0, comparisons: 0, failed_comparisons: 0 }
  const compared = (different: boolean): void => {
    counts.comparisons++
    if (different) counts.failed_comparisons++
  }
  const counting: Arena['core'] = {
    ...core,
    search(roots) {
      counts.searches++
      counts.probes += nodesPassed(arena, roots)
      return core.search(roots)
    },
    searchBelow(link) {
      counts.probes += nodesPassedBelow(arena, link)
      return core.searchBelow(link)
    },
    comparePages(pfn, otherPfn) {
      const order = core.comparePages(pfn, otherPfn)
      compared(order !== 0)
      return order
    },
    pagesIdentical(pfn, otherPfn) {
      const identical = core.pagesIdentical(pfn, otherPfn)
      compared(identical === 0)
      return identical
    },
  }
  return { core: counting, counts }
}
