// Swap: stores, the map of who refers to which slot, the cache, the way out and the way back, and what happens when a
// store loses what it was given.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { FRAME_DIRTY, FRAME_LOCKED } from '../../assembly/abi.ts'
import { fileSwapStore, type Host, type Mm, memorySwapStore, type SwapStore } from '../../src/index.ts'
import { swapEntryOf } from '../../src/mm/page/pte.ts'
import { memoryOf, pteOf } from '../support/inside.ts'
import {
  addRange,
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  guest,
  makeHost,
  PAGE,
  pokeByte,
  useUpFrames,
} from '../support/world.ts'

const DIR = mkdtempSync(join(tmpdir(), 'pagefold-swap-'))
afterAll(() => rmSync(DIR, { recursive: true }))
let files = 0
const path = (): string => join(DIR, `swap-${files++}`)

const STORES: Record<string, (slots: number) => SwapStore> = {
  memory: memorySwapStore,
  file: (slots) => fileSwapStore(path(), slots),
}

/** A guest with one page that is in the swap cache and swapped out: somebody held it meanwhile. */
async function withCachedPage(slots = 8) {
  const host = await makeHost()
  const store = memorySwapStore(slots)
  host.swapOn(store)
  const { mm, at } = guest(host, 'a', [7], { mergeable: false })
  const pfn = mm.pfn(at)!
  const held = mm.get(at, 1)
  expect(host.reclaim(pfn)).toBe('referenced')
  held.release()
  return { host, store, mm, at, pfn }
}

it('a file that takes and gives a page in pieces has it whole', () => {
  const fs = process.getBuiltinModule('node:fs')
  const { readSync, writeSync } = fs
  const most = 1000
  Object.assign(fs, {
    readSync: (fd: number, into: Uint8Array, at: number, length: number, from: number) => {
      if (at + length > into.length) throw new RangeError('beyond the page')
      return readSync(fd, into, at, Math.min(length, most), from)
    },
    writeSync: (fd: number, from: Uint8Array, at: number, length: number, to: number) => {
      if (at + length > from.length) throw new RangeError('beyond the page')
      return writeSync(fd, from, at, Math.min(length, most), to)
    },
  })
  onTestFinished(() => void Object.assign(fs, { readSync, writeSync }))
  const store = fileSwapStore(path(), 3)
  const page = Uint8Array.from({ length: PAGE }, (_, at) => at % 251)
  for (const slot of [2, 0, 1])
    store.write(
      slot,
      page.map((byte) => byte ^ slot),
    )
  const back = new Uint8Array(PAGE)
  for (const slot of [0, 1, 2]) {
    store.read(slot, back)
    expect(back).toEqual(page.map((byte) => byte ^ slot))
  }
  store.close?.()
  expect(() => store.read(0, back), 'its file is closed').toThrow(/EBADF/)
})

it('a store that is full takes no more', async () => {
  const host = await makeHost()
  host.swapOn(memorySwapStore(2))
  const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
  const reclaimed = [0, 1, 2].map((page) => host.reclaim(mm.pfn(at + page * PAGE)!))
  expect(reclaimed).toEqual([undefined, undefined, 'no swap'])
  expect(memoryOf(host).swap.usage).toEqual({ used: 2, total: 2 })
  for (const [page, content] of [1, 2, 3].entries()) expectContent(mm, at + page * PAGE, content)
  host.audit()
})

