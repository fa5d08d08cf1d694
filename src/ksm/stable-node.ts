// Stable nodes as records and lists: the rmap items of a node, the dups of a chain. No page is looked at here.

import {
  COUNTER_PAGES_SHARED,
  COUNTER_PAGES_SHARING,
  COUNTER_STABLE_NODE_DUPS,
  KIND_DUP,
  KIND_MIGRATE,
  KIND_REGULAR,
  RMAP_STABLE,
  RMAP_VOLATILE,
} from '../../assembly/abi.ts'
import { MAX_MAPCOUNT } from '../core/frame-table.ts'
import { MAX_LENGTH, StableNodes } from '../core/stable-nodes.ts'
import type { KsmState } from './state.ts'

/**
 * Is there a stable node for a page? A merged page has none if its merge went wrong half way; unless it is broken up
 * it is searched for like any other.
 */
export function hasNode(ksm: KsmState, pfn: number): boolean {
  return StableNodes.ofMapping(ksm.frames.mapping(pfn)) !== 0
}

/**
 * May another item join? With `more`, also that many after it. A node that cannot count further is full, whatever
 * max_page_sharing says, and so is a page that no other pte can map. Linux: __is_page_sharing_candidate()
 */
export function hasRoom(ksm: KsmState, node: number, more = 0): boolean {
  const length = ksm.nodes.length(node)
  if (length === 0 || length + more >= ksm.tunables.max_page_sharing) return false
  return canCount(ksm, node, more) && ksm.frames.mapcount(ksm.nodes.pfn(node)) + more < MAX_MAPCOUNT
}

/** Can the list of a node have another item, be it a fork's? */
export function canCount(ksm: KsmState, node: number, more = 0): boolean {
  return ksm.nodes.length(node) + more < MAX_LENGTH
}

/** Puts an item in front of a node's list: it is stable now. Linux: stable_tree_append() */
export function stableTreeAppend(ksm: KsmState, item: number, node: number): void {
  const { items, nodes, counters, memory } = ksm
  memory.race?.('merge: before append')
  const first = nodes.first(node)
  items.setHead(item, node)
  items.setListNext(item, first)
  items.setListPrev(item, 0)
  if (first !== 0) items.setListPrev(first, item)
  nodes.setFirst(node, item)
  nodes.addLength(node, 1)
  noteDup(ksm, node)
  items.setState(item, RMAP_STABLE)
  counters[first !== 0 ? COUNTER_PAGES_SHARING : COUNTER_PAGES_SHARED]!++
  memory.mm(items.mm(item)).ksm.mergingPages++
}

/** Takes a stable item off its node's list; the node stays, even empty. */
export function takeItem(ksm: KsmState, item: number): void {
  const { items, nodes, counters } = ksm
  const node = items.head(item)
  const next = items.listNext(item)
  const prev = items.listPrev(item)
  if (prev !== 0) items.setListNext(prev, next)
  else nodes.setFirst(node, next)
  if (next !== 0) items.setListPrev(next, prev)
  nodes.addLength(node, -1)
  noteDup(ksm, node)
  counters[nodes.first(node) !== 0 ? COUNTER_PAGES_SHARING : COUNTER_PAGES_SHARED]!--
  makeVolatile(ksm, item)
}

/** Takes every item off a node's list, in order. */
export function takeAllItems(ksm: KsmState, node: number): void {
  const { items, nodes, counters, memory } = ksm
  for (let item = nodes.first(node); item !== 0; ) {
    const next = items.listNext(item)
    if (next === 0) {
      counters[COUNTER_PAGES_SHARED]!--
    } else {
      counters[COUNTER_PAGES_SHARING]!--
      if (memory.trace.active) {
        const mm = memory.mm(items.mm(item)).name
        memory.trace.emit('ksm_remove_rmap_item', { pfn: nodes.pfn(node), rmap_item: item, mm })
      }
    }
    makeVolatile(ksm, item)
    item = next
  }
}

/** If a node is a dup: it may have room now, or have lost its page. */
export function noteDup({ dups, nodes }: KsmState, node: number): void {
  if (nodes.isDup(node)) dups.note(node, nodes.chain(node))
}

/** Hangs a node on a chain, in front. Linux: stable_node_chain_add_dup() */
export function addDup(ksm: KsmState, dup: number, chain: number): void {
  ksm.nodes.setKind(dup, KIND_DUP)
  ksm.nodes.setChain(dup, chain)
  pushDup(ksm, dup, chain)
  ksm.counters[COUNTER_STABLE_NODE_DUPS]!++
}

export function moveDupToFront(ksm: KsmState, dup: number): void {
  takeDup(ksm, dup)
  pushDup(ksm, dup, ksm.nodes.chain(dup))
}

/** Takes a node out of wherever it is: tree, chain, or the set of migrated ones. Linux: stable_node_dup_del() */
export function unlinkNode(ksm: KsmState, node: number): void {
  switch (ksm.nodes.kind(node)) {
    case KIND_REGULAR:
      ksm.core.erase(node)
      break
    case KIND_DUP:
      takeDup(ksm, node)
      ksm.counters[COUNTER_STABLE_NODE_DUPS]!--
      break
    case KIND_MIGRATE:
      ksm.migrateNodes.delete(node)
      break
  }
}

function makeVolatile(ksm: KsmState, item: number): void {
  const { items, memory } = ksm
  memory.mm(items.mm(item)).ksm.mergingPages--
  memory.anonVmas.put(memory.anonVmas.of(items.anonVma(item)))
  items.setAnonVma(item, 0)
  items.setHead(item, 0)
  items.setState(item, RMAP_VOLATILE)
}

function pushDup(ksm: KsmState, dup: number, chain: number): void {
  const { nodes } = ksm
  const first = nodes.first(chain)
  nodes.setDupNext(dup, first)
  nodes.setDupPrev(dup, 0)
  if (first !== 0) nodes.setDupPrev(first, dup)
  nodes.setFirst(chain, dup)
  ksm.dups.pushed(dup, chain)
}

function takeDup(ksm: KsmState, dup: number): void {
  const { nodes } = ksm
  ksm.dups.taken(dup)
  const next = nodes.dupNext(dup)
  const prev = nodes.dupPrev(dup)
  if (prev !== 0) nodes.setDupNext(prev, next)
  else nodes.setFirst(nodes.chain(dup), next)
  if (next !== 0) nodes.setDupPrev(next, prev)
}
