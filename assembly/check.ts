// Do the trees keep their promises? Slow and obvious; for tests and `host.audit()`.

import { TREE_BLACK, TREE_CHECKSUM, TREE_FLAGS, TREE_LEFT, TREE_PARENT, TREE_RIGHT, TREE_TOP } from './abi'
import { first, next } from './rbtree'

export const CHECK_TOP_RED: i32 = -1
export const CHECK_RED_RED: i32 = -2
export const CHECK_PARENT: i32 = -3
export const CHECK_BLACK_HEIGHT: i32 = -4
export const CHECK_ORDER: i32 = -5

/** Counts the nodes of the tree at a root slot, or returns what is wrong with it, negative (CHECK_* above). */
export function checkTree(slot: u32, byChecksum: i32): i32 {
  const top = load<u32>(slot)
  if (top == 0) return 0
  const topWord = load<u32>(top, TREE_PARENT)
  if ((topWord & TREE_BLACK) == 0) return CHECK_TOP_RED
  if ((topWord & ~TREE_BLACK) != (slot | TREE_TOP)) return CHECK_PARENT
  let count: i32 = 0
  let height: i32 = -1
  let before: u32 = 0
  for (let node = first(slot); node != 0; node = next(node)) {
    count++
    const left = load<u32>(node, TREE_LEFT)
    const right = load<u32>(node, TREE_RIGHT)
    const red = (load<u32>(node, TREE_PARENT) & TREE_BLACK) == 0
    if (left != 0 && (load<u32>(left, TREE_PARENT) & ~TREE_BLACK) != node) return CHECK_PARENT
    if (right != 0 && (load<u32>(right, TREE_PARENT) & ~TREE_BLACK) != node) return CHECK_PARENT
    if (red && (isRed(left) || isRed(right))) return CHECK_RED_RED
    if (left == 0 || right == 0) {
      const blacks = blackHeight(node)
      if (height == -1) height = blacks
      if (blacks != height) return CHECK_BLACK_HEIGHT
    }
    if (byChecksum && before != 0 && load<u64>(before, TREE_CHECKSUM) > load<u64>(node, TREE_CHECKSUM)) {
      return CHECK_ORDER
    }
    before = node
  }
  return count
}

function isRed(node: u32): bool {
  return node != 0 && (load<u32>(node, TREE_PARENT) & TREE_BLACK) == 0
}

function blackHeight(node: u32): i32 {
  let word = load<u32>(node, TREE_PARENT)
  let blacks: i32 = word & TREE_BLACK
  while ((word & TREE_TOP) == 0) {
    word = load<u32>(word & ~TREE_FLAGS, TREE_PARENT)
    blacks += word & TREE_BLACK
  }
  return blacks
}