describe.each(Object.keys(STORES))('a %s store', (kind) => {
  const make = STORES[kind]!

  it('gives back what was written to a slot last', () => {
    const store = make(4)
    const into = new Uint8Array(PAGE)
    store.write(3, contentBytes(3))
    store.write(0, contentBytes(1))
    store.write(3, contentBytes(4))
    store.read(3, into)
    expect(into).toEqual(contentBytes(4))
    store.read(0, into)
    expect(into).toEqual(contentBytes(1))
    store.close?.()
  })

  it('says so when nothing is there', () => {
    const store = make(4)
    expect(() => store.read(2, new Uint8Array(PAGE))).toThrow(/slot 2/)
    store.close?.()
  })

  it('has 1 to 2^20 slots', () => {
    for (const slots of [0, -1, 1.5, 2 ** 20 + 1]) expect(() => make(slots)).toThrow(RangeError)
    expect(() => make('9' as never)).toThrow(TypeError)
  })

  it('serves a whole host: every page out and back', async () => {
    const host = await makeHost()
    host.swapOn(make(16))
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5], { mergeable: false })
    mm.madvise(at, 5 * PAGE, 'MADV_PAGEOUT')
    expect(host.frames.free).toBe(64)
    expect(memoryOf(host).swap.usage).toEqual({ used: 5, total: 16 })
    host.audit()
    for (let page = 0; page < 5; page++) expectContent(mm, at + page * PAGE, page + 1)
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
    host.close()
  })
})

describe('swapon and swapoff', () => {
  it('refuse what cannot be', async () => {
    const host = await makeHost()
    const stores = Array.from({ length: 9 }, () => memorySwapStore(1))
    for (const store of stores.slice(0, 8)) host.swapOn(store)
    expect(errnoOf(() => host.swapOn(stores[8]!))).toBe('EPERM')
    expect(errnoOf(() => host.swapOn(stores[0]!))).toBe('EBUSY')
    expect(errnoOf(() => host.swapOff(stores[8]!))).toBe('EINVAL')
    host.swapOff(stores[3]!)
    host.swapOn(stores[8]!)
    expect(memoryOf(host).swap.find(stores[8]!)).toBe(3)
    expect(errnoOf(() => host.swapOff(stores[3]!))).toBe('EINVAL')
    host.swapOff(stores[5]!)
    const { slots, read, write } = memorySwapStore(1)
    for (const wrong of [
      { slots, read },
      { slots, write },
      { read, write },
    ]) {
      expect(() => host.swapOn(wrong as SwapStore)).toThrow(TypeError)
    }
    let closed = 0
    host.swapOn({ slots, read, write, close: () => closed++ })
    host.swapOff(stores[4]!)
    host.close()
    expect(closed, 'and one that was taken out of use is not closed again').toBe(1)
  })

  it('take no store with more slots than a pte can name', async () => {
    const host = await makeHost()
    const store: SwapStore = { slots: 2 ** 20 + 1, read() {}, write() {} }
    expect(() => host.swapOn(store)).toThrow(/slots/)
    expect(() => host.swapOn({ ...store, slots: 0 })).toThrow(/slots/)
  })

  it('bring everything back and close the store', async () => {
    const host = await makeHost()
    let closed = 0
    const store = { ...memorySwapStore(8), close: () => closed++ }
    host.swapOn(store)
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    const child = mm.fork({ name: 'child' })
    for (let page = 0; page < 3; page++) host.reclaim(mm.pfn(at + page * PAGE)!)
    expect(host.frames.free).toBe(64)
    host.swapOff(store)
    expect(closed).toBe(1)
    for (const each of [mm, child]) {
      for (let page = 0; page < 3; page++) {
        expect(each.pfn(at + page * PAGE)).toBeDefined()
        expect(byteAt(each, at + page * PAGE)).toBe(page + 1)
      }
      expect(each.pfn(at)).toBe(mm.pfn(at))
    }
    expect(memoryOf(host).swap.usage).toEqual({ used: 0, total: 0 })
    host.audit()
  })

  it('out of memory: it stays in use, and all of it can be had later', async () => {
    const host = await makeHost({ frames: 8 })
    const store = memorySwapStore(8)
    host.swapOn(store)
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6], { mergeable: false })
    mm.madvise(at, 6 * PAGE, 'MADV_PAGEOUT')
    const other = guest(host, 'b', [11, 12, 13, 14, 15], { mergeable: false })
    expect(errnoOf(() => host.swapOff(store))).toBe('ENOMEM')
    host.audit()
    expect(memoryOf(host).swap.find(store)).toBe(0)
    other.mm.exit()
    guest(host, 'c', [1], { mergeable: false }).mm.exit()
    host.swapOff(store)
    for (let page = 0; page < 6; page++) expect(byteAt(mm, at + page * PAGE)).toBe(page + 1)
    host.audit()
  })

  it('one device of two: pages of the other stay where they are', async () => {
    const host = await makeHost()
    const [first, second] = [memorySwapStore(1), memorySwapStore(8)]
    host.swapOn(first)
    host.swapOn(second)
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    mm.madvise(at, 3 * PAGE, 'MADV_PAGEOUT')
    expect([0, 1, 2].map((page) => swapEntryOf(pteOf(mm, at + page * PAGE)).device)).toEqual([0, 1, 1])
    host.swapOff(first)
    expect([0, 1, 2].map((page) => mm.pfn(at + page * PAGE) !== undefined)).toEqual([true, false, false])
    for (let page = 0; page < 3; page++) expect(byteAt(mm, at + page * PAGE)).toBe(page + 1)
    host.audit()
  })
})

