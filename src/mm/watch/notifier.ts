// MMU notifiers: whoever keeps translations of an mm of its own (a secondary MMU, a virtual CPU) learns before they
// go stale. Between start and end of a range no translation of it may be made. Every start has its end, with the same
// range, on every path; ranges may nest and overlap.
//
// Linux: include/linux/mmu_notifier.h

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { reportLater } from '../../errors.ts'
import type { Gate } from '../model/gate.ts'
import { Listeners } from './listeners.ts'

/** What is about to happen. Linux: enum mmu_notifier_event */
export type NotifierEvent = 'unmap' | 'clear' | 'protection' | 'protection_page' | 'soft_dirty' | 'release'

/** Addresses in bytes, end exclusive. */
export interface NotifierRange {
  readonly event: NotifierEvent
  readonly start: number
  readonly end: number
  /** May the notifier take its time? Otherwise it may refuse. */
  readonly blockable: boolean
}

/**
 * Somebody who keeps translations. What is called may take its time, and look: the engine is in the middle of something, so any
 * call on the host that does more is refused with EDEADLK (docs/callbacks.md). (Linux holds the mmap lock.)
 */
export interface Notifier {
  /**
   * Returns only when nobody uses a translation of the range any more. May answer 'EAGAIN' if the range is not
   * blockable: nothing changes then, and no end follows for this notifier.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most notifiers return nothing
  invalidateRangeStart?(range: NotifierRange): void | 'EAGAIN'
  /** From here on translations of the range may be made again. */
  invalidateRangeEnd?(range: NotifierRange): void
}

/** A range that has begun, and who was told. */
export interface OpenRange {
  readonly range: NotifierRange
  readonly told: readonly Notifier[]
}

/** The notifiers of one mm. What one of them throws is reported as an uncaught error: the change goes on. */
export class Notifiers {
  readonly #listeners = new Listeners<Notifier>()
  readonly #gate: Gate
  readonly #told: (step: 'start' | 'end') => void

  /** `told`: for a test that acts when they have been told. */
  constructor(gate: Gate, told: (step: 'start' | 'end') => void) {
    this.#gate = gate
    this.#told = told
  }

  add(notifier: Notifier): void {
    this.#listeners.add(notifier)
  }

  /** Is there nobody to be told? */
  get isEmpty(): boolean {
    return this.#listeners.isEmpty
  }

  /** Forgets all and returns how many there were. */
  clear(): number {
    const { length } = this.#listeners.all()
    this.#listeners.clear()
    return length
  }

  /** False if it was not registered. */
  remove(notifier: Notifier): boolean {
    return this.#listeners.remove(notifier)
  }

  /** Announces a change of [start, end), virtual pages. Nobody may refuse; what is returned goes to `end`. */
  start(event: NotifierEvent, start: number, end: number): OpenRange | undefined {
    if (this.#listeners.isEmpty) return undefined
    const open = { range: rangeOf(event, start, end, true), told: this.#listeners.all() }
    for (const notifier of open.told) this.#tell(() => notifier.invalidateRangeStart?.(open.range))
    this.#told('start')
    return open
  }

  /**
   * Announces a change that cannot wait. If one refuses, those told before it get their end, those behind it hear
   * nothing, and the answer is 'EAGAIN': the caller must not call `end`. Linux: invalidate_range_start_nonblock()
   */
  startNonblock(event: NotifierEvent, start: number, end: number): OpenRange | 'EAGAIN' {
    const open = { range: rangeOf(event, start, end, false), told: this.#listeners.all() }
    for (const [i, notifier] of open.told.entries()) {
      if (this.#tell(() => notifier.invalidateRangeStart?.(open.range)) !== 'EAGAIN') continue
      this.end({ range: open.range, told: open.told.slice(0, i) })
      return 'EAGAIN'
    }
    return open
  }

  /** Tells those who heard the range begin, and nobody else; not those who have gone since. */
  end(open: OpenRange | undefined): void {
    if (open === undefined) return
    for (const notifier of open.told) {
      if (this.#listeners.has(notifier)) this.#tell(() => notifier.invalidateRangeEnd?.(open.range))
    }
    this.#told('end')
  }

  #tell(tell: () => unknown): unknown {
    try {
      return this.#gate.call('notifier', tell)
    } catch (error) {
      reportLater(error)
      return undefined
    }
  }
}

function rangeOf(event: NotifierEvent, start: number, end: number, blockable: boolean): NotifierRange {
  return { event, start: start * PAGE_SIZE, end: end * PAGE_SIZE, blockable }
}
