// Where a search in either tree goes on.

import { TREE_LEFT, TREE_RIGHT } from '../../assembly/abi.ts'

/** The link below a tree node on the side that a comparison says: where a search goes on. */
export function linkBelow(node: number, order: number): number {
  return node + (order < 0 ? TREE_LEFT : TREE_RIGHT)
}