describe('the swap map', () => {
  it('counts every pte that names a slot: fork adds, swap-in and unmapping take away', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const { swap } = memoryOf(host)
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    const entry = swapEntryOf(pteOf(mm, at))
    const children = [mm.fork({ name: 'b' }), mm.fork({ name: 'c' })] as const
    expect(swap.references(entry)).toBe(3)
    children[0].munmap(at, PAGE)
    expect(swap.references(entry)).toBe(2)
    byteAt(mm, at)
    expect(swap.references(entry), 'the cache and C').toBe(2)
    expect(host.frame(mm.pfn(at)!)).toMatchObject({ refcount: 2, mapcount: 1 })
    pokeByte(mm, at, 9)
    children[1].exit()
    expect(swap.usage.used).toBe(0)
    expect(host.frames.free).toBe(63)
    host.audit()
  })

  it('uses slots in turn, and those of the next device when one is full', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(2))
    host.swapOn(memorySwapStore(3))
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6], { mergeable: false })
    mm.madvise(at, 6 * PAGE, 'MADV_PAGEOUT')
    const places = [0, 1, 2, 3, 4].map((page) => {
      const { device, slot } = swapEntryOf(pteOf(mm, at + page * PAGE))
      return `${device}:${slot}`
    })
    expect(places).toEqual(['0:0', '0:1', '1:0', '1:1', '1:2'])
    expect(mm.pfn(at + 5 * PAGE), 'no room for the sixth').toBeDefined()
    expect(host.reclaim(mm.pfn(at + 5 * PAGE)!)).toBe('no swap')
    for (let page = 0; page < 6; page++) expect(byteAt(mm, at + page * PAGE)).toBe(page + 1)
    host.audit()
  })
})

