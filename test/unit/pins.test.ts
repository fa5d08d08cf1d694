// Pins and references: who outside holds a page, what that promises, and what it keeps from happening to the page.

import { describe, expect, it } from 'vitest'
import { FRAME_EXCLUSIVE } from '../../assembly/abi.ts'
import { COW_POLICIES, memorySwapStore } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { byteAt, contentBytes, counted, errnoOf, guest, makeHost, PAGE, pokeByte } from '../support/world.ts'

describe('a pin', () => {
  it.each([
    { write: true, longterm: false },
    { write: true, longterm: true },
    { write: false, longterm: false },
    { write: false, longterm: true },
  ])(
    'for writing $write, for long $longterm: holds every page of the range, until it is released',
    async (options) => {
      const host = await makeHost()
      const { mm, at } = guest(host, 'a', [1, 2, undefined], { mergeable: false })
      const pin = mm.pin(at + 100, 2 * PAGE, options)
      expect(pin.longterm).toBe(options.longterm)
      expect(pin.pfns).toEqual([0, 1, 2].map((page) => mm.pfn(at + page * PAGE)))
      for (const pfn of pin.pfns) {
        expect(host.frame(pfn)).toMatchObject({ refcount: 2, mapcount: 1 })
        expect(host.frame(pfn).flags).toContain('pinned')
      }
      expect(pin.read(0, 2 * PAGE)).toEqual(mm.read(at + 100, 2 * PAGE))
      host.audit()
      pin.release()
      pin.release()
      for (const pfn of pin.pfns) expect(host.frame(pfn)).toMatchObject({ refcount: 1 })
      for (const pfn of pin.pfns) expect(host.frame(pfn).flags).not.toContain('pinned')
      expect(() => pin.read(0, 1)).toThrow(/released/)
      host.audit()
    },
  )

  it('for writing: the guest sees what the device writes, and the device what the guest writes', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    const pin = mm.pin(at + 10, PAGE, { write: true })
    pin.write(PAGE - 12, Uint8Array.of(5, 6, 7, 8))
    expect(mm.read(at + PAGE - 2, 4)).toEqual(Uint8Array.of(5, 6, 7, 8))
    pokeByte(mm, at + 10, 9)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(9))
    expect(() => pin.write(PAGE, new Uint8Array(2 * PAGE))).toThrow(RangeError)
    expect(() => pin.read(-11, 1)).toThrow(RangeError)
  })

  it('for reading only cannot be written through', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1], { mergeable: false })
    for (const held of [mm.pin(at, PAGE), mm.get(at, PAGE)]) {
      expect(() => held.write(0, Uint8Array.of(5))).toThrow(RangeError)
      expect(byteAt(mm, at)).toBe(1)
      held.release()
    }
  })

  it('is all or nothing', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    expect(errnoOf(() => mm.pin(at, 3 * PAGE))).toBe('EFAULT')
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ')
    expect(errnoOf(() => mm.pin(at, 2 * PAGE, { write: true }))).toBe('EFAULT')
    expect(host.frame(mm.pfn(at)!)).toMatchObject({ refcount: 1 })
    mm.pin(at, 2 * PAGE).release()
    host.audit()
    expect(() => mm.pin(at, 0)).toThrow(RangeError)
    expect(() => mm.pin(-1, 1)).toThrow(RangeError)
  })

  it('out of memory: nothing is held', async () => {
    const host = await makeHost({ frames: 3 })
    const { mm, at } = guest(host, 'a', new Array(5).fill(undefined), { mergeable: false })
    expect(errnoOf(() => mm.pin(at, 5 * PAGE, { write: true }))).toBe('ENOMEM')
    expect(memoryOf(host).pins.of(mm.pfn(at)!)).toBe(0)
    host.audit()
  })

  it('counts: a frame is pinned until its last pin goes', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1], { mergeable: false })
    const pfn = mm.pfn(at)!
    const pins = [mm.pin(at, 1), mm.pin(at, 1, { write: true }), mm.get(at, 1)]
    expect(host.frame(pfn).refcount).toBe(4)
    pins[0]!.release()
    expect(host.frame(pfn).flags).toContain('pinned')
    pins[1]!.release()
    expect(host.frame(pfn).flags).not.toContain('pinned')
    expect(memoryOf(host).pins.of(pfn)).toBe(1)
    pins[2]!.release()
    expect(host.frame(pfn).refcount).toBe(1)
    host.audit()
  })
})

