// Swap: which slots are used and by how many, and the swap cache, which ties a page to its slot while both hold the
// same content. A slot is free the instant nobody refers to it any more.
//
// Linux: mm/swapfile.c, mm/swap_state.c

import { FRAME_DIRTY, FRAME_LOCKED, FRAME_SWAPCACHE } from '../../../assembly/abi.ts'
import type { Arena } from '../../core/arena.ts'
import { expectInteger, expectObject, outside, PagefoldError } from '../../errors.ts'
import type { Gate } from '../model/gate.ts'
import type { FrameBytes } from '../page/bytes.ts'
import type { Frames } from '../page/frames.ts'
import { MAX_SWAP_DEVICES, MAX_SWAP_SLOTS, type SwapEntry } from '../page/pte.ts'
import type { SwapStore } from './swap-store.ts'

interface SwapDevice {
  readonly store: SwapStore
  /** How many it had when it was put to use. */
  readonly slots: number
  /** ptes that refer to each slot; the cache's own reference is in `cached`. */
  readonly counts: number[]
  /** The frame that holds a slot's content too, 0 if none. */
  readonly cached: number[]
  /** Checksum of what was written to each slot: what comes back must match. */
  readonly checksums: Map<number, bigint>
  used: number
  /** Slots never used yet: from here to the end. */
  fresh: number
  /** Slots that were used and are free again: the last freed goes first. */
  readonly freed: number[]
  /** False once swapoff has begun: nothing more is put there. */
  writable: boolean
}

export class Swap {
  private readonly arena: Arena
  private readonly gate: Gate
  private readonly bytes: FrameBytes
  private readonly frames: Frames
  private readonly devices: (SwapDevice | undefined)[] = []
  /** The slot behind each page in the swap cache. */
  private readonly entryOfFrame = new Map<number, SwapEntry>()

  constructor(arena: Arena, gate: Gate, bytes: FrameBytes, frames: Frames) {
    this.arena = arena
    this.gate = gate
    this.bytes = bytes
    this.frames = frames
  }

  /** Puts a store to use. Throws TypeError, RangeError; EPERM if there are eight already. Linux: swapon */
  add(store: SwapStore): number {
    expectObject('store', store, ['read', 'write'])
    const slots = outside(() => store.slots)
    expectInteger('slots', slots, 1, MAX_SWAP_SLOTS)
    const free = Array.from({ length: MAX_SWAP_DEVICES }, (_, i) => i).find(
      (i) => this.devices[i] === undefined,
    )
    if (free === undefined)
      throw new PagefoldError('EPERM', `swapOn: there are ${MAX_SWAP_DEVICES} stores already`)
    this.devices[free] = {
      store,
      slots,
      counts: new Array<number>(slots).fill(0),
      cached: new Array<number>(slots).fill(0),
      checksums: new Map(),
      used: 0,
      fresh: 0,
      freed: [],
      writable: true,
    }
    return free
  }

  /** The device number of a store, or undefined. */
  find(store: SwapStore): number | undefined {
    const at = this.devices.findIndex((device) => device !== undefined && device.store === store)
    return at < 0 ? undefined : at
  }

  /** Nothing more is put on this device, or it may be used again. */
  setWritable(device: number, writable: boolean): void {
    this.devices[device]!.writable = writable
  }

  /** False while swapoff is at work on a device. */
  isWritable(device: number): boolean {
    return this.devices[device]!.writable
  }

  /** Forgets a device whose slots are all free. */
  remove(device: number): void {
    const { store } = this.devices[device]!
    this.devices[device] = undefined
    this.gate.call('swap store', () => store.close?.())
  }

  /** Forgets every device; their slots must all be free. */
  close(): void {
    for (const device of this.devices.keys()) if (this.devices[device] !== undefined) this.remove(device)
  }

  /** Slots in use on a device. */
  used(device: number): number {
    return this.devices[device]!.used
  }

  /** Slots of all devices: in use, and all of them. */
  get usage(): { used: number; total: number } {
    const devices = this.devices.filter((device) => device !== undefined)
    return {
      used: devices.reduce((sum, { used }) => sum + used, 0),
      total: devices.reduce((sum, { slots }) => sum + slots, 0),
    }
  }

  /** Gives a page a free slot and puts it in the swap cache, which holds one reference. Linux: add_to_swap() */
  addToCache(pfn: number): SwapEntry | undefined {
    for (const [device, info] of this.devices.entries()) {
      if (info === undefined || !info.writable || info.used === info.slots) continue
      const slot = info.fresh < info.slots ? info.fresh++ : info.freed.pop()!
      info.used++
      const entry = { device, slot }
      this.cache(entry, pfn)
      this.frames.setFlag(pfn, FRAME_DIRTY)
      return entry
    }
    return undefined
  }

  /** Ties a page to the slot whose content it has; the cache holds one reference. */
  cache(entry: SwapEntry, pfn: number): void {
    this.device(entry).cached[entry.slot] = pfn
    this.entryOfFrame.set(pfn, entry)
    this.frames.setFlag(pfn, FRAME_SWAPCACHE)
    this.frames.get(pfn)
  }