describe('the swap cache', () => {
  it('maps the very frame again without reading the store', async () => {
    const { host, mm, at, pfn } = await withCachedPage()
    const free = host.frames.free
    expect(byteAt(mm, at)).toBe(7)
    expect(mm.pfn(at)).toBe(pfn)
    expect(host.frames.free).toBe(free)
    host.audit()
  })

  it('is left by a page that the last process unmaps', async () => {
    for (const end of [(mm: Mm, at: number) => mm.munmap(at, PAGE), (mm: Mm) => mm.exit()]) {
      const { host, mm, at, pfn } = await withCachedPage()
      expect(memoryOf(host).swap.usage.used).toBe(1)
      end(mm, at)
      expect(memoryOf(host).swap.usage.used).toBe(0)
      expect(host.frame(pfn)).toMatchObject({ refcount: 0, mapping: undefined })
      host.audit()
    }
  })

  it('is kept, slot and all, for as long as a pte maps its page, when another that named the slot goes', async () => {
    const { host, mm, at, pfn } = await withCachedPage()
    const child = mm.fork()
    byteAt(mm, at)
    child.munmap(at, PAGE)
    expect(mm.pfn(at)).toBe(pfn)
    expect(memoryOf(host).swap.usage.used).toBe(1)
    expect(host.frame(pfn).flags).toContain('swapcache')
    mm.exit()
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })

  it('is left by a page that a device still holds: its frame goes with the last reference', async () => {
    const { host, mm, at, pfn } = await withCachedPage()
    byteAt(mm, at)
    const device = mm.get(at, 1)
    host.reclaim(pfn)
    mm.exit()
    expect(memoryOf(host).swap.usage.used).toBe(0)
    expect(host.frame(pfn).refcount).toBe(1)
    // Nobody's any more: nothing to find through its mapping, nothing to move.
    expect(host.reclaim(pfn)).toBe('referenced')
    expect(errnoOf(() => host.migrate(pfn, { node: 0 }))).toBe('EAGAIN')
    host.audit()
    device.release()
    expect(host.frames.free).toBe(64)
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })

  it('gives up its frame in the end without writing again what did not change', async () => {
    const { host, mm, at, pfn } = await withCachedPage()
    expect(memoryOf(host).frames.hasFlag(pfn, FRAME_DIRTY)).toBe(false)
    expect(host.reclaim(pfn)).toBeUndefined()
    expect(host.frames.free).toBe(64)
    expectContent(mm, at, 7)
  })

  it('keeps what a device wrote to an unmapped page', async () => {
    const { host, mm, at, pfn } = await withCachedPage()
    byteAt(mm, at)
    const device = mm.get(at, PAGE, { write: true })
    expect(host.reclaim(pfn)).toBe('referenced')
    device.write(1, Uint8Array.of(0x5a))
    device.release()
    expect(host.reclaim(pfn)).toBeUndefined()
    expect(mm.read(at, 2)).toEqual(Uint8Array.of(7, 0x5a))
    host.audit()
  })
})

describe('reclaim', () => {
  it('frees the frame of every process at once, and each finds its bytes again', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork({ name: 'child' })
    expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
    expect(host.frames.free).toBe(64)
    pokeByte(child, at, 9)
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([7, 9])
    host.audit()
  })

  it('says why it could not', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const pfn = mm.pfn(at)!
    expect(host.reclaim(pfn)).toBe('no swap')
    let broken = true
    const inner = memorySwapStore(4)
    host.swapOn({
      ...inner,
      write(slot, from) {
        if (broken) throw new Error('disk full')
        inner.write(slot, from)
      },
    })
    memoryOf(host).frames.setFlag(pfn, FRAME_LOCKED)
    expect(host.reclaim(pfn)).toBe('locked')
    memoryOf(host).frames.clearFlag(pfn, FRAME_LOCKED)
    expect(host.reclaim(pfn)).toBe('cannot write')
    expect(byteAt(mm, at), 'nothing is lost').toBe(7)
    host.audit()
    broken = false
    const device = mm.get(at, 1)
    expect(host.reclaim(pfn)).toBe('referenced')
    device.release()
    expect(host.reclaim(pfn)).toBeUndefined()
    expect(byteAt(mm, at)).toBe(7)
    expect(errnoOf(() => host.reclaim(memoryOf(host).frames.alloc()))).toBe('EINVAL')
  })

  it('leaves a merged page of which a mapping cannot be found', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const a = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const k = a.mm.pfn(a.at)!
    const child = a.mm.fork({ name: 'child' })
    // The parent's items go before the child is ever visited: nothing leads to the child's mappings.
    a.mm.munmap(a.at, 2 * PAGE)
    memoryOf(host).race = (point) => {
      if (point !== 'scan: between mms') return
      memoryOf(host).race = undefined
      expect(host.ksm.counters().pages_shared).toBe(0)
      expect(host.reclaim(k)).toBe('still mapped')
      expect(host.frame(k)).toMatchObject({ refcount: 2, mapcount: 2, flags: ['dirty'] })
    }
    host.ksm.scan(1)
    expect(memoryOf(host).race).toBeUndefined()
    host.audit()
    expect(host.reclaim(k), 'its own items lead there now').toBeUndefined()
    expect([byteAt(child, a.at), byteAt(child, a.at + PAGE)]).toEqual([7, 7])
    host.audit()
  })

  it('writes to swap whatever the guest wrote, dirty or not', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    for (let round = 0; round < 4; round++) {
      mm.madvise(at, PAGE, 'MADV_PAGEOUT')
      expect(mm.pfn(at)).toBeUndefined()
      expect(byteAt(mm, at), 'read first: the page comes back clean').toBe(7 + round)
      pokeByte(mm, at, 8 + round)
      host.audit()
    }
  })

  it('MADV_PAGEOUT leaves alone what others map too', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.fork({ name: 'child' })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    expect(mm.pfn(at)).toBeDefined()
  })
})

