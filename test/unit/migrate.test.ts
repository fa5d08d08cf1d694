// Migration: a page moves to another frame, and everybody who maps it finds it there.

import { describe, expect, it } from 'vitest'
import { FRAME_LOCKED, PTE_UFFD_WP } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { swapEntryOf } from '../../src/mm/page/pte.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { memoryOf, pteOf } from '../support/inside.ts'
import {
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

describe('a page of one mm', () => {
  it('keeps its bytes, its owner and its rights; its old frame is free', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ')
    for (const page of [0, 1]) {
      const address = at + page * PAGE
      const pfn = mm.pfn(address)!
      const before = host.frame(pfn)
      const flags = pteOf(mm, address) & 0xfff
      const moved = host.migrate(pfn, { node: 1 })
      expect(mm.pfn(address)).toBe(moved)
      expect(host.frame(moved)).toMatchObject({
        mapping: before.mapping,
        index: before.index,
        node: 1,
        refcount: 1,
      })
      expect(host.frame(moved).flags).toContain('exclusive')
      expect(pteOf(mm, address) & 0xfff).toBe(flags)
      expect(host.frame(pfn)).toMatchObject({ refcount: 0, mapcount: 0, mapping: undefined, flags: [] })
      expectContent(mm, address, 7 + page)
      host.audit()
    }
    expect(host.frames.free).toBe(62)
    const pfn = mm.pfn(at)
    pokeByte(mm, at, 9)
    expect(mm.pfn(at), 'still its own').toBe(pfn)
  })

  it('keeps what userfault wrote into its pte', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    let told = 0
    mm.registerUserfault(at, PAGE, {
      onWriteProtect: () => {
        told++
        mm.userfaultWriteProtect(at, PAGE, false)
      },
    })
    mm.userfaultWriteProtect(at, PAGE, true)
    host.migrate(mm.pfn(at)!, { node: 1 })
    expect(pteOf(mm, at) & PTE_UFFD_WP).not.toBe(0)
    pokeByte(mm, at, 9)
    expect(told).toBe(1)
    host.audit()
  })

  it('cannot go where there is no room, from nowhere, or to nowhere', async () => {
    const host = await makeHost({ frames: 4, numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    const pfn = mm.pfn(at)!
    expect(host.frame(pfn).node).toBe(0)
    expect(errnoOf(() => host.migrate(pfn, { node: 1 }))).toBe('ENOMEM')
    host.audit()
    mm.munmap(at + 3 * PAGE, PAGE)
    expect(errnoOf(() => host.migrate(host.frame(pfn + 3).pfn, { node: 0 }))).toBe('EINVAL')
    expect(() => host.migrate(pfn, { node: 2 })).toThrow(RangeError)
    expect(() => host.migrate(0, { node: 0 })).toThrow(RangeError)
    memoryOf(host).frames.setFlag(pfn, FRAME_LOCKED)
    expect(errnoOf(() => host.migrate(pfn, { node: 1 }))).toBe('EAGAIN')
    memoryOf(host).frames.clearFlag(pfn, FRAME_LOCKED)
    expect(host.frame(host.migrate(pfn, { node: 1 })).node).toBe(1)
    host.audit()
  })

  it('that belongs to a shared mapping does not move', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const mm = host.createMm()
    const at = mm.mmap(PAGE, { shared: true })
    pokeByte(mm, at, 7)
    expect(errnoOf(() => host.migrate(mm.pfn(at)!, { node: 1 }))).toBe('EINVAL')
    host.audit()
  })
})

