// Time, as the merger sees it. Injected, so that a test or a simulation decides what time it is.

import { expectObject } from '../errors.ts'

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Milliseconds of processor time spent so far. */
  cpu(): number
  /** Waits for `ms`, or less if the signal is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Returns `clock` if it can be one; throws TypeError otherwise. */
export function expectClock(clock: Clock): Clock {
  expectObject('clock', clock, ['now', 'cpu', 'sleep'])
  return clock
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  sleep: timer,
}

/** Time stands still, so that a run's outcome does not depend on how fast the machine is. Sleeps end at once. */
export const stillClock: Clock = { now: () => 0, cpu: () => 0, sleep: (_, signal) => timer(0, signal) }

function timer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timeout)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timeout = setTimeout(done, ms)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
