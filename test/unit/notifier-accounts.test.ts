// Who listens is counted for the whole host, because a scan that somebody may interrupt looks less far ahead.

import { describe, expect, it } from 'vitest'
import { SecondaryMmu } from '../../src/index.ts'
import { boot, errnoOf, mapMergeable, PAGE } from '../support/machine.ts'

describe('notifiers', () => {
  it('go with their mm, and unregistering them later changes nothing', async () => {
    const host = await boot()
    const [a, b] = [host.createMm(), host.createMm()]
    const mirror = new SecondaryMmu(a)
    mirror.translate(mapMergeable(a, 1, 7))
    const other = {}
    b.registerNotifier(other)
    expect(host.memory.notifiers).toBe(2)
    a.exit()
    expect(host.memory.notifiers).toBe(1)
    mirror.close()
    expect(host.memory.notifiers).toBe(1)
    expect(host.memory.callsBack).toBe(true)
    b.unregisterNotifier(other)
    b.unregisterNotifier(other)
    expect(host.memory.notifiers).toBe(0)
  })

  it('hear the end of what they heard begin when their mm exits', async () => {
    const host = await boot()
    const mm = host.createMm()
    mapMergeable(mm, 1, 7)
    const heard: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event }) => void heard.push(`start ${event}`),
      invalidateRangeEnd: ({ event }) => void heard.push(`end ${event}`),
    })
    mm.exit()
    expect(heard).toEqual(['start release', 'end release'])
  })

  it('cannot be registered with an mm that has exited', async () => {
    const host = await boot()
    const mm = host.createMm()
    mm.mmap(PAGE)
    mm.exit()
    expect(errnoOf(() => mm.registerNotifier({}))).toBe('ESRCH')
    expect(host.memory.notifiers).toBe(0)
    expect(() => mm.registerNotifier(undefined as never)).toThrow(/`notifier`/)
  })
})
