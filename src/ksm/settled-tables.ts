// Stretches of settled pages (settled.ts), one a table of ptes. To go along one each of its items has to be looked at, 32 bytes a page. So what
// that came to is noted, and holds for as long as no pte of the table is set. Whatever else unsettles an item has its table
// forgotten: the item's end, being met ahead of its turn. (No visit does: a page that is visited unmarked was in no stretch.) All
// notes end where the unstable tree does.

import { endOfTable, pmdClearSoftDirty, pmdSoftDirty, tableAt, tablePlace } from '../mm/page/ptes.ts'
import type { MmSlot } from './mm-slot.ts'
import type { KsmState } from './state.ts'

/**
 * Moves the cursor over settled pages, of which the first, with the item `item`, is before it: up to the page `end`, as far as one
 * table of ptes goes, and at most `most` of them. Returns how many it passed.
 */
export function passSettled(ksm: KsmState, slot: MmSlot, end: number, item: number, most: number): number {
  const { cursor, items } = ksm
  const { vpn } = cursor
  const mm = slot.mm!
  const table = tableAt(mm, vpn)
  const known = slot.settledTables.get(tablePlace(vpn))
  const fits = known?.first === item && known.pages <= most && items.vpn(known.last) < end
  if (fits && !pmdSoftDirty(mm, table)) {
    moveBehind(ksm, known.last)
    return known.pages
  }
  const pages = items.passSettled(table, vpn, Math.min(end, endOfTable(vpn)), item, most)
  if (pages === 0) return 0
  const last = items.lastPassed
  moveBehind(ksm, last)
  // Not what ended only because the batch does.
  if (pages < most) {
    slot.settledTables.set(tablePlace(vpn), { first: item, last, pages })
    pmdClearSoftDirty(mm, table)
  }
  return pages
}

function moveBehind({ cursor, items }: KsmState, item: number): void {
  cursor.item = item
  cursor.vpn = items.vpn(item) + 1
}

/** The item of a page may be settled no more, or be none, though no pte tells. */
export function forgetTable({ settledTables }: MmSlot, vpn: number): void {
  settledTables.delete(tablePlace(vpn))
}
