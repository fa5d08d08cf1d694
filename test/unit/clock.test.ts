// Time as ksmd takes it from whoever made the host: it never goes back, and is a number.

import { expect, it, vi } from 'vitest'
import { soundClock, stillClock, systemClock } from '../../src/ksm/clock.ts'
import { Gate } from '../../src/mm/model/gate.ts'

it.each(['now', 'cpu'] as const)('%s: what is no later time is the last there was', (name) => {
  vi.stubGlobal('queueMicrotask', () => {})
  const told: unknown[] = [5, 3, 5, Number.NaN, Number.POSITIVE_INFINITY, undefined, 'x', 7, -1, 6.5, 8]
  const read = (): number => {
    const time = told.shift()
    if (time === 'x') throw new Error('no clock')
    return time as number
  }
  const clock = soundClock({ ...stillClock, [name]: read }, new Gate())
  expect(Array.from({ length: 11 }, () => clock[name]())).toEqual([5, 5, 5, 5, 5, 5, 5, 7, 7, 7, 8])
  vi.unstubAllGlobals()
})

it("the machine's own clocks tell a time that goes on", async () => {
  const before = [systemClock.now(), systemClock.cpu()]
  await systemClock.sleep(5, new AbortController().signal)
  expect(systemClock.now()).toBeGreaterThan(before[0]!)
  expect(systemClock.cpu()).toBeGreaterThanOrEqual(before[1]!)
})
