// ksmd on its own: a batch, a sleep, and again, for as long as it is wanted. It sleeps for sleep_millisecs, or until
// that knob changes, whatever becomes of `run` meanwhile; with nothing to scan it waits until there is, which a change of
// sleep_millisecs is not. Everything else of the host may be used meanwhile.
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
  readonly #work: DaemonWork
  readonly #clock: Clock
  /** The one begun last. */
  #latest = { wanted: false }
  /** Ends when all that were begun have. */
  #ended: Promise<void> = Promise.resolve()
  /** Ends the sleep between two batches. Linux: ksm_iter_wait */
  readonly #sleep = new Alarm()
  /** Ends the wait for something to do. Linux: ksm_thread_wait */
  readonly #idle = new Alarm()

  constructor(work: DaemonWork, clock: Clock) {
    this.#work = work
    this.#clock = clock
  }

  /** Begins, if it has not. The first batch comes after the caller is done. One that failed has to be stopped first. */
  start(): void {
    if (this.#latest.wanted) return
    const run = { wanted: true }
    this.#latest = run
    this.#ended = this.#ended.then(() => this.#run(run))
    // Whoever stops it learns what ended it.
    this.#ended.catch(() => {})
  }

  /** Ends after the batch under way. Rejects with what a batch threw. */
  async stop(): Promise<void> {
    this.#latest.wanted = false
    this.wake()
    this.cutSleepShort()
    const ended = this.#ended
    this.#ended = ended.catch(() => {})
    await ended
  }

  /** There may be something to do: one that waits for it looks. One that sleeps between two batches sleeps on. */
  wake(): void {
    this.#idle.ring()
  }

  /** sleep_millisecs has changed: the sleep under way is over. */
  cutSleepShort(): void {
    this.#sleep.ring()
  }

  async #run(run: { readonly wanted: boolean }): Promise<void> {
    if (run.wanted) await this.#clock.sleep(0, this.#sleep.set())
    while (run.wanted) {
      const asleep = this.#sleep.set()
      if (this.#work.shouldRun()) this.#work.scan()
      if (this.#work.shouldRun()) await this.#clock.sleep(this.#work.sleepMs(), asleep)
      else await aborted(this.#idle.set())
    }
  }
}

/** What somebody waits for, again and again. */
class Alarm {
  #controller = new AbortController()

  /** Aborted by the next ring; one that rang while nobody waited is forgotten. */
  set(): AbortSignal {
    if (this.#controller.signal.aborted) this.#controller = new AbortController()
    return this.#controller.signal
  }

  ring(): void {
    this.#controller.abort()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
