// The keyhole reference. A stable node does not keep its page alive: it remembers where the page was, and before each
// use looks whether the frame there still bears the node's key. So a merged page is free the instant its last mapping
// goes, however long ksmd takes to notice.
//
// Safe because frame descriptors are never freed, freeing a page clears its mapping, and a node is freed only after
// its page has been seen gone: no other owner of the frame can store the same key.
//
// Linux: ksm_get_folio(), remove_node_from_stable_tree()

import { FRAME_LOCKED, FRAME_SWAPCACHE } from '../../assembly/abi.ts'
import { takeAllItems, unlinkNode } from './stable-node.ts'
import type { KsmState } from './state.ts'

/** The page is there, but somebody holds it at this moment: try again in the next scan. */
export const BUSY = -1

/** `trylock` refuses a page that somebody has locked. One thread changes structure, so nobody waits for a lock. */
export type PageLock = 'nolock' | 'trylock'

/**
 * Takes a reference on a node's page and returns its pfn, or BUSY, or 0 if the page is gone: then the node has been
 * removed. Never call it on a chain. Linux: ksm_get_folio()
 */
export function getKsmPage(ksm: KsmState, node: number, lock: PageLock = 'nolock'): number {
  const { frames, nodes, memory } = ksm
  const key = nodes.key(node)
  for (;;) {
    const pfn = nodes.pfn(node)
    if (frames.mapping(pfn) === key) {
      memory.race?.('keyhole: after first check')
      if (frames.tryGet(pfn)) {
        memory.race?.('keyhole: after get')
        // Between the check and the reference the frame may have been freed and taken by somebody else.
        if (frames.mapping(pfn) === key) {
          memory.race?.('keyhole: after second check')
          if (lock === 'nolock' || !frames.hasFlag(pfn, FRAME_LOCKED)) return pfn
          frames.put(pfn)
          return BUSY
        }
        frames.put(pfn)
      } else if (frames.hasFlag(pfn, FRAME_SWAPCACHE)) {
        return BUSY // frozen by a migration: ours again a moment later
      }
    }
    // A migration may have moved the page meanwhile. If the node still points here, the page is gone.
    if (nodes.pfn(node) === pfn) break
  }
  removeStableNode(ksm, node)
  return 0
}

/** Removes a node whose page is gone, with all its items. Linux: remove_node_from_stable_tree() */
export function removeStableNode(ksm: KsmState, node: number): void {
  const { nodes, memory } = ksm
  takeAllItems(ksm, node)
  if (memory.trace.active) memory.trace.emit('ksm_remove_ksm_page', { pfn: nodes.pfn(node) })
  unlinkNode(ksm, node)
  nodes.free(node)
}
