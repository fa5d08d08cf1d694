// Time, as the merger sees it. Injected, so that a test or a simulation decides what time it is.

import { expectObject, reportLater } from '../errors.ts'
import type { Gate } from '../mm/model/gate.ts'
import { cpuTime } from '../platform.ts'

/**
 * Time as a host sees it: chains are pruned, the advisor reckons and ksmd sleeps by it. `now` and `cpu` are called in the middle
 * of a scan: only calls that look are possible there (docs/callbacks.md).
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Milliseconds of processor time spent so far; of time, where nobody counts the processor's. */
  cpu(): number
  /** Waits for `ms`, or less if the signal is aborted first. */
  sleep(ms: number, signal: SleepSignal): Promise<void>
}

/** An AbortSignal, where the reader's TypeScript knows one; otherwise as much of it as a clock needs. */
export type SleepSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : {
      readonly aborted: boolean
      /** Has `listener` called when the wait is to end. */
      addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void
      /** Takes that back. */
      removeEventListener(type: 'abort', listener: () => void): void
    }

/** Returns `clock` if it can be one; throws TypeError otherwise. */
export function expectClock(clock: Clock): Clock {
  expectObject('clock', clock, ['now', 'cpu', 'sleep'])
  return clock
}

/**
 * An embedder's clock as the scan may ask it: what it throws is reported as an uncaught error, and if it throws, goes back or
 * tells what is no time, the time is what it was before.
 */
export function soundClock(clock: Clock, gate: Gate): Clock {
  return {
    now: steady(gate, () => clock.now()),
    cpu: steady(gate, () => clock.cpu()),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  }
}

function steady(gate: Gate, read: () => number): () => number {
  let latest = 0
  return () => {
    try {
      const time = gate.call('clock', read)
      if (time >= latest && time < Number.POSITIVE_INFINITY) latest = time
    } catch (error) {
      reportLater(error)
    }
    return latest
  }
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  cpu: cpuTime,
  sleep: timer,
}

/** Time stands still, so that a run's outcome does not depend on how fast the machine is. Sleeps end at once. */
export const stillClock: Clock = { now: () => 0, cpu: () => 0, sleep: (_, signal) => timer(0, signal) }

/** setTimeout takes no more, and fires at once for what is longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

function timer(ms: number, signal: SleepSignal): Promise<void> {
  return new Promise((resolve) => {
    let timeout: ReturnType<typeof setTimeout>
    const done = (): void => {
      clearTimeout(timeout)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const wait = (left: number): void => {
      timeout =
        left > MAX_TIMEOUT_MS
          ? setTimeout(() => wait(left - MAX_TIMEOUT_MS), MAX_TIMEOUT_MS)
          : setTimeout(done, left)
    }
    wait(ms)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
