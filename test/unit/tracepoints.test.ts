// Each of the kernel's tracepoints: when it fires, when it does not, and what its fields say.

import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../assembly/abi.ts'
import type { Host, TraceEvents, TraceName } from '../../src/index.ts'
import { TRACE_NAMES } from '../../src/mm/watch/tracepoints.ts'
import { memoryOf } from '../support/inside.ts'
import { addFilled, bootHost, fill, fullScans, PAGE } from '../support/world.ts'

type Told = { [Name in TraceName]: { readonly name: Name } & TraceEvents[Name] }[TraceName]

/** Everything a host tells, in order; `take` empties the list. */
function listen(host: Host, names: readonly TraceName[] = TRACE_NAMES): () => Told[] {
  const told: Told[] = []
  for (const name of names) host.on(name, (event) => told.push({ name, ...event } as Told))
  return () => told.splice(0)
}

describe('ksm_start_scan, ksm_stop_scan', () => {
  it('tell the number of the scan and how many items there are, the end before the scan is counted', async () => {
    const host = await bootHost()
    const take = listen(host, ['ksm_start_scan', 'ksm_stop_scan'])
    const counts: number[] = []
    host.on('ksm_stop_scan', () => counts.push(host.ksm.counters().full_scans))
    const mm = host.createMm()
    const at = addFilled(mm, 3, 1)
    host.ksm.set('run', 1)
    expect(host.ksm.scanPages(2)).toBe(2)
    expect(take()).toEqual([{ name: 'ksm_start_scan', seq: 0, rmap_entries: 0 }])
    host.ksm.scanPages(10)
    expect(take()).toEqual([{ name: 'ksm_stop_scan', seq: 0, rmap_entries: 3 }])
    mm.munmap(at, 2 * PAGE)
    host.ksm.scan(1)
    expect(take()).toEqual([
      { name: 'ksm_start_scan', seq: 1, rmap_entries: 3 },
      { name: 'ksm_stop_scan', seq: 1, rmap_entries: 1 },
    ])
    expect(counts).toEqual([0, 1])
  })

  it('are silent when nobody is registered', async () => {
    const host = await bootHost()
    const take = listen(host)
    addFilled(host.createMm(), 3, 1, { mergeable: false })
    fullScans(host, 2)
    expect(take()).toEqual([])
  })
})

describe('ksm_enter, ksm_exit', () => {
  const setUp = async () => {
    const host = await bootHost()
    return { host, take: listen(host, ['ksm_enter', 'ksm_exit']) }
  }

  it('fire once for an mm, however it is registered', async () => {
    const { host, take } = await setUp()
    const a = host.createMm({ name: 'a' })
    addFilled(a, 1, 1)
    addFilled(a, 1, 1)
    a.prctl('PR_SET_MEMORY_MERGE', 1)
    host.createMm({ name: 'b' }).prctl('PR_SET_MEMORY_MERGE', 1)
    expect(take()).toEqual([
      { name: 'ksm_enter', mm: 'a' },
      { name: 'ksm_enter', mm: 'b' },
    ])
    a.exit()
    expect(take()).toEqual([{ name: 'ksm_exit', mm: 'a' }])
  })

  it('fire for a child of a registered mm and for what it is replaced by', async () => {
    const { host, take } = await setUp()
    const parent = host.createMm({ name: 'parent' })
    parent.prctl('PR_SET_MEMORY_MERGE', 1)
    take()
    const child = parent.fork({ name: 'child' })
    expect(take()).toEqual([{ name: 'ksm_enter', mm: 'child' }])
    child.replace({ name: 'program' })
    expect(take()).toEqual([
      { name: 'ksm_enter', mm: 'program' },
      { name: 'ksm_exit', mm: 'child' },
    ])
  })

  it('do not fire for what cannot be merged, nor for the exit of an mm that was never registered', async () => {
    const { host, take } = await setUp()
    const mm = host.createMm()
    mm.madvise(mm.mmap(PAGE, { shared: true }), PAGE, 'MADV_MERGEABLE')
    mm.fork()
    mm.exit()
    expect(take()).toEqual([])
  })

  it('a child that could not be completed was never registered', async () => {
    const { host, take } = await setUp()
    const mm = host.createMm({ name: 'parent' })
    const at = addFilled(mm, 2, 1)
    const pin = mm.pin(at, PAGE)
    take()
    memoryOf(host).frames.failAlloc = () => true
    expect(() => mm.fork()).toThrow('ENOMEM')
    memoryOf(host).frames.failAlloc = undefined
    pin.release()
    expect(take()).toEqual([])
    host.audit()
  })

  it('ksmd dropping an mm is no exit, and it enters anew', async () => {
    const { host, take } = await setUp()
    const mm = host.createMm({ name: 'a' })
    const at = addFilled(mm, 1, 1)
    mm.madvise(at, PAGE, 'MADV_UNMERGEABLE')
    fullScans(host, 1)
    mm.madvise(at, PAGE, 'MADV_MERGEABLE')
    expect(take().map(({ name }) => name)).toEqual(['ksm_enter', 'ksm_enter'])
  })
})

