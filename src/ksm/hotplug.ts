// What becomes of stable nodes when their frames are taken away, for good (hot-remove) or because they broke.
// Linux: ksm_check_stable_tree(), stable_node_chain_remove_range()

import { StableNodes } from '../core/stable-nodes.ts'
import { VPN_LIMIT } from '../mm/model/address.ts'
import type { RmapVisitor } from '../mm/model/hooks.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { pteNormal, pteOfFrame, ptePfn } from '../mm/page/pte.ts'
import { getPte, setPte, walkPageRange } from '../mm/page/ptes.ts'
import { addRmap, removeRmap } from '../mm/page/rmap.ts'
import { freeChain } from './chain.ts'
import { removeStableNode } from './keyhole.ts'
import { itemsOf, rmapWalkKsm } from './rmap-walk.ts'
import { nodesOf } from './stable.ts'
import { stableTreeAppend, takeItem } from './stable-node.ts'
import type { KsmState } from './state.ts'

/** Drops every node whose page was in [start, end), without a look at the page. */
export function removeRange(ksm: KsmState, start: number, end: number): void {
  const { nodes } = ksm
  const removeIfInside = (node: number): void => {
    const pfn = nodes.pfn(node)
    if (pfn >= start && pfn < end) removeStableNode(ksm, node)
  }
  const trees = [...ksm.allTrees()].flatMap(({ stable }) => stable)
  for (const node of trees.flatMap((roots) => nodesOf(ksm, roots))) {
    if (!nodes.isChain(node)) {
      removeIfInside(node)
      continue
    }
    for (const dup of dupsOf(ksm, node)) removeIfInside(dup)
    if (nodes.first(node) === 0) freeChain(ksm, node)
  }
  for (const node of [...ksm.migrateNodes]) removeIfInside(node)
}

/**
 * Moves everybody who maps a broken merged page to the page of another dup of its chain, whose content is the same and
 * as unwritable. Returns how many mappings were moved: 0 if there is no other. Linux has this only as a proposal.
 */
export function moveToAnotherDup(ksm: KsmState, pfn: number): number {
  const { nodes, frames, memory, items } = ksm
  const node = StableNodes.ofMapping(frames.mapping(pfn))
  if (!nodes.isDup(node)) return 0
  const target = shortestSibling(ksm, node)
  if (target === 0) return 0
  let moved = 0
  const move: RmapVisitor = (mm, _, vpn) => {
    if (switchPte(mm, vpn, pfn, nodes.pfn(target))) moved++
    return frames.mapcount(pfn) > 0
  }
  rmapWalkKsm(ksm, pfn, move)
  // Forks that have no item yet, of parents whose items are gone.
  for (const mm of memory.mms()) {
    if (frames.mapcount(pfn) > 0)
      walkPageRange(mm, 0, VPN_LIMIT, (vpn) => void move(mm, mm.vmas.at(vpn)!, vpn))
  }
  for (const item of itemsOf(ksm, node)) {
    const anonVma = memory.anonVmas.of(items.anonVma(item))
    memory.anonVmas.get(anonVma)
    takeItem(ksm, item)
    items.setAnonVma(item, anonVma.id)
    stableTreeAppend(ksm, item, target)
  }
  return moved
}

/** The dup on the same chain with the fewest users whose page is sound; 0 if there is none. */
function shortestSibling(ksm: KsmState, node: number): number {
  const { nodes, frames } = ksm
  const alive = (dup: number): boolean => dup !== node && frames.mapping(nodes.pfn(dup)) === nodes.key(dup)
  const [shortest = 0] = dupsOf(ksm, nodes.chain(node))
    .filter(alive)
    .sort((a, b) => nodes.length(a) - nodes.length(b))
  return shortest
}

function switchPte(mm: MmStruct, vpn: number, from: number, to: number): boolean {
  const { memory } = mm
  const pte = getPte(mm, vpn)
  if (!pteNormal(pte) || ptePfn(pte) !== from) return false
  const range = mm.notifiers.start('clear', vpn, vpn + 1)
  const same = mm.users > 0 && getPte(mm, vpn) === pte
  if (same) {
    memory.frames.get(to)
    addRmap(memory, to)
    memory.frames.keep(to)
    setPte(mm, vpn, pteOfFrame(pte, to))
    mm.cpus.afterGrace({ ptes: [pte], drop: () => removeRmap(memory, from) })
  }
  mm.notifiers.end(range)
  return same
}

function dupsOf(ksm: KsmState, chain: number): number[] {
  const dups: number[] = []
  for (let dup = ksm.nodes.first(chain); dup !== 0; dup = ksm.nodes.dupNext(dup)) dups.push(dup)
  return dups
}