describe('a page of several', () => {
  it('moves for all of a family of forks at once', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const family = [mm, mm.fork({ name: 'b' })]
    family.push(family[1]!.fork({ name: 'c' }), mm.fork({ name: 'd' }))
    const moved = host.migrate(mm.pfn(at)!, { node: 1 })
    for (const each of family) expect(each.pfn(at)).toBe(moved)
    expect(host.frame(moved)).toMatchObject({ mapcount: 4, refcount: 4 })
    pokeByte(family[2]!, at, 9)
    expect(family.map((each) => byteAt(each, at))).toEqual([7, 7, 9, 7])
    host.audit()
  })

  it('moves for those that mremap put elsewhere', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    const child = mm.fork({ name: 'b' })
    const elsewhere = child.mremap(at + PAGE, PAGE, PAGE, { address: at + 100 * PAGE })
    const moved = host.migrate(mm.pfn(at + PAGE)!, { node: 1 })
    expect(child.pfn(elsewhere)).toBe(moved)
    host.audit()
  })

  it('in the swap cache: mapped, swapped out, or both', async () => {
    const host = await makeHost({ numaNodes: 2 })
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork({ name: 'b' })
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at)
    const moved = host.migrate(mm.pfn(at)!, { node: 1 })
    expect(mm.pfn(at)).toBe(moved)
    expect(host.frame(moved).flags).toContain('swapcache')
    expect(memoryOf(host).swap.cachedPage(swapEntryOf(pteOf(child, at)))).toBe(moved)
    host.audit()
    expect(byteAt(child, at)).toBe(7)
    expect(child.pfn(at)).toBe(moved)
    host.audit()
    // Unmapped altogether, but still cached.
    const held = mm.get(at, 1)
    expect(host.reclaim(moved)).toBe('referenced')
    held.release()
    const again = host.migrate(moved, { node: 0 })
    expect(host.frame(again)).toMatchObject({ mapcount: 0, refcount: 1, node: 0 })
    host.audit()
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([7, 7])
    expect(mm.pfn(at)).toBe(again)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('a merged page, index %s', (index) => {
  async function merged(): Promise<{
    host: Host
    a: ReturnType<typeof guest>
    b: ReturnType<typeof guest>
    k: number
  }> {
    const host = await makeHost({ index, numaNodes: 2 })
    const a = guest(host, 'a', [7, 7])
    const b = guest(host, 'b', [7])
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    return { host, a, b, k: a.mm.pfn(a.at)! }
  }

  it('moves for everybody, its stable node follows, and others join it where it is now', async () => {
    const { host, a, b, k } = await merged()
    const child = a.mm.fork({ name: 'child' })
    const moved = host.migrate(k, { node: 1 })
    for (const pfn of [a.mm.pfn(a.at), a.mm.pfn(a.at + PAGE), b.mm.pfn(b.at), child.pfn(a.at)])
      expect(pfn).toBe(moved)
    expect(host.frame(k)).toMatchObject({ refcount: 0, mapping: undefined })
    expect(counted(host)).toEqual([1, 2, 0, 0])
    host.audit()
    const late = guest(host, 'late', [7])
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at)).toBe(moved)
    expect(counted(host)).toEqual([1, 5, 0, 0])
    pokeByte(child, a.at, 9)
    expect(byteAt(a.mm, a.at)).toBe(7)
    host.audit()
  })

  it('the rmap selftest: a tree of processes, one of which moves its page', async () => {
    const host = await makeHost({ index, numaNodes: 2 })
    const { mm, at } = guest(host, 'root', [undefined])
    const family = [mm]
    for (let i = 0; i < 12; i++) family.push(family[(i * 5) % family.length]!.fork({ name: `p${i}` }))
    for (const each of family) each.write(at, contentBytes(0xcf))
    host.ksm.scan(2)
    const moved = host.migrate(family[7]!.pfn(at)!, { node: 1 })
    for (const each of family) expect(each.pfn(at)).toBe(moved)
    host.audit()
  })

  it('one page moved over another by mremap before they merge', async () => {
    const host = await makeHost({ index, numaNodes: 2 })
    const { mm, at } = guest(host, 'root', [0x77, 0x77], { mergeable: false })
    const family = [mm, mm.fork({ name: 'b' }), mm.fork({ name: 'c' })]
    const worker = family[2]!
    expect(worker.mremap(at + PAGE, PAGE, PAGE, { address: at })).toBe(at)
    for (const each of family) each.prctl('PR_SET_MEMORY_MERGE', 1)
    host.ksm.scan(3)
    const moved = host.migrate(worker.pfn(at)!, { node: 1 })
    for (const each of family) expect(each.pfn(at), each.name).toBe(moved)
    host.audit()
  })

  it('with a reference it stays, mapped and merged as before', async () => {
    const { host, a, k } = await merged()
    const held = a.mm.get(a.at, 1)
    expect(errnoOf(() => host.migrate(k, { node: 1 }))).toBe('EAGAIN')
    expect(host.frame(k)).toMatchObject({ mapcount: 3, refcount: 4, mapping: { kind: 'ksm' } })
    host.audit()
    held.release()
    expect(host.migrate(k, { node: 1 })).not.toBe(k)
    host.audit()
  })

  it("that nothing leads to stays too: its parent's items are gone and the child was never visited", async () => {
    const { host, a, b, k } = await merged()
    const child = a.mm.fork({ name: 'child' })
    a.mm.exit()
    b.mm.exit()
    let errno: string | undefined
    memoryOf(host).race = (point) => {
      if (point !== 'scan: between mms' || host.ksm.counters().pages_shared > 0 || errno !== undefined) return
      errno = errnoOf(() => host.migrate(k, { node: 1 })) ?? 'moved'
    }
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(errno).toBe('EAGAIN')
    expect(byteAt(child, a.at)).toBe(7)
    host.audit()
    expect(host.migrate(k, { node: 1 }), 'after the visit').toBe(child.pfn(a.at))
    host.audit()
  })

  it.each([
    'migration: after freeze',
    'migration: after kpfn store',
    'migration: after old mapping rewrite',
  ] as const)('ksmd at "%s" neither takes it for gone nor puts a page in the old frame', async (place) => {
    for (const inSwapCache of [false, true]) {
      const { host, a, k } = await merged()
      host.swapOn(memorySwapStore(4))
      const late = guest(host, 'late', [7])
      host.ksm.scan(1)
      if (inSwapCache) memoryOf(host).swap.addToCache(k)
      const removed: number[] = []
      host.on('ksm_remove_ksm_page', ({ pfn }) => removed.push(pfn))
      let scanned = 0
      memoryOf(host).race = (point) => {
        if (point !== place) return
        memoryOf(host).race = undefined
        scanned = host.ksm.scanPages(10)
      }
      const moved = host.migrate(k, { node: 1 })
      expect(scanned).toBeGreaterThan(0)
      expect(removed).toEqual([])
      expect(a.mm.pfn(a.at)).toBe(moved)
      expect(host.frame(k).refcount).toBe(0)
      expectContent(late.mm, late.at, 7)
      host.audit()
      host.ksm.scan(2)
      expect(late.mm.pfn(late.at)).toBe(moved)
      expect(counted(host)).toEqual([1, 3, 0, 0])
      host.audit()
    }
  })
})

