// A tree of keys that stand for no pages, in an arena of its own: what searching and linking cost, and whether they find
// what is there, without a scan around them.

import { CACHE_RMAP, TREE_CHECKSUM } from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'
import { copyKey, RESULT, writeKey } from './key.ts'

/** For an arena ordered by checksum. Nodes are named by their addresses. */
export class BareTree {
  readonly roots: number
  readonly #u32: Uint32Array
  readonly #core: Arena['core']

  constructor(arena: Arena) {
    this.#u32 = arena.u32
    this.#core = arena.core
    this.roots = arena.allocRoots()
  }

  /** The node with a key of two halves, or the negated empty link where it belongs. */
  search(upper: number, low: number): number {
    writeKey(this.#u32, RESULT, upper, low)
    return this.#core.search(this.roots, RESULT)
  }

  /** Makes a node of a key; 0 if there is one with it already. */
  insert(upper: number, low: number): number {
    const link = this.search(upper, low)
    if (link > 0) return 0
    const node = this.#core.slabAlloc(CACHE_RMAP)
    copyKey(this.#u32, node + TREE_CHECKSUM, RESULT)
    this.#core.insert(node, -link)
    return node
  }

  erase(node: number): void {
    this.#core.erase(node)
    this.#core.slabFree(CACHE_RMAP, node)
  }
}
