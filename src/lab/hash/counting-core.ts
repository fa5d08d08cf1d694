// The core with a counter at each door: how many searches, how many tree nodes they pass, how many pages they compare
// and how often in vain. For looking, not for timing: the way down a tree is walked a second time to be counted.

import {
  HEADER_KEY,
  INDEX_CONTENT,
  LINK_ROOT,
  TREE_CHECKSUM,
  TREE_LEFT,
  TREE_RIGHT,
} from '../../../assembly/abi.ts'
import type { Arena } from '../../core/arena.ts'

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
      counts.probes += nodesPassed(arena, rootLink(arena, roots))
      return core.search(roots)
    },
    searchBelow(link) {
      counts.probes += nodesPassed(arena, link)
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

/** How many nodes a search from this link passes before it stops, the one it stops at included. */
function nodesPassed({ u32, strategy }: Arena, link: number): number {
  let node = u32[(link & ~LINK_ROOT) >>> 2]!
  if (strategy.index === INDEX_CONTENT) return node === 0 ? 0 : 1
  const [low, high] = [u32[HEADER_KEY >>> 2]!, u32[(HEADER_KEY + 4) >>> 2]!]
  let passed = 0
  while (node !== 0) {
    passed++
    const otherLow = u32[(node + TREE_CHECKSUM) >>> 2]!
    const otherHigh = u32[(node + TREE_CHECKSUM + 4) >>> 2]!
    if (high === otherHigh && low === otherLow) break
    const less = high < otherHigh || (high === otherHigh && low < otherLow)
    node = u32[(node + (less ? TREE_LEFT : TREE_RIGHT)) >>> 2]!
  }
  return passed
}

/** The root slot that the page being visited belongs under. */
function rootLink({ u32, rootSlots }: Arena, roots: number): number {
  const slot = Math.floor(u32[(HEADER_KEY + 4) >>> 2]! / (2 ** 32 / rootSlots))
  return (roots + slot * 4) | LINK_ROOT
}