  /** The page that holds a slot's content, 0 if none. */
  cachedPage(entry: SwapEntry): number {
    return this.device(entry).cached[entry.slot]!
  }

  entryOf(pfn: number): SwapEntry {
    return this.entryOfFrame.get(pfn)!
  }

  /** How many ptes have a cached page swapped out; the cache does not count. Linux 2.6: swapcount */
  swapcount(pfn: number): number {
    const entry = this.entryOf(pfn)
    return this.device(entry).counts[entry.slot]!
  }

  /** ptes that refer to a slot, and one for the cache. Linux: swap_map */
  references(entry: SwapEntry): number {
    const device = this.device(entry)
    return device.counts[entry.slot]! + (device.cached[entry.slot] !== 0 ? 1 : 0)
  }

  /** One pte more refers to a slot. Linux: swap_duplicate() */
  duplicate(entry: SwapEntry): void {
    this.device(entry).counts[entry.slot]!++
  }

  /** One pte less refers to a slot. Linux: swap_free() */
  free(entry: SwapEntry): void {
    const device = this.device(entry)
    device.counts[entry.slot]!--
    this.releaseIfUnused(device, entry.slot)
  }

  /**
   * One pte less refers to a slot, because its page is given up. With the last a page that nobody maps leaves the swap
   * cache too. Linux: free_swap_and_cache()
   */
  freeAndCache(entry: SwapEntry): void {
    const cached = this.cachedPage(entry)
    this.free(entry)
    if (cached === 0 || this.frames.mapcount(cached) > 0 || this.frames.hasFlag(cached, FRAME_LOCKED)) return
    this.tryToFree(cached)
  }

  /** Takes a page out of the swap cache unless some pte still refers to its slot. Linux: folio_free_swap() */
  tryToFree(pfn: number): boolean {
    if (!this.frames.hasFlag(pfn, FRAME_SWAPCACHE) || this.swapcount(pfn) > 0) return false
    this.uncache(pfn)
    // Swap no longer has it: it is the only copy.
    this.frames.setFlag(pfn, FRAME_DIRTY)
    return true
  }

  /** Takes a page out of the swap cache. Linux: delete_from_swap_cache() */
  uncache(pfn: number): void {
    const entry = this.entryOf(pfn)
    const device = this.device(entry)
    device.cached[entry.slot] = 0
    this.entryOfFrame.delete(pfn)
    this.frames.clearFlag(pfn, FRAME_SWAPCACHE)
    this.releaseIfUnused(device, entry.slot)
    this.frames.put(pfn)
  }

  /** A migration: the slot is tied to the new page. The references are the caller's business. */
  moveCache(fromPfn: number, toPfn: number): void {
    const entry = this.entryOf(fromPfn)
    this.device(entry).cached[entry.slot] = toPfn
    this.entryOfFrame.delete(fromPfn)
    this.entryOfFrame.set(toPfn, entry)
  }

  /** Writes a cached page to its slot. False if the store cannot. Linux: swap_writepage() */
  writeOut(pfn: number): boolean {
    const entry = this.entryOf(pfn)
    const device = this.device(entry)
    try {
      this.bytes.show(pfn, (page) => this.gate.call('swap store', () => device.store.write(entry.slot, page)))
    } catch {
      return false
    }
    device.checksums.set(entry.slot, this.arena.digest(pfn))
    this.frames.clearFlag(pfn, FRAME_DIRTY)
    return true
  }

  /** Reads a slot into a page. False if the store cannot, or gives back other bytes than it got. */
  readIn(entry: SwapEntry, pfn: number): boolean {
    const device = this.device(entry)
    try {
      this.bytes.fill(pfn, 1, (page) =>
        this.gate.call('swap store', () => device.store.read(entry.slot, page)),
      )
    } catch {
      return false
    }
    return this.arena.digest(pfn) === device.checksums.get(entry.slot)
  }

  /** Pages in the swap cache with their slots. */
  cachedPages(): Iterable<[number, SwapEntry]> {
    return this.entryOfFrame
  }

  /** Every slot in use: the ptes that refer to it, and the page that has its content too (0 if none). */
  *usedSlots(): IterableIterator<{ entry: SwapEntry; count: number; cached: number }> {
    for (const [device, info] of this.devices.entries()) {
      if (info === undefined) continue
      for (let slot = 0; slot < info.slots; slot++) {
        const count = info.counts[slot]!
        const cached = info.cached[slot]!
        if (count > 0 || cached > 0) yield { entry: { device, slot }, count, cached }
      }
    }
  }

  private device({ device }: SwapEntry): SwapDevice {
    return this.devices[device]!
  }

  private releaseIfUnused(device: SwapDevice, slot: number): void {
    if (device.counts[slot] !== 0 || device.cached[slot] !== 0) return
    device.checksums.delete(slot)
    device.used--
    device.freed.push(slot)
  }
}
