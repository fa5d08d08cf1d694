// The cursor: page after page of mm after mm, in the order in which ksmd visits them. It runs ahead of the visits and
// puts what it passes in the window, so that bytes can be read one page after another before any is dealt with. Looking
// ahead does not change what comes out: the cursor waits before a page that an earlier visit could have a say in.
//
// Linux: scan_get_next_rmap_item()

import { COUNTER_RMAP_ITEMS, RMAP_STABLE, WINDOW_LENGTH } from '../../assembly/abi.ts'
import type { ChecksumFrom } from '../core/window.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_MERGEABLE } from '../mm/model/vma.ts'
import { ptePfn } from '../mm/page/pte.ts'
import { getPte, nextNormalPte } from '../mm/page/ptes.ts'
import { isKsm } from '../mm/page/rmap.ts'
import type { Batch } from './batch.ts'
import { getKsmPage } from './keyhole.ts'
import { getNextRmapItem, nextLinkedItem, removeTrailingRmapItems } from './rmap-item.ts'
import { maySettle, startSettling } from './settled.ts'
import { passSettled } from './settled-tables.ts'
import { clearMarks, mustBeRead } from './soft-dirty.ts'
import { hasNode } from './stable-node.ts'
import type { KsmState } from './state.ts'
import { unstableTreeReset } from './unstable.ts'

/** How many pages are hashed one after another before they are visited: all of them stay in the processor's cache. */
export const HANDFUL = 128

/**
 * Has the window filled with the next pages of one mm, and notes how many were passed over on the way because they need no
 * visit (`batch.passed`): together up to `limit` of them, those in the window already included. Returns whether the batch goes on:
 * not at the end of a full scan, when no mm is registered, and when memory for an item ran out. The window is empty then.
 */
export function fillWindow(batch: Batch, limit: number): boolean {
  const { ksm, window } = batch
  const { cursor, slots, memory } = ksm
  batch.passed = 0
  if (slots.isEmpty) return false
  if (cursor.slot === slots.head) {
    startFullScan(batch)
    // The last mm may have exited meanwhile: the cursor must never rest on the head as if it were a slot.
    if (slots.head.next === slots.head) return false
    cursor.enter(slots.head.next)
  }
  const before = window.length
  do {
    const stop = pagesOfMm(batch, limit)
    if (window.length > 0) {
      if (!batch.watched) clearMarks(ksm, cursor.slot.mm!, window, before)
      if (batch.helped) offerWindow(batch)
      return true
    }
    if (stop !== 'end') return stop === 'full'
    leaveMm(ksm)
    memory.race?.('scan: between mms')
  } while (cursor.slot !== slots.head)
  endFullScan(ksm)
  return false
}

/** Lets the helpers begin with what is in the window. */
function offerWindow({ ksm, helpers, window }: Batch): void {
  const { stable, unstable } = ksm.treesOf(ksm.cursor.slot.mm!)
  helpers.offer(window.behind, stable[0]!, unstable[0]!)
}

/** How far ahead of the visits the cursor may be. */
function lookahead({ ksm, helped }: Batch): number {
  // Where a test may act between any two pages there is nothing to look ahead to.
  if (ksm.memory.race !== undefined) return 1
  return helped ? WINDOW_LENGTH : HANDFUL
}

function startFullScan(batch: Batch): void {
  const { ksm } = batch
  const { trace } = ksm.memory
  if (ksm.tunables.advisor_mode === 'scan-time') ksm.advisor.start(ksm.clock.now())
  if (trace.active)
    trace.emit('ksm_start_scan', { seq: ksm.seqnr, rmap_entries: ksm.counters[COUNTER_RMAP_ITEMS]! })
  // Nodes waiting to be placed elsewhere are on no search's way: only here are stale ones among them noticed.
  for (const node of ksm.migrateNodes) {
    const pfn = getKsmPage(ksm, node)
    if (pfn > 0) ksm.frames.put(pfn)
  }
  unstableTreeReset(ksm)
  if (!ksm.settles && maySettle(ksm, batch.watched)) startSettling(ksm)
  ksm.memory.race?.('scan: after unstable reset')
}

function endFullScan(ksm: KsmState): void {
  const { trace } = ksm.memory
  if (ksm.tunables.advisor_mode === 'scan-time') takeAdvice(ksm)
  if (trace.active)
    trace.emit('ksm_stop_scan', { seq: ksm.seqnr, rmap_entries: ksm.counters[COUNTER_RMAP_ITEMS]! })
  ksm.setSeqnr(ksm.seqnr + 1)
}

