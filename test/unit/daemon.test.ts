// ksmd on its own: when it works, how long it rests, what wakes it, and how it ends. On a clock of the test's.

import { describe, expect, it } from 'vitest'
import { Host, stillClock } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { byteAt, contentBytes, counted, expectContent, guest, makeHost, PAGE } from '../support/world.ts'

/** A host on a manual clock, with ten equal pages and a ksmd that has just begun. */
async function running(pages = 10) {
  const clock = new ManualClock()
  const host = await makeHost({ clock })
  const { mm, at } = guest(host, 'a', new Array(pages).fill(7))
  const scanned = (): number => host.ksm.counters().pages_scanned
  return { clock, host, mm, at, scanned }
}

describe('start', () => {
  it('begins when the caller is done, with a batch of pages_to_scan, and rests sleep_millisecs', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('pages_to_scan', 3)
    host.ksm.start()
    expect(scanned()).toBe(0)
    await clock.advance(0)
    expect(scanned()).toBe(3)
    await clock.advance(19)
    expect(scanned()).toBe(3)
    await clock.advance(1)
    expect(scanned()).toBe(6)
    expect(clock.slept).toEqual([0, 20, 20])
    await host.ksm.stop()
  })

  it('twice is once', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('pages_to_scan', 2)
    host.ksm.start()
    host.ksm.start()
    await clock.advance(0)
    host.ksm.start()
    await clock.advance(20)
    expect(scanned()).toBe(4)
    expect(clock.sleeping).toBe(1)
    await host.ksm.stop()
  })

  it('merges what there is to merge, batch after batch; a batch ends with the full scan', async () => {
    const { clock, host, mm, at, scanned } = await running()
    host.ksm.set('pages_to_scan', 4)
    host.ksm.start()
    for (let i = 0; i < 6; i++) await clock.advance(20)
    expect(scanned()).toBe(20)
    expect(host.ksm.counters().full_scans).toBe(2)
    expect(counted(host)).toEqual([1, 9, 0, 0])
    expectContent(mm, at + 9 * PAGE, 7)
    await host.ksm.stop()
    host.audit()
  })

  it('leaves the host to others between two batches', async () => {
    const { clock, host, mm, at } = await running()
    host.ksm.start()
    for (let i = 0; i < 8; i++) {
      await clock.advance(20)
      mm.write(at + i * PAGE, contentBytes(i))
      host.audit()
    }
    await host.ksm.stop()
    for (let i = 0; i < 8; i++) expect(byteAt(mm, at + i * PAGE)).toBe(i)
  })
})

describe('ksmd works only', () => {
  it('while run is 1, and is woken by it', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('run', 0)
    host.ksm.start()
    await clock.advance(1000)
    expect(scanned()).toBe(0)
    expect(clock.sleeping, 'it waits to be woken').toBe(0)
    host.ksm.set('run', 1)
    await settle()
    expect(scanned()).toBe(10)
    host.ksm.set('run', 2)
    await clock.advance(1000)
    expect(scanned()).toBe(10)
    await host.ksm.stop()
  })

  it('while somebody is registered, and is woken by the first', async () => {
    const clock = new ManualClock()
    const host = await makeHost({ clock })
    host.ksm.start()
    await clock.advance(1000)
    expect(clock.sleeping).toBe(0)
    const { mm } = guest(host, 'a', [7, 7])
    await settle()
    expect(host.ksm.counters().pages_scanned).toBe(2)
    mm.exit()
    await clock.advance(20)
    await clock.advance(20)
    expect(clock.sleeping).toBe(0)
    guest(host, 'b', [7, 7])
    await settle()
    expect(host.ksm.counters().pages_scanned).toBe(4)
    await host.ksm.stop()
    host.audit()
  })
})

