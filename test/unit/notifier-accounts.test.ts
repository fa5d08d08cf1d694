// Who listens is counted for the whole host, because a scan that somebody may interrupt looks less far ahead.

import { describe, expect, it } from 'vitest'
import { SecondaryMmu } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { addFilled, bootHost, errnoOf, PAGE } from '../support/world.ts'

describe('notifiers', () => {
  it('go with their mm, and unregistering them later changes nothing', async () => {
    const host = await bootHost()
    const [a, b] = [host.createMm(), host.createMm()]
    const mirror = new SecondaryMmu(a)
    mirror.translate(addFilled(a, 1, 7))
    const other = {}
    b.registerNotifier(other)
    expect(memoryOf(host).notifiers).toBe(2)
    a.exit()
    expect(memoryOf(host).notifiers).toBe(1)
    mirror.close()
    expect(memoryOf(host).notifiers).toBe(1)
    expect(memoryOf(host).callsBack).toBe(true)
    b.unregisterNotifier(other)
    b.unregisterNotifier(other)
    expect(memoryOf(host).notifiers).toBe(0)
  })

  it('registered twice hear until they are unregistered twice', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = addFilled(mm, 1, 7)
    let heard = 0
    const notifier = { invalidateRangeStart: () => void heard++ }
    mm.registerNotifier(notifier)
    mm.registerNotifier(notifier)
    mm.madvise(at, PAGE, 'MADV_DONTNEED')
    const both = heard
    expect(both).toBeGreaterThan(0)
    mm.unregisterNotifier(notifier)
    addFilled(mm, 1, 7)
    mm.write(at, Uint8Array.of(1))
    mm.madvise(at, PAGE, 'MADV_DONTNEED')
    const once = heard
    expect(once).toBeGreaterThan(both)
    mm.unregisterNotifier(notifier)
    mm.write(at, Uint8Array.of(1))
    mm.madvise(at, PAGE, 'MADV_DONTNEED')
    expect(heard).toBe(once)
  })

  it('hear the end of what they heard begin when their mm exits', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    addFilled(mm, 1, 7)
    const heard: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event }) => void heard.push(`start ${event}`),
      invalidateRangeEnd: ({ event }) => void heard.push(`end ${event}`),
    })
    mm.exit()
    expect(heard).toEqual(['start release', 'end release'])
  })

  it('cannot be registered with an mm that has exited', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    mm.mmap(PAGE)
    mm.exit()
    expect(errnoOf(() => mm.registerNotifier({}))).toBe('ESRCH')
    expect(memoryOf(host).notifiers).toBe(0)
    expect(() => host.createMm().registerNotifier(undefined as never)).toThrow(/`notifier`/)
  })
})