describe('reading through a pin', () => {
  it("first makes a page the guest's own: merged, shared by fork, or of zeros", async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, 8, undefined])
    host.ksm.scan(2)
    const child = mm.fork({ name: 'child' })
    byteAt(mm, at + 3 * PAGE)
    const before = [0, 1, 2, 3].map((page) => mm.pfn(at + page * PAGE))
    expect(before[0]).toBe(before[1])
    const pin = mm.pin(at, 4 * PAGE)
    for (const [page, pfn] of pin.pfns.entries()) {
      expect(pfn, `page ${page}`).toBe(mm.pfn(at + page * PAGE))
      expect(pfn, `page ${page}`).not.toBe(before[page])
      expect(memoryOf(host).frames.hasFlag(pfn, FRAME_EXCLUSIVE)).toBe(true)
      expect(host.frame(pfn).mapping?.kind).toBe('anon')
    }
    expect(new Set(pin.pfns).size).toBe(4)
    expect([0, 1, 2, 3].map((page) => pin.read(page * PAGE, 1)[0])).toEqual([7, 7, 8, 0])
    // What the guest writes now is what the device reads.
    pokeByte(mm, at, 3)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(3))
    expect(byteAt(child, at)).toBe(7)
    host.audit()
    pin.release()
    host.audit()
  })

  it('with a plain reference does not: the frame stays, whosever it is', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, undefined])
    host.ksm.scan(2)
    const k = mm.pfn(at)!
    const held = mm.get(at, 3 * PAGE)
    expect(held.pfns.slice(0, 2)).toEqual([k, k])
    expect(host.frame(k)).toMatchObject({ refcount: 4, mapcount: 2 })
    expect(host.frame(k).flags).not.toContain('pinned')
    pokeByte(mm, at, 3)
    expect(held.read(0, 1), 'the copy went elsewhere').toEqual(Uint8Array.of(7))
    held.release()
    host.audit()
  })

  it('works where the guest may only read', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    mm.mprotect(at, 2 * PAGE, 'PROT_READ')
    const pin = mm.pin(at, 2 * PAGE)
    expect(pin.pfns[0]).not.toBe(pin.pfns[1])
    host.audit()
    mm.mprotect(at, 2 * PAGE, 'PROT_NONE')
    expect(errnoOf(() => mm.pin(at, 1))).toBe('EFAULT')
  })

  it.each(COW_POLICIES)('keeps its promise under policy %s when the guest writes', async (cowPolicy) => {
    const host = await makeHost({ cowPolicy })
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const pin = mm.pin(at, PAGE)
    pokeByte(mm, at, 9)
    // 5.9's page_count copies a read-only pinned page away from its pin: the regression that AnonExclusive ended.
    expect(pin.read(0, 1)[0]).toBe(cowPolicy === 'page_count' ? 7 : 9)
    host.audit()
  })

  it("writing for the device breaks the sharing as the guest's own write would", async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const pin = mm.pin(at, PAGE, { write: true })
    expect(host.vmstat().cow_ksm).toBe(1)
    pin.write(0, Uint8Array.of(9))
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([9, 7])
    host.audit()
  })
})

