// The window: pages that the cursor has passed and that are about to be visited. Whoever fills it keeps one of these.

import {
  RMAP_CHECKSUM,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_OWN,
  TICKET_SHIFT,
  WINDOW,
  WINDOW_CHECKSUM,
  WINDOW_ENTRY_BYTES,
  WINDOW_ITEM,
  WINDOW_LENGTH,
  WINDOW_PFN,
  WINDOW_TICKET,
} from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'

/** Where the checksum of a page is to be had: the page, its item if it has not changed, its stable node. */
export type ChecksumFrom = 'page' | 'item' | 'node'

/** The pages about to be visited, by their place in the window. */
export class Window {
  private readonly i32: Int32Array
  /** Positions of the next page to visit, and behind the last: counted from the first ever scanned, in 32 bits, so they wrap. */
  private head = 0
  private end = 0

  constructor(arena: Arena) {
    this.i32 = arena.i32
  }

  /** Pages waiting to be visited. */
  get length(): number {
    return (this.end - this.head) | 0
  }

  /** The position behind the last page. */
  get behind(): number {
    return this.end
  }

  /** The position of the page that is to be visited after `before` others. */
  position(before: number): number {
    return (this.head + before) | 0
  }

  /** Puts a page behind the others. `offered`: a helper may hash it. */
  push(item: number, pfn: number, checksum: ChecksumFrom, offered: boolean): void {
    this.write(this.end, item, pfn, checksum, offered ? TICKET_OFFERED : TICKET_OWN)
    this.end = (this.end + 1) | 0
  }

  /** Puts another page in the place of one that has been taken back from the helpers. */
  set(at: number, item: number, pfn: number, checksum: ChecksumFrom): void {
    this.write(at, item, pfn, checksum, TICKET_OWN)
  }

  /** The first `count` pages have been visited, or never will be: then the core must have taken them back. */
  drop(count: number): void {
    this.head = (this.head + count) | 0
  }

  item(at: number): number {
    return this.i32[entry(at) + WINDOW_ITEM / 4]!
  }

  pfn(at: number): number {
    return this.i32[entry(at) + WINDOW_PFN / 4]!
  }

  /** Is a page to be read? For one that no helper has seen yet. */
  isToBeHashed(at: number): boolean {
    return this.i32[entry(at) + WINDOW_TICKET / 4] !== ((at << TICKET_SHIFT) | TICKET_DONE)
  }

  /** Where the checksum of a page stands, once it is hashed. */
  keyOf(at: number): number {
    return entry(at) * 4 + WINDOW_CHECKSUM
  }

  private write(at: number, item: number, pfn: number, checksum: ChecksumFrom, toHash: number): void {
    const { i32 } = this
    const word = entry(at)
    i32[word + WINDOW_ITEM / 4] = item
    i32[word + WINDOW_PFN / 4] = pfn
    if (checksum === 'item') {
      const from = (item + RMAP_CHECKSUM) >>> 2
      i32[word + WINDOW_CHECKSUM / 4] = i32[from]!
      i32[word + WINDOW_CHECKSUM / 4 + 1] = i32[from + 1]!
    }
    i32[word + WINDOW_TICKET / 4] = (at << TICKET_SHIFT) | (checksum === 'page' ? toHash : TICKET_DONE)
  }
}

function entry(at: number): number {
  return (WINDOW + (at & (WINDOW_LENGTH - 1)) * WINDOW_ENTRY_BYTES) >>> 2
}
