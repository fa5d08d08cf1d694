// Pages that need no visit. An item is *settled* when visiting it again would change nothing for as long as its pte is not
// soft-dirty:
//
//   stable     and the pte maps the page of its node;
//   unstable   no page of zeros, and nobody with its checksum was in either tree when it was entered in its own.
//
// The cursor passes over such pages by the table and counts them as scanned, so that batches end where they would have ended.
// Settled items stay in the unstable tree from one scan to the next, where Linux has each enter it anew as its turn comes; unless
// most pages have been written with other bytes, when the tree is forgotten as Linux does.
// So where a search meets one, its place tells what Linux would have found. *Behind* the page being visited: the item, which
// has entered. *Ahead*: nothing; it is taken out, and its own visit, later in this scan, will find the page being visited. Nothing
// else can bring it news: whoever changes what its address maps, or the bytes there, marks the pte; and a stable node of its
// checksum comes into being only by a visit to a page that has it, which meets the item on its way.
//
// None of this where somebody may act in the middle of a scan, where all pages have to be seen (smart_scan), where pages
// have trees by the node they are on, or where a tie does not tell that contents are equal.

import { COUNTER_RMAP_ITEMS, RMAP_UNSTABLE } from '../../assembly/abi.ts'
import { VM_MERGEABLE } from '../mm/model/vma.ts'
import { pteNormal, ptePfn, pteSoftDirty } from '../mm/page/pte.ts'
import { clearSoftDirty } from '../mm/page/ptes.ts'
import { forgetTable } from './settled-tables.ts'
import type { KsmState, Trees } from './state.ts'

/** May pages be passed over in a batch? `watched`: somebody acts in the middle of it. */
export function maySettle(ksm: KsmState, watched: boolean): boolean {
  const { tunables, frames } = ksm
  if (!ksm.logsChanges || !ksm.trustsTies || watched || tunables.smart_scan !== 0) return false
  return frames.numaNodes === 1 || tunables.merge_across_nodes !== 0
}

/** Settles a stable item whose pte maps its node's page. */
export function settleStable({ settles, items, memory }: KsmState, item: number): void {
  if (!settles) return
  clearSoftDirty(memory.mm(items.mm(item)), items.vpn(item))
  items.settle(item)
}

/** Settles an item that has just entered the unstable tree, if it was met by nobody there (`alone`) and has no merged equal. */
export function settleUnstable(
  ksm: KsmState,
  trees: Trees,
  item: number,
  pfn: number,
  key: number,
  alone: boolean,
): void {
  if (!ksm.settles || !alone || ksm.items.oldchecksum(item) === ksm.zeroChecksum) return
  if (ksm.core.search(trees.stable[ksm.treeNid(pfn)]!, key) < 0) ksm.items.settle(item)
}

/** Is an item whose page has been looked at, and has the checksum that stands at `key`, as settled as it was? */
export function staysSettled({ items }: KsmState, item: number, key: number): boolean {
  return items.state(item) === RMAP_UNSTABLE && items.isSettled(item) && items.hasChecksum(item, key)
}

/** Is the turn of an item's page in this scan still to come when another page is being visited? */
export function isAhead({ items, slots, memory, seqnr }: KsmState, item: number, visited: number): boolean {
  const mm = items.mm(item)
  if (mm === items.mm(visited)) return items.vpn(item) > items.vpn(visited)
  return slots.of(memory.mm(mm))!.passedIn !== seqnr
}

/** Has a visit to come after all for an item that was met ahead of its turn, and taken out of the tree. */
export function unsettle(ksm: KsmState, item: number, visited: number): void {
  const { items, cursor, memory, slots, unsettled } = ksm
  const mm = memory.mm(items.mm(item))
  const pte = memory.pageTables.get(mm.pgd, items.vpn(item))
  // Where another page is by now, or none, the cursor has not passed over it, but found nothing of it.
  const same = items.isSettled(item) && pteNormal(pte) && !pteSoftDirty(pte)
  const passed = same && items.mm(item) === items.mm(visited) && items.vpn(item) < cursor.vpn
  items.unsettle(item)
  forgetTable(slots.of(mm)!, items.vpn(item))
  if (!passed) return
  unsettled.push(item)
  unsettled.sort((a, b) => items.vpn(a) - items.vpn(b))
}

/** Settles nothing any more, and leaves what Linux would have at this moment: only those behind the cursor are in their tree. */
export function stopSettling(ksm: KsmState): void {
  if (!ksm.settles) return
  const { items, core, cursor, slots, seqnr } = ksm
  for (const { slot, item } of ksm.unstableItems()) {
    const behind = slot === cursor.slot ? items.vpn(item) < cursor.vpn : slot.passedIn === seqnr
    if (!behind && items.isLinked(item)) core.erase(item)
    items.setUnstableSince(item, behind ? seqnr : seqnr - 1)
  }
  for (const { settledTables } of slots) settledTables.clear()
  ksm.settles = false
}

/** Begins to settle pages, at the start of a full scan: the trees are empty. */
export function startSettling(ksm: KsmState): void {
  forgetSettled(ksm)
  ksm.settles = true
}

/** No item is in the unstable tree, which is forgotten, nor passed over for having been there. */
export function forgetSettled({ slots, items }: KsmState): void {
  for (const { rmapList, settledTables } of slots) {
    items.forgetUnstable(rmapList)
    settledTables.clear()
  }
}

/** How many pages are looked at for whether most have been written. */
const SAMPLE = 64

/**
 * Is the tree better forgotten than taken apart? To take one page out of it costs as much as to have another that need not be visited
 * enter anew. So it is where most pages have been written, and with other bytes: a page that has the bytes it had stays.
 */
export function isBetterForgotten(ksm: KsmState): boolean {
  return isMostlyWritten(ksm) && isMostlyChanged(ksm)
}

/** Have most pages been written since they were visited, as far as some of them tell? */
function isMostlyWritten({ slots, memory }: KsmState): boolean {
  const ranges = [...slots].flatMap(({ mm }) => [...mm!.vmas].filter((vma) => vma.has(VM_MERGEABLE)))
  const pages = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  const step = Math.ceil(pages / SAMPLE)
  let [balance, from] = [0, 0]
  for (const { mm, start, end } of ranges) {
    let vpn = start + from
    for (; vpn < end; vpn += step) {
      const pte = memory.pageTables.get(mm.pgd, vpn)
      if (pteNormal(pte)) balance += pteSoftDirty(pte) ? 1 : -1
    }
    from = vpn - end
  }
  return balance > 0
}

/** Have most pages in the tree other bytes than when they entered it, as far as some of them tell? */
function isMostlyChanged({ slots, items, memory, counters }: KsmState): boolean {
  // A checksum of an embedder's is asked for at visits only.
  if (memory.arena.strategy.own !== undefined) return true
  const step = Math.ceil(counters[COUNTER_RMAP_ITEMS]! / SAMPLE)
  let [balance, seen] = [0, 0]
  for (const { mm, rmapList } of slots) {
    for (let item = rmapList; item !== 0; item = items.next(item)) {
      if (seen++ % step !== 0 || items.state(item) !== RMAP_UNSTABLE) continue
      const pte = memory.pageTables.get(mm!.pgd, items.vpn(item))
      if (pteNormal(pte)) balance += memory.arena.checksum(ptePfn(pte)) !== items.checksum(item) ? 1 : -1
    }
  }
  return balance > 0
}