/** Linux: advisor_stop_scan() */
function takeAdvice({ advisor, clock, tunables, memory }: KsmState): void {
  const advice = advisor.stop(clock.now(), clock.cpu(), tunables.pages_to_scan, {
    targetScanTime: tunables.advisor_target_scan_time,
    maxCpu: tunables.advisor_max_cpu,
    maxPagesToScan: tunables.advisor_max_pages_to_scan,
  })
  tunables.pages_to_scan = advice.pagesToScan
  if (!memory.trace.active) return
  const { scanTime, pagesToScan, cpuPercent } = advice
  memory.trace.emit('ksm_advisor', {
    scan_time: scanTime,
    pages_to_scan: pagesToScan,
    cpu_percent: cpuPercent,
  })
}

/** Why the cursor stops: there are no more pages, there are enough, one has to wait for those before it, memory ran out. */
type Stop = 'end' | 'full' | 'wait' | 'nomem'

/** Puts the next pages of the cursor's mm in the window, or passes over them, up to `limit` in all. */
function pagesOfMm(batch: Batch, limit: number): Stop {
  const { ksm, window, helped, smartScan } = batch
  const { cursor, memory, items } = ksm
  const slot = cursor.slot
  const mm = slot.mm!
  if (mm.users === 0) return 'end'
  const most = lookahead(batch)
  const isFull = (): boolean => window.length >= most || window.length + batch.passed >= limit
  if (isFull()) return 'full'
  for (let vma = mm.vmas.find(cursor.vpn); vma !== undefined; vma = mm.vmas.after(vma)) {
    if (!vma.has(VM_MERGEABLE)) continue
    if (cursor.vpn < vma.start) cursor.vpn = vma.start
    if (vma.anonVma === undefined) cursor.vpn = vma.end
    while (cursor.vpn < vma.end) {
      const vpn = nextNormalPte(mm, cursor.vpn, vma.end)
      if (vpn === vma.end) {
        cursor.vpn = vpn
        break
      }
      const next = nextLinkedItem(ksm, slot, cursor.item)
      const here = next !== 0 && items.vpn(next) === vpn
      if (here && ksm.settles && items.isSettled(next)) {
        cursor.vpn = vpn
        const passed = passSettled(ksm, slot, vma.end, next, limit - window.length - batch.passed)
        batch.passed += passed
        if (isFull()) return 'full'
        if (passed > 0) continue
      }
      const pfn = ptePfn(getPte(mm, vpn))
      // A file's page below a private mapping.
      if (!ksm.frames.isAnon(pfn)) {
        cursor.vpn = vpn + 1
        continue
      }
      const merged = isKsm(memory, pfn)
      if (window.length > 0 && dependsOnEarlier(ksm, next, vpn, merged)) return 'wait'
      const item = here ? next : getNextRmapItem(ksm, slot, cursor.item, vpn)
      if (item === 0) return 'nomem'
      cursor.vpn = vpn + 1
      cursor.item = item
      if (smartScan.shouldSkip(item, merged)) continue
      window.push(item, pfn, checksumFrom(batch, mm, vpn, pfn), helped)
      // Not a step further: the cursor rests behind this page, wherever the mapping ends or goes on by the next batch.
      if (isFull()) return 'full'
    }
  }
  return 'end'
}

/** Where the checksum of a page is to be had from; of one that will be looked at again this is not yet known. */
function checksumFrom({ ksm, watched }: Batch, mm: MmStruct, vpn: number, pfn: number): ChecksumFrom {
  if (hasNode(ksm, pfn)) return 'node'
  return watched || mustBeRead(ksm, mm, vpn) ? 'page' : 'item'
}

/**
 * Could visiting the pages already in the window change what the cursor does with this one, or could this one, being
 * skipped or passing over items, change what those visits find? Then it has to wait for its turn. What its pte maps they
 * leave alone, and only a visit to a page makes that page a merged one: no other address of this mm maps it. `next`: the
 * item linked behind the cursor.
 */
function dependsOnEarlier(ksm: KsmState, next: number, vpn: number, merged: boolean): boolean {
  const { items } = ksm
  if (next === 0) return false
  return (
    items.vpn(next) < vpn || (ksm.tunables.smart_scan !== 0 && items.state(next) === RMAP_STABLE && !merged)
  )
}

/** Done with an mm: what lies behind the cursor is gone; an mm with nothing mergeable is dropped. */
function leaveMm(ksm: KsmState): void {
  const { cursor, slots } = ksm
  const slot = cursor.slot
  const mm = slot.mm!
  const exiting = mm.users === 0
  const nothing = exiting || cursor.vpn === 0
  removeTrailingRmapItems(ksm, slot, exiting ? 0 : cursor.item)
  slot.passedIn = ksm.seqnr
  cursor.enter(slot.next)
  if (!nothing || slot.rmapList !== 0) return
  slots.remove(slot)
  mm.mergeable = false
  mm.drop()
}
