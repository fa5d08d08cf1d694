// A notifier that keeps accounts: what has begun, what has ended, what is open. An end without its beginning is an error.

import type { Notifier, NotifierRange } from '../../src/index.ts'

export class Balance implements Notifier {
  starts = 0
  ends = 0
  readonly openRanges: NotifierRange[] = []

  invalidateRangeStart(range: NotifierRange): void {
    this.starts++
    this.openRanges.push(range)
  }

  invalidateRangeEnd(range: NotifierRange): void {
    const at = this.openRanges.findIndex(
      ({ event, start, end }) => event === range.event && start === range.start && end === range.end,
    )
    if (at < 0) throw new Error(`${range.event} ${range.start}..${range.end} ended and never began`)
    this.openRanges.splice(at, 1)
    this.ends++
  }
}
