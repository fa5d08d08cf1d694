// Looks at a search from outside: how many nodes it passes. The way down is walked a second time, so it is for looking,
// not for timing.

import { INDEX_CONTENT, LINK_ROOT, TREE_CHECKSUM, TREE_LEFT, TREE_RIGHT } from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'
import { lowHalf, upperHalf } from './key.ts'

/** How many nodes core.search(roots, key) passes before it stops, the one it stops at included. */
export function nodesPassed(arena: Arena, roots: number, key: number): number {
  return nodesPassedBelow(arena, rootLink(arena, roots, key), key)
}

/** The same for core.searchBelow(link, key). */
export function nodesPassedBelow({ u32, strategy }: Arena, link: number, key: number): number {
  let node = u32[(link & ~LINK_ROOT) >>> 2]!
  if (strategy.index === INDEX_CONTENT) return node === 0 ? 0 : 1
  const [low, upper] = [lowHalf(u32, key), upperHalf(u32, key)]
  let passed = 0
  while (node !== 0) {
    passed++
    const otherLow = lowHalf(u32, node + TREE_CHECKSUM)
    const otherUpper = upperHalf(u32, node + TREE_CHECKSUM)
    if (upper === otherUpper && low === otherLow) break
    const less = upper < otherUpper || (upper === otherUpper && low < otherLow)
    node = u32[(node + (less ? TREE_LEFT : TREE_RIGHT)) >>> 2]!
  }
  return passed
}

/** The root slot that a key belongs under. */
function rootLink({ u32, rootSlots }: Arena, roots: number, key: number): number {
  const slot = Math.floor(upperHalf(u32, key) / (2 ** 32 / rootSlots))
  return (roots + slot * 4) | LINK_ROOT
}
