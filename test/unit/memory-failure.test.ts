// Memory failure: who is told that a frame broke, what they find there afterwards, and what becomes of merged pages.

import { describe, expect, it } from 'vitest'
import { MAPPING_KSM } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, memorySwapStore, PagefoldError } from '../../src/index.ts'
import { swapEntryOf } from '../../src/mm/page/pte.ts'
import { memoryOf, pteOf } from '../support/inside.ts'
import { atNotifiers } from '../support/races.ts'
import {
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  fill,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

describe('a broken frame', () => {
  it('that is free concerns nobody, and is never handed out', async () => {
    const host = await makeHost({ frames: 4 })
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    const freed = mm.pfn(at)!
    mm.munmap(at, PAGE)
    const fresh = memoryOf(host).arena.endPfn - 1
    for (const pfn of [freed, fresh]) {
      expect(host.memoryFailure(pfn)).toEqual({ told: [], recovered: 0 })
      expect(host.memoryFailure(pfn), 'twice').toEqual({ told: [], recovered: 0 })
    }
    expect(host.frames).toMatchObject({ total: 4, free: 1 })
    host.audit()
    const more = mm.mmap(2 * PAGE)
    expect(errnoOf(() => fill(mm, more, 2, 1))).toBe('ENOMEM')
    expect([freed, fresh]).not.toContain(mm.pfn(more))
    host.audit()
  })

  it('of one mm: that mm is told where, and every touch fails from then on', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    const other = guest(host, 'b', [4], { mergeable: false })
    const pfn = mm.pfn(at + PAGE)!
    expect(host.memoryFailure(pfn)).toEqual({ told: [{ mm: 'a', address: at + PAGE }], recovered: 0 })
    expect(host.frame(pfn)).toMatchObject({
      refcount: 0,
      mapcount: 0,
      mapping: undefined,
      flags: ['hwpoison'],
    })
    for (const touch of [
      () => byteAt(mm, at + PAGE),
      () => pokeByte(mm, at + PAGE, 1),
      () => mm.write(at + PAGE, Uint8Array.of(1), { force: true }),
      () => mm.pin(at + PAGE, 1),
      () => mm.get(at + PAGE, 1),
    ]) {
      expect(errnoOf(touch)).toBe('EHWPOISON')
    }
    expect(mm.pfn(at + PAGE)).toBeUndefined()
    expect([byteAt(mm, at), byteAt(mm, at + 2 * PAGE), byteAt(other.mm, other.at)]).toEqual([1, 3, 4])
    host.audit()
  })

  it('leaves a mark that moves, is inherited, and goes with the range', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    host.memoryFailure(mm.pfn(at)!)
    const child = mm.fork({ name: 'child' })
    expect(errnoOf(() => byteAt(child, at))).toBe('EHWPOISON')
    const moved = mm.mremap(at, PAGE, PAGE, { address: at + 64 * PAGE })
    expect(errnoOf(() => byteAt(mm, moved))).toBe('EHWPOISON')
    mm.mprotect(moved, PAGE, 'PROT_READ')
    expect(errnoOf(() => byteAt(mm, moved))).toBe('EHWPOISON')
    mm.mprotect(moved, PAGE, 'PROT_READ|PROT_WRITE')
    mm.madvise(moved, PAGE, 'MADV_DONTNEED')
    expect(byteAt(mm, moved)).toBe(0)
    child.exit()
    host.audit()
  })

  it('of a family of forks: each is told', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.fork({ name: 'b' }).fork({ name: 'c' })
    const { told } = host.memoryFailure(mm.pfn(at)!)
    expect(told.map((each) => each.mm).sort()).toEqual(['a', 'b', 'c'])
    expect(told.every(({ address }) => address === at)).toBe(true)
    host.audit()
  })

  it('of a shared mapping: each mm that maps it is told, and nobody is given it again', async () => {
    const host = await makeHost()
    const mm = host.createMm({ name: 'a' })
    const at = mm.mmap(2 * PAGE, { shared: true })
    pokeByte(mm, at, 7)
    pokeByte(mm, at + PAGE, 8)
    const child = mm.fork({ name: 'b' })
    byteAt(child, at)
    const late = mm.fork({ name: 'c' })
    const { told } = host.memoryFailure(mm.pfn(at)!)
    expect(told).toEqual([
      { mm: 'a', address: at },
      { mm: 'b', address: at },
    ])
    for (const each of [mm, child, late]) {
      expect(errnoOf(() => byteAt(each, at))).toBe('EHWPOISON')
      expect(byteAt(each, at + PAGE)).toBe(8)
    }
    host.audit()
    for (const each of [mm, child, late]) each.exit()
    expect(host.frames.free).toBe(63)
    host.audit()
  })

  it('that a device holds: unmapped and told, the frame goes out of use with the last reference', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const pin = mm.pin(at, PAGE, { write: true })
    expect(host.memoryFailure(pin.pfns[0]!).told).toHaveLength(1)
    expect(errnoOf(() => byteAt(mm, at))).toBe('EHWPOISON')
    host.audit()
    pin.release()
    expect(host.frame(pin.pfns[0]!).refcount).toBe(0)
    expect(host.frames.free).toBe(63)
    host.audit()
  })

  it('in the swap cache, clean: nobody is told, swap has the content', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork({ name: 'b' })
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at)
    const pfn = mm.pfn(at)!
    expect(host.memoryFailure(pfn)).toEqual({ told: [], recovered: 1 })
    host.audit()
    expect([mm.read(at, PAGE), child.read(at, PAGE)]).toEqual([contentBytes(7), contentBytes(7)])
    expect(mm.pfn(at)).not.toBe(pfn)
    host.audit()
  })

  it('that those who have it swapped out find broken is not made good by moving it, by swap, or by fork', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const snapshot = mm.snapshot()
    pokeByte(mm, at, 8)
    const device = mm.pin(at, 1, { write: true })
    const [pfn] = device.pfns
    host.reclaim(pfn!)
    device.write(0, contentBytes(9))
    expect(host.memoryFailure(pfn!)).toEqual({ told: [], recovered: 0 })
    expect(errnoOf(() => host.migrate(pfn!, { node: 0 }))).toBe('EHWPOISON')
    expect(host.reclaim(pfn!)).toBe('hwpoison')
    const child = mm.fork()
    device.release()
    expect(errnoOf(() => host.migrate(pfn!, { node: 0 }))).toBe('EHWPOISON')
    expect(host.reclaim(pfn!)).toBe('hwpoison')
    for (const each of [mm, child]) expect(errnoOf(() => byteAt(each, at))).toBe('EHWPOISON')
    mm.restore(snapshot)
    expectContent(mm, at, 7)
    host.audit()
  })

  it('is of no more use to a device that holds it, whoever has been given another page since', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [6, 7], { mergeable: false })
    const device = mm.pin(at, 2 * PAGE, { write: true })
    host.reclaim(device.pfns[1]!)
    expect(host.memoryFailure(device.pfns[1]!)).toEqual({ told: [], recovered: 0 })
    expect(errnoOf(() => device.write(PAGE - 1, Uint8Array.of(9, 9)))).toBe('EHWPOISON')
    expect(errnoOf(() => device.read(0, 2 * PAGE))).toBe('EHWPOISON')
    expect(device.read(0, PAGE)).toEqual(contentBytes(6))
    expectContent(mm, at + PAGE, 7)
    host.audit()
    device.release()
    host.audit()
  })

  it('in the swap cache, dirty: those who map it are told, those who have it swapped out find out', async () => {
    const host = await makeHost()
    const store = memorySwapStore(4)
    host.swapOn(store)
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork({ name: 'b' })
    const device = mm.get(at, 1)
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at)
    const pfn = mm.pfn(at)!
    device.release()
    memoryOf(host).frames.setFlag(pfn, 4)
    expect(host.frame(pfn).flags).toEqual(expect.arrayContaining(['dirty', 'swapcache']))
    const { told, recovered } = host.memoryFailure(pfn)
    expect({ told, recovered }).toEqual({ told: [{ mm: 'a', address: at }], recovered: 0 })
    for (const each of [mm, child]) expect(errnoOf(() => byteAt(each, at))).toBe('EHWPOISON')
    host.audit()
    host.swapOff(store)
    for (const each of [mm, child]) expect(errnoOf(() => byteAt(each, at))).toBe('EHWPOISON')
    host.audit()
    mm.exit()
    child.exit()
    expect(host.frames.free).toBe(63)
    host.audit()
  })

  it('has to be a frame', async () => {
    const host = await makeHost()
    for (const pfn of [0, 1, memoryOf(host).arena.endPfn])
      expect(() => host.memoryFailure(pfn)).toThrow(RangeError)
  })
})

