// ksmd on its own: a batch, a sleep, and again, for as long as it is wanted. It sleeps for sleep_millisecs, or until
// that knob changes; with nothing to scan, until it is woken. Everything else of the host may be used meanwhile.
//
// Linux: ksm_scan_thread()

import type { Clock } from './clock.ts'

export interface DaemonWork {
  /** Is there anything to scan, and is scanning wanted? Linux: ksmd_should_run() */
  shouldRun(): boolean
  /** One batch. */
  scan(): void
  /** How long to rest between two batches, ms. */
  sleepMs(): number
}

export class Daemon {
  private readonly work: DaemonWork
  private readonly clock: Clock
  /** The one begun last. */
  private latest = { wanted: false }
  /** Ends when all that were begun have. */
  private ended: Promise<void> = Promise.resolve()
  /** Ends the sleep under way. */
  private alarm = new AbortController()

  constructor(work: DaemonWork, clock: Clock) {
    this.work = work
    this.clock = clock
  }

  /** Begins, if it has not. The first batch comes after the caller is done. One that failed has to be stopped first. */
  start(): void {
    if (this.latest.wanted) return
    const run = { wanted: true }
    this.latest = run
    this.ended = this.ended.then(() => this.run(run))
    // Whoever stops it learns what ended it.
    this.ended.catch(() => {
      run.wanted = false
    })
  }

  /** Ends after the batch under way. Rejects with what a batch threw. */
  async stop(): Promise<void> {
    this.latest.wanted = false
    this.wake()
    const { ended } = this
    this.ended = ended.catch(() => {})
    await ended
  }

  /** Something has changed: look again now. */
  wake(): void {
    this.alarm.abort()
  }

  private async run(run: { readonly wanted: boolean }): Promise<void> {
    if (run.wanted) await this.clock.sleep(0, this.renewAlarm())
    while (run.wanted) {
      const alarm = this.renewAlarm()
      if (this.work.shouldRun()) {
        this.work.scan()
        await this.clock.sleep(this.work.sleepMs(), alarm)
      } else {
        await aborted(alarm)
      }
    }
  }

  private renewAlarm(): AbortSignal {
    if (this.alarm.signal.aborted) this.alarm = new AbortController()
    return this.alarm.signal
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
