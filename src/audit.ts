// Recounts a host from its structures and lists what does not fit: page tables against frame descriptors, rmap items
// against stable nodes, trees against their own rules, everything against the counters. Trusts nothing it can recount.

import {
  COUNTER_KSM_ZERO_PAGES,
  COUNTER_PAGES_SHARED,
  COUNTER_PAGES_SHARING,
  COUNTER_PAGES_UNSHARED,
  COUNTER_RMAP_ITEMS,
  COUNTER_STABLE_NODE_CHAINS,
  COUNTER_STABLE_NODE_DUPS,
  FRAME_EXCLUSIVE,
  FRAME_LOCKED,
  FRAME_OFFLINE,
  FRAME_PINNED,
  FRAME_POISONED,
  FRAME_SWAPCACHE,
  RMAP_STABLE,
  RMAP_UNSTABLE,
} from '../assembly/abi.ts'
import { StableNodes } from './core/stable-nodes.ts'
import type { KsmState } from './ksm/state.ts'
import { VPN_LIMIT } from './mm/model/address.ts'
import type { Memory } from './mm/model/memory.ts'
import type { MmStruct } from './mm/model/mm-struct.ts'
import { VM_MERGEABLE, VM_SHARED, VM_WRITE, type Vma } from './mm/model/vma.ts'
import {
  isKsmZeroPte,
  isMigrationPte,
  isSwapPte,
  isZeroPte,
  pteNormal,
  ptePfn,
  pteWrite,
  type SwapEntry,
  swapEntryOf,
} from './mm/page/pte.ts'
import { getPte, walkPageRange } from './mm/page/ptes.ts'
import { isKsm } from './mm/page/rmap.ts'

/** Notes what differs from what it should be. */
class Complaints {
  readonly list: string[] = []

  unless(holds: boolean, what: () => string): void {
    if (!holds) this.list.push(what())
  }

  equal(what: string, found: number, recounted: number): void {
    this.unless(found === recounted, () => `${what} is ${found}, recounted ${recounted}`)
  }
}

/** What the rmap items say, counted once and held against several other things. */
interface ItemCount {
  items: number
  unstable: number
  readonly stableByNode: Map<number, number[]>
  readonly holdersByAnonVma: Map<number, number>
}

/** Returns one line for each thing that is wrong; empty if all is well. To be called at rest, not inside a callback. */
export function audit(memory: Memory, ksm: KsmState): string[] {
  const complaints = new Complaints()
  auditPages(memory, complaints)
  const items = auditItems(memory, ksm, complaints)
  auditNodes(ksm, items, complaints)
  auditTrees(memory, ksm, complaints)
  auditAnonVmas(memory, items, complaints)
  return complaints.list
}

/** What the page tables and the shared objects say, held against the frames and against swap. */
interface PteCount {
  /** Present ptes by frame. */
  readonly mappings: Map<number, number>
  /** Swap ptes by slot. */
  readonly swapped: Map<string, number>
  /** Frames that belong to shared objects. */
  readonly shared: Set<number>
}

/** Page tables against frame descriptors and swap. */
function auditPages(memory: Memory, complaints: Complaints): void {
  const count: PteCount = { mappings: new Map(), swapped: new Map(), shared: new Set() }
  let zeroPages = 0
  for (const mm of memory.mms()) if (mm.users > 0) zeroPages += auditMm(mm, count, complaints)
  complaints.equal('ksm_zero_pages', memory.arena.counters[COUNTER_KSM_ZERO_PAGES]!, zeroPages)
  auditSwap(memory, count, complaints)
  auditFrames(memory, count, complaints)
}

/** One mm's ptes; returns how many zero pages ksmd placed there. */
function auditMm(mm: MmStruct, count: PteCount, complaints: Complaints): number {
  let zeroPages = 0
  for (const vma of mm.vmas) for (const pfn of vma.shared?.pages.values() ?? []) count.shared.add(pfn)
  walkPageRange(mm, 0, VPN_LIMIT, (vpn, pte) => {
    const where = (): string => `${mm.name}, page ${vpn}`
    const vma = mm.vmas.at(vpn)
    if (vma === undefined) complaints.unless(false, () => `${where()}: mapped outside every vma`)
    else if (pteNormal(pte)) auditPte(mm, vma, pte, complaints, where)
    if (isSwapPte(pte)) add(count.swapped, slotName(swapEntryOf(pte)))
    else if (pteNormal(pte)) add(count.mappings, ptePfn(pte))
    complaints.unless(!isMigrationPte(pte), () => `${where()}: left in the middle of a migration`)
    complaints.unless(!isZeroPte(pte) || !pteWrite(pte), () => `${where()}: the zero page is writable`)
    if (isKsmZeroPte(pte)) zeroPages++
  })
  complaints.equal(`${mm.name}: ksm_zero_pages`, mm.ksm.zeroPages, zeroPages)
  return zeroPages
}

