// The unstable tree: pages that have kept still for a scan but have no equal yet. They are not write-protected, so
// their order may rot; that is harmless, because it is forgotten at the start of every full scan and nothing is merged
// without another comparison.
//
// Linux: unstable_tree_search_insert()

import { COUNTER_PAGES_UNSHARED, RMAP_UNSTABLE, RMAP_VOLATILE } from '../../assembly/abi.ts'
import { linkBelow } from '../core/tree.ts'
import { brokenInvariant } from '../errors.ts'
import { findMergeableVma, presentPage } from './mergeable.ts'
import type { KsmState, Trees } from './state.ts'

/**
 * Finds an item whose page has the same content (`key`: where its checksum stands), or puts this one in the tree. Returns the item found, with a reference on
 * its page for the caller to put; 0 if there is none. Linux: unstable_tree_search_insert()
 */
export function unstableTreeSearchInsert(
  ksm: KsmState,
  trees: Trees,
  item: number,
  pfn: number,
  key: number,
): number {
  const { core, frames } = ksm
  const nid = ksm.treeNid(pfn)
  const roots = trees.unstable[nid]!
  let at = core.search(roots, key)
  while (at > 0) {
    const treePfn = getMergeablePage(ksm, at)
    if (treePfn === 0) return 0
    // The same frame in two mms, after a fork: never put one for the other.
    const order = treePfn === pfn ? 0 : core.comparePages(pfn, treePfn)
    if (order === 0) {
      if (treePfn !== pfn && ksm.treeNid(treePfn) === nid) return at
      frames.put(treePfn)
      return 0
    }
    frames.put(treePfn)
    at = core.searchBelow(linkBelow(at, order), key)
  }
  core.insert(item, -at)
  ksm.items.setUnstable(item, ksm.seqnr, key)
  ksm.counters[COUNTER_PAGES_UNSHARED]!++
  return 0
}

/** Takes an unstable item out. If it entered in an earlier scan that tree is forgotten already. */
export function unstableTreeRemove(ksm: KsmState, item: number): void {
  const age = ksm.items.scansSince(item, ksm.seqnr)
  if (age > 1) throw brokenInvariant(`rmap item ${item} was left in the unstable tree for ${age} scans`)
  if (age === 0) ksm.core.erase(item)
  ksm.items.setState(item, RMAP_VOLATILE)
  ksm.counters[COUNTER_PAGES_UNSHARED]!--
}

/** Makes an item volatile that is still marked as in the tree of the last scan: this one will not come by any more. */
export function unstableTreeForget(ksm: KsmState, item: number): void {
  const { items, seqnr } = ksm
  if (items.state(item) === RMAP_UNSTABLE && items.scansSince(item, seqnr) === 1)
    unstableTreeRemove(ksm, item)
}

/** Forgets the tree. The items stay marked until each is visited again. */
export function unstableTreeReset(ksm: KsmState): void {
  for (const { unstable } of ksm.allTrees()) {
    for (const roots of unstable) ksm.memory.arena.resetRoots(roots)
  }
}

/**
 * Gives up the tree of a scan that begins anew before it has come to its end, without a number of its own: its items are
 * marked as from the scan before, whose tree is forgotten too.
 */
export function unstableTreeGiveUp(ksm: KsmState): void {
  const { items, seqnr } = ksm
  for (const { rmapList } of ksm.slots) {
    for (let item = rmapList; item !== 0; item = items.next(item)) {
      if (items.state(item) === RMAP_UNSTABLE && items.scansSince(item, seqnr) === 0)
        items.setUnstableSince(item, seqnr - 1)
    }
  }
}

/** An item's present page with a reference; 0 if it can no longer be merged. Linux: get_mergeable_page() */
function getMergeablePage(ksm: KsmState, item: number): number {
  const mm = ksm.memory.mm(ksm.items.mm(item))
  const vpn = ksm.items.vpn(item)
  if (findMergeableVma(mm, vpn) === undefined) return 0
  const pfn = presentPage(mm, vpn)
  if (pfn !== 0) ksm.frames.get(pfn)
  return pfn
}
