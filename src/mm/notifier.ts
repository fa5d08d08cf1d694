// MMU notifiers: whoever keeps translations of an mm of its own (a secondary MMU, a virtual CPU) learns before they
// go stale. Between start and end of a range no translation of it may be made. Every start has its end, with the same
// range, on every path; ranges may nest and overlap.
//
// Linux: include/linux/mmu_notifier.h

import { PAGE_SIZE } from '../../assembly/abi.ts'

/** What is about to happen. Linux: enum mmu_notifier_event */
export type NotifierEvent = 'unmap' | 'clear' | 'protection' | 'protection_page' | 'release'

/** Addresses in bytes, end exclusive. */
export interface NotifierRange {
  readonly event: NotifierEvent
  readonly start: number
  readonly end: number
  /** May the notifier take its time? Otherwise it may refuse. */
  readonly blockable: boolean
}

/**
 * What is called may read and write the guest's memory, and have others do so; the operation notices. It is to leave the
 * mappings of the mm as they are, which an operation on mappings may be in the middle of. (Linux holds the mmap lock.)
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

/** The notifiers of one mm. */
export class Notifiers {
  private readonly list: Notifier[] = []
  /** Who heard a range begin, as long as it has not ended: they, and nobody else, hear it end. */
  private readonly told = new Map<NotifierRange, readonly Notifier[]>()

  add(notifier: Notifier): void {
    this.list.push(notifier)
  }

  /** False if it was not registered. */
  remove(notifier: Notifier): boolean {
    const at = this.list.indexOf(notifier)
    if (at < 0) return false
    this.list.splice(at, 1)
    return true
  }

  /** Forgets all of them, and returns how many they were. */
  clear(): number {
    return this.list.splice(0).length
  }

  /** Announces a change of [start, end), virtual pages. Nobody may refuse; what is returned goes to `end`. */
  start(event: NotifierEvent, start: number, end: number): NotifierRange | undefined {
    if (this.list.length === 0) return undefined
    const range = rangeOf(event, start, end, true)
    // A copy: one that is called may register or unregister others, and itself.
    const told = [...this.list]
    this.told.set(range, told)
    for (const notifier of told) if (this.list.includes(notifier)) notifier.invalidateRangeStart?.(range)
    return range
  }

  /**
   * Announces a change that cannot wait. If one refuses, those told before it get their end, those behind it hear
   * nothing, and the answer is 'EAGAIN': the caller must not call `end`. Linux: invalidate_range_start_nonblock()
   */
  startNonblock(event: NotifierEvent, start: number, end: number): NotifierRange | 'EAGAIN' {
    const range = rangeOf(event, start, end, false)
    const told: Notifier[] = []
    this.told.set(range, told)
    for (const notifier of [...this.list]) {
      if (!this.list.includes(notifier)) continue
      if (notifier.invalidateRangeStart?.(range) === 'EAGAIN') {
        this.end(range)
        return 'EAGAIN'
      }
      told.push(notifier)
    }
    return range
  }

  /** The change is over. */
  end(range: NotifierRange | undefined): void {
    if (range === undefined) return
    const told = this.told.get(range)!
    this.told.delete(range)
    for (const notifier of told) if (this.list.includes(notifier)) notifier.invalidateRangeEnd?.(range)
  }
}

function rangeOf(event: NotifierEvent, start: number, end: number, blockable: boolean): NotifierRange {
  return { event, start: start * PAGE_SIZE, end: end * PAGE_SIZE, blockable }
}
