// Swap where several hold on to the same page: slots, the swap cache and ptes must agree, and nothing is left behind.

import { describe, expect, it } from 'vitest'
import { type Host, memorySwapStore } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { SHARED_CONTENT, sharePage } from '../support/shared-pair.ts'
import { addFilled, bootHost, errnoOf, expectContent, fullScans, holds, PAGE } from '../support/world.ts'

function expectNothingLeft(host: Host): void {
  expect(host.frames.free).toBe(host.frames.total)
  expect(memoryOf(host).swap.usage.used).toBe(0)
  expect(memoryOf(host).anonVmas.live).toBe(0)
  host.audit()
}

describe('the swap cache', () => {
  it('lets a page go when the last who had it swapped out unmaps it', async () => {
    const host = await bootHost({ frames: 16 })
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const at = addFilled(mm, 2, 7, { mergeable: false })
    const child = mm.fork()
    for (const page of [0, 1]) expect(host.reclaim(mm.pfn(at + page * PAGE)!)).toBeUndefined()
    expect(memoryOf(host).swap.usage.used).toBe(2)
    // One reads it back, which leaves it in the cache for the other; both go away in turn.
    mm.read(at, 2 * PAGE)
    mm.exit()
    host.audit()
    child.munmap(at, PAGE)
    host.audit()
    expect(memoryOf(host).swap.usage.used).toBe(1)
    child.exit()
    expectNothingLeft(host)
  })

  it('lets a page go that a device held while it was swapped out', async () => {
    const host = await bootHost({ frames: 16 })
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const at = addFilled(mm, 1, 7, { mergeable: false })
    const pin = mm.pin(at, PAGE)
    expect(host.reclaim(mm.pfn(at)!)).toBe('referenced')
    mm.munmap(at, PAGE)
    host.audit()
    expect(host.frames.free).toBe(15)
    pin.release()
    expectNothingLeft(host)
  })
})

describe('a merged page that has been forgotten while it was in the swap cache', () => {
  it('is copied for whoever reads it back: no number of users would be kept for it', async () => {
    const host = await bootHost({ frames: 16 })
    host.swapOn(memorySwapStore(8))
    host.ksm.set('run', 1)
    const { a, b, p, q, k } = sharePage(host)
    const held = a.get(p, PAGE)
    expect(host.reclaim(k)).toBe('referenced')
    host.ksm.set('run', 2)
    host.ksm.set('run', 0)
    expectContent(a, p, SHARED_CONTENT)
    expect(a.pfn(p)).not.toBe(k)
    expectContent(b, q, SHARED_CONTENT)
    host.audit()
    held.release()
    a.exit()
    b.exit()
    fullScans(host, 1)
    expectNothingLeft(host)
  })
})

describe('a swapped out page', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7])('survives mprotect and fork on device %i', async (device) => {
    const host = await bootHost({ frames: 32 })
    for (let i = 0; i < device; i++) {
      host.swapOn(memorySwapStore(1))
      const sleeper = host.createMm()
      sleeper.madvise(addFilled(sleeper, 1, i, { mergeable: false }), PAGE, 'MADV_PAGEOUT')
    }
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const at = addFilled(mm, 3, 7, { mergeable: false })
    mm.madvise(at, 3 * PAGE, 'MADV_PAGEOUT')
    mm.mprotect(at, 3 * PAGE, 'PROT_READ')
    host.audit()
    const child = mm.fork()
    host.audit()
    expect(holds(mm, at, 3, 7)).toBe(true)
    expect(holds(child, at, 3, 7)).toBe(true)
    host.audit()
    host.close()
    expectNothingLeft(host)
  })
})