describe('ksm_merge_one_page', () => {
  it('does not tell of a page that has a node already, though zeros may go to the zero page by now', async () => {
    const host = await bootHost()
    const [a, b] = [host.createMm(), host.createMm()]
    addFilled(a, 1, 0)
    const at = addFilled(b, 1, 0)
    const child = b.fork()
    host.ksm.set('run', 1)
    host.ksm.scan(1)
    host.ksm.scanPages(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(child.pfn(at), 'merged where it is').toBe(b.pfn(at))
    const take = listen(host, ['ksm_merge_one_page', 'ksm_merge_with_ksm_page'])
    host.ksm.set('use_zero_pages', 1)
    host.ksm.scanPages(1)
    expect(take().map(({ name }) => name)).toEqual(['ksm_merge_with_ksm_page'])
    expect(host.ksm.counters()).toMatchObject({ pages_sharing: 2, ksm_zero_pages: 0 })
    host.audit()
  })

  it('fires for zero pages only, with the frame of the zero page', async () => {
    const host = await bootHost()
    host.ksm.set('use_zero_pages', 1)
    const mm = host.createMm({ name: 'guest' })
    addFilled(mm, 2, 0)
    addFilled(mm, 2, 7)
    const take = listen(host, ['ksm_merge_one_page'])
    fullScans(host, 1)
    expect(take()).toEqual([])
    host.ksm.scan(2)
    const told = take()
    expect(told).toMatchObject(new Array(2).fill({ pfn: ZERO_PFN, mm: 'guest', err: 0 }))
    expect(new Set(told.map((event) => 'rmap_item' in event && event.rmap_item)).size).toBe(2)
  })

  it('says -14 when the page is held, and the page is then dealt with as any other', async () => {
    const host = await bootHost()
    host.ksm.set('use_zero_pages', 1)
    const mm = host.createMm({ name: 'guest' })
    const at = addFilled(mm, 1, 0)
    const pin = mm.pin(at, PAGE)
    const take = listen(host, ['ksm_merge_one_page'])
    fullScans(host, 2)
    expect(take()).toMatchObject([{ pfn: ZERO_PFN, mm: 'guest', err: -14 }])
    expect(host.ksm.counters()).toMatchObject({ ksm_zero_pages: 0, pages_unshared: 1 })
    pin.release()
    host.ksm.scan(1)
    expect(take()).toMatchObject([{ err: 0 }])
    host.audit()
  })
})

describe('ksm_merge_with_ksm_page', () => {
  it('fires for the first of a content with ksm_page 0, then for each that joins', async () => {
    const host = await bootHost()
    const [a, b] = [host.createMm({ name: 'a' }), host.createMm({ name: 'b' })]
    addFilled(a, 1, 7)
    const atB = addFilled(b, 2, 7)
    const q = b.pfn(atB)!
    const take = listen(host, ['ksm_merge_with_ksm_page'])
    fullScans(host, 2)
    // a's page is the first in the unstable tree; b's first meets it there and survives.
    const told = take()
    expect(told).toMatchObject([
      { ksm_page: 0, pfn: q, mm: 'b', err: 0 },
      { ksm_page: q, pfn: q, mm: 'a', err: 0 },
      { ksm_page: q, pfn: q, mm: 'b', err: 0 },
    ])
    host.ksm.scan(3)
    expect(take(), 'nothing new').toEqual([])
  })

  it('fires for a forked mapping that joins its own page', async () => {
    const host = await bootHost()
    const mm = host.createMm({ name: 'parent' })
    const at = addFilled(mm, 2, 7)
    fullScans(host, 2)
    mm.fork({ name: 'child' })
    const take = listen(host, ['ksm_merge_with_ksm_page'])
    host.ksm.scan(1)
    const pfn = mm.pfn(at)
    expect(take()).toMatchObject(new Array(2).fill({ ksm_page: pfn, pfn, mm: 'child', err: 0 }))
  })

  it('says -14 when it did not come to a merge', async () => {
    const host = await bootHost()
    const mm = host.createMm({ name: 'guest' })
    const at = addFilled(mm, 2, 7)
    const pin = mm.pin(at, PAGE)
    const take = listen(host, ['ksm_merge_with_ksm_page', 'ksm_remove_ksm_page'])
    const visited = mm.pfn(at + PAGE)
    fullScans(host, 2)
    // The one being visited is upgraded, the one in the tree refuses, and the first is broken again.
    expect(take()).toMatchObject([
      { ksm_page: 0, pfn: visited, err: 0 },
      { ksm_page: visited, pfn: visited, err: -14 },
    ])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    host.audit()
    pin.release()
    host.ksm.scan(2)
    expect(take().filter((event) => 'err' in event && event.err === 0)).toHaveLength(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
  })
})

describe('ksm_remove_ksm_page, ksm_remove_rmap_item', () => {
  const setUp = async (pages: number) => {
    const host = await bootHost()
    const mm = host.createMm({ name: 'guest' })
    const at = addFilled(mm, pages, 7)
    fullScans(host, 2)
    return {
      host,
      mm,
      at,
      pfn: mm.pfn(at)!,
      take: listen(host, ['ksm_remove_ksm_page', 'ksm_remove_rmap_item']),
    }
  }

  it.each(['munmap', 'exit', 'writes'])(
    'tell of a torn down node after %s: each sharing item, then the page',
    async (how) => {
      const { host, mm, at, pfn, take } = await setUp(4)
      if (how === 'munmap') mm.munmap(at, 4 * PAGE)
      if (how === 'exit') mm.exit()
      if (how === 'writes') fill(mm, at, 4, 8)
      expect(take(), 'ksmd has not noticed yet').toEqual([])
      host.ksm.scan(1)
      const told = take()
      // The last item of the list has no successor and is silent.
      expect(told).toMatchObject([
        ...new Array(3).fill({ name: 'ksm_remove_rmap_item', pfn, mm: 'guest' }),
        { name: 'ksm_remove_ksm_page', pfn },
      ])
      expect(new Set(told.flatMap((event) => ('rmap_item' in event ? [event.rmap_item] : []))).size).toBe(3)
    },
  )

  it('are silent when a single item leaves, even the last but one', async () => {
    const { host, mm, at, take } = await setUp(3)
    fill(mm, at, 1, 8)
    host.ksm.scan(1)
    fill(mm, at + PAGE, 1, 9)
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 0 })
    expect(take()).toEqual([])
    mm.munmap(at + 2 * PAGE, PAGE)
    host.ksm.scan(1)
    expect(take().map(({ name }) => name)).toEqual(['ksm_remove_ksm_page'])
  })

  it('tell of run=2', async () => {
    const { host, pfn, take } = await setUp(3)
    host.ksm.set('run', 2)
    const last = take().at(-1)
    expect(last).toEqual({ name: 'ksm_remove_ksm_page', pfn })
    host.audit()
  })

  it('tell of memory that is taken away', async () => {
    const { host, mm, pfn, take } = await setUp(3)
    mm.munmap(mm.vmas.find(0)!.start * PAGE, 3 * PAGE)
    host.offline(pfn, pfn + 1)
    expect(take().map(({ name }) => name)).toEqual([
      'ksm_remove_rmap_item',
      'ksm_remove_rmap_item',
      'ksm_remove_ksm_page',
    ])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    host.audit()
  })
})

