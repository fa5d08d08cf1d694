// rmap items over their lives: taken when a page is first seen, dropped when the scan passes where it was.
// Linux: remove_rmap_item_from_tree(), get_next_rmap_item(), remove_trailing_rmap_items()

import { COUNTER_RMAP_ITEMS, RMAP_STABLE, RMAP_UNSTABLE } from '../../assembly/abi.ts'
import { BUSY, getKsmPage } from './keyhole.ts'
import type { MmSlot } from './mm-slot.ts'
import { forgetTable } from './settled-tables.ts'
import { markAgain } from './soft-dirty.ts'
import { takeItem } from './stable-node.ts'
import type { KsmState } from './state.ts'
import { unstableTreeRemove } from './unstable.ts'

/**
 * Makes an item volatile, whichever tree it is in. False, and nothing changed, if somebody has its merged page locked:
 * whoever moves the page finds its mappings through the item. (Linux waits for the lock.)
 * Linux: remove_rmap_item_from_tree()
 */
export function removeRmapItemFromTree(ksm: KsmState, item: number): boolean {
  const state = ksm.items.state(item)
  if (state === RMAP_UNSTABLE) {
    unstableTreeRemove(ksm, item)
  } else if (state === RMAP_STABLE) {
    const pfn = getKsmPage(ksm, ksm.items.head(item), 'trylock')
    if (pfn === BUSY) return false
    if (pfn === 0) return true // the page is gone, and with it the node and this item's place there
    takeItem(ksm, item)
    ksm.frames.put(pfn)
  }
  return true
}

/** The item linked behind `before`, or first of all if that is 0. */
export function nextLinkedItem(ksm: KsmState, slot: MmSlot, before: number): number {
  return before === 0 ? slot.rmapList : ksm.items.next(before)
}

/**
 * The item of a slot's page at `vpn`, behind the item `before` (0: at the beginning): found or made. Items passed over
 * belong to pages that are no longer there, and go, unless they are needed at this moment. 0 when out of memory.
 * Linux: get_next_rmap_item()
 */
export function getNextRmapItem(ksm: KsmState, slot: MmSlot, before: number, vpn: number): number {
  const { items } = ksm
  let next = nextLinkedItem(ksm, slot, before)
  while (next !== 0 && items.vpn(next) < vpn) {
    if (!freeRmapItem(ksm, slot, before, next)) before = next
    next = nextLinkedItem(ksm, slot, before)
  }
  if (next !== 0 && items.vpn(next) === vpn) return next
  const item = items.alloc(slot.mm!.id, vpn)
  if (item === 0) return 0
  ksm.counters[COUNTER_RMAP_ITEMS]!++
  slot.mm!.ksm.rmapItems++
  items.setNext(item, next)
  setNext(ksm, slot, before, item)
  // The page may have had an item before, and been read for that.
  markAgain(ksm, item)
  return item
}

/** Frees every item behind `before` (0: all) that is not needed at this moment. Linux: remove_trailing_rmap_items() */
export function removeTrailingRmapItems(ksm: KsmState, slot: MmSlot, before: number): void {
  let kept = before
  for (let item = nextLinkedItem(ksm, slot, kept); item !== 0; item = nextLinkedItem(ksm, slot, kept)) {
    if (!freeRmapItem(ksm, slot, kept, item)) kept = item
  }
}

function setNext(ksm: KsmState, slot: MmSlot, before: number, item: number): void {
  if (before === 0) slot.rmapList = item
  else ksm.items.setNext(before, item)
}

/** Frees the item linked behind `before`. False if it has to stay for now. */
function freeRmapItem(ksm: KsmState, slot: MmSlot, before: number, item: number): boolean {
  if (!removeRmapItemFromTree(ksm, item)) return false
  setNext(ksm, slot, before, ksm.items.next(item))
  forgetTable(slot, ksm.items.vpn(item))
  ksm.items.free(item)
  ksm.counters[COUNTER_RMAP_ITEMS]!--
  slot.mm!.ksm.rmapItems--
  return true
}