describe('a pinned page', () => {
  it.each(['pin', 'get'] as const)('is not merged, and is after the %s is released', async (how) => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, 7])
    const held = mm[how](at + PAGE, PAGE, { write: true })
    host.ksm.scan(3)
    expect(counted(host), 'tried again and again').toEqual([1, 1, 0, 1])
    expect(mm.pfn(at + PAGE)).toBe(held.pfns[0])
    expect(mm.pfn(at)).toBe(mm.pfn(at + 2 * PAGE))
    held.write(0, contentBytes(7))
    held.release()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    host.audit()
  })

  it('is not merged with the zero page either', async () => {
    const host = await makeHost()
    host.ksm.set('use_zero_pages', 1)
    const { mm, at } = guest(host, 'a', [0, 0])
    const pin = mm.pin(at, PAGE, { write: true })
    host.ksm.scan(3)
    expect(host.ksm.counters().ksm_zero_pages).toBe(1)
    pin.write(0, Uint8Array.of(9))
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([9, 0])
    pin.release()
    host.audit()
  })

  it('is not moved, and is as it was after the attempt', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7])
    const pin = mm.pin(at, PAGE, { write: true })
    expect(errnoOf(() => host.migrate(pin.pfns[0]!, { node: 1 }))).toBe('EAGAIN')
    expect(mm.pfn(at)).toBe(pin.pfns[0])
    pin.write(0, Uint8Array.of(9))
    expect(byteAt(mm, at)).toBe(9)
    host.audit()
    pin.release()
    expect(host.frame(host.migrate(pin.pfns[0]!, { node: 1 })).node).toBe(1)
    expect(byteAt(mm, at)).toBe(9)
    host.audit()
  })

  it('is unmapped all the same, and comes back as it is', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7])
    const pin = mm.pin(at, PAGE, { write: true })
    expect(host.reclaim(pin.pfns[0]!)).toBe('referenced')
    expect(mm.pfn(at)).toBeUndefined()
    pin.write(0, Uint8Array.of(9))
    expect(byteAt(mm, at)).toBe(9)
    expect(mm.pfn(at)).toBe(pin.pfns[0])
    pokeByte(mm, at, 10)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(10))
    pin.release()
    host.audit()
  })

  it('is copied for the child at fork: parent and device stay together', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 8])
    const pin = mm.pin(at, PAGE, { write: true })
    const child = mm.fork({ name: 'child' })
    expect(mm.pfn(at)).toBe(pin.pfns[0])
    expect(child.pfn(at)).not.toBe(pin.pfns[0])
    expect(child.pfn(at + PAGE), 'others are shared').toBe(mm.pfn(at + PAGE))
    pin.write(0, Uint8Array.of(9))
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([9, 7])
    pokeByte(mm, at, 10)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(10))
    host.audit()
  })

  it('is copied for the child with the rights the range has', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7])
    mm.mprotect(at, PAGE, 'PROT_READ')
    const pin = mm.pin(at, PAGE)
    const child = mm.fork({ name: 'child' })
    expect(child.pfn(at)).not.toBe(pin.pfns[0])
    host.audit()
    expect(errnoOf(() => pokeByte(child, at, 1))).toBe('EFAULT')
    child.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    pokeByte(child, at, 1)
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([7, 1])
    host.audit()
  })

  it('is copied at fork or nothing is: out of memory leaves the parent as it was', async () => {
    const host = await makeHost({ frames: 2 })
    const { mm, at } = guest(host, 'a', [7, 8])
    const pin = mm.pin(at + PAGE, PAGE, { write: true })
    expect(errnoOf(() => mm.fork({ name: 'child' }))).toBe('ENOMEM')
    pokeByte(mm, at, 1)
    pin.write(0, Uint8Array.of(2))
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([1, 2])
    host.audit()
  })

  it('outlives its mapping: the frame is free when the pin goes', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7])
    const pin = mm.pin(at, PAGE, { write: true })
    mm.exit()
    expect(host.frames.free).toBe(63)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(7))
    host.audit()
    pin.release()
    expect(host.frames.free).toBe(64)
    host.ksm.scan(1)
    host.audit()
  })
})

describe('what cannot be held', () => {
  it('device memory and holes', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const device = mm.mmap(PAGE, { kind: 'pfnmap' })
    expect(errnoOf(() => mm.pin(device, 1))).toBe('EFAULT')
    expect(errnoOf(() => mm.get(device + PAGE, 1))).toBe('EFAULT')
  })

  it('a page that is being moved: it is asked for again, then given up', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7])
    let errno: string | undefined
    memoryOf(host).race = (point) => {
      if (point === 'migration: after freeze') errno = errnoOf(() => mm.pin(at, 1))
    }
    host.migrate(mm.pfn(at)!, { node: 1 })
    memoryOf(host).race = undefined
    expect(errno).toBe('EAGAIN')
    mm.pin(at, 1).release()
    host.audit()
  })

  it('shared memory can: both sides see the device', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(PAGE, { shared: true })
    pokeByte(mm, at, 7)
    const child = mm.fork({ name: 'child' })
    const pin = mm.pin(at, PAGE, { write: true })
    pin.write(0, Uint8Array.of(9))
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([9, 9])
    pin.release()
    host.audit()
  })
})