describe('its rest', () => {
  it('ends at once when sleep_millisecs changes', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('sleep_millisecs', 60_000)
    host.ksm.start()
    await clock.advance(0)
    expect(scanned()).toBe(10)
    host.ksm.set('sleep_millisecs', 60_000)
    await settle()
    expect(scanned(), 'the same value is no change').toBe(10)
    host.ksm.set('sleep_millisecs', 5)
    await settle()
    expect(scanned()).toBe(20)
    await clock.advance(5)
    expect(scanned()).toBe(30)
    expect(clock.slept).toEqual([0, 60_000, 5, 5])
    await host.ksm.stop()
  })

  it('goes on though run becomes 0 and 1 again', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('pages_to_scan', 3)
    host.ksm.set('sleep_millisecs', 1000)
    host.ksm.start()
    await clock.advance(0)
    await clock.advance(400)
    expect(scanned()).toBe(3)
    host.ksm.set('run', 0)
    await clock.advance(50)
    host.ksm.set('run', 1)
    await clock.advance(250)
    expect(scanned()).toBe(3)
    await clock.advance(300)
    expect(scanned(), 'a second after the first batch').toBe(6)
    await host.ksm.stop()
  })

  it('goes on though the first mm is registered meanwhile; a batch that left nothing to do is followed by none', async () => {
    const clock = new ManualClock()
    const host = await makeHost({ clock })
    const { mm } = guest(host, 'a', [7])
    host.ksm.set('sleep_millisecs', 1000)
    host.ksm.start()
    await clock.advance(0)
    expect(clock.slept).toEqual([0, 1000])
    mm.exit()
    host.ksm.set('sleep_millisecs', 2000)
    await settle()
    await clock.advance(0)
    host.ksm.set('sleep_millisecs', 3000)
    await settle()
    expect(clock.sleeping, 'nobody is registered any more').toBe(0)
    guest(host, 'b', [7])
    await settle()
    expect(host.ksm.counters().pages_scanned).toBe(2)
    await host.ksm.stop()
  })

  it('may be none at all: others get their turn still', async () => {
    const host = await makeHost({ clock: stillClock })
    host.ksm.set('sleep_millisecs', 0)
    guest(host, 'a', [7, 7])
    host.ksm.start()
    let turns = 0
    while (host.ksm.counters().full_scans < 5) {
      await settle()
      turns++
    }
    expect(turns).toBeGreaterThan(2)
    await host.ksm.stop()
  })
})

describe('stop', () => {
  it('ends the rest, and nothing is scanned any more', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.start()
    await clock.advance(0)
    await host.ksm.stop()
    await clock.advance(10_000)
    expect(scanned()).toBe(10)
    expect(clock.sleeping).toBe(0)
    host.ksm.scan(1)
    host.audit()
  })

  it('ends one that waits, or has not begun, or never did', async () => {
    const clock = new ManualClock()
    const host = await makeHost({ clock })
    await host.ksm.stop()
    host.ksm.start()
    await host.ksm.stop()
    host.ksm.start()
    await clock.advance(0)
    await host.ksm.stop()
    await host.ksm.stop()
    expect(clock.sleeping).toBe(0)
  })

  it('and start again at once: one ksmd, not two, and stop is heard', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.set('pages_to_scan', 1)
    host.ksm.start()
    await clock.advance(0)
    for (let i = 0; i < 3; i++) {
      const stopped = host.ksm.stop()
      host.ksm.start()
      await stopped
      await clock.advance(0)
      expect(clock.sleeping).toBe(1)
      expect(scanned()).toBe(i + 2)
    }
    await host.ksm.stop()
    await clock.advance(1000)
    expect(clock.sleeping).toBe(0)
    expect(scanned()).toBe(4)
  })

  it('rejects with what went wrong in a batch; ksmd has stopped by then', async () => {
    const { clock, host, scanned } = await running()
    memoryOf(host).race = () => {
      throw new Error('the trap')
    }
    host.ksm.start()
    await clock.advance(0)
    memoryOf(host).race = undefined
    await clock.advance(1000)
    expect(scanned()).toBe(0)
    await expect(host.ksm.stop()).rejects.toMatchObject({ code: 'EUCLEAN' })
    await host.ksm.stop()
    host.close()
  })

  it('comes with closing the host', async () => {
    const { clock, host, scanned } = await running()
    host.ksm.start()
    await clock.advance(0)
    host.close()
    await clock.advance(10_000)
    expect(scanned()).toBe(10)
    expect(clock.sleeping).toBe(0)
    expect(host.frames.free).toBe(host.frames.total)
  })
})

describe("on the machine's own clock", () => {
  it.each([2 ** 31, 2 ** 32 - 1])('%i ms are not no time at all', async (ms) => {
    const host = await Host.create({ frames: 64 })
    guest(host, 'a', [7, 8, 9])
    host.ksm.set('pages_to_scan', 1)
    host.ksm.set('sleep_millisecs', ms)
    host.ksm.set('run', 1)
    host.ksm.start()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(host.ksm.counters().pages_scanned).toBe(1)
    host.ksm.set('sleep_millisecs', ms - 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(host.ksm.counters().pages_scanned, 'a change wakes it').toBe(2)
    await host.ksm.stop()
  })

  it('merges, and stops in time', async () => {
    const host = await Host.create({ frames: 64 })
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.set('sleep_millisecs', 1)
    host.ksm.set('run', 1)
    host.ksm.start()
    while (host.ksm.counters().pages_sharing === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    host.ksm.set('sleep_millisecs', 3_600_000)
    await host.ksm.stop()
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    host.audit()
  })
})
