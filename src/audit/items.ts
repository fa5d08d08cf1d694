// The rmap items, counted once and held against several other things: counters, stable nodes, the frames of those.

import {
  COUNTER_PAGES_SHARED,
  COUNTER_PAGES_SHARING,
  COUNTER_PAGES_UNSHARED,
  COUNTER_RMAP_ITEMS,
  RMAP_STABLE,
  RMAP_UNSTABLE,
  TABLE_ENTRIES,
} from '../../assembly/abi.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import type { MmSlot } from '../ksm/mm-slot.ts'
import type { KsmState } from '../ksm/state.ts'
import type { Memory } from '../mm/model/memory.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_MERGEABLE } from '../mm/model/vma.ts'
import { pteNormal, ptePfn } from '../mm/page/pte.ts'
import { getPte, isSoftDirty, pmdSoftDirty, tableAt } from '../mm/page/ptes.ts'
import { add, type Complaints } from './complaints.ts'

/** What the rmap items say, counted once and held against several other things. */
export interface ItemCount {
  items: number
  unstable: number
  readonly stableByNode: Map<number, number[]>
  readonly holdersByAnonVma: Map<number, number>
}

/** The items of every slot: their order, and the counts that rest on them. */
export function auditItems(memory: Memory, ksm: KsmState, complaints: Complaints): ItemCount {
  const { items, counters, slots } = ksm
  const total: ItemCount = { items: 0, unstable: 0, stableByNode: new Map(), holdersByAnonVma: new Map() }
  for (const slot of slots) {
    const mm = slot.mm!
    complaints.unless(mm.mergeable, () => `${mm.name} is scanned but not marked so`)
    let count = 0
    let merging = 0
    let before = -1
    for (let item = slot.rmapList; item !== 0; item = items.next(item)) {
      count++
      complaints.unless(
        items.vpn(item) > before,
        () => `${mm.name}: items out of order at page ${items.vpn(item)}`,
      )
      before = items.vpn(item)
      complaints.equal(`${mm.name}, page ${before}: the item's mm`, items.mm(item), mm.id)
      if (items.state(item) === RMAP_UNSTABLE) total.unstable++
      auditClean(ksm, mm, item, complaints)
      if (items.state(item) !== RMAP_STABLE) continue
      merging++
      const node = items.head(item)
      auditItemPlace(memory, ksm, mm, items.vpn(item), node, complaints)
      const list = total.stableByNode.get(node)
      if (list === undefined) total.stableByNode.set(node, [item])
      else list.push(item)
      const holder = items.anonVma(item)
      add(total.holdersByAnonVma, holder)
    }
    auditSettledTables(ksm, slot, complaints)
    complaints.equal(`${mm.name}: ksm_rmap_items`, mm.ksm.rmapItems, count)
    complaints.equal(`${mm.name}: ksm_merging_pages`, mm.ksm.mergingPages, merging)
    total.items += count
  }
  complaints.equal('rmap_items', counters[COUNTER_RMAP_ITEMS]!, total.items)
  complaints.equal('rmap items in use', memory.arena.objects().rmapItems, total.items)
  complaints.equal('pages_unshared', counters[COUNTER_PAGES_UNSHARED]!, total.unstable)
  for (const mm of memory.mms()) {
    if (slots.of(mm) !== undefined) continue
    complaints.unless(!mm.mergeable, () => `${mm.name} is marked as scanned but is not`)
    complaints.equal(`${mm.name}, not scanned: ksm_rmap_items`, mm.ksm.rmapItems, 0)
  }
  return total
}

/** A page that is not soft-dirty is the one whose checksum its item has; or, where the item is stable and settled, its node's. */
function auditClean(
  { items, nodes, frames, memory, core }: KsmState,
  mm: MmStruct,
  item: number,
  complaints: Complaints,
): void {
  const vpn = items.vpn(item)
  const pte = getPte(mm, vpn)
  if (!pteNormal(pte) || isSoftDirty(mm, vpn)) return
  const where = (): string => `${mm.name}, page ${vpn}: not soft-dirty`
  const pfn = ptePfn(pte)
  if (items.state(item) !== RMAP_STABLE) {
    const unchanged = items.checksum(item) === memory.arena.checksum(pfn, core)
    complaints.unless(unchanged, () => `${where()}, but changed since it was read`)
  } else if (items.isSettled(item)) {
    const maps = frames.mapping(pfn) === nodes.key(items.head(item))
    complaints.unless(maps, () => `${where()} and passed over, but maps another page than its node's`)
  }
}

/** What is noted of a table is so, unless a pte of it has been set since. */
function auditSettledTables(
  { items }: KsmState,
  { mm, settledTables }: MmSlot,
  complaints: Complaints,
): void {
  for (const [place, { first, last, pages }] of settledTables) {
    const end = (place + 1) * TABLE_ENTRIES
    const table = tableAt(mm!, end - 1)
    if (table === 0 || pmdSoftDirty(mm!, table)) continue
    const passed = items.passSettled(table, items.vpn(first), end, first, pages)
    complaints.equal(`${mm!.name}, the table before page ${end}: settled`, passed, pages)
    complaints.equal(`${mm!.name}, the table before page ${end}: last item`, items.lastPassed, last)
  }
}

/**
 * Where an item is stable and still maps its page, merging must be allowed. Not so where there is no item: a fork's copy
 * of a mapping stays when the page is merged through the other.
 */
function auditItemPlace(
  memory: Memory,
  ksm: KsmState,
  mm: MmStruct,
  vpn: number,
  node: number,
  complaints: Complaints,
): void {
  // Linux too brings a merged page back from swap to where merging is no longer allowed; and so does restoring an mm.
  if (mm.users === 0 || memory.swap.usage.total > 0 || mm.restored) return
  const pte = getPte(mm, vpn)
  const maps = pteNormal(pte) && ksm.frames.mapping(ptePfn(pte)) === ksm.nodes.key(node)
  complaints.unless(
    !maps || mm.vmas.at(vpn)!.has(VM_MERGEABLE),
    () => `${mm.name}, page ${vpn}: merged, but may not be`,
  )
}

/** Stable nodes against the items that point at them. */
export function auditNodes(ksm: KsmState, items: ItemCount, complaints: Complaints): void {
  const { nodes, frames, counters } = ksm
  let shared = 0
  let sharing = 0
  for (const [node, members] of items.stableByNode) {
    shared++
    sharing += members.length - 1
    const listed = new Set<number>()
    let before = 0
    for (
      let item = nodes.first(node);
      item !== 0 && listed.size <= members.length;
      item = ksm.items.listNext(item)
    ) {
      complaints.equal(`node ${node}: link back of item ${item}`, ksm.items.listPrev(item), before)
      before = item
      listed.add(item)
    }
    complaints.equal(`node ${node}: items listed`, listed.size, members.length)
    complaints.equal(`node ${node}: length`, nodes.length(node), members.length)
    complaints.unless(
      members.every((item) => listed.has(item)),
      () => `node ${node}: an item points at it that is not on its list`,
    )
  }
  complaints.equal('pages_shared', counters[COUNTER_PAGES_SHARED]!, shared)
  complaints.equal('pages_sharing', counters[COUNTER_PAGES_SHARING]!, sharing)
  const { arena } = ksm.memory
  for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++) {
    const node = StableNodes.ofMapping(frames.mapping(pfn))
    if (node === 0) continue
    complaints.equal(`frame ${pfn}: where its node thinks it is`, nodes.pfn(node), pfn)
    complaints.equal(`frame ${pfn}: its node's key`, nodes.key(node), frames.mapping(pfn))
  }
}