describe.each(INDEX_NAMES)('a broken merged page, index %s', (index) => {
  it('all its users are told, forks included, each at its own address', async () => {
    const host = await makeHost({ index })
    const a = guest(host, 'a', [7, 7])
    const b = guest(host, 'b', [7])
    host.ksm.scan(2)
    a.mm.fork({ name: 'child' })
    const k = a.mm.pfn(a.at)!
    const { told, recovered } = host.memoryFailure(k, { recover: true })
    expect(recovered, 'there is no other page of the content').toBe(0)
    expect(told.map(({ mm, address }) => `${mm}+${(address - a.at) / PAGE}`).sort()).toEqual([
      'a+0',
      'a+1',
      'b+0',
      'child+0',
      'child+1',
    ])
    expect(errnoOf(() => byteAt(b.mm, b.at))).toBe('EHWPOISON')
    expect(counted(host), 'lazy').toEqual([1, 2, 0, 0])
    host.audit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    host.audit()
    const late = guest(host, 'late', [7, 7])
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at)).toBe(late.mm.pfn(late.at + PAGE))
    expect(late.mm.pfn(late.at)).not.toBe(k)
    host.audit()
  })

  it('nobody joins it any more, even while somebody still holds the frame', async () => {
    const host = await makeHost({ index })
    // Registered first, so it is visited while the others' items are still there.
    const late = guest(host, 'late', [1])
    const a = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const held = a.mm.get(a.at, 1)
    const k = a.mm.pfn(a.at)!
    late.mm.write(late.at, contentBytes(7))
    host.ksm.scan(1)
    host.memoryFailure(k)
    expect(host.frame(k).refcount).toBe(1)
    host.ksm.scan(1)
    expect(late.mm.pfn(late.at)).not.toBe(k)
    expect(counted(host)).toEqual([0, 0, 1, 0])
    held.release()
    host.audit()
  })

  /** (max, pages) of conformance: 5 pages, two to a node: a chain of two dups and a lone page. */
  async function chained(): Promise<{
    host: Host
    mm: ReturnType<typeof guest>['mm']
    at: number
    broken: number
    other: number
  }> {
    const host = await makeHost({ index })
    host.ksm.set('max_page_sharing', 2)
    const { mm, at } = guest(host, 'a', [7, 7, 7, 7, 7])
    host.ksm.scan(2)
    expect(counted(host)).toEqual([2, 2, 1, 0])
    const broken = mm.pfn(at)!
    const other = [1, 2, 3, 4]
      .map((page) => mm.pfn(at + page * PAGE)!)
      .find((pfn) => pfn !== broken && host.frame(pfn).mapcount === 2)!
    return { host, mm, at, broken, other }
  }

  it('with another page of its chain: its users are moved there, and nobody is told but notifiers', async () => {
    const { host, mm, at, broken, other } = await chained()
    const users = [0, 1, 2, 3, 4].filter((page) => mm.pfn(at + page * PAGE) === broken)
    const heard: number[][] = []
    mm.registerNotifier({
      invalidateRangeStart({ start, end }) {
        heard.push([(start - at) / PAGE, (end - at) / PAGE])
      },
      invalidateRangeEnd() {},
    })
    expect(host.memoryFailure(broken, { recover: true })).toEqual({ told: [], recovered: 2 })
    expect(heard.sort()).toEqual(users.map((page) => [page, page + 1]))
    for (let page = 0; page < 5; page++) {
      expectContent(mm, at + page * PAGE, 7)
      expect(mm.pfn(at + page * PAGE)).not.toBe(broken)
    }
    expect(host.frame(other)).toMatchObject({ mapcount: 4, refcount: 4, mapping: { kind: 'ksm' } })
    expect(host.frame(broken)).toMatchObject({ refcount: 0, flags: ['hwpoison'] })
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 3 })
    host.audit()
    host.ksm.scan(3)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 3, stable_node_chains: 0 })
    pokeByte(mm, at, 9)
    expect(byteAt(mm, at + PAGE)).toBe(7)
    host.audit()
  })

  it('of the other pages of its chain the one with the fewest users takes them', async () => {
    for (const most of [0, 1]) {
      const host = await makeHost({ index })
      host.ksm.set('max_page_sharing', 3)
      const { mm, at } = guest(host, 'a', [7, 7, 7, 7, 7, 7, 7, 7])
      host.ksm.scan(2)
      expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: 3 })
      const pages = Array.from({ length: 8 }, (_, page) => at + page * PAGE)
      const users = new Map<number, number[]>()
      for (const page of pages) users.set(mm.pfn(page)!, [...(users.get(mm.pfn(page)!) ?? []), page])
      const [first, second] = [...users].filter(([, own]) => own.length === 3)
      const fewest = [...users].find(([, own]) => own.length === 2)!
      // So that it is not always the same end of the chain that has the fewest.
      const [broken, [other, its]] = most === 0 ? [first!, second!] : [fewest, first!]
      if (most === 1) mm.madvise(its[0]!, PAGE, 'MADV_UNMERGEABLE')
      host.ksm.scan(1)
      const target = most === 0 ? fewest[0] : other
      expect(host.memoryFailure(broken[0], { recover: true })).toMatchObject({ recovered: broken[1].length })
      for (const page of broken[1]) expect(mm.pfn(page)).toBe(target)
      host.audit()
    }
  })

  it('but not one that somebody has taken away at that moment', async () => {
    const { host, mm, at, broken } = await chained()
    const page = [0, 1, 2, 3].map((each) => at + each * PAGE).find((each) => mm.pfn(each) === broken)!
    let once = false
    atNotifiers(host, mm, {
      start: () => {
        if (!once) mm.madvise(page, PAGE, 'MADV_DONTNEED')
        once = true
      },
    })
    expect(host.memoryFailure(broken, { recover: true })).toEqual({ told: [], recovered: 1 })
    memoryOf(host).notified = undefined
    expect(byteAt(mm, page)).toBe(0)
    host.audit()
  })

  it('only if asked', async () => {
    const { host, broken } = await chained()
    expect(host.memoryFailure(broken).told).toHaveLength(2)
    host.audit()
  })

  it('forks of its users are moved too', async () => {
    const { host, mm, at, broken } = await chained()
    const child = mm.fork({ name: 'child' })
    expect(host.memoryFailure(broken, { recover: true })).toEqual({ told: [], recovered: 4 })
    expect([0, 1, 2, 3, 4].map((page) => byteAt(child, at + page * PAGE))).toEqual([7, 7, 7, 7, 7])
    host.audit()
    host.ksm.scan(2)
    host.audit()
  })

  it('when the other pages of the chain are gone, its users are told', async () => {
    const { host, mm, at, broken, other } = await chained()
    for (let page = 0; page < 5; page++)
      if (mm.pfn(at + page * PAGE) === other) pokeByte(mm, at + page * PAGE, 9)
    expect(host.frame(other).refcount).toBe(0)
    const { told, recovered } = host.memoryFailure(broken, { recover: true })
    expect([told.length, recovered]).toEqual([2, 0])
    host.audit()
    host.ksm.scan(3)
    host.audit()
  })

  it('in the swap cache', async () => {
    const { host, mm, at, broken } = await chained()
    host.swapOn(memorySwapStore(4))
    const held = mm.get(at, 1)
    host.reclaim(broken)
    held.release()
    const slot = swapEntryOf(pteOf(mm, at))
    byteAt(mm, at)
    expect(mm.pfn(at)).toBe(broken)
    // Swap has what the frame lost.
    expect(host.memoryFailure(broken)).toEqual({ told: [], recovered: 1 })
    expect(memoryOf(host).swap.references(slot)).toBe(2)
    for (let page = 0; page < 5; page++) expect(byteAt(mm, at + page * PAGE)).toBe(7)
    host.audit()
    host.ksm.scan(3)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('whoever maps a broken page is found, index %s', (index) => {
  /** A merged page that only a fork maps any more: its parent has given it up, and its items are gone; the fork has none yet. */
  async function orphaned(contents = [7, 7]): Promise<{
    host: Host
    child: ReturnType<typeof guest>['mm']
    at: number
    pfn: number
  }> {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'parent', contents)
    host.ksm.scan(2)
    const child = mm.fork({ name: 'child' })
    const pfn = mm.pfn(at)!
    mm.munmap(at, contents.length * PAGE)
    const settled = guest(host, 'settled', [1, 2])
    // The parent's items go; the scan stops before it comes to the child.
    host.ksm.set('pages_to_scan', 1)
    expect(settled.mm.pfn(settled.at)).toBeDefined()
    host.memory.race = (point) => {
      if (point === 'scan: between mms' && mm.ksm.rmapItems === 0)
        throw new PagefoldError('EAGAIN', 'stop here')
    }
    expect(errnoOf(() => host.ksm.scan(1))).toBe('EAGAIN')
    host.memory.race = undefined
    expect([mm.ksm.rmapItems, child.ksm.rmapItems]).toEqual([0, 0])
    expect(host.frame(pfn)).toMatchObject({ mapcount: contents.length, mapping: { kind: 'ksm' } })
    return { host, child, at, pfn }
  }

  it('a fork without an item, of a parent that has unmapped the page', async () => {
    const { host, child, at, pfn } = await orphaned()
    const { told } = host.memoryFailure(pfn)
    expect(told).toEqual([0, 1].map((page) => ({ mm: 'child', address: at + page * PAGE })))
    expect(errnoOf(() => byteAt(child, at))).toBe('EHWPOISON')
    host.audit()
    host.ksm.scan(2)
    host.audit()
  })

  it('the same in the swap cache, dirty or not', async () => {
    for (const dirty of [true, false]) {
      const { host, child, at, pfn } = await orphaned()
      host.swapOn(memorySwapStore(4))
      // The walk finds nobody, so it stays mapped, and in the swap cache.
      expect(host.reclaim(pfn)).toBe('still mapped')
      const { frames, swap } = memoryOf(host)
      if (!frames.hasFlag(pfn, 8)) swap.addToCache(pfn)
      swap.writeOut(pfn)
      if (dirty) frames.setFlag(pfn, 4)
      const { told, recovered } = host.memoryFailure(pfn)
      expect([told.length, recovered]).toEqual(dirty ? [2, 0] : [0, 2])
      expect(errnoOf(() => expectContent(child, at, 7))).toBe(dirty ? 'EHWPOISON' : undefined)
      expect(host.frame(pfn).mapcount).toBe(0)
      host.audit()
    }
  })

  it('is moved to another page of the chain, if that is asked for', async () => {
    const host = await makeHost({ index })
    host.ksm.set('max_page_sharing', 2)
    const { mm, at } = guest(host, 'parent', [7, 7])
    const other = guest(host, 'other', [7, 7])
    host.ksm.scan(3)
    const child = mm.fork({ name: 'child' })
    const pfn = mm.pfn(at)!
    // As if ksmd had forgotten one of the parent's places after it was given up.
    mm.munmap(at, PAGE)
    host.memory.race = (point) => {
      if (point === 'scan: between mms' && mm.ksm.rmapItems === 1)
        throw new PagefoldError('EAGAIN', 'stop here')
    }
    expect(errnoOf(() => host.ksm.scan(1))).toBe('EAGAIN')
    host.memory.race = undefined
    const users = host.frame(pfn).mapcount
    expect(users).toBe(3)
    expect(host.memoryFailure(pfn, { recover: true })).toEqual({ told: [], recovered: users })
    for (const address of [at, at + PAGE]) expectContent(child, address, 7)
    expect(child.pfn(at)).toBe(other.mm.pfn(other.at))
    host.audit()
    host.ksm.scan(2)
    host.audit()
  })

  it('a merged page without a node', async () => {
    const { host, child, at, pfn } = await orphaned()
    memoryOf(host).frames.setMapping(pfn, MAPPING_KSM)
    expect(host.memoryFailure(pfn).told).toHaveLength(2)
    expect(errnoOf(() => byteAt(child, at))).toBe('EHWPOISON')
  })
})

describe('a page that is locked', () => {
  it('because it moves, or is being merged: EAGAIN, and nobody is left with half of it', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7, 7])
    const answers: (string | undefined)[] = []
    const frames = [0, 1].map((page) => mm.pfn(at + page * PAGE)!)
    host.memory.race = () => {
      for (const pfn of frames) {
        if (host.frame(pfn).flags.includes('locked')) answers.push(errnoOf(() => host.memoryFailure(pfn)))
      }
    }
    host.ksm.scan(2)
    const whileMerged = answers.length
    host.migrate(mm.pfn(at)!, { node: 1 })
    host.memory.race = undefined
    expect(whileMerged).toBeGreaterThan(2)
    expect(answers.length).toBeGreaterThan(whileMerged + 2)
    expect(new Set(answers)).toEqual(new Set(['EAGAIN']))
    expectContent(mm, at, 7)
    expect(host.memoryFailure(mm.pfn(at)!).told).toHaveLength(2)
    host.audit()
  })
})
