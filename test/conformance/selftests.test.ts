// The scenarios of the kernel's own samepage merging selftests (ksm_tests, ksm_functional_tests, and what rmap and merge say
// about it), expressed in pagefold's API. docs/conformance.md says which is which.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm } from '../../src/index.ts'
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
} from '../support/world.ts'

const STAR = '*'.charCodeAt(0)

/** What ksm_tests expects `n` equal pages to come to. */
function expectMerged(host: Host, n: number): void {
  const max = host.ksm.get('max_page_sharing')
  const { pages_shared, pages_sharing } = host.ksm.counters()
  const full = Math.floor(n / max)
  const wanted = n % max <= 1 ? [full, full * (max - 1)] : [full + 1, n - (full + 1)]
  expect([pages_shared, pages_sharing]).toEqual(wanted)
  host.audit()
}

describe.each(INDEX_NAMES)('ksm_tests, index %s', (index) => {
  async function setUp(pages: number, numaNodes = 1): Promise<{ host: Host; mm: Mm }> {
    const host = await bootHost({ index, frames: 2 * pages + 64, numaNodes })
    host.ksm.set('run', 2)
    host.ksm.set('sleep_millisecs', 0)
    host.ksm.set('merge_across_nodes', 1)
    host.ksm.set('pages_to_scan', pages)
    return { host, mm: host.createMm() }
  }

  it.each(['madvise', 'prctl'])('-M: equal pages merge, registered by %s', async (how) => {
    const { host, mm } = await setUp(10)
    const at = addFilled(mm, 10, STAR, { mergeable: false })
    if (how === 'prctl') mm.prctl('PR_SET_MEMORY_MERGE', 1)
    else mm.madvise(at, 10 * PAGE, 'MADV_MERGEABLE')
    fullScans(host, 2)
    expectMerged(host, 10)
    expect(counted(host)).toEqual([1, 9, 0, 0])
  })

  it.each([
    [256, 10, 1, 9],
    [4, 1, 0, 0],
    [4, 4, 1, 3],
    [4, 8, 2, 6],
    [4, 9, 2, 6],
    [4, 10, 3, 7],
    [10, 11, 1, 9],
    [10, 25, 3, 22],
    [2, 5, 2, 2],
  ])(
    '-M with max_page_sharing %i: %i pages are %i shared, %i sharing',
    async (max, pages, shared, sharing) => {
      const { host, mm } = await setUp(pages)
      host.ksm.set('max_page_sharing', max)
      addFilled(mm, pages, STAR)
      fullScans(host, 2)
      expectMerged(host, pages)
      expect(counted(host).slice(0, 2)).toEqual([shared, sharing])
    },
  )

  it('-U: pages that were written to are not merged any more', async () => {
    const { host, mm } = await setUp(2)
    const at = addFilled(mm, 2, STAR)
    fullScans(host, 2)
    expectMerged(host, 2)
    mm.write(at, Buffer.from('-'))
    mm.write(at + PAGE, Buffer.from('+'))
    host.ksm.scan(1)
    expectMerged(host, 0)
  })

  it.each([
    [1, 0],
    [0, 10],
  ])('-Z: pages of zeros, use_zero_pages %i', async (use_zero_pages, merged) => {
    const { host, mm } = await setUp(10)
    host.ksm.set('use_zero_pages', use_zero_pages)
    addFilled(mm, 10, 0)
    fullScans(host, 2)
    expectMerged(host, merged)
    expect(host.ksm.counters().ksm_zero_pages).toBe(10 - merged)
  })

  it.each([
    [1, 2],
    [0, 0],
  ])('-N: equal pages on two NUMA nodes, merge_across_nodes %i', async (merge_across_nodes, merged) => {
    const { host, mm } = await setUp(2, 2)
    host.ksm.set('merge_across_nodes', merge_across_nodes)
    for (const node of [0, 1]) {
      const at = mm.mmap(PAGE, { node })
      fill(mm, at, 1, STAR)
      mm.madvise(at, PAGE, 'MADV_MERGEABLE')
      expect(host.frame(mm.pfn(at)!).node).toBe(node)
    }
    fullScans(host, 2)
    expectMerged(host, merged)
  })

  it('-P and -D: merges a MiB and unmerges it', async () => {
    const { host, mm } = await setUp(256)
    const at = addFilled(mm, 256, STAR)
    fullScans(host, 2)
    expectMerged(host, 256)
    mm.madvise(at, 256 * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, 256)).toBe(false)
    host.ksm.scan(1)
    expectMerged(host, 0)
    expect(holds(mm, at, 256, STAR)).toBe(true)
  })

  it('-C: writes to one of each pair of 4000 pages', async () => {
    const { host, mm } = await setUp(4000)
    const at = mm.mmap(4000 * PAGE)
    const words = new Uint32Array((4000 * PAGE) / 4).map((_, i) => (i * 4) >>> 13)
    mm.write(at, new Uint8Array(words.buffer))
    mm.madvise(at, 4000 * PAGE, 'MADV_MERGEABLE')
    fullScans(host, 2)
    // The first pair is zeros, which are a content like any other here.
    expect(counted(host)).toEqual([2000, 2000, 0, 0])
    for (let page = 0; page < 4000; page += 2) mm.write(at + page * PAGE, Buffer.from('-'))
    expect(hasDuplicates(mm, at, 4000)).toBe(false)
    expect(host.vmstat().cow_ksm).toBe(2000)
    host.audit()
  })
})

