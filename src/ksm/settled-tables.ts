// Tables of ptes whose pages are settled (settled.ts), all that are mapped there. By their items each page has to be looked at, 32 bytes
// apiece; by the ptes 4. So what going along the items of a table came to is noted, and holds for as long as as many pages are mapped
// there and none is soft-dirty. Whatever unsettles an item without a mark has its table forgotten: a visit, the item's end,
// being met ahead of its turn. All notes end where the unstable tree does.

import { endOfTable, tableAt, tablePlace } from '../mm/page/ptes.ts'
import type { MmSlot } from './mm-slot.ts'
import type { KsmState } from './state.ts'

/**
 * Moves the cursor over settled pages, of which the first, with the item `item`, is before it: up to the page `end`, as far as one
 * table of ptes goes, and at most `most` of them. Returns how many it passed.
 */
export function passSettled(ksm: KsmState, slot: MmSlot, end: number, item: number, most: number): number {
  const { cursor, items, core } = ksm
  const { vpn } = cursor
  const table = tableAt(slot.mm!, vpn)
  const known = slot.settledTables.get(tablePlace(vpn))
  const fits = known?.first === item && known.pages <= most && items.vpn(known.last) < end
  if (fits && core.cleanPages(table) === known.pages) {
    moveBehind(ksm, known.last)
    return known.pages
  }
  const pages = items.passSettled(table, vpn, Math.min(end, endOfTable(vpn)), item, most)
  if (pages === 0) return 0
  const last = items.lastPassed
  moveBehind(ksm, last)
  if (pages === core.cleanPages(table)) slot.settledTables.set(tablePlace(vpn), { first: item, last, pages })
  return pages
}

function moveBehind({ cursor, items }: KsmState, item: number): void {
  cursor.item = item
  cursor.vpn = items.vpn(item) + 1
}

/** The item of a page may be settled no more, or be none, though the pte does not tell. */
export function forgetTable({ settledTables }: MmSlot, vpn: number): void {
  settledTables.delete(tablePlace(vpn))
}
