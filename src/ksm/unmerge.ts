// Undoing merges: one page, a range, or everything. Each merged page gets a private copy through an unshare fault,
// which needs no write permission. Linux: break_ksm(), break_cow(), unmerge_and_remove_all_rmap_items()

import { MAPPING_KSM } from '../../assembly/abi.ts'
import type { Errno } from '../errors.ts'
import { handleMmFault } from '../mm/fault/fault.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_MERGEABLE, type Vma } from '../mm/model/vma.ts'
import { isKsmZeroPte, isMigrationPte, pteNormal, ptePfn } from '../mm/page/pte.ts'
import { getPte, nextPte } from '../mm/page/ptes.ts'
import { isKsm } from '../mm/page/rmap.ts'
import { freeChain } from './chain.ts'
import { getKsmPage, removeStableNode } from './keyhole.ts'
import { findMergeableVma } from './mergeable.ts'
import { removeTrailingRmapItems } from './rmap-item.ts'
import { stopSettling } from './settled.ts'
import { nodesOf } from './stable.ts'
import type { KsmState } from './state.ts'
import { unstableTreeGiveUp } from './unstable.ts'

/**
 * Gives an mm private copies of the merged pages, and of the zero pages placed by ksmd, in [start, end) of a vma.
 * Returns ENOMEM if one could not be copied; those before it have been. Linux: break_ksm()
 */
export function breakKsm(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined {
  for (let vpn = Math.max(start, vma.start); ; vpn++) {
    vpn = nextPte(mm, vpn, Math.min(end, vma.end))
    if (vpn >= Math.min(end, vma.end) || mm.users === 0) return undefined
    if (!isMerged(mm, getPte(mm, vpn))) continue
    const errno = handleMmFault(mm, vpn, 'unshare')
    if (errno === 'ENOMEM' || errno === 'EAGAIN') return errno
  }
}

/** An item was given a merged page but did not make it into the stable tree: take it back. Linux: break_cow() */
export function breakCow(ksm: KsmState, item: number): void {
  const { items, memory } = ksm
  memory.anonVmas.put(memory.anonVmas.of(items.anonVma(item)))
  items.setAnonVma(item, 0)
  const mm = memory.mm(items.mm(item))
  const vpn = items.vpn(item)
  const vma = findMergeableVma(mm, vpn)
  if (vma !== undefined) breakKsm(mm, vma, vpn, vpn + 1)
}

/**
 * Unmerges every registered mm and forgets every item. On ENOMEM, and on EAGAIN when a merged page is locked, stops half
 * way, with the cursor back at the start.
 * Linux: unmerge_and_remove_all_rmap_items()
 */
export function unmergeAndRemoveAllRmapItems(ksm: KsmState): Errno | undefined {
  const { cursor, slots } = ksm
  cursor.enter(slots.head.next)
  while (cursor.slot !== slots.head) {
    const slot = cursor.slot
    const mm = slot.mm!
    const errno = mm.users === 0 ? undefined : breakAllVmas(mm)
    if (errno !== undefined) return stopHalfWay(ksm, errno)
    removeTrailingRmapItems(ksm, slot, 0)
    if (slot.rmapList !== 0) return stopHalfWay(ksm, 'EAGAIN')
    cursor.enter(slot.next)
    if (mm.users === 0) {
      slots.remove(slot)
      mm.mergeable = false
      mm.drop()
    }
  }
  removeAllStableNodes(ksm)
  ksm.setSeqnr(0)
  return undefined
}

/** The next scan begins where this one did, under the same number. */
function stopHalfWay(ksm: KsmState, errno: Errno): Errno {
  stopSettling(ksm)
  ksm.cursor.enter(ksm.slots.head)
  unstableTreeGiveUp(ksm)
  return errno
}

/**
 * Removes every stable node whose page nobody maps. False if some page is still mapped: possible while an exiting mm
 * has not dropped its mappings yet. Linux: remove_all_stable_nodes()
 */
export function removeAllStableNodes(ksm: KsmState): boolean {
  let allGone = true
  for (const roots of [...ksm.allTrees()].flatMap(({ stable }) => stable)) {
    if (!(ksm.ordersByChecksum ? removeEachNode(ksm, roots) : removeRoots(ksm, roots))) allGone = false
  }
  for (const node of [...ksm.migrateNodes]) if (!removeUnmapped(ksm, node)) allGone = false
  return allGone
}

/**
 * Gives back the trees of a domain that has no mm any more, with the nodes that nobody has found stale yet. Not if a page of theirs
 * is locked: they stay until the domain comes and goes again.
 */
export function closeDomain(ksm: KsmState, domain: string): void {
  const trees = ksm.treesOfDomain(domain)
  if (domain === '' || trees === undefined) return
  const empty = trees.stable.every((roots) => removeEachNode(ksm, roots))
  if (empty) ksm.closeDomain(domain)
}

/** Takes away a tree's root again and again, and gives up at the first that has to stay: what is left then is Linux's. */
function removeRoots(ksm: KsmState, roots: number): boolean {
  const { arena } = ksm.memory
  for (let node = arena.topNode(roots, 0); node !== 0; node = arena.topNode(roots, 0)) {
    if (!removeWithDups(ksm, node)) return false
  }
  return true
}

/** Ordered by checksum a tree has many roots: whatever can go goes. */
function removeEachNode(ksm: KsmState, roots: number): boolean {
  return nodesOf(ksm, roots).filter((node) => !removeWithDups(ksm, node)).length === 0
}

function breakAllVmas(mm: MmStruct): Errno | undefined {
  for (const vma of mm.vmas) {
    if (!vma.has(VM_MERGEABLE) || vma.anonVma === undefined) continue
    const errno = breakKsm(mm, vma, vma.start, vma.end)
    if (errno !== undefined) return errno
  }
  return undefined
}

function removeWithDups(ksm: KsmState, node: number): boolean {
  const { nodes } = ksm
  if (!nodes.isChain(node)) return removeUnmapped(ksm, node)
  for (let dup = nodes.first(node); dup !== 0; ) {
    const next = nodes.dupNext(dup)
    if (!removeUnmapped(ksm, dup)) return false
    dup = next
  }
  freeChain(ksm, node)
  return true
}

/** Linux: remove_stable_node() */
function removeUnmapped(ksm: KsmState, node: number): boolean {
  const { frames } = ksm
  const pfn = getKsmPage(ksm, node)
  if (pfn === 0) return true
  if (pfn < 0) return false
  const unmapped = frames.mapcount(pfn) === 0
  if (unmapped) {
    frames.setMapping(pfn, MAPPING_KSM)
    removeStableNode(ksm, node)
  }
  frames.put(pfn)
  return unmapped
}

function isMerged(mm: MmStruct, pte: number): boolean {
  if (pteNormal(pte) || isMigrationPte(pte)) return isKsm(mm.memory, ptePfn(pte))
  return isKsmZeroPte(pte)
}
