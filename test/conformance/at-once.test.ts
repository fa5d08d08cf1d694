// Counter vectors, second part: what happens at once (frames, zero pages, cow_ksm) beside what waits for ksmd (all other
// counters). Merging, breaking, unmerging, forking.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm } from '../../src/index.ts'
import { ksmOf, objectsOf } from '../support/inside.ts'
import {
  addFilled,
  bootHost,
  counted,
  errnoOf,
  fill,
  framesOf,
  fullScans,
  hasDuplicates,
  holds,
  PAGE,
  pageOf,
} from '../support/world.ts'

const inUse = (host: Host): number => host.frames.total - host.frames.free

describe.each(INDEX_NAMES)('at once and later, index %s', (index) => {
  /** One mm with `pages` equal pages, merged by two scans. */
  async function merged(pages: number, max = 256): Promise<{ host: Host; mm: Mm; at: number }> {
    const host = await bootHost({ index })
    host.ksm.set('max_page_sharing', max)
    const mm = host.createMm()
    const at = addFilled(mm, pages, 7)
    fullScans(host, 2)
    host.audit()
    return { host, mm, at }
  }

  it.each([
    [256, 10, 1],
    [10, 25, 3],
    [2, 5, 3],
    [256, 512, 2],
  ])('max_page_sharing %i: %i equal pages lie in %i frames', async (max, pages, frames) => {
    const { host, mm, at } = await merged(pages, max)
    expect(inUse(host)).toBe(frames)
    expect(new Set(framesOf(mm, at, pages)).size).toBe(frames)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 2 * pages, full_scans: 2 })
  })

  it('keeps the frame of the page that was being visited when the first pair merged', async () => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const at = addFilled(mm, 10, 7)
    const second = mm.pfn(at + PAGE)!
    fullScans(host, 1)
    expect(framesOf(mm, at, 10).filter((pfn) => pfn === second)).toHaveLength(1)
    host.ksm.scan(1)
    expect(framesOf(mm, at, 10)).toEqual(new Array(10).fill(second))
    expect(host.frame(second)).toMatchObject({ refcount: 10, mapcount: 10, mapping: { kind: 'ksm' } })
  })

  it('reckons profit', async () => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const at = addFilled(mm, 10, 7)
    const profits = (): number[] => [host.ksm.counters().general_profit, mm.ksmStat().ksm_process_profit]
    fullScans(host, 1)
    expect(profits()).toEqual([-640, -640])
    host.ksm.scan(1)
    expect(profits()).toEqual([36_224, 40_320])
    mm.munmap(at + PAGE, 9 * PAGE)
    host.ksm.scan(1)
    expect(counted(host), 'a node with one item lives on').toEqual([1, 0, 0, 0])
    fill(mm, at, 1, 8)
    host.ksm.scan(5)
    expect(profits()).toEqual([-64, -64])
  })

  it('a write to one of a pair', async () => {
    const { host, mm, at } = await merged(2)
    const shared = mm.pfn(at)
    fill(mm, at, 1, 9)
    expect(mm.pfn(at)).not.toBe(shared)
    expect(mm.pfn(at + PAGE)).toBe(shared)
    expect(host.vmstat().cow_ksm).toBe(1)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(mm.ksmStat().ksm_merging_pages).toBe(2)
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 0, 0, 1])
    expect(mm.ksmStat().ksm_merging_pages).toBe(1)
    host.audit()
  })

  it('writes to both of a pair: the frame is free with the second', async () => {
    const { host, mm, at } = await merged(2)
    const shared = mm.pfn(at)!
    fill(mm, at, 1, 9)
    expect(host.frame(shared)).toMatchObject({ refcount: 1, mapcount: 1 })
    fill(mm, at + PAGE, 1, 9)
    expect(host.frame(shared)).toMatchObject({ refcount: 0, mapping: undefined })
    expect(host.vmstat().cow_ksm).toBe(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 2])
    host.audit()
  })

  it('a write and a write back: rejoins the stable node, without a partner', async () => {
    const { host, mm, at } = await merged(2)
    const shared = mm.pfn(at + PAGE)
    fill(mm, at, 1, 9)
    fill(mm, at, 1, 7)
    // Its checksum from before the merge still fits, as in Linux 6.18. (From 7.0 on it is forgotten: a scan later then.)
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(framesOf(mm, at, 2)).toEqual([shared, shared])
    host.audit()
  })

  it('MADV_UNMERGEABLE: ten frames at once, no items after a scan, no slot', async () => {
    const { host, mm, at } = await merged(10)
    mm.madvise(at, 10 * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, 10)).toBe(false)
    expect(inUse(host)).toBe(10)
    expect(counted(host)).toEqual([1, 9, 0, 0])
    expect(mm.ksmStat()).toMatchObject({ ksm_rmap_items: 10, ksm_mergeable: 'no' })
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(mm.ksmStat().ksm_rmap_items).toBe(0)
    expect(ksmOf(host).slots.isEmpty).toBe(true)
    host.audit()
  })

  it('munmap: the frame is free at once, the counters follow', async () => {
    const { host, mm, at } = await merged(10)
    mm.munmap(at, 10 * PAGE)
    expect(inUse(host)).toBe(0)
    expect(counted(host)).toEqual([1, 9, 0, 0])
    host.ksm.scan(1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
  })

  it.each(['a scan', 'run=2'])('exit while run is 0: counters stay until %s', async (end) => {
    const { host, mm } = await merged(10)
    host.ksm.set('run', 0)
    mm.exit()
    expect(inUse(host)).toBe(0)
    for (let i = 0; i < 3; i++) {
      expect(counted(host)).toEqual([1, 9, 0, 0])
      expect(mm.ksm.rmapItems).toBe(10)
      expect(
        errnoOf(() => mm.ksmStat()),
        'nobody is there to ask',
      ).toBe('ESRCH')
      host.audit()
    }
    if (end === 'a scan') fullScans(host, 1)
    else host.ksm.set('run', 2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(objectsOf(host)).toEqual({ rmapItems: 0, stableNodes: 0, pageTables: 0 })
    host.audit()
  })

  it('run=2: all gone at once, the range stays mergeable', async () => {
    const { host, mm, at } = await merged(10)
    host.ksm.set('run', 2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(host.ksm.counters().full_scans).toBe(0)
    expect(hasDuplicates(mm, at, 10)).toBe(false)
    expect(mm.ksmStat()).toMatchObject({ ksm_rmap_items: 0, ksm_mergeable: 'yes' })
    host.audit()
    fullScans(host, 2)
    expect(counted(host)).toEqual([1, 9, 0, 0])
  })

  it('run=0: nothing changes, but writes still break', async () => {
    const { host, mm, at } = await merged(10)
    host.ksm.set('run', 0)
    expect(counted(host)).toEqual([1, 9, 0, 0])
    expect(inUse(host)).toBe(1)
    fill(mm, at, 1, 8)
    expect(inUse(host)).toBe(2)
    expect(holds(mm, at + PAGE, 9, 7)).toBe(true)
  })

  it.each([256, 10])('fork with max_page_sharing %i: one frame for both, items when visited', async (max) => {
    const { host, mm, at } = await merged(10, max)
    const child = mm.fork()
    const shared = mm.pfn(at)!
    expect(host.frame(shared)).toMatchObject({ refcount: 20, mapcount: 20 })
    expect(framesOf(child, at, 10)).toEqual(new Array(10).fill(shared))
    expect(child.ksmStat()).toMatchObject({ ksm_merging_pages: 0, ksm_rmap_items: 0, ksm_mergeable: 'yes' })
    expect(counted(host)).toEqual([1, 9, 0, 0])
    host.ksm.scan(1)
    // A full node takes a fork's mappings all the same.
    expect(counted(host)).toEqual([1, 19, 0, 0])
    expect(child.ksmStat()).toMatchObject({ ksm_merging_pages: 10, ksm_rmap_items: 10 })
    expect(ksmOf(host).counters[0], 'one node').toBe(1)
    expect(host.warnings()).toEqual([])
    child.write(at, pageOf(1))
    expect(child.pfn(at)).not.toBe(shared)
    expect(mm.pfn(at)).toBe(shared)
    expect(host.frame(shared).mapcount).toBe(19)
    host.audit()
  })

  it('fork: zero pages count twice at once', async () => {
    const host = await bootHost({ index })
    host.ksm.set('use_zero_pages', 1)
    const mm = host.createMm()
    const at = addFilled(mm, 10, 0)
    mm.read(mm.mmap(PAGE), 1)
    fullScans(host, 2)
    expect(host.ksm.counters().ksm_zero_pages).toBe(10)
    const child = mm.fork()
    expect(host.ksm.counters().ksm_zero_pages).toBe(20)
    expect(child.ksmStat().ksm_zero_pages).toBe(10)
    host.audit()
    fill(child, at, 1, 1)
    expect([mm, child].map((each) => each.ksmStat().ksm_zero_pages)).toEqual([10, 9])
    mm.exit()
    expect(host.ksm.counters().ksm_zero_pages).toBe(9)
    host.audit()
  })
})