describe('while a page is on its way', () => {
  const POINTS: RacePoint[] = ['migration: after freeze', 'migration: after swapcache flag clear']

  it.each(POINTS)('at "%s" whoever touches it has to try again', async (place) => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const errnos: (string | undefined)[] = []
    memoryOf(host).race = (point) => {
      if (point !== place) return
      errnos.push(errnoOf(() => byteAt(mm, at)))
      errnos.push(errnoOf(() => pokeByte(mm, at, 1)))
    }
    host.migrate(mm.pfn(at)!, { node: 1 })
    expect(errnos).toEqual(['EAGAIN', 'EAGAIN'])
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })

  it.each(POINTS)('at "%s" its mm may exit: nothing is left of it', async (place) => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    memoryOf(host).race = (point) => {
      if (point !== place) return
      memoryOf(host).race = undefined
      mm.exit()
      // For the whole move its anon_vma is held: it must not be brought back to life at the end.
      expect(memoryOf(host).anonVmas.live).toBe(1)
    }
    host.migrate(mm.pfn(at)!, { node: 1 })
    expect(memoryOf(host).anonVmas.live).toBe(0)
    expect(host.frames.free).toBe(64)
    host.audit()
  })

  it.each(POINTS)('at "%s" it may be forked: both find it in its new place, neither alone', async (place) => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const children: (typeof mm)[] = []
    memoryOf(host).race = (point) => {
      if (point !== place) return
      memoryOf(host).race = undefined
      children.push(mm.fork({ name: 'child' }))
    }
    const moved = host.migrate(mm.pfn(at)!, { node: 1 })
    const child = children[0]!
    expect([mm.pfn(at), child.pfn(at)]).toEqual([moved, moved])
    host.audit()
    pokeByte(mm, at, 9)
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([9, 7])
    host.audit()
  })

  it.each(POINTS)('at "%s" its range may be discarded or unmerged', async (place) => {
    for (const advice of ['MADV_DONTNEED', 'MADV_UNMERGEABLE'] as const) {
      const host = await makeHost({ numaNodes: 2 })
      const { mm, at } = guest(host, 'a', [7, 7])
      host.ksm.scan(2)
      let errno: string | undefined
      memoryOf(host).race = (point) => {
        if (point !== place) return
        memoryOf(host).race = undefined
        try {
          mm.madvise(at, PAGE, advice)
        } catch (error) {
          errno = (error as { code?: string }).code
        }
      }
      host.migrate(mm.pfn(at)!, { node: 1 })
      // Unmerging needs the page: it has to wait for it.
      expect(errno).toBe(advice === 'MADV_DONTNEED' ? undefined : 'EAGAIN')
      expect(byteAt(mm, at)).toBe(advice === 'MADV_DONTNEED' ? 0 : 7)
      expect(byteAt(mm, at + PAGE)).toBe(7)
      host.audit()
    }
  })
})
