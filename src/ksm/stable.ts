// The stable tree: merged pages, found by content. Linux: stable_tree_search(), stable_tree_insert()

import { KIND_MIGRATE, KIND_REGULAR } from '../../assembly/abi.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import { linkBelow } from '../core/tree.ts'
import { isOrdinary } from '../errors.ts'
import type { Batch } from './batch.ts'
import { allocChain, chooseDup } from './chain.ts'
import { BUSY, getKsmPage } from './keyhole.ts'
import { addDup, hasRoom, unlinkNode } from './stable-node.ts'
import type { KsmState, Trees } from './state.ts'

/**
 * Finds the merged page that the page being visited, whose checksum stands at `key`, can join. Returns its pfn with a reference, 0 if there is none (or
 * none with room), BUSY if there is one but not now. A page merged already finds itself. With `byChecksum` the one found
 * is only known to have the same checksum. Linux: stable_tree_search()
 */
export function stableTreeSearch(
  batch: Batch,
  trees: Trees,
  pfn: number,
  key: number,
  byChecksum: boolean,
): number {
  const { ksm } = batch
  const { core, frames, nodes } = ksm
  const pageNode = StableNodes.ofMapping(frames.mapping(pfn))
  if (pageNode !== 0) {
    if (nodes.isMigrating(pageNode)) return placeMigrated(batch, trees, pageNode, pfn)
    frames.get(pfn)
    return pfn
  }
  let trustTies = byChecksum
  for (;;) {
    const found = findContent(batch, trees, pfn, key, true, trustTies)
    if (found === BUSY) return BUSY
    if (found < 0) return 0
    const full = !hasRoom(ksm, found)
    // With a full one nothing will be merged, so only here it can show that the tie was no match.
    const mistaken = full && trustTies && core.comparePages(pfn, nodes.pfn(found)) !== 0
    frames.put(nodes.pfn(found))
    if (mistaken) {
      trustTies = false
      continue
    }
    // A full one is no answer: the page has to find a partner in the unstable tree and found a dup with it.
    if (full) return 0
    // Once more, as if to lock it: a migration under way notices the raised count.
    const ksmPfn = getKsmPage(ksm, found, 'trylock')
    if (ksmPfn === BUSY) return BUSY
    if (ksmPfn === 0) continue
    if (ksm.treeNid(ksmPfn) === nodes.nid(found)) return ksmPfn
    // It has moved to another NUMA node since: out of this tree with it.
    frames.put(ksmPfn)
    setAside(ksm, found)
    return 0
  }
}

/**
 * Makes the page being visited, just merged, findable: a node of its own, on a chain if its content is in the tree
 * already. Returns the node, or 0 when out of memory, or when its place is not to be found at this moment: nothing has
 * changed then. Linux: stable_tree_insert()
 */
export function stableTreeInsert(batch: Batch, trees: Trees, pfn: number, key: number): number {
  const { ksm } = batch
  const { frames, nodes, memory } = ksm
  // Whoever was called back may have written to the page before it was write-protected.
  if (memory.callsBack && !hashedAgain(batch, pfn, key)) return 0
  const found = findContent(batch, trees, pfn, key, false, false)
  if (found === BUSY) return 0
  if (found > 0) frames.put(nodes.pfn(found))
  const node = nodes.alloc(KIND_REGULAR, ksm.treeNid(pfn))
  if (node === 0) return 0
  nodes.setPfn(node, pfn)
  nodes.setKey(node, key)
  if (!linkNode(batch, node, found)) {
    nodes.free(node)
    return 0
  }
  // Last: a mapping must never name a node that could still be taken back.
  frames.setMapping(pfn, nodes.key(node))
  return node
}

/** Hashes a page anew. False if the checksum is an embedder's and threw: that is for the scan to throw, when nothing is half done. */
function hashedAgain(batch: Batch, pfn: number, key: number): boolean {
  try {
    batch.ksm.core.checksum(pfn, key)
    return true
  } catch (error) {
    if (!isOrdinary(error)) throw error
    batch.thrown ??= { error }
    return false
  }
}

