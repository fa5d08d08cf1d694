// The way down a tree, in either order. The stable and the unstable tree share it: their nodes carry the key at the
// same offset. What is looked for is told by the address of its checksum, in the window or in a node.
//
// Ordered by content, the way down needs the page of every node it passes, and getting at a page is the business of
// whoever owns it (is its stable node stale? is its mm still mergeable?): the search stops at each node. Ordered by
// checksum it stops only at a tie. Either way the caller compares pages, then goes on below the node.
//
// A tree is a block of root slots. Ordered by checksum there are many, chosen by the checksum's top bits: checksums
// are spread evenly, so this is the upper part of the tree made flat. Ordered by content there is one.

import {
  HEADER_INDEX,
  HEADER_ROOT_BITS,
  INDEX_CONTENT,
  LINK_ROOT,
  TREE_CHECKSUM,
  TREE_LEFT,
  TREE_RIGHT,
} from './abi'

/**
 * Walks down a tree in search of the page whose checksum stands at `key`.
 * Returns the node whose page the caller has to compare, or the negated empty link where the page belongs.
 */
export function search(roots: u32, key: u32): i32 {
  return searchBelow(rootLink(roots, load<u64>(key)), key)
}

/** The same from a link somewhere inside the tree: below a node already compared. */
export function searchBelow(link: u32, key: u32): i32 {
  let node = load<u32>(link & ~LINK_ROOT)
  if (load<u32>(HEADER_INDEX) == INDEX_CONTENT) return node != 0 ? node : -(<i32>link)
  const sought = load<u64>(key)
  while (node != 0) {
    const other = load<u64>(node, TREE_CHECKSUM)
    if (sought == other) return node
    link = node + (sought < other ? TREE_LEFT : TREE_RIGHT)
    node = load<u32>(link)
  }
  return -(<i32>link)
}

/** The root slot of a checksum, as a link. */
export function rootLink(roots: u32, checksum: u64): u32 {
  const bits = load<u32>(HEADER_ROOT_BITS)
  if (bits == 0) return roots | LINK_ROOT
  return (roots + (<u32>(checksum >> 32) >> (32 - bits)) * 4) | LINK_ROOT
}
