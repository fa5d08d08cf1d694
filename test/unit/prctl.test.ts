// PR_SET_MEMORY_MERGE, and what becomes of it when a process forks or replaces itself (as exec does).

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { addRange, byteAt, counted, errnoOf, expectContent, guest, makeHost, PAGE } from '../support/world.ts'

const mergeable = (mm: { ksmStat(): { ksm_mergeable: string; ksm_merge_any: string } }): string => {
  const { ksm_mergeable, ksm_merge_any } = mm.ksmStat()
  return `${ksm_mergeable}/${ksm_merge_any}`
}

describe('prctl', () => {
  it('sets, gets, and is silent when nothing changes', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(0)
    for (const [set, get] of [
      [0, 0],
      [1, 1],
      [1, 1],
      [7, 1],
      [0, 0],
      [0, 0],
    ] as const) {
      expect(mm.prctl('PR_SET_MEMORY_MERGE', set)).toBe(0)
      expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(get)
    }
    host.audit()
  })

  it('refuses spare arguments that are not zero, and options it does not have', async () => {
    const mm = (await makeHost()).createMm()
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 1, 0, 0, 0)).toBe(0)
    for (const args of [
      [1, 1],
      [0, 0, 2],
      [1, 0, 0, 3],
    ]) {
      expect(errnoOf(() => mm.prctl('PR_SET_MEMORY_MERGE', ...args))).toBe('EINVAL')
    }
    expect(mm.prctl('PR_GET_MEMORY_MERGE', 0, 0, 0, 0)).toBe(1)
    expect(errnoOf(() => mm.prctl('PR_GET_MEMORY_MERGE', 1))).toBe('EINVAL')
    expect(() => mm.prctl('PR_SET_NAME' as never)).toThrow(RangeError)
    expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
  })

  it('marks every eligible range there is, and every one to come', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const shared = mm.mmap(PAGE, { shared: true })
    const device = mm.mmap(PAGE, { kind: 'pfnmap' })
    const huge = mm.mmap(PAGE, { kind: 'hugetlb' })
    expect(mergeable(mm)).toBe('no/no')
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    expect(mergeable(mm)).toBe('yes/yes')
    const later = addRange(mm, [7], { mergeable: false })
    const flag = (address: number): boolean => mm.vmas.at(address / PAGE)!.has(16)
    expect([at, shared, device, huge, later].map(flag)).toEqual([true, false, false, false, true])
    host.ksm.scan(2)
    expect(mm.pfn(at)).toBe(mm.pfn(later))
    host.audit()
  })

  it('keeps adjacent maps one range, across the moment of enabling too', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const first = mm.mmap(PAGE)
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    expect(mm.mmap(PAGE)).toBe(first + PAGE)
    expect(mm.mmap(PAGE)).toBe(first + 2 * PAGE)
    expect([...mm.vmas]).toHaveLength(1)
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    mm.mmap(PAGE)
    expect([...mm.vmas]).toHaveLength(1)
  })

  it('registers again an mm that ksmd let go because it had nothing to merge', async () => {
    const host = await makeHost()
    const entered: string[] = []
    host.on('ksm_enter', ({ mm }) => entered.push(mm))
    const mm = host.createMm({ name: 'a' })
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    host.ksm.scan(1)
    expect(mm.mergeable).toBe(false)
    expect(mergeable(mm)).toBe('no/yes')
    host.audit()
    addRange(mm, [7, 7], { mergeable: false })
    expect(entered).toEqual(['a', 'a'])
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })
})

describe.each(INDEX_NAMES)('taking it back, index %s', (index) => {
  it('unmerges everything, what madvise marked too', async () => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [7, 7])
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    const later = addRange(mm, [7, 7], { mergeable: false })
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 3, 0, 0])
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 0)).toBe(0)
    expect(mergeable(mm)).toBe('no/no')
    const pfns = [at, at + PAGE, later, later + PAGE].map((address) => mm.pfn(address))
    expect(new Set(pfns).size).toBe(4)
    host.audit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(mm.mergeable).toBe(false)
    host.audit()
  })

  it('out of memory: it all stays enabled', async () => {
    const host = await makeHost({ index, frames: 4 })
    const mm = host.createMm()
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    const at = addRange(mm, [7, 7, 7], { mergeable: false })
    host.ksm.scan(2)
    const hog = guest(host, 'hog', [1, 2, 3], { mergeable: false })
    expect(errnoOf(() => mm.prctl('PR_SET_MEMORY_MERGE', 0))).toBe('ENOMEM')
    expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
    expect(mergeable(mm)).toBe('yes/yes')
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    host.audit()
    hog.mm.exit()
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(mm.pfn(at)).not.toBe(mm.pfn(at + PAGE))
    host.audit()
  })

  it('is for the process, not for its children', async () => {
    const host = await makeHost({ index })
    const mm = host.createMm({ name: 'a' })
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    const child = mm.fork({ name: 'child' })
    expect(child.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(child.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
    const at = addRange(child, [0xcf, 0xcf], { mergeable: false })
    host.ksm.scan(2)
    expect(child.ksmStat().ksm_merging_pages).toBe(2)
    expect(child.pfn(at)).toBe(child.pfn(at + PAGE))
    host.audit()
  })
})

describe('replace, as exec does', () => {
  it('begins an empty address space, the old one exits', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const fresh = mm.replace()
    expect(fresh.name).toBe('a')
    expect(host.frames.free).toBe(64)
    expect(errnoOf(() => byteAt(mm, at))).toBe('ESRCH')
    expect(errnoOf(() => byteAt(fresh, at))).toBe('EFAULT')
    expect(mergeable(fresh)).toBe('no/no')
    expect(fresh.mergeable, 'madvise is for the mapping').toBe(false)
    expect(errnoOf(() => mm.replace())).toBe('ESRCH')
    host.audit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    host.audit()
  })

  it('keeps PR_SET_MEMORY_MERGE, even when ksmd is faster than the first mmap', async () => {
    for (const scans of [0, 1, 3]) {
      const host = await makeHost()
      const mm = host.createMm({ name: 'a' })
      mm.prctl('PR_SET_MEMORY_MERGE', 1)
      const fresh = mm.fork({ name: 'b' }).replace({ name: 'c' })
      expect(fresh.mergeable).toBe(true)
      host.ksm.scan(scans)
      expect(fresh.mergeable).toBe(scans === 0)
      expect(fresh.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
      const at = addRange(fresh, [0xcf, 0xcf, 0xcf], { mergeable: false })
      host.ksm.scan(3)
      expect(fresh.ksmStat()).toMatchObject({ ksm_merging_pages: 3, ksm_merge_any: 'yes' })
      expectContent(fresh, at, 0xcf)
      host.audit()
    }
  })

  it('out of memory: the old one lives on', async () => {
    const host = await makeHost({ mappings: 16 })
    const { mm, at } = guest(host, 'a', [7])
    const slab: number[] = []
    for (;;) {
      const table = memoryOf(host).arena.core.slabAlloc(0)
      if (table === 0) break
      slab.push(table)
    }
    expect(errnoOf(() => mm.replace())).toBe('ENOMEM')
    for (const table of slab) memoryOf(host).arena.core.slabFree(0, table)
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })
})