/** A pte that maps a frame. */
function auditPte(mm: MmStruct, vma: Vma, pte: number, complaints: Complaints, where: () => string): void {
  const { memory } = mm
  const { frames } = memory
  const pfn = ptePfn(pte)
  if (vma.has(VM_SHARED)) {
    complaints.unless(
      [...(vma.shared?.pages.values() ?? [])].includes(pfn),
      () => `${where()}: frame ${pfn} does not belong to the shared object`,
    )
    return
  }
  complaints.unless(frames.isAnon(pfn), () => `${where()}: frame ${pfn} is nobody's anonymous page`)
  const writable = pteWrite(pte)
  complaints.unless(!writable || vma.has(VM_WRITE), () => `${where()}: writable, but the range is not`)
  complaints.unless(
    !writable || frames.mapcount(pfn) === 1,
    () => `${where()}: frame ${pfn} is writable here and mapped ${frames.mapcount(pfn)} times`,
  )
  if (!isKsm(memory, pfn)) return
  complaints.unless(!writable, () => `${where()}: merged frame ${pfn} is writable`)
  complaints.unless(
    !frames.hasFlag(pfn, FRAME_EXCLUSIVE),
    () => `${where()}: merged frame ${pfn} is marked exclusive`,
  )
}

function auditSwap(memory: Memory, count: PteCount, complaints: Complaints): void {
  const { swap, frames } = memory
  let used = 0
  for (const { entry, count: found, cached } of swap.usedSlots()) {
    used++
    const name = slotName(entry)
    complaints.equal(`swap slot ${name}: ptes`, found, count.swapped.get(name) ?? 0)
    count.swapped.delete(name)
    if (cached === 0) continue
    complaints.unless(
      frames.hasFlag(cached, FRAME_SWAPCACHE),
      () => `swap slot ${name}: frame ${cached} is not its own`,
    )
    complaints.unless(
      found > 0 || frames.mapcount(cached) > 0,
      () => `swap slot ${name}: nobody but the cache has frame ${cached}`,
    )
    complaints.equal(`swap slot ${name}: what frame ${cached} says`, swap.entryOf(cached).slot, entry.slot)
  }
  complaints.equal('swap slots in use', swap.usage.used, used)
  for (const name of count.swapped.keys())
    complaints.unless(false, () => `a pte names the free swap slot ${name}`)
}

function auditFrames(memory: Memory, count: PteCount, complaints: Complaints): void {
  const { arena, frames, pins } = memory
  let free = 0
  for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++) {
    const mapped = count.mappings.get(pfn) ?? 0
    const cached = frames.hasFlag(pfn, FRAME_SWAPCACHE) ? 1 : 0
    const references = mapped + cached + (count.shared.has(pfn) ? 1 : 0) + pins.of(pfn)
    complaints.equal(`frame ${pfn}: mapcount`, frames.mapcount(pfn), mapped)
    complaints.equal(`frame ${pfn}: refcount`, frames.refcount(pfn), references)
    complaints.unless(!frames.hasFlag(pfn, FRAME_LOCKED), () => `frame ${pfn}: left locked`)
    complaints.equal(
      `frame ${pfn}: is pinned`,
      Number(frames.hasFlag(pfn, FRAME_PINNED)),
      Number(pins.isPinned(pfn)),
    )
    if (frames.refcount(pfn) > 0) continue
    if (!frames.hasFlag(pfn, FRAME_OFFLINE | FRAME_POISONED)) free++
    complaints.equal(`free frame ${pfn}: mapping`, frames.mapping(pfn), 0)
  }
  complaints.equal('free frames', frames.free, free)
}

function slotName({ device, slot }: SwapEntry): string {
  return `${device}:${slot}`
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** The items of every slot: their order, and the counts that rest on them. */
function auditItems(memory: Memory, ksm: KsmState, complaints: Complaints): ItemCount {
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
  // Linux too brings a merged page back from swap to where merging is no longer allowed.
  if (mm.users === 0 || memory.swap.usage.total > 0) return
  const pte = getPte(mm, vpn)
  const maps = pteNormal(pte) && ksm.frames.mapping(ptePfn(pte)) === ksm.nodes.key(node)
  complaints.unless(
    !maps || mm.vmas.at(vpn)!.has(VM_MERGEABLE),
    () => `${mm.name}, page ${vpn}: merged, but may not be`,
  )
}

/** Stable nodes against the items that point at them. */
function auditNodes(ksm: KsmState, items: ItemCount, complaints: Complaints): void {
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

/** The stable trees: red-black rules, chains and dups, and that every node in use can be found. */
function auditTrees(memory: Memory, ksm: KsmState, complaints: Complaints): void {
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
      }
    }
  })
  complaints.equal('stable_node_chains', counters[COUNTER_STABLE_NODE_CHAINS]!, chains)
  complaints.equal('stable_node_dups', counters[COUNTER_STABLE_NODE_DUPS]!, dups)
  complaints.equal('stable nodes in use', arena.objects().stableNodes, found + dups)
}

/** References on anon_vmas: one for being linked, one for each item, on a root one for each other member. */
function auditAnonVmas(memory: Memory, items: ItemCount, complaints: Complaints): void {
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
