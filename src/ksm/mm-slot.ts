// Which mms are scanned, in what order, and how far the scan has come.
//
// The slots form a ring through `head`, which is no slot itself: the cursor stands there between two full scans.
// Linux: struct ksm_mm_slot, struct ksm_scan

import type { MmStruct } from '../mm/model/mm-struct.ts'

/** Settled pages of one table of ptes: their items, each linked to the next, and how many they are. */
interface SettledTable {
  readonly first: number
  readonly last: number
  readonly pages: number
}

/** A registered mm. Holds the Mm, not its mappings: the mm may have exited. */
export class MmSlot {
  readonly mm: MmStruct | undefined
  /** The first of its rmap items, ascending by address; 0 if none. */
  rmapList = 0
  /** Pages it had when they were registered: about as many items it will need. */
  expected = 0
  /** The full scan in which the cursor has last come to its end. */
  passedIn = -1
  /** By their places (`tablePlace`); settled-tables.ts. */
  readonly settledTables = new Map<number, SettledTable>()
  prev: MmSlot = this
  next: MmSlot = this

  constructor(mm: MmStruct | undefined) {
    this.mm = mm
  }
}

export class MmSlots {
  readonly head = new MmSlot(undefined)
  /** Of all slots. */
  expected = 0
  readonly #byMm = new Map<MmStruct, MmSlot>()

  get isEmpty(): boolean {
    return this.#byMm.size === 0
  }

  of(mm: MmStruct): MmSlot | undefined {
    return this.#byMm.get(mm)
  }

  /** Adds a slot just before another: the scan reaches it last if that is where the cursor stands. */
  insertBefore(mm: MmStruct, place: MmSlot): MmSlot {
    const slot = new MmSlot(mm)
    this.#byMm.set(mm, slot)
    link(slot, place.prev, place)
    return slot
  }

  moveBehind(slot: MmSlot, place: MmSlot): void {
    unlink(slot)
    link(slot, place, place.next)
  }

  /** More pages of a slot have been registered, or fewer. */
  expect(slot: MmSlot, pages: number): void {
    const change = Math.max(pages, -slot.expected)
    slot.expected += change
    this.expected += change
  }

  remove(slot: MmSlot): void {
    this.expect(slot, -slot.expected)
    unlink(slot)
    this.#byMm.delete(slot.mm!)
  }

  *[Symbol.iterator](): IterableIterator<MmSlot> {
    for (let slot = this.head.next; slot !== this.head; slot = slot.next) yield slot
  }
}

/** Where the scan is. There is one. */
export class ScanCursor {
  slot: MmSlot
  /** The next virtual page to look at. */
  vpn = 0
  /** The item of the page visited last in this mm, 0 before the first: where the next is linked. */
  item = 0

  constructor(slots: MmSlots) {
    this.slot = slots.head
  }

  enter(slot: MmSlot): void {
    this.slot = slot
    this.vpn = 0
    this.item = 0
  }
}

function link(slot: MmSlot, prev: MmSlot, next: MmSlot): void {
  slot.prev = prev
  slot.next = next
  prev.next = slot
  next.prev = slot
}

function unlink(slot: MmSlot): void {
  slot.prev.next = slot.next
  slot.next.prev = slot.prev
}