const REGION = 512

type Mode = 'PRCTL' | 'MADVISE' | 'NONE'

/** mmap_and_merge_range() of ksm_functional_tests. */
function mmapAndMerge(host: Host, mm: Mm, byte: number, mode: Mode, prot = 'PROT_READ|PROT_WRITE'): number {
  host.ksm.set('run', 2)
  expect(mm.ksmStat().ksm_merging_pages, 'nothing merged yet').toBe(0)
  const at = addFilled(mm, REGION, byte, { mergeable: false })
  mm.mprotect(at, REGION * PAGE, prot)
  if (mode === 'PRCTL') mm.prctl('PR_SET_MEMORY_MERGE', 1)
  if (mode === 'MADVISE') mm.madvise(at, REGION * PAGE, 'MADV_MERGEABLE')
  fullScans(host, 2)
  if (byte !== 0) {
    expect(mm.ksmStat().ksm_merging_pages).toBe(REGION)
    expect(host.ksm.counters()).toMatchObject({
      pages_shared: 2,
      pages_sharing: REGION - 2,
      stable_node_chains: 1,
      stable_node_dups: 2,
    })
    expect(hasDuplicates(mm, at, REGION)).toBe(true)
  }
  host.audit()
  return at
}

describe.each(INDEX_NAMES)('ksm_functional_tests, index %s', (index) => {
  const setUp = async (): Promise<{ host: Host; mm: Mm }> => {
    const host = await bootHost({ index })
    return { host, mm: host.createMm({ name: 'parent' }) }
  }

  it('1 unmerge', async () => {
    const { host, mm } = await setUp()
    const at = mmapAndMerge(host, mm, 0xcf, 'MADVISE')
    mm.madvise(at, REGION * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    expect(holds(mm, at, REGION, 0xcf)).toBe(true)
    host.audit()
  })

  it('2 unmerge_zero_pages', async () => {
    const { host, mm } = await setUp()
    host.ksm.set('use_zero_pages', 1)
    const at = mmapAndMerge(host, mm, 0, 'MADVISE')
    const zeroPages = (): number => mm.ksmStat().ksm_zero_pages
    expect(zeroPages()).toBe(512)
    mm.madvise(at, (REGION / 2) * PAGE, 'MADV_UNMERGEABLE')
    expect(zeroPages()).toBe(256)
    host.audit()
    for (let page = REGION / 2; page < REGION; page++) {
      mm.write(at + page * PAGE, new Uint8Array(Uint32Array.of(page).buffer))
    }
    expect(zeroPages()).toBe(0)
    expect(host.ksm.counters().ksm_zero_pages).toBe(0)
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    host.audit()
  })

  it('3 unmerge_discarded', async () => {
    const { host, mm } = await setUp()
    const at = mmapAndMerge(host, mm, 0xcf, 'MADVISE')
    mm.madvise(at, (REGION / 2) * PAGE, 'MADV_DONTNEED')
    mm.madvise(at, REGION * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    expect(framesOf(mm, at, REGION).filter((pfn) => pfn !== undefined)).toHaveLength(REGION / 2)
    host.audit()
  })

  it('4 unmerge_uffd_wp', async () => {
    const { host, mm } = await setUp()
    const at = mmapAndMerge(host, mm, 0xcf, 'MADVISE')
    const faults: number[] = []
    mm.registerUserfault(at, REGION * PAGE, { onWriteProtect: ({ address }) => void faults.push(address) })
    mm.userfaultWriteProtect(at, REGION * PAGE, true)
    mm.madvise(at, REGION * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    expect(faults, 'breaking a merge is no write').toEqual([])
    expect(
      errnoOf(() => mm.write(at, Uint8Array.of(1))),
      'still protected',
    ).toBe('EAGAIN')
    expect(faults).toEqual([at])
    mm.userfaultWriteProtect(at, REGION * PAGE, false)
    mm.write(at, Uint8Array.of(1))
    host.audit()
  })

  it('5 prot_none', async () => {
    const { host, mm } = await setUp()
    const at = mmapAndMerge(host, mm, 0x11, 'MADVISE', 'PROT_NONE')
    for (let page = 0; page < REGION / 2; page++) {
      mm.write(at + page * PAGE, new Uint8Array(Uint32Array.of(page).buffer), { force: true })
    }
    mm.madvise(at + (REGION / 2) * PAGE, (REGION / 2) * PAGE, 'MADV_UNMERGEABLE')
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    expect(errnoOf(() => mm.read(at, 1))).toBe('EFAULT')
    mm.mprotect(at, REGION * PAGE, 'PROT_READ')
    expect(mm.read(at + 5 * PAGE, 5)).toEqual(Uint8Array.of(5, 0, 0, 0, 0x11))
    host.audit()
  })

  it('6 prctl', async () => {
    const { mm } = await setUp()
    const get = (): number => mm.prctl('PR_GET_MEMORY_MERGE')
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 1)).toBe(0)
    expect(get()).toBe(1)
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 0)).toBe(0)
    expect(get()).toBe(0)
  })

  it('7 prctl_fork', async () => {
    const { host, mm } = await setUp()
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    const child = mm.fork()
    expect(child.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
    mmapAndMerge(host, child, 0xcf, 'NONE')
    child.exit()
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 0)).toBe(0)
    host.audit()
  })

  it('8 prctl_fork_exec, with ksmd at work between any two steps', async () => {
    const { host, mm } = await setUp()
    host.ksm.set('pages_to_scan', 2000)
    host.ksm.set('sleep_millisecs', 0)
    host.ksm.set('run', 1)
    const ksmd = (): void => void host.ksm.scan(2)
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    ksmd()
    const child = mm.fork()
    ksmd()
    const program = child.replace({ name: 'program' })
    ksmd()
    expect(
      errnoOf(() => child.pfn(0)),
      'the old image is gone',
    ).toBe('ESRCH')
    expect(program.mergeable, 'ksmd dropped it while it was empty').toBe(false)
    expect(program.prctl('PR_GET_MEMORY_MERGE')).toBe(1)
    mmapAndMerge(host, program, 0xcf, 'NONE')
    program.exit()
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 0)).toBe(0)
    host.ksm.set('run', 2)
    host.audit()
  })

  it('9 prctl_unmerge', async () => {
    const { host, mm } = await setUp()
    const at = mmapAndMerge(host, mm, 0xcf, 'PRCTL')
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(hasDuplicates(mm, at, REGION)).toBe(false)
    expect(mm.ksmStat()).toMatchObject({ ksm_merge_any: 'no', ksm_mergeable: 'no' })
    host.audit()
  })

  it('10 fork_ksm_merging_page_count', async () => {
    const { host, mm } = await setUp()
    mmapAndMerge(host, mm, 0xcf, 'MADVISE')
    const child = mm.fork()
    expect(child.ksmStat()).toMatchObject({ ksm_merging_pages: 0, ksm_rmap_items: 0 })
    expect(mm.ksmStat().ksm_merging_pages).toBe(REGION)
    host.audit()
  })
})

