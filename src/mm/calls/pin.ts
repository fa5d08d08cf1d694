// What `mm.pin` and `mm.get` give: pages held by somebody outside, to be read and written as a device does, from the frames
// themselves. Linux: the pages of pin_user_pages(), get_user_pages()

import { FRAME_DIRTY, FRAME_POISONED, PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectBytes, expectInteger, mistake, outside, PagefoldError } from '../../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../../inspect.ts'
import { eachPage } from '../model/address.ts'
import type { Memory } from '../model/memory.ts'

/** What pages are pinned for. */
export interface PinOptions {
  /** For writing. Default: for reading only. */
  readonly write?: boolean
  /** For long: pages are not to lie where memory may be taken away. Default: false. */
  readonly longterm?: boolean
}

/** How pages are to be held: `pin` with FOLL_PIN's promise, else as plain references. */
export interface HoldOptions {
  readonly write: boolean
  readonly longterm: boolean
  readonly pin: boolean
}

/** Pages held by somebody outside their mm. */
export class Pin {
  /** The frames held, in order of address. */
  readonly pfns: readonly number[]
  /** Were they pinned for long? */
  readonly longterm: boolean
  private readonly memory: Memory
  private readonly offset: number
  private readonly writable: boolean
  private readonly pinned: boolean
  private held = true

  /** `offset`: where in the first page the range begins. @internal */
  constructor(memory: Memory, pfns: readonly number[], offset: number, options: HoldOptions) {
    this.memory = memory
    this.pfns = pfns
    this.offset = offset
    this.pinned = options.pin
    this.writable = options.write
    this.longterm = options.longterm
  }

  /**
   * Reads `length` bytes at `offset` into the range, as a device would: from the frames, whoever maps them now. Throws EHWPOISON if
   * one of them is broken.
   */
  read(offset: number, length: number): Uint8Array {
    return this.enter(() => {
      expectInteger('offset', offset, 0, this.bytes)
      expectInteger('length', length, 0, this.bytes - offset)
      const into = outside(() => new Uint8Array(length))
      this.expectWhole(offset, length)
      eachPage(this.offset + offset, length, (page, at, from, count) => {
        this.memory.bytes.read(this.pfns[page]!, at, count, into, from)
      })
      return into
    })
  }

  /**
   * Writes as a device would. Throws RangeError if the pages are held for reading: others may share them; EHWPOISON, having written
   * nothing, if one is broken. Swap does not have what is written. Linux: unpin_user_pages_dirty_lock()
   */
  write(offset: number, bytes: Uint8Array): void {
    this.enter(() => {
      expectInteger('offset', offset, 0, this.bytes - expectBytes('bytes', bytes).length)
      if (!this.writable)
        throw mistake(new RangeError('the pages are held for reading only: take them with `write: true`'))
      this.expectWhole(offset, bytes.length)
      eachPage(this.offset + offset, bytes.length, (page, at, from, count) => {
        this.memory.bytes.write(this.pfns[page]!, at, count, bytes, from)
        this.memory.frames.setFlag(this.pfns[page]!, FRAME_DIRTY)
      })
    })
  }

  /** Lets the pages go. Doing it twice does nothing. Linux: unpin_user_pages() */
  release(): void {
    const { gate } = this.memory
    gate.expectSound()
    gate.expectOutside()
    gate.look(() => {
      if (!this.held) return
      this.held = false
      for (const pfn of this.pfns) this.memory.pins.remove(pfn, this.pinned)
    })
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { pfns, longterm, writable, held } = this
    return shown('Pin', () => ({ pfns, longterm, writable, held }), context)
  }

  /** From the address pinned to the end of its last page. */
  private get bytes(): number {
    return this.pfns.length * PAGE_SIZE - this.offset
  }

  /** Nothing is to be had from a broken frame, and nothing would be kept there: its guest may have another page by now. */
  private expectWhole(offset: number, length: number): void {
    eachPage(this.offset + offset, length, (page) => {
      const pfn = this.pfns[page]!
      if (this.memory.frames.hasFlag(pfn, FRAME_POISONED))
        throw new PagefoldError('EHWPOISON', `frame ${pfn}, which is held, is broken`)
    })
  }

  private enter<Result>(work: () => Result): Result {
    return this.memory.gate.enter(() => {
      if (!this.held) throw mistake(new RangeError('the pin has been released'))
      return work()
    })
  }
}
