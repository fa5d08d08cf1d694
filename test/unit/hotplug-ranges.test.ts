// Ranges of memory that come and go: each can be taken away once and given back once, and a refusal changes nothing.

import { describe, expect, it } from 'vitest'
import type { Mm } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { atNotifiers } from '../support/races.ts'
import { addFilled, bootHost, errnoOf, fill, framesOf, fullScans, holds, PAGE } from '../support/world.ts'

describe('offline and online', () => {
  it('refuse a range that overlaps one that is away', async () => {
    const host = await bootHost({ frames: 32 })
    const mm = host.createMm()
    const at = addFilled(mm, 8, 7, { mergeable: false })
    const first = mm.pfn(at)!
    host.offline(first + 2, first + 6)
    expect(host.frames).toMatchObject({ total: 28, free: 20 })
    for (const [start, end] of [
      [2, 6],
      [0, 3],
      [5, 8],
      [3, 4],
      [0, 8],
    ] as const) {
      expect(errnoOf(() => host.offline(first + start, first + end))).toBe('EINVAL')
      expect(host.frames).toMatchObject({ total: 28, free: 20 })
      host.audit()
    }
    for (const [start, end] of [
      [2, 5],
      [3, 6],
      [2, 7],
      [8, 9],
    ] as const) {
      expect(errnoOf(() => host.online(first + start, first + end))).toBe('EINVAL')
    }
    host.online(first + 2, first + 6)
    expect(errnoOf(() => host.online(first + 2, first + 6))).toBe('EINVAL')
    expect(host.frames).toMatchObject({ total: 32, free: 24 })
    expect(holds(mm, at, 8, 7)).toBe(true)
    host.audit()
  })

  it('count and hand out none that were in use once, and are free again', async () => {
    const host = await bootHost({ frames: 16 })
    const mm = host.createMm()
    const at = addFilled(mm, 8, 7, { mergeable: false })
    const first = mm.pfn(at)!
    mm.munmap(at, 8 * PAGE)
    host.offline(first + 2, first + 6)
    expect(host.frames).toMatchObject({ total: 12, free: 12 })
    const used = framesOf(mm, addFilled(mm, 12, 8, { mergeable: false }), 12)
    expect(used.filter((pfn) => pfn! >= first + 2 && pfn! < first + 6)).toEqual([])
    expect(host.frames.free).toBe(0)
    host.audit()
    host.online(first + 2, first + 6)
    expect(host.frames).toMatchObject({ total: 16, free: 4 })
    host.audit()
    mm.exit()
    host.offline(first + 2, first + 6)
    host.online(first + 2, first + 6)
    const again = host.createMm()
    const all = framesOf(again, addFilled(again, 16, 9, { mergeable: false }), 16)
    expect(new Set(all).size, 'none twice').toBe(16)
    host.audit()
  })

  it('leave everything as it was when a page is held', async () => {
    const host = await bootHost({ frames: 32 })
    const mm = host.createMm()
    const at = addFilled(mm, 8, 7, { mergeable: false })
    const first = mm.pfn(at)!
    const pin = mm.pin(at + 5 * PAGE, PAGE)
    expect(errnoOf(() => host.offline(first, first + 8))).toBe('EBUSY')
    expect(host.frames).toMatchObject({ total: 32, free: 24 })
    expect(host.ksm.get('run'), 'nobody waits any more').toBe(0)
    host.audit()
    pin.release()
    host.offline(first, first + 8)
    expect(host.frames).toMatchObject({ total: 24, free: 16 })
    fill(mm, at, 8, 8)
    expect(holds(mm, at, 8, 8)).toBe(true)
    host.audit()
  })

  it('say ENOMEM when there is nowhere to move a page to', async () => {
    const host = await bootHost({ frames: 8 })
    const mm = host.createMm()
    const first = mm.pfn(addFilled(mm, 5, 7, { mergeable: false }))!
    expect(errnoOf(() => host.offline(first, first + 4))).toBe('ENOMEM')
    expect(host.frames).toMatchObject({ total: 8, free: 3 })
    host.audit()
    host.offline(first, first + 3)
    expect(host.frames).toMatchObject({ total: 5, free: 0 })
    host.audit()
  })

  it('wait for ksmd, which here means EBUSY inside a scan or another offlining', async () => {
    const host = await bootHost({ frames: 32 })
    addFilled(host.createMm(), 4, 7)
    const said = new Set<string | undefined>()
    const { firstPfn } = memoryOf(host).arena
    const tryIt = (): void => void said.add(errnoOf(() => host.offline(firstPfn, firstPfn + 8)))
    memoryOf(host).race = tryIt
    fullScans(host, 3)
    expect([...said]).toEqual(['EBUSY'])
    memoryOf(host).race = undefined
    host.audit()
    const [mm] = [...memoryOf(host).mms()]
    atNotifiers(host, mm as Mm, { start: tryIt })
    said.clear()
    host.offline(firstPfn, firstPfn + 8)
    expect([...said]).toEqual(['EBUSY'])
    expect(host.frames.total).toBe(24)
    host.audit()
  })
})
