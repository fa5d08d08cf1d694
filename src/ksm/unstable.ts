// The unstable tree: pages that have kept still for a scan but have no equal yet. They are not write-protected, so
// their order may rot; that is harmless, because it is forgotten at the start of every full scan, or lasts where order is by
// checksum (settled.ts), and nothing is merged without another comparison.
//
// Linux: unstable_tree_search_insert()

import { COUNTER_PAGES_UNSHARED, RMAP_UNSTABLE, RMAP_VOLATILE } from '../../assembly/abi.ts'
import { linkBelow } from '../core/tree.ts'
import { brokenInvariant } from '../errors.ts'
import { findMergeableVma, presentPage } from './mergeable.ts'
import { forgetSettled, isAhead, isBetterForgotten, settleUnstable, unsettle } from './settled.ts'
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
  let alone = true
  while (at > 0) {
    if (ksm.settles && isAhead(ksm, at, item)) {
      takeOut(ksm, at)
      unsettle(ksm, at, item)
      at = core.search(roots, key)
      continue
    }
    alone = false
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
  settleUnstable(ksm, trees, item, pfn, key, alone)
  ksm.counters[COUNTER_PAGES_UNSHARED]!++
  return 0
}

/** Takes an unstable item out. If it entered in an earlier scan that tree is forgotten already. */
export function unstableTreeRemove(ksm: KsmState, item: number): void {
  if (isInTree(ksm, item)) takeOut(ksm, item)
  ksm.items.setState(item, RMAP_VOLATILE)
  ksm.counters[COUNTER_PAGES_UNSHARED]!--
}

/** Is an unstable item in a tree that is not forgotten? */
export function isInTree({ items, seqnr, settles }: KsmState, item: number): boolean {
  if (settles) return items.isLinked(item)
  const age = items.scansSince(item, seqnr)
  if (age > 1) throw brokenInvariant(`rmap item ${item} is unstable for ${age} scans`)
  return age === 0
}

function takeOut({ core, items }: KsmState, item: number): void {
  core.erase(item)
  items.unlink(item)
}

/** Makes an item volatile whose page this scan has not visited and will not: it must not be unstable for longer than one scan. */
export function unstableTreeForget(ksm: KsmState, item: number): void {
  if (ksm.items.state(item) === RMAP_UNSTABLE) unstableTreeRemove(ksm, item)
}

/** Forgets the tree, unless it lasts. The items stay marked until each is visited again. */
export function unstableTreeReset(ksm: KsmState): void {
  if (ksm.settles) {
    if (!isBetterForgotten(ksm)) return
    forgetSettled(ksm)
  }
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
  for (const { item } of ksm.unstableItems()) {
    if (items.scansSince(item, seqnr) === 0) items.setUnstableSince(item, seqnr - 1)
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