describe('swap-in', () => {
  it("of a page that is one mm's alone makes it writable, and forgets the slot", async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    byteAt(mm, at)
    expect(host.frame(mm.pfn(at)!)).toMatchObject({ refcount: 1, mapcount: 1, flags: ['exclusive', 'dirty'] })
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })

  it('out of memory: the fault fails, nothing is lost, and it works when there is memory', async () => {
    const host = await makeHost({ frames: 4 })
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    const other = guest(host, 'b', [1, 2, 3, 4], { mergeable: false })
    expect(errnoOf(() => byteAt(mm, at))).toBe('ENOMEM')
    host.audit()
    other.mm.exit()
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })

  it('goes to a read-only range read-only, and to a writable one later', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    mm.mprotect(at, PAGE, 'PROT_READ')
    expect(byteAt(mm, at)).toBe(7)
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
    host.audit()
    mm.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    const pfn = mm.pfn(at)
    pokeByte(mm, at, 9)
    expect(mm.pfn(at), 'still its own').toBe(pfn)
    host.audit()
  })

  it("looks again, once it has the lock, whether the page still is that slot's (the race of 2010)", async () => {
    const { host, mm, at, pfn } = await withCachedPage(1)
    const { frames } = memoryOf(host)
    const before = pteOf(mm, at)
    memoryOf(host).race = (point) => {
      if (point !== 'swap-in: after lock') return
      memoryOf(host).race = undefined
      // Before we had the lock another thread was faster: the page came back and was replaced by another, which was
      // swapped out to the same slot. The pte looks as if nothing had happened.
      frames.clearFlag(pfn, FRAME_LOCKED)
      byteAt(mm, at)
      mm.madvise(at, PAGE, 'MADV_DONTNEED')
      mm.write(at, contentBytes(9))
      expect(mm.pfn(at)).not.toBe(pfn)
      host.reclaim(mm.pfn(at)!)
      expect(pteOf(mm, at)).toBe(before)
      frames.setFlag(pfn, FRAME_LOCKED)
    }
    expect(errnoOf(() => byteAt(mm, at))).toBe('EAGAIN')
    expect(byteAt(mm, at), 'what was written last, not what was cached').toBe(9)
    expect(host.frame(pfn).refcount).toBe(0)
    host.audit()
  })

  it('starts over when the page is gone by the time it is locked', async () => {
    for (const action of [
      (mm: Mm, at: number) => mm.madvise(at, PAGE, 'MADV_DONTNEED'),
      (mm: Mm, at: number) => mm.munmap(at, PAGE),
    ]) {
      const { host, mm, at } = await withCachedPage()
      let errno: string | undefined
      memoryOf(host).race = (point) => {
        if (point !== 'swap-in: after lock') return
        memoryOf(host).race = undefined
        action(mm, at)
      }
      try {
        expect(byteAt(mm, at), 'a page of zeros now').toBe(0)
      } catch (error) {
        errno = (error as { code?: string }).code
        expect(errno).toBe('EFAULT')
      }
      expect(memoryOf(host).swap.usage.used).toBe(0)
      host.audit()
    }
  })
})

