// mremap: ranges shrink, grow and move, with whatever their pages are at that moment.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { byteAt, counted, errnoOf, expectContent, guest, makeHost, PAGE, pokeByte } from '../support/world.ts'

const contents = (mm: Mm, at: number, pages: number): number[] =>
  Array.from({ length: pages }, (_, page) => byteAt(mm, at + page * PAGE))

describe('a range', () => {
  it('shrinks in place: what is cut off is free at once', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    expect(mm.mremap(at, 3 * PAGE, PAGE)).toBe(at)
    expect(host.frames.free).toBe(63)
    expect(errnoOf(() => byteAt(mm, at + PAGE))).toBe('EFAULT')
    host.audit()
  })

  it('shrinks in place though it is two mappings', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    mm.mprotect(at, 2 * PAGE, 'PROT_READ')
    expect(mm.mremap(at, 4 * PAGE, 3 * PAGE)).toBe(at)
    expect([...mm.vmas].map(({ start, end }) => end - start)).toEqual([2, 1])
    host.audit()
  })

  it('grows in place where there is room, and joins its neighbour', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    expect(mm.mremap(at, 2 * PAGE, 4 * PAGE)).toBe(at)
    pokeByte(mm, at + 3 * PAGE, 4)
    expect(contents(mm, at, 4)).toEqual([1, 2, 0, 4])
    mm.munmap(at + 2 * PAGE, PAGE)
    expect(mm.mremap(at, 2 * PAGE, 3 * PAGE)).toBe(at)
    expect([...mm.vmas]).toHaveLength(1)
    expect(contents(mm, at, 4)).toEqual([1, 2, 0, 4])
    host.audit()
  })

  it('that never had a page joins its neighbour where it goes; one that had keeps apart', async () => {
    const host = await makeHost()
    for (const touched of [false, true]) {
      const mm = host.createMm()
      const [at, to] = [mm.mmap(2 * PAGE, { address: PAGE * 64 }), mm.mmap(2 * PAGE, { address: PAGE * 128 })]
      if (touched) pokeByte(mm, at, 7)
      mm.mremap(at, 2 * PAGE, 2 * PAGE, { address: to + 2 * PAGE })
      expect([...mm.vmas]).toHaveLength(touched ? 2 : 1)
      host.audit()
    }
  })

  it('moves where it has no room to grow, or says so if it may not', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    expect(errnoOf(() => mm.mremap(at, PAGE, 2 * PAGE, { mayMove: false }))).toBe('ENOMEM')
    const moved = mm.mremap(at, PAGE, 2 * PAGE)
    expect(moved).not.toBe(at)
    expect(contents(mm, moved, 2)).toEqual([1, 0])
    expect(errnoOf(() => byteAt(mm, at))).toBe('EFAULT')
    expect(contents(mm, at + PAGE, 2)).toEqual([2, 3])
    host.audit()
  })

  it('moves to a given place, over what was there, longer or shorter', async () => {
    for (const [oldPages, newPages] of [
      [2, 2],
      [2, 4],
      [3, 1],
    ] as const) {
      const host = await makeHost()
      const { mm, at } = guest(host, 'a', [1, 2, 3, 11, 12, 13, 14], { mergeable: false })
      const target = at + 3 * PAGE
      expect(mm.mremap(at, oldPages * PAGE, newPages * PAGE, { address: target })).toBe(target)
      const kept = [1, 2, 3].slice(0, Math.min(oldPages, newPages))
      expect(contents(mm, target, newPages)).toEqual([...kept, 0, 0, 0, 0].slice(0, newPages))
      expect(errnoOf(() => byteAt(mm, at))).toBe('EFAULT')
      if (newPages < 4)
        expect(contents(mm, target + newPages * PAGE, 4 - newPages)).toEqual([11, 12, 13, 14].slice(newPages))
      host.audit()
      mm.exit()
      expect(host.frames.free).toBe(64)
      expect(memoryOf(host).anonVmas.live).toBe(0)
    }
  })

  it('has to be one mapping, page-aligned, and must not overlap its target', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    expect(errnoOf(() => mm.mremap(at, 3 * PAGE, 4 * PAGE))).toBe('EFAULT')
    expect(errnoOf(() => mm.mremap(at + 2 * PAGE, PAGE, PAGE))).toBe('EFAULT')
    expect(() => mm.mremap(at, 2 * PAGE, 2 * PAGE, { address: at + PAGE })).toThrow(/overlap/)
    expect(() => mm.mremap(at, 0, PAGE)).toThrow(RangeError)
    expect(() => mm.mremap(at, PAGE, 0)).toThrow(RangeError)
    expect(() => mm.mremap(at + 1, PAGE, PAGE)).toThrow(RangeError)
    expect(() => mm.mremap(at, PAGE, PAGE, { address: 2 ** 44 })).toThrow(RangeError)
    expect(contents(mm, at, 2)).toEqual([1, 2])
  })

  it('moves with the holes in it, but not from a hole on; huge pages and protected ones move alone', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    const target = { address: at + 64 * PAGE }
    expect(() => mm.mremap(at + 4 * PAGE, PAGE, PAGE, target)).toThrow(/^EFAULT: .*nothing mapped there/)
    mm.munmap(at, PAGE)
    expect(errnoOf(() => mm.mremap(at, 2 * PAGE, 2 * PAGE, target))).toBe('EFAULT')
    expect(contents(mm, at + PAGE, 3)).toEqual([2, 3, 4])
    mm.registerUserfault(at + 2 * PAGE, PAGE, { onWriteProtect: () => {} })
    // The first in a range, with something behind it, and the last.
    expect(errnoOf(() => mm.mremap(at + 2 * PAGE, 2 * PAGE, 2 * PAGE, target))).toBe('EFAULT')
    expect(byteAt(mm, at + 2 * PAGE)).toBe(3)
    expect(errnoOf(() => mm.mremap(at + PAGE, 2 * PAGE, 2 * PAGE, target))).toBe('EFAULT')
    expect([byteAt(mm, target.address), byteAt(mm, at + 2 * PAGE)], 'what came before has moved').toEqual([
      2, 3,
    ])
    expect(mm.mremap(at + 2 * PAGE, PAGE, PAGE, target)).toBe(target.address)
    expect(byteAt(mm, target.address)).toBe(3)
    const huge = mm.mmap(4 * PAGE, { kind: 'hugetlb' })
    expect(errnoOf(() => mm.mremap(huge, 4 * PAGE, 5 * PAGE))).toBe('EINVAL')
    expect(mm.mremap(huge, 4 * PAGE, 2 * PAGE), 'they may shrink').toBe(huge)
    expect(mm.mremap(huge, 2 * PAGE, 2 * PAGE, { address: at + 200 * PAGE })).toBe(at + 200 * PAGE)
    host.audit()
  })

  it('moves from the middle of a mapping', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    const moved = mm.mremap(at + PAGE, PAGE, PAGE, { address: at + 64 * PAGE })
    expect(byteAt(mm, moved)).toBe(2)
    expect([byteAt(mm, at), byteAt(mm, at + 2 * PAGE)]).toEqual([1, 3])
    expect([...mm.vmas]).toHaveLength(3)
    expect(mm.mremap(moved, PAGE, PAGE, { address: at + PAGE })).toBe(at + PAGE)
    expect([...mm.vmas], 'back in its place it is one again').toHaveLength(1)
    host.audit()
  })

  it('takes the pages with it whatever they are: shared by fork, swapped out, untouched', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const { mm, at } = guest(host, 'a', [1, 2, undefined, 4], { mergeable: false })
    mm.madvise(at + 3 * PAGE, PAGE, 'MADV_PAGEOUT')
    const child = mm.fork({ name: 'child' })
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at + 2 * PAGE)
    const frames = mm.pfn(at + PAGE)
    const moved = mm.mremap(at, 4 * PAGE, 4 * PAGE, { address: at + 1000 * PAGE })
    expect(mm.pfn(moved + PAGE)).toBe(frames)
    expect(child.pfn(at + PAGE)).toBe(frames)
    host.audit()
    expect(host.reclaim(frames!), 'found in both places').toBeUndefined()
    expect(contents(mm, moved, 4)).toEqual([1, 2, 0, 4])
    expect(contents(child, at, 4)).toEqual([1, 2, 0, 4])
    host.audit()
  })

  it('shared with others stays shared', async () => {
    const host = await makeHost()
    const mm = host.createMm({ name: 'a' })
    const at = mm.mmap(2 * PAGE, { shared: true })
    pokeByte(mm, at + PAGE, 2)
    const child = mm.fork({ name: 'b' })
    const moved = mm.mremap(at, 2 * PAGE, 2 * PAGE, { address: at + 64 * PAGE })
    pokeByte(child, at, 1)
    expect(contents(mm, moved, 2)).toEqual([1, 2])
    host.audit()
    mm.exit()
    child.exit()
    expect(host.frames.free).toBe(64)
  })

  it('tells notifiers that the old place is no more', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1], { mergeable: false })
    const seen: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event, start, end }) =>
        void seen.push(`${event} ${(start - at) / PAGE}..${(end - at) / PAGE}`),
      invalidateRangeEnd: () => void seen.push('end'),
    })
    mm.mremap(at, PAGE, PAGE, { address: at + 64 * PAGE })
    expect(seen).toEqual(['unmap 0..1', 'end'])
  })

  it('out of metadata: nothing has moved', async () => {
    const host = await makeHost({ mappings: 64 })
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    const slab: number[] = []
    const { arena } = memoryOf(host)
    for (;;) {
      const table = arena.core.slabAlloc(0)
      if (table === 0) break
      slab.push(table)
    }
    expect(errnoOf(() => mm.mremap(at, 2 * PAGE, 2 * PAGE, { address: at + 2 ** 40 }))).toBe('ENOMEM')
    for (const table of slab) arena.core.slabFree(0, table)
    expect(contents(mm, at, 2)).toEqual([1, 2])
    expect([...mm.vmas]).toHaveLength(1)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('a merged range, index %s', (index) => {
  async function merged(frames = 64): Promise<{ host: Host; mm: Mm; at: number }> {
    const host = await makeHost({ index, frames })
    const { mm, at } = guest(host, 'a', [7, 7, 7])
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    return { host, mm, at }
  }

  it('is unmerged before it moves, and stays mergeable', async () => {
    const { host, mm, at } = await merged()
    const moved = mm.mremap(at, 3 * PAGE, 3 * PAGE, { address: at + 64 * PAGE })
    const pfns = [0, 1, 2].map((page) => mm.pfn(moved + page * PAGE))
    expect(new Set(pfns).size).toBe(3)
    expect(contents(mm, moved, 3)).toEqual([7, 7, 7])
    expect(mm.ksmStat().ksm_mergeable).toBe('yes')
    expect(counted(host), 'lazy').toEqual([1, 2, 0, 0])
    host.audit()
    host.ksm.scan(1)
    host.audit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    host.audit()
  })

  it('only the part that moves', async () => {
    const { host, mm, at } = await merged()
    const moved = mm.mremap(at + PAGE, PAGE, PAGE, { address: at + 64 * PAGE })
    expect(mm.pfn(at)).toBe(mm.pfn(at + 2 * PAGE))
    expect(mm.pfn(moved)).not.toBe(mm.pfn(at))
    host.audit()
    host.ksm.scan(2)
    expect(mm.pfn(moved)).toBe(mm.pfn(at))
    host.audit()
  })

  it('stays merged while it only grows or shrinks', async () => {
    const { host, mm, at } = await merged()
    mm.mremap(at, 3 * PAGE, 4 * PAGE)
    mm.mremap(at, 4 * PAGE, 2 * PAGE)
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    expect(host.frame(mm.pfn(at)!).mapcount).toBe(2)
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })

  it('zero pages placed by ksmd become ordinary ones', async () => {
    const host = await makeHost({ index })
    host.ksm.set('use_zero_pages', 1)
    const { mm, at } = guest(host, 'a', [0, 0])
    host.ksm.scan(2)
    expect(mm.ksmStat().ksm_zero_pages).toBe(2)
    const moved = mm.mremap(at, 2 * PAGE, 2 * PAGE, { address: at + 64 * PAGE })
    expect(mm.ksmStat().ksm_zero_pages).toBe(0)
    expect(mm.read(moved, 2 * PAGE).every((byte) => byte === 0)).toBe(true)
    host.audit()
  })

  it('out of memory: it has not moved, and no page is lost', async () => {
    const { host, mm, at } = await merged(4)
    const hog = guest(host, 'hog', [1, 2, 3], { mergeable: false })
    expect(host.frames.free).toBe(0)
    expect(errnoOf(() => mm.mremap(at, 3 * PAGE, 3 * PAGE, { address: at + 64 * PAGE }))).toBe('ENOMEM')
    expect(contents(mm, at, 3)).toEqual([7, 7, 7])
    host.audit()
    hog.mm.exit()
    expect(contents(mm, mm.mremap(at, 3 * PAGE, 3 * PAGE, { address: at + 64 * PAGE }), 3)).toEqual([7, 7, 7])
    expectContent(mm, at + 64 * PAGE, 7)
    host.audit()
  })
})
