// An intrusive red-black tree. Invariants, which check.ts verifies:
//
//   1. a node is red or black; an empty link counts as black;
//   2. a red node has no red child, and the topmost node is black;
//   3. every way down from a node to an empty link passes the same number of black nodes.
//
// The caller finds the place (only it knows the order); `insert` links the node there and rebalances, `erase` unlinks
// and rebalances. A node's parent word holds the address of its parent, its colour, and whether that parent is a root
// slot: so a node can be erased without knowing whose tree it is in. The shapes that come out are those of the
// textbook algorithm (Cormen et al.) with the in-order successor taking an erased node's place, as in Linux: which
// nodes a search passes is part of what KSM's counters show.

import { LINK_ROOT, TREE_BLACK, TREE_FLAGS, TREE_LEFT, TREE_PARENT, TREE_RIGHT, TREE_TOP } from './abi'

/** Links a node into an empty link (see abi.ts) and rebalances. Linux: rb_link_node() + rb_insert_color() */
export function insert(node: u32, link: u32): void {
  const parent = (link & LINK_ROOT) != 0 ? (link & ~LINK_ROOT) | TREE_TOP : link & ~31
  const slot = link & ~LINK_ROOT
  assert(load<u32>(slot) == 0) // the link must be empty
  store<u32>(slot, node)
  store<u32>(node, parent, TREE_PARENT) // red
  store<u32>(node, 0, TREE_LEFT)
  store<u32>(node, 0, TREE_RIGHT)
  rebalanceAfterInsert(node)
}

/** Unlinks a node and rebalances. Linux: rb_erase() */
export function erase(node: u32): void {
  const left = leftOf(node)
  const right = rightOf(node)
  let removedBlack: bool // is one black node missing on the way through `hole`?
  let holeParent: u32 // parent word of the place that lost it
  let hole: u32 // the node there, or 0
  if (left == 0 || right == 0) {
    hole = left != 0 ? left : right
    holeParent = parentWord(node) & ~TREE_BLACK
    removedBlack = isBlack(node)
    replaceInParent(node, hole)
  } else {
    const successor = first(node + TREE_RIGHT)
    hole = rightOf(successor)
    removedBlack = isBlack(successor)
    if (successor == right) {
      holeParent = successor
    } else {
      holeParent = parentWord(successor) & ~TREE_BLACK
      replaceInParent(successor, hole)
      setRight(successor, right)
    }
    setLeft(successor, left)
    replaceInParent(node, successor)
    store<u32>(successor, parentWord(node), TREE_PARENT) // its place and its colour
  }
  if (removedBlack) rebalanceAfterErase(hole, holeParent)
}

/** Puts `fresh` in the place of `old`, without rebalancing. Linux: rb_replace_node() */
export function replace(old: u32, fresh: u32): void {
  replaceInParent(old, fresh)
  store<u32>(fresh, parentWord(old), TREE_PARENT)
  setLeft(fresh, leftOf(old))
  setRight(fresh, rightOf(old))
}

/** The leftmost node below a link, or 0. Linux: rb_first() */
export function first(link: u32): u32 {
  let node = load<u32>(link & ~LINK_ROOT)
  if (node == 0) return 0
  while (leftOf(node) != 0) node = leftOf(node)
  return node
}

/** The next node in order, or 0. Linux: rb_next() */
export function next(node: u32): u32 {
  if (rightOf(node) != 0) return first(node + TREE_RIGHT)
  while (!isTop(node)) {
    const parent = parentOf(node)
    if (leftOf(parent) == node) return parent
    node = parent
  }
  return 0
}

function rebalanceAfterInsert(node: u32): void {
  // `node` is red and the only place where a rule may be broken: its parent may be red too.
  while (!isTop(node)) {
    let parent = parentOf(node)
    if (isBlack(parent)) return
    const grandparent = parentOf(parent) // exists: a red node is not the top
    const parentIsLeft = leftOf(grandparent) == parent
    const uncle = parentIsLeft ? rightOf(grandparent) : leftOf(grandparent)
    if (uncle != 0 && !isBlack(uncle)) {
      // Both red: push the grandparent's black down, and look again from there.
      setBlack(parent)
      setBlack(uncle)
      setRed(grandparent)
      node = grandparent
      continue
    }
    if (parentIsLeft) {
      if (rightOf(parent) == node) {
        rotateLeft(parent)
        parent = node
      }
      setBlack(parent)
      setRed(grandparent)
      rotateRight(grandparent)
    } else {
      if (leftOf(parent) == node) {
        rotateRight(parent)
        parent = node
      }
      setBlack(parent)
      setRed(grandparent)
      rotateLeft(grandparent)
    }
    return
  }
  setBlack(node)
}

