// Chains: one content, several merged pages, because no page may be mapped through more than max_page_sharing rmap
// items. The chain stands in the tree; the pages' nodes hang on it as dups. A chain of one is collapsed when noticed.
//
// Linux: alloc_stable_node_chain(), stable_node_dup()

import {
  COUNTER_STABLE_NODE_CHAINS,
  COUNTER_STABLE_NODE_DUPS,
  KIND_CHAIN,
  KIND_REGULAR,
} from '../../assembly/abi.ts'
import type { Batch } from './batch.ts'
import { BUSY, getKsmPage } from './keyhole.ts'
import { addDup, hasRoom, moveDupToFront } from './stable-node.ts'
import type { KsmState } from './state.ts'

/** Puts a chain in a node's place in the tree, with the node as its first dup. 0 when out of memory. */
export function allocChain({ ksm, now }: Batch, node: number): number {
  const { nodes, core, counters } = ksm
  const chain = nodes.alloc(KIND_CHAIN, nodes.nid(node))
  if (chain === 0) return 0
  nodes.setPruneTime(chain, now)
  nodes.setKey(chain, nodes.keyOf(node))
  core.replace(node, chain)
  counters[COUNTER_STABLE_NODE_CHAINS]!++
  addDup(ksm, node, chain)
  return chain
}

/**
 * Chooses the dup that another page should join, and returns it with a reference on its page: one with room if there
 * is one, the fullest of those if all are looked at. All are looked at only if pruning is wanted and due; stale ones
 * met on the way go. Returns 0 if nothing was left of the chain, and the chain is gone then; BUSY if none can be had now.
 *
 * A chain with a single dup left is collapsed: what is returned is a regular node then. Linux: stable_node_dup()
 */
export function chooseDup(batch: Batch, chain: number, mayPrune: boolean): number {
  const { ksm } = batch
  const { nodes } = ksm
  const prune = mayPrune && pruneDue(batch, chain)
  // Where a test may act between any two steps, every dup is a step.
  const chosen = ksm.memory.race === undefined ? amongNoted(ksm, chain, prune) : amongAll(ksm, chain, prune)
  if (chosen === BUSY) return BUSY
  if (chosen === 0) {
    freeChain(ksm, chain)
  } else if (nodes.first(chain) === chosen && nodes.dupNext(chosen) === 0) {
    collapse(ksm, chain, chosen)
  } else if (nodes.first(chain) !== chosen && hasRoom(ksm, chosen, 1)) {
    // It can take one more after this one: in front it is found sooner.
    moveDupToFront(ksm, chosen)
  }
  return chosen
}

/** Goes from dup to dup, as Linux does. What it returns has a reference on its page. */
function amongAll(ksm: KsmState, chain: number, prune: boolean): number {
  const { nodes, frames } = ksm
  let chosen = 0
  let live = 0
  for (let dup = nodes.first(chain); dup !== 0; ) {
    const next = nodes.dupNext(dup)
    const pfn = getKsmPage(ksm, dup)
    if (pfn !== 0) live++
    if (pfn > 0) {
      if (chosen === 0 || isBetter(ksm, dup, chosen)) {
        if (chosen !== 0) frames.put(nodes.pfn(chosen))
        chosen = dup
        if (!prune && hasRoom(ksm, chosen)) break
      } else {
        frames.put(nodes.pfn(dup))
      }
    }
    dup = next
  }
  return chosen === 0 && live > 0 ? BUSY : chosen
}

/** The same without those that are full and alive, but for the first of all: it is taken if none has room. */
function amongNoted(ksm: KsmState, chain: number, prune: boolean): number {
  const { nodes, frames, dups } = ksm
  const front = dups.front(chain)
  if (!prune && front !== 0 && hasRoom(ksm, front) && getKsmPage(ksm, front) > 0) return front
  const roomy: number[] = []
  let chosen = 0
  for (let dup = dups.take(chain); dup !== 0; dup = dups.take(chain)) {
    const pfn = getKsmPage(ksm, dup)
    if (pfn === 0) continue
    if (pfn > 0) frames.put(pfn)
    if (pfn > 0 && !hasRoom(ksm, dup)) continue
    roomy.push(dup)
    if (pfn === BUSY) continue
    if (chosen === 0 || isBetter(ksm, dup, chosen)) chosen = dup
    if (!prune) break
  }
  for (const dup of roomy) dups.note(dup, chain)
  if (chosen === 0) chosen = nodes.first(chain)
  if (chosen === 0) return 0
  const pfn = getKsmPage(ksm, chosen)
  return pfn > 0 ? chosen : amongAll(ksm, chain, prune)
}

/** Drops a chain without dups. Linux: free_stable_node_chain() */
export function freeChain(ksm: KsmState, chain: number): void {
  ksm.core.erase(chain)
  ksm.dups.ended(chain)
  ksm.nodes.free(chain)
  ksm.counters[COUNTER_STABLE_NODE_CHAINS]!--
}

function collapse(ksm: KsmState, chain: number, dup: number): void {
  const { nodes, core, counters } = ksm
  core.replace(chain, dup)
  nodes.setKind(dup, KIND_REGULAR)
  ksm.dups.taken(dup)
  ksm.dups.ended(chain)
  nodes.free(chain)
  counters[COUNTER_STABLE_NODE_CHAINS]!--
  counters[COUNTER_STABLE_NODE_DUPS]!--
}

function isBetter(ksm: KsmState, dup: number, chosen: number): boolean {
  if (!hasRoom(ksm, dup)) return false
  return !hasRoom(ksm, chosen) || ksm.nodes.length(dup) > ksm.nodes.length(chosen)
}

function pruneDue({ ksm, now }: Batch, chain: number): boolean {
  // The time is kept in 32 bits, and goes round in 49 days.
  const since = (now - ksm.nodes.pruneTime(chain)) >>> 0
  if (since < ksm.tunables.stable_node_chains_prune_millisecs) return false
  ksm.nodes.setPruneTime(chain, now)
  return true
}