describe('a store that loses what it was given', () => {
  /** A and B share a page by fork, and each has one of its own; all are swapped out to a file. */
  async function inFile() {
    const host = await makeHost()
    const file = path()
    host.swapOn(fileSwapStore(file, 8))
    const { mm: a, at } = guest(host, 'a', [7, 8, 9], { mergeable: false })
    const b = a.fork({ name: 'b' })
    for (let page = 0; page < 3; page++) host.reclaim(a.pfn(at + page * PAGE)!)
    const slotOf = (page: number): number => swapEntryOf(pteOf(a, at + page * PAGE)).slot
    return { host, file, a, b, at, slotOf }
  }

  const DAMAGES: Record<string, (file: string, slot: number) => void> = {
    'one bit is flipped': (file, slot) => {
      writeFileSync(file, contentBytes(7).fill(6, 17, 18), { flag: 'r+' })
      expect(slot).toBe(0)
    },
    'the file is empty': (file) => truncateSync(file, 0),
    'it ends in the middle of the page': (file) => truncateSync(file, 100),
  }

  it.each(Object.keys(DAMAGES))('%s: whoever faults is told, nobody else', async (damage) => {
    const { host, file, a, b, at, slotOf } = await inFile()
    DAMAGES[damage]!(file, slotOf(0))
    const free = host.frames.free
    for (const each of [a, b]) {
      expect(errnoOf(() => byteAt(each, at))).toBe('EIO')
      expect(errnoOf(() => pokeByte(each, at, 1))).toBe('EIO')
      expect(errnoOf(() => each.pin(at, 1))).toBe('EIO')
    }
    host.audit()
    expect(host.frames.free, 'no frame is kept for what cannot be read').toBe(free)
    // Others, and other pages, go on.
    const third = guest(host, 'c', [7, 7], { mergeable: false })
    expect(byteAt(third.mm, third.at)).toBe(7)
    if (damage === 'one bit is flipped') {
      expect([byteAt(a, at + PAGE), byteAt(b, at + 2 * PAGE)]).toEqual([8, 9])
    }
    // The page can still be given up, and a fresh one taken.
    a.madvise(at, PAGE, 'MADV_DONTNEED')
    expect(byteAt(a, at)).toBe(0)
    host.audit()
    b.exit()
    a.exit()
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })

  it('a read that fails once may succeed the next time', async () => {
    const host = await makeHost()
    const inner = memorySwapStore(4)
    let failures = 1
    host.swapOn({
      ...inner,
      read(slot, into) {
        if (failures-- > 0) throw new Error('timeout')
        inner.read(slot, into)
      },
    })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    expect(errnoOf(() => byteAt(mm, at))).toBe('EIO')
    expectContent(mm, at, 7)
    host.audit()
  })

  it('swapoff says EIO, and the store stays in use until the page is given up', async () => {
    const host = await makeHost()
    const file = path()
    const store = fileSwapStore(file, 8)
    host.swapOn(store)
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    truncateSync(file, PAGE)
    expect(errnoOf(() => host.swapOff(store))).toBe('EIO')
    host.audit()
    expect(byteAt(mm, at), 'the sound page is back').toBe(7)
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    expect(mm.pfn(at), 'and can go out again').toBeUndefined()
    mm.madvise(at + PAGE, PAGE, 'MADV_DONTNEED')
    host.swapOff(store)
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })

  it('ksmd is not disturbed by pages that cannot be read', async () => {
    const { host, file, a, b, at } = await inFile()
    truncateSync(file, 0)
    for (const each of [a, b]) each.madvise(at, 3 * PAGE, 'MADV_MERGEABLE')
    const others = guest(host, 'c', [5, 5])
    host.ksm.scan(3)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(byteAt(others.mm, others.at)).toBe(5)
    host.audit()
  })
})