function rebalanceAfterErase(node: u32, parentAndTop: u32): void {
  // Every way through `node` (which may be empty) is one black short.
  while ((parentAndTop & TREE_TOP) == 0 && (node == 0 || isBlack(node))) {
    const parent = parentAndTop
    if (leftOf(parent) == node) {
      let sibling = rightOf(parent) // exists: the ways on its side hold a black more
      if (!isBlack(sibling)) {
        setBlack(sibling)
        setRed(parent)
        rotateLeft(parent)
        sibling = rightOf(parent)
      }
      if (blackOrEmpty(leftOf(sibling)) && blackOrEmpty(rightOf(sibling))) {
        setRed(sibling)
        node = parent
        parentAndTop = parentWord(parent) & ~TREE_BLACK
        continue
      }
      if (blackOrEmpty(rightOf(sibling))) {
        setBlack(leftOf(sibling))
        setRed(sibling)
        rotateRight(sibling)
        sibling = rightOf(parent)
      }
      copyColour(sibling, parent)
      setBlack(parent)
      setBlack(rightOf(sibling))
      rotateLeft(parent)
      return
    }
    let sibling = leftOf(parent)
    if (!isBlack(sibling)) {
      setBlack(sibling)
      setRed(parent)
      rotateRight(parent)
      sibling = leftOf(parent)
    }
    if (blackOrEmpty(rightOf(sibling)) && blackOrEmpty(leftOf(sibling))) {
      setRed(sibling)
      node = parent
      parentAndTop = parentWord(parent) & ~TREE_BLACK
      continue
    }
    if (blackOrEmpty(leftOf(sibling))) {
      setBlack(rightOf(sibling))
      setRed(sibling)
      rotateLeft(sibling)
      sibling = leftOf(parent)
    }
    copyColour(sibling, parent)
    setBlack(parent)
    setBlack(leftOf(sibling))
    rotateRight(parent)
    return
  }
  if (node != 0) setBlack(node)
}

//     x              y
//    / \            / \
//   a   y    <->   x   c      in-order a x b y c either way
//      / \        / \
//     b   c      a   b

function rotateLeft(x: u32): void {
  const y = rightOf(x)
  const b = leftOf(y)
  replaceInParent(x, y)
  setRight(x, b)
  setLeft(y, x)
}

function rotateRight(y: u32): void {
  const x = leftOf(y)
  const b = rightOf(x)
  replaceInParent(y, x)
  setLeft(y, b)
  setRight(x, y)
}

/** Makes whatever pointed down at `node` point at `other` (or at nothing), and `other` point up there. */
function replaceInParent(node: u32, other: u32): void {
  const word = parentWord(node)
  const parent = word & ~TREE_FLAGS
  if ((word & TREE_TOP) != 0) store<u32>(parent, other)
  else if (leftOf(parent) == node) store<u32>(parent, other, TREE_LEFT)
  else store<u32>(parent, other, TREE_RIGHT)
  if (other != 0) store<u32>(other, (word & ~TREE_BLACK) | (parentWord(other) & TREE_BLACK), TREE_PARENT)
}

function setLeft(parent: u32, child: u32): void {
  store<u32>(parent, child, TREE_LEFT)
  if (child != 0) store<u32>(child, parent | (parentWord(child) & TREE_BLACK), TREE_PARENT)
}

function setRight(parent: u32, child: u32): void {
  store<u32>(parent, child, TREE_RIGHT)
  if (child != 0) store<u32>(child, parent | (parentWord(child) & TREE_BLACK), TREE_PARENT)
}

function parentWord(node: u32): u32 {
  return load<u32>(node, TREE_PARENT)
}

function parentOf(node: u32): u32 {
  return load<u32>(node, TREE_PARENT) & ~TREE_FLAGS
}

function leftOf(node: u32): u32 {
  return load<u32>(node, TREE_LEFT)
}

function rightOf(node: u32): u32 {
  return load<u32>(node, TREE_RIGHT)
}

function isTop(node: u32): bool {
  return (load<u32>(node, TREE_PARENT) & TREE_TOP) != 0
}

function isBlack(node: u32): bool {
  return (load<u32>(node, TREE_PARENT) & TREE_BLACK) != 0
}

function blackOrEmpty(node: u32): bool {
  return node == 0 || isBlack(node)
}

function setBlack(node: u32): void {
  store<u32>(node, parentWord(node) | TREE_BLACK, TREE_PARENT)
}

function setRed(node: u32): void {
  store<u32>(node, parentWord(node) & ~TREE_BLACK, TREE_PARENT)
}

function copyColour(to: u32, from: u32): void {
  store<u32>(to, (parentWord(to) & ~TREE_BLACK) | (parentWord(from) & TREE_BLACK), TREE_PARENT)
}
