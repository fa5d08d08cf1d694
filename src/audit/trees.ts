// What hangs together by links: the stable trees with their chains, the forests of anon_vmas.

import { COUNTER_STABLE_NODE_CHAINS, COUNTER_STABLE_NODE_DUPS } from '../../assembly/abi.ts'
import { hasRoom } from '../ksm/stable-node.ts'
import type { KsmState } from '../ksm/state.ts'
import { isInTree } from '../ksm/unstable.ts'
import type { Memory } from '../mm/model/memory.ts'
import { add, type Complaints } from './complaints.ts'
import type { ItemCount } from './items.ts'

/** The stable trees: red-black rules, chains and dups, and that every node in use can be found. */
export function auditTrees(memory: Memory, ksm: KsmState, complaints: Complaints): void {
  const { core, nodes, counters } = ksm
  const { arena } = memory
  let found = ksm.migrateNodes.size
  let chains = 0
  let dups = 0
  const forEachRoot = (visit: (slot: number) => void): void => {
    for (const roots of [...ksm.allTrees()].flatMap(({ stable }) => stable)) {
      for (let slot = 0; slot < arena.rootSlots; slot++) visit(arena.rootSlot(roots, slot))
    }
  }
  forEachRoot((slot) => {
    const size = core.checkTree(slot, ksm.ordersByChecksum ? 1 : 0)
    complaints.unless(size >= 0, () => `the stable tree at ${slot} breaks rule ${-size} (assembly/check.ts)`)
    if (size < 0) return
    for (let node = core.first(slot); node !== 0; node = core.next(node)) {
      found++
      complaints.unless(
        !nodes.isDup(node) && !nodes.isMigrating(node),
        () => `node ${node} is in a tree and elsewhere`,
      )
      if (!nodes.isChain(node)) continue
      chains++
      for (let dup = nodes.first(node); dup !== 0; dup = nodes.dupNext(dup)) {
        dups++
        complaints.unless(
          nodes.isDup(dup) && nodes.chain(dup) === node,
          () => `dup ${dup} does not know its chain`,
        )
        const alive = ksm.frames.mapping(nodes.pfn(dup)) === nodes.key(dup)
        complaints.unless(
          (alive && !hasRoom(ksm, dup)) || ksm.dups.isNoted(dup),
          () => `dup ${dup} has room, or no page, and is passed over`,
        )
      }
    }
  })
  complaints.equal('stable_node_chains', counters[COUNTER_STABLE_NODE_CHAINS]!, chains)
  complaints.equal('stable_node_dups', counters[COUNTER_STABLE_NODE_DUPS]!, dups)
  complaints.equal('stable nodes in use', arena.objects().stableNodes, found + dups)
}

/** The unstable trees of a scan under way. Between two scans, unless they last, they are forgotten, and what is left of them may dangle. */
export function auditUnstableTrees(memory: Memory, ksm: KsmState, complaints: Complaints): void {
  if (!ksm.settles && ksm.cursor.slot === ksm.slots.head) return
  const { core } = ksm
  const { arena } = memory
  let found = 0
  for (const roots of [...ksm.allTrees()].flatMap(({ unstable }) => unstable)) {
    for (let slot = 0; slot < arena.rootSlots; slot++) {
      const root = arena.rootSlot(roots, slot)
      const size = core.checkTree(root, ksm.ordersByChecksum ? 1 : 0)
      complaints.unless(
        size >= 0,
        () => `the unstable tree at ${root} breaks rule ${-size} (assembly/check.ts)`,
      )
      found += Math.max(0, size)
    }
  }
  let marked = 0
  for (const { item } of ksm.unstableItems()) if (isInTree(ksm, item)) marked++
  complaints.equal('items in the unstable trees', found, marked)
}

/** References on anon_vmas: one for being linked, one for each item, on a root one for each other member. */
export function auditAnonVmas(memory: Memory, items: ItemCount, complaints: Complaints): void {
  const members = new Map<number, number>()
  for (const anonVma of memory.anonVmas) {
    if (anonVma.root !== anonVma) add(members, anonVma.root.id)
  }
  for (const anonVma of memory.anonVmas) {
    const linked = anonVma.vmas.size > 0 ? 1 : 0
    const held = items.holdersByAnonVma.get(anonVma.id) ?? 0
    const recounted = linked + held + (members.get(anonVma.id) ?? 0)
    complaints.equal(`anon_vma ${anonVma.id}: refcount`, anonVma.refcount, recounted)
  }
}