/** Every node that is in a tree, at this moment: chains, but not their dups. */
export function nodesOf(ksm: KsmState, roots: number): number[] {
  const { core, memory } = ksm
  const found: number[] = []
  for (let slot = 0; slot < memory.arena.rootSlots; slot++) {
    const link = memory.arena.rootSlot(roots, slot)
    for (let node = core.first(link); node !== 0; node = core.next(node)) found.push(node)
  }
  return found
}

/** Takes a node whose page moved to another NUMA node out of its tree, to be placed elsewhere when it is visited. */
export function setAside(ksm: KsmState, node: number): void {
  unlinkNode(ksm, node)
  ksm.nodes.setKind(node, KIND_MIGRATE)
  ksm.migrateNodes.add(node)
}

/**
 * Finds the place of a merged page in the tree of the NUMA node it is on now. Returns its own pfn with a reference, or
 * another page's that it could be merged with, 0 if it has no room, BUSY if not now. The `page_node` parts of Linux:
 * stable_tree_search()
 */
function placeMigrated(batch: Batch, trees: Trees, node: number, pfn: number): number {
  const { ksm } = batch
  const { frames, nodes } = ksm
  const found = findContent(batch, trees, pfn, nodes.keyOf(node), true, false)
  if (found === BUSY) return BUSY
  if (found > 0) {
    frames.put(nodes.pfn(found))
    // One that only one pte maps may as well join the other. (It cannot, in Linux or here: a merged page's address is
    // not to be had from its anon_vma. It then stays aside until it has more users.)
    if (frames.mapcount(pfn) <= 1) {
      if (!hasRoom(ksm, found)) return 0
      return getKsmPage(ksm, found, 'trylock')
    }
  }
  ksm.migrateNodes.delete(node)
  nodes.setKind(node, KIND_REGULAR)
  nodes.setNid(node, ksm.treeNid(pfn))
  if (!linkNode(batch, node, found)) {
    nodes.setKind(node, KIND_MIGRATE)
    ksm.migrateNodes.add(node)
    return 0
  }
  if (!hasRoom(ksm, node)) return 0
  frames.get(pfn)
  return pfn
}

/** Links a node at a negated empty link, or beside a node of the same content. False when out of memory for a chain. */
function linkNode(batch: Batch, node: number, found: number): boolean {
  const { ksm } = batch
  const { nodes, core } = ksm
  if (found < 0) {
    core.insert(node, -found)
    return true
  }
  const chain = nodes.isDup(found) ? nodes.chain(found) : allocChain(batch, found)
  if (chain === 0) return false
  addDup(ksm, node, chain)
  return true
}

/**
 * Walks down to the page with the same content. Returns its node with a reference on the page, or the negated empty
 * link where the content belongs, or BUSY if a page on the way cannot be had now. Chains met on the way are pruned if
 * `prune` and due. `byChecksum`: in a tree ordered by checksum, take a tie for a match.
 */
function findContent(
  batch: Batch,
  trees: Trees,
  pfn: number,
  key: number,
  prune: boolean,
  byChecksum: boolean,
): number {
  const { ksm } = batch
  const { core, nodes, frames } = ksm
  const roots = trees.stable[ksm.treeNid(pfn)]!
  let at = core.search(roots, key)
  while (at > 0) {
    const node = withPage(batch, at, prune)
    if (node === BUSY) return BUSY
    if (node === 0) {
      // A stale node on the way has been removed, and the tree rebalanced under us: from the top.
      at = core.search(roots, key)
      continue
    }
    const order = byChecksum ? 0 : core.comparePages(pfn, nodes.pfn(node))
    if (order === 0) return node
    frames.put(nodes.pfn(node))
    const inTree = nodes.isDup(node) ? nodes.chain(node) : node
    at = core.searchBelow(linkBelow(inTree, order), key)
  }
  return at
}

/** A tree node itself, or the chosen dup of a chain, with a reference on its page; BUSY; 0 if stale. Linux: chain_prune() */
function withPage(batch: Batch, node: number, prune: boolean): number {
  if (batch.ksm.nodes.isChain(node)) return chooseDup(batch, node, prune)
  const pfn = getKsmPage(batch.ksm, node)
  return pfn > 0 ? node : pfn
}
