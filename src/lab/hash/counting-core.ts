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

/** Returns the arena's core, which adds to `counts` what it is called for. */
export function countingCore(arena: Arena, counts: SearchCounts): Arena['core'] {
  const { core } = arena
  const compared = (different: boolean): void => {
    counts.comparisons++
    if (different) counts.failed_comparisons++
  }
  return {
    ...core,
    search(roots, key) {
      counts.searches++
      counts.probes += nodesPassed(arena, roots, key)
      return core.search(roots, key)
    },
    searchBelow(link, key) {
      counts.probes += nodesPassedBelow(arena, link, key)
      return core.searchBelow(link, key)
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
}