/** A tree of processes: each forks `children` more, down to `levels`. */
function family(root: Mm, levels: number, children: number): Mm[] {
  if (levels === 1) return [root]
  const forked = Array.from({ length: children }, () => root.fork())
  return [root, ...forked.flatMap((child) => family(child, levels - 1, children))]
}

describe.each(INDEX_NAMES)('rmap and merge, index %s', (index) => {
  it.each([
    [2, 1],
    [3, 3],
    [5, 2],
    [5, 3],
  ])('migrate.ksm: %i levels of %i children each, who all see the page move', async (levels, children) => {
    const host = await bootHost({ index, numaNodes: 2 })
    const root = host.createMm()
    root.prctl('PR_SET_MEMORY_MERGE', 1)
    const at = root.mmap(PAGE, { node: 0 })
    const everybody = family(root, levels, children)
    for (const mm of everybody) fill(mm, at, 1, 0xcf)
    host.ksm.set('max_page_sharing', 1000)
    fullScans(host, 2)
    const before = root.pfn(at)!
    expect(everybody.every((mm) => mm.pfn(at) === before)).toBe(true)
    const after = host.migrate(everybody.at(-1)!.pfn(at)!, { node: 1 })
    expect(after).not.toBe(before)
    expect(everybody.every((mm) => mm.pfn(at) === after && holds(mm, at, 1, 0xcf))).toBe(true)
    expect(host.frame(before).refcount).toBe(0)
    host.audit()
  })

  it.each(['before', 'after'])('ksm_and_mremap: a page moves %s the merge', async (when) => {
    const host = await bootHost({ index, numaNodes: 2 })
    const root = host.createMm()
    root.prctl('PR_SET_MEMORY_MERGE', 1)
    const at = addFilled(root, 2, 0x77, { mergeable: false })
    const everybody = family(root, 3, 2)
    const worker = everybody.at(-1)!
    const move = (): void => {
      expect(worker.mremap(at + PAGE, PAGE, PAGE, { address: at })).toBe(at)
      expect(errnoOf(() => worker.read(at + PAGE, 1))).toBe('EFAULT')
    }
    if (when === 'before') move()
    for (const mm of everybody)
      for (let page = 0; page < (mm === worker && when === 'before' ? 1 : 2); page++)
        fill(mm, at + page * PAGE, 1, 0x77)
    fullScans(host, 2)
    if (when === 'after') {
      move()
      host.audit()
      host.ksm.scan(2)
    }
    const moved = host.migrate(worker.pfn(at)!, { node: 1 })
    for (const mm of everybody) {
      expect(framesOf(mm, at, mm === worker ? 1 : 2).every((pfn) => pfn === moved)).toBe(true)
      expect(holds(mm, at, 1, 0x77)).toBe(true)
    }
    host.audit()
  })

  it('ksm_merge: adjacent maps become one vma with PR_SET_MEMORY_MERGE, also across the moment it is set', async () => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const at = mm.mmap(2 * PAGE, { address: 2 ** 36 })
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    mm.mmap(2 * PAGE, { address: at + 2 * PAGE })
    expect(mm.vmas.length).toBe(1)
    mm.mmap(2 * PAGE, { address: at + 6 * PAGE })
    mm.mmap(2 * PAGE, { address: at + 4 * PAGE })
    expect(mm.vmas.length, 'a hole is filled').toBe(1)
    fill(mm, at, 8, 1)
    fullScans(host, 2)
    expect(counted(host)).toEqual([1, 7, 0, 0])
    host.audit()
  })
})