describe('ksm_advisor', () => {
  it('fires at the end of each full scan while the advisor is on', async () => {
    let now = 0
    const host = await bootHost({
      clock: { now: () => now, cpu: () => now / 10, sleep: () => Promise.resolve() },
    })
    const take = listen(host, ['ksm_advisor', 'ksm_stop_scan'])
    addFilled(host.createMm(), 2, 1)
    host.ksm.set('run', 1)
    host.ksm.scan(1)
    expect(take().map(({ name }) => name)).toEqual(['ksm_stop_scan'])
    host.ksm.set('advisor_mode', 'scan-time')
    host.ksm.scanPages(2)
    now = 5000
    host.ksm.scanPages(2)
    expect(take()).toMatchObject([
      { name: 'ksm_advisor', scan_time: 5, pages_to_scan: host.ksm.get('pages_to_scan'), cpu_percent: 10 },
      { name: 'ksm_stop_scan', seq: 1 },
    ])
  })
})

describe('listeners', () => {
  it('can be many, and be taken off one by one', async () => {
    const host = await bootHost()
    const heard: string[] = []
    const [first, second] = [() => heard.push('first'), () => heard.push('second')]
    host.on('ksm_enter', first).on('ksm_enter', second)
    host.createMm().prctl('PR_SET_MEMORY_MERGE', 1)
    host.off('ksm_enter', first)
    host.createMm().prctl('PR_SET_MEMORY_MERGE', 1)
    expect(heard).toEqual(['first', 'second', 'second'])
    expect(memoryOf(host).trace.active).toBe(true)
    for (const _ of ['off', 'off already']) {
      host.off('ksm_enter', second)
      expect(memoryOf(host).trace.active).toBe(false)
    }
  })
})