describe('a page that outlives the anon_vma it remembers', () => {
  it('in a device: can be neither moved nor reclaimed, and harms nobody', async () => {
    const host = await bootHost({ frames: 16 })
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const pin = mm.pin(addFilled(mm, 1, 7, { mergeable: false }), PAGE)
    const pfn = pin.pfns[0]!
    mm.exit()
    expect(memoryOf(host).anonVmas.live).toBe(0)
    expect(errnoOf(() => host.migrate(pfn, { node: 0 }))).toBe('EAGAIN')
    expect(errnoOf(() => host.offline(pfn, pfn + 1))).toBe('EBUSY')
    expect(host.reclaim(pfn)).toBe('referenced')
    host.audit()
    expect(host.memoryFailure(pfn).told).toEqual([])
    expect(errnoOf(() => pin.read(0, 2))).toBe('EHWPOISON')
    pin.release()
    expect(host.frames.free).toBe(15)
    host.audit()
  })

  it('in the swap cache: another mm gets its copy', async () => {
    const host = await bootHost({ frames: 16 })
    host.swapOn(memorySwapStore(8))
    const [a, b] = [host.createMm(), host.createMm()]
    const atA = addFilled(a, 1, 7)
    const atB = addFilled(b, 1, 7)
    fullScans(host, 2)
    expect(host.reclaim(a.pfn(atA)!)).toBeUndefined()
    host.ksm.scan(1)
    // The merged page comes back as a's own, stays in the cache for b, and outlives a.
    a.read(atA, 1)
    a.exit()
    host.audit()
    expect(holds(b, atB, 1, 7)).toBe(true)
    expect(host.vmstat().ksm_swpin_copy).toBe(1)
    host.audit()
    b.exit()
    fullScans(host, 1)
    expectNothingLeft(host)
  })
})

describe('swapOff', () => {
  it('brings everything back, merged, shared and held', async () => {
    const host = await bootHost({ frames: 32 })
    const store = memorySwapStore(16)
    host.swapOn(store)
    const mm = host.createMm()
    const at = addFilled(mm, 4, 7)
    const alone = addFilled(mm, 2, 8, { mergeable: false })
    const child = mm.fork()
    fullScans(host, 2)
    const pin = mm.get(at, PAGE)
    for (const pfn of new Set([mm.pfn(at)!, mm.pfn(alone)!, mm.pfn(alone + PAGE)!])) host.reclaim(pfn)
    host.swapOff(store)
    expect(memoryOf(host).swap.usage).toEqual({ used: 0, total: 0 })
    for (const each of [mm, child]) {
      expect(holds(each, at, 4, 7)).toBe(true)
      expect(holds(each, alone, 2, 8)).toBe(true)
    }
    host.audit()
    pin.release()
    mm.exit()
    child.exit()
    host.ksm.set('run', 2)
    expectNothingLeft(host)
  })

  it('does not take nothing for a store that was in use once', async () => {
    const host = await bootHost({ frames: 8 })
    const store = memorySwapStore(8)
    host.swapOn(store)
    host.swapOff(store)
    expect(errnoOf(() => host.swapOff(undefined as never))).toBe('EINVAL')
    expect(() => host.swapOn(undefined as never)).toThrow(/`store`/)
    expect(errnoOf(() => host.swapOff(store))).toBe('EINVAL')
  })

  it('is not kept from it by a broken page', async () => {
    const host = await bootHost({ frames: 16 })
    const store = memorySwapStore(8)
    host.swapOn(store)
    const mm = host.createMm()
    const at = addFilled(mm, 2, 7, { mergeable: false })
    const reference = mm.get(at, PAGE, { write: true })
    const pfn = mm.pfn(at)!
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    // Otherwise swap would have the same and nothing would be lost.
    reference.write(0, Uint8Array.of(8))
    host.memoryFailure(pfn)
    expect(errnoOf(() => mm.read(at, 1))).toBe('EHWPOISON')
    host.swapOff(store)
    expect(errnoOf(() => mm.read(at, 1))).toBe('EHWPOISON')
    expect(holds(mm, at + PAGE, 1, 7)).toBe(true)
    host.audit()
    reference.release()
    mm.exit()
    expect(host.frames.free, 'all but the broken one').toBe(15)
    host.audit()
  })
})
