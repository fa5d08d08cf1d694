// Which pages have to be read. A page that is not soft-dirty (mm/page/ptes.ts) is what it was when its checksum was last
// written down, so its item has the answer. The mark is cleared before the page is read: a write in between is seen twice
// rather than never.
//
// Invariant: a page that is not soft-dirty and has a volatile or unstable item has that item's checksum.

import { FRAME_PINNED, FRAME_SWAPCACHE } from '../../assembly/abi.ts'
import type { Window } from '../core/window.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { pteWritable } from '../mm/page/pte.ts'
import { clearSoftDirty, getPte, isSoftDirty, markSoftDirty } from '../mm/page/ptes.ts'
import type { KsmState } from './state.ts'

/**
 * Must the unmerged page at `vpn` be read to know its checksum? Then the mark is cleared, if it can be: whoever calls
 * either has the checksum written down or marks the page again. `held`: references of the caller.
 */
export function testAndClearSoftDirty(
  ksm: KsmState,
  mm: MmStruct,
  vpn: number,
  pfn: number,
  held: number,
): boolean {
  if (!ksm.logsChanges) return true
  if (!isSoftDirty(mm, vpn)) return false
  if (!mayBeWrittenUnasked(ksm, pfn, held)) endWriting(mm, vpn)
  return true
}

/** Has an unmerged page to be read to know its checksum? */
export function mustBeRead(ksm: KsmState, mm: MmStruct, vpn: number): boolean {
  return !ksm.logsChanges || isSoftDirty(mm, vpn)
}

/**
 * Takes the marks away from the pages in the window that are about to be read, from the one behind `before` others on: as
 * `testAndClearSoftDirty` does, where nobody acts meanwhile. Neighbours are told of at once.
 */
export function clearMarks(ksm: KsmState, mm: MmStruct, window: Window, before: number): void {
  if (!ksm.logsChanges) return
  const silent = mm.notifiers.isEmpty
  let [start, end] = [0, 0]
  for (let i = before; i < window.length; i++) {
    const at = window.position(i)
    if (!window.isToBeHashed(at) || mayBeWrittenUnasked(ksm, window.pfn(at), 0)) continue
    const vpn = ksm.items.vpn(window.item(at))
    if (silent || !pteWritable(getPte(mm, vpn))) {
      clearSoftDirty(mm, vpn)
      continue
    }
    if (vpn !== end) {
      endWritingOf(mm, start, end)
      start = vpn
    }
    end = vpn + 1
  }
  endWritingOf(mm, start, end)
}

function endWritingOf(mm: MmStruct, start: number, end: number): void {
  if (start === end) return
  const range = mm.notifiers.start('soft_dirty', start, end)
  for (let vpn = start; vpn < end; vpn++) clearSoftDirty(mm, vpn)
  mm.notifiers.end(range)
}

/** Marks an item's page again: its checksum does not stand in the item. */
export function markAgain({ items, memory }: KsmState, item: number): void {
  markSoftDirty(memory.mm(items.mm(item)), items.vpn(item))
}

/** Whoever holds a page beyond its mappings may write at any time, as a device does. */
function mayBeWrittenUnasked({ frames }: KsmState, pfn: number, held: number): boolean {
  const flags = frames.flags(pfn)
  const cached = (flags & FRAME_SWAPCACHE) === 0 ? 0 : 1
  return (flags & FRAME_PINNED) !== 0 || frames.refcount(pfn) > frames.mapcount(pfn) + cached + held
}

/** Takes the mark away, and with it the translations through which the page could be written without another. */
function endWriting(mm: MmStruct, vpn: number): void {
  const pte = getPte(mm, vpn)
  const writable = pteWritable(pte)
  const range = writable ? mm.notifiers.start('soft_dirty', vpn, vpn + 1) : undefined
  // Otherwise whoever was told has been here: another page is marked for reasons of its own.
  if (getPte(mm, vpn) === pte) clearSoftDirty(mm, vpn)
  // A virtual CPU that has not come may still write.
  if (writable && !mm.cpus.synchronize()) markSoftDirty(mm, vpn)
  mm.notifiers.end(range)
}
