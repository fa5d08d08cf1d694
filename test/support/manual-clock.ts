// A clock that goes on when a test says so, and wakes who sleeps on it.

import type { Clock } from '../../src/index.ts'

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export class ManualClock implements Clock {
  private ms = 0
  private cpuMs = 0
  private readonly sleepers = new Set<Sleeper>()
  /** How long each sleep was asked to last. */
  readonly slept: number[] = []

  now(): number {
    return this.ms
  }

  cpu(): number {
    return this.cpuMs
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.slept.push(ms)
    return new Promise((resolve) => {
      const sleeper = {
        until: this.ms + ms,
        wake: () => {
          this.sleepers.delete(sleeper)
          resolve()
        },
      }
      this.sleepers.add(sleeper)
      if (signal.aborted) sleeper.wake()
      else signal.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** How many sleep at this moment. */
  get sleeping(): number {
    return this.sleepers.size
  }

  /** Lets time pass, and everybody who is due act. */
  async advance(ms: number, cpuMs = 0): Promise<void> {
    await settle()
    this.ms += ms
    this.cpuMs += cpuMs
    for (const sleeper of [...this.sleepers]) if (sleeper.until <= this.ms) sleeper.wake()
    await settle()
  }
}

/** Lets everything that is ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