describe('merged pages and swap', () => {
  async function merged(
    mergeable = 2,
  ): Promise<{ host: Host; mm: Mm; at: number; k: number; store: SwapStore }> {
    const host = await makeHost()
    const store = memorySwapStore(8)
    host.swapOn(store)
    const { mm, at } = guest(host, 'a', new Array(mergeable).fill(7))
    host.ksm.scan(2)
    return { host, mm, at, k: mm.pfn(at)!, store }
  }

  it('go out through all their mappings, and come back as pages of one frame that is merged no more', async () => {
    const { host, mm, at, k } = await merged(3)
    expect(host.reclaim(k)).toBeUndefined()
    expect(host.frames.free).toBe(64)
    expect(memoryOf(host).swap.usage.used).toBe(1)
    expect(counted(host), 'lazy').toEqual([1, 2, 0, 0])
    for (let page = 0; page < 3; page++) expect(byteAt(mm, at + page * PAGE)).toBe(7)
    for (let page = 0; page < 3; page++)
      expect(host.frame(mm.pfn(at + page * PAGE)!).mapping?.kind).toBe('anon')
    host.audit()
    host.ksm.scan(3)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    host.audit()
  })

  it('stay merged while they are in the swap cache', async () => {
    const { host, mm, at, k } = await merged()
    const held = mm.get(at, 1)
    expect(host.reclaim(k)).toBe('referenced')
    held.release()
    expect(byteAt(mm, at)).toBe(7)
    expect(mm.pfn(at)).toBe(k)
    expect(host.frame(k)).toMatchObject({ mapcount: 1, mapping: { kind: 'ksm' } })
    expect(host.vmstat().ksm_swpin_copy).toBe(0)
    pokeByte(mm, at, 9)
    expect(host.vmstat().cow_ksm, 'never exclusive').toBe(1)
    expect(byteAt(mm, at + PAGE)).toBe(7)
    host.audit()
  })

  it('are copied on the way back once their node is gone: run=2', async () => {
    const { host, mm, at, k } = await merged()
    const held = mm.get(at, 1)
    expect(host.reclaim(k)).toBe('referenced')
    held.release()
    host.ksm.set('run', 2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([7, 7])
    expect(host.vmstat().ksm_swpin_copy).toBe(2)
    expect(mm.pfn(at)).not.toBe(mm.pfn(at + PAGE))
    expect(host.frame(mm.pfn(at)!).mapping?.kind).toBe('anon')
    expect(memoryOf(host).swap.usage.used).toBe(0)
    expect(host.frame(k).refcount).toBe(0)
    host.audit()
  })

  it('out of memory for that copy: the fault fails, and works when there is memory', async () => {
    const { host, mm, at, k } = await merged()
    const held = mm.get(at, 1)
    expect(host.reclaim(k)).toBe('referenced')
    held.release()
    host.ksm.set('run', 2)
    const filler = useUpFrames(host)
    expect(errnoOf(() => byteAt(mm, at))).toBe('ENOMEM')
    expect(host.vmstat().ksm_swpin_copy).toBe(0)
    host.audit()
    filler.exit()
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })

  it("are copied for an mm of another address: an ordinary page in the cache is only its own index's", async () => {
    const { host, mm, at, k } = await merged()
    expect(host.reclaim(k)).toBeUndefined()
    // The first address that comes back owns the page; the other gets a copy.
    byteAt(mm, at)
    expect(byteAt(mm, at + PAGE)).toBe(7)
    expect(mm.pfn(at)).not.toBe(mm.pfn(at + PAGE))
    expect(host.vmstat().ksm_swpin_copy).toBe(1)
    host.audit()
  })

  it('a page in the swap cache can be merged, and gives up its slot', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const { mm, at } = guest(host, 'a', [7, 7])
    memoryOf(host).swap.addToCache(mm.pfn(at)!)
    memoryOf(host).swap.addToCache(mm.pfn(at + PAGE)!)
    host.audit()
    host.ksm.scan(2)
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(memoryOf(host).swap.usage.used, 'that of the page that was replaced').toBe(1)
    host.audit()
  })

  it('swapoff in the middle of it all', async () => {
    const { host, mm, at, store } = await merged(4)
    addRange(mm, [1, 2])
    host.reclaim(mm.pfn(at)!)
    const child = mm.fork({ name: 'child' })
    host.swapOff(store)
    for (const each of [mm, child]) {
      for (let page = 0; page < 4; page++) expect(byteAt(each, at + page * PAGE)).toBe(7)
    }
    host.audit()
    host.ksm.scan(3)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 7 })
    host.audit()
  })
})
