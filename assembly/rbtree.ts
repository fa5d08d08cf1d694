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
      setChild(successor, TREE_RIGHT, right)
    }
    setChild(successor, TREE_LEFT, left)
    replaceInParent(node, successor)
    store<u32>(successor, parentWord(node), TREE_PARENT) // its place and its colour
  }
  if (removedBlack) rebalanceAfterErase(hole, holeParent)
}

/** Puts `fresh` in the place of `old`, without rebalancing. Linux: rb_replace_node() */
export function replace(old: u32, fresh: u32): void {
  replaceInParent(old, fresh)
  store<u32>(fresh, parentWord(old), TREE_PARENT)
  setChild(fresh, TREE_LEFT, leftOf(old))
  setChild(fresh, TREE_RIGHT, rightOf(old))
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
    const side = sideOf(parent, grandparent)
    const uncle = child(grandparent, opposite(side))
    if (uncle != 0 && !isBlack(uncle)) {
      // Both red: push the grandparent's black down, and look again from there.
      setBlack(parent)
      setBlack(uncle)
      setRed(grandparent)
      node = grandparent
      continue
    }
    if (child(parent, opposite(side)) == node) {
      rotate(parent, side)
      parent = node
    }
    setBlack(parent)
    setRed(grandparent)
    rotate(grandparent, opposite(side))
    return
  }
  setBlack(node)
}

function rebalanceAfterErase(node: u32, parentAndTop: u32): void {
  // Every way through `node` (which may be empty) is one black short.
  while ((parentAndTop & TREE_TOP) == 0 && (node == 0 || isBlack(node))) {
    const parent = parentAndTop
    const side = sideOf(node, parent)
    let sibling = child(parent, opposite(side)) // exists: the ways on its side hold a black more
    if (!isBlack(sibling)) {
      setBlack(sibling)
      setRed(parent)
      rotate(parent, side)
      sibling = child(parent, opposite(side))
    }
    if (blackOrEmpty(leftOf(sibling)) && blackOrEmpty(rightOf(sibling))) {
      setRed(sibling)
      node = parent
      parentAndTop = parentWord(parent) & ~TREE_BLACK
      continue
    }
    if (blackOrEmpty(child(sibling, opposite(side)))) {
      setBlack(child(sibling, side))
      setRed(sibling)
      rotate(sibling, opposite(side))
      sibling = child(parent, opposite(side))
    }
    copyColour(sibling, parent)
    setBlack(parent)
    setBlack(child(sibling, opposite(side)))
    rotate(parent, side)
    return
  }
  if (node != 0) setBlack(node)
}

// Sides are told by the place of the link: TREE_LEFT or TREE_RIGHT.

/** On which side of its parent a node is, or an empty link that has a sibling. */
function sideOf(node: u32, parent: u32): u32 {
  return leftOf(parent) == node ? TREE_LEFT : TREE_RIGHT
}

function opposite(side: u32): u32 {
  return TREE_LEFT + TREE_RIGHT - side
}

function child(node: u32, side: u32): u32 {
  return load<u32>(node + side)
}

//     x              y
//    / \            / \
//   a   y    <->   x   c      in-order a x b y c either way
//      / \        / \
//     b   c      a   b

/** A node goes down on a side, its child on the other side comes up. */
function rotate(node: u32, side: u32): void {
  const up = child(node, opposite(side))
  const between = child(up, side)
  replaceInParent(node, up)
  setChild(node, opposite(side), between)
  setChild(up, side, node)
}

/** Makes whatever pointed down at `node` point at `other` (or at nothing), and `other` point up there. */
function replaceInParent(node: u32, other: u32): void {
  const word = parentWord(node)
  const parent = word & ~TREE_FLAGS
  if ((word & TREE_TOP) != 0) store<u32>(parent, other)
  else store<u32>(parent + sideOf(node, parent), other)
  if (other != 0) store<u32>(other, (word & ~TREE_BLACK) | (parentWord(other) & TREE_BLACK), TREE_PARENT)
}

function setChild(parent: u32, side: u32, node: u32): void {
  store<u32>(parent + side, node)
  if (node != 0) store<u32>(node, parent | (parentWord(node) & TREE_BLACK), TREE_PARENT)
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
