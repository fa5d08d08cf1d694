// get_user_pages: holding on to a guest's pages, for a device or a debugger. A pin (FOLL_PIN) promises that what is read
// or written through it is what the guest sees; so pinning for reading first makes a shared page the mm's own. A plain
// reference (FOLL_GET) promises only that the frame stays.
//
// Linux: mm/gup.c

import { FRAME_DIRTY, FRAME_EXCLUSIVE, PAGE_SHIFT, PAGE_SIZE } from '../../../assembly/abi.ts'
import { type Errno, expectBytes, expectInteger } from '../../errors.ts'
import { allows, type FaultKind, handleMmFault } from '../fault/fault.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_SHARED } from '../model/vma.ts'
import { pteNormal, ptePfn } from '../page/pte.ts'
import { getPte } from '../page/ptes.ts'
import { isKsm } from '../page/rmap.ts'

export interface PinOptions {
  /** For writing. Default: for reading only. */
  readonly write?: boolean
  /** For long: pages are not to lie where memory may be taken away. Default: false. */
  readonly longterm?: boolean
}

/** How often one page may fault before it is given up: a page being moved is asked for again. */
const MAX_TRIES = 3

/** Pages held by somebody outside their mm. */
export class Pin {
  /** The frames held, in order of address. */
  readonly pfns: readonly number[]
  readonly longterm: boolean
  private readonly memory: Memory
  private readonly offset: number
  private readonly writable: boolean
  private readonly pinned: boolean
  private held = true

  /** `offset`: where in the first page the range begins; `pinned`: not just references. @internal */
  constructor(memory: Memory, pfns: readonly number[], offset: number, pinned: boolean, options: PinOptions) {
    this.memory = memory
    this.pfns = pfns
    this.offset = offset
    this.pinned = pinned
    this.writable = options.write === true
    this.longterm = options.longterm === true
  }

  /** Reads `length` bytes at `offset` into the range, as a device would: from the frames, whoever maps them now. */
  read(offset: number, length: number): Uint8Array {
    this.expectHeld()
    expectInteger('offset', offset, 0, this.bytes)
    const bytes = new Uint8Array(expectInteger('length', length, 0, this.bytes - offset))
    this.eachPage(offset, length, (at, from, count) => {
      bytes.set(this.memory.arena.u8.subarray(at, at + count), from)
    })
    return bytes
  }

  /**
   * Writes as a device would. Throws RangeError if the pages are held for reading: others may share them. Swap does not
   * have what is written. Linux: unpin_user_pages_dirty_lock()
   */
  write(offset: number, bytes: Uint8Array): void {
    this.expectHeld()
    expectInteger('offset', offset, 0, this.bytes - expectBytes('bytes', bytes).length)
    if (!this.writable)
      throw new RangeError('the pages are held for reading only: take them with `write: true`')
    const { arena, frames } = this.memory
    this.eachPage(offset, bytes.length, (at, from, count) => {
      arena.u8.set(bytes.subarray(from, from + count), at)
      frames.setFlag(at >>> PAGE_SHIFT, FRAME_DIRTY)
    })
  }

  /** Lets the pages go. Doing it twice does nothing. Linux: unpin_user_pages() */
  release(): void {
    if (!this.held) return
    this.held = false
    for (const pfn of this.pfns) this.memory.pins.remove(pfn, this.pinned)
  }

  /** From the address pinned to the end of its last page. */
  private get bytes(): number {
    return this.pfns.length * PAGE_SIZE - this.offset
  }

  private expectHeld(): void {
    if (!this.held) throw new RangeError('the pin has been released')
  }

  private eachPage(
    offset: number,
    length: number,
    visit: (at: number, from: number, count: number) => void,
  ): void {
    const first = this.offset + offset
    for (let from = 0; from < length; ) {
      const place = first + from
      const inPage = place % PAGE_SIZE
      const count = Math.min(PAGE_SIZE - inPage, length - from)
      visit(this.pfns[Math.floor(place / PAGE_SIZE)]! * PAGE_SIZE + inPage, from, count)
      from += count
    }
  }
}

/**
 * Takes references on the pages of [start, end), faulting them in. All or nothing: on an error those taken are let go.
 * Linux: pin_user_pages(), get_user_pages()
 */
export function takePages(
  mm: MmStruct,
  start: number,
  end: number,
  write: boolean,
  pin: boolean,
): number[] | Errno {
  const pfns: number[] = []
  for (let vpn = start; vpn < end; vpn++) {
    const pfn = takePage(mm, vpn, write, pin)
    if (typeof pfn === 'number') {
      pfns.push(pfn)
      continue
    }
    for (const taken of pfns) mm.memory.pins.remove(taken, pin)
    return pfn
  }
  return pfns
}

function takePage(mm: MmStruct, vpn: number, write: boolean, pin: boolean): number | Errno {
  const { pins } = mm.memory
  const kind: FaultKind = write ? 'write' : 'read'
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const vma = mm.vmas.at(vpn)
    if (vma === undefined) return 'EFAULT'
    const pte = getPte(mm, vpn)
    const accessible = allows(mm, vma, pte, kind)
    if (accessible && (!pin || write || vma.has(VM_SHARED) || isOwn(mm.memory, pte))) {
      const pfn = ptePfn(pte)
      pins.add(pfn, pin)
      return pfn
    }
    const errno = handleMmFault(mm, vpn, accessible ? 'unshare' : kind)
    if (errno !== undefined && errno !== 'EAGAIN') return errno
  }
  return 'EAGAIN'
}

/** Is the page nobody else's, so that what is read through it stays what the guest sees? Linux: gup_must_unshare() */
function isOwn(memory: Memory, pte: number): boolean {
  const pfn = ptePfn(pte)
  return pteNormal(pte) && !isKsm(memory, pfn) && memory.frames.hasFlag(pfn, FRAME_EXCLUSIVE)
}
