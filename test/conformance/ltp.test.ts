// The scenarios of the Linux Test Project that concern samepage merging, expressed in pagefold's API: the same histories,
// the same counters. docs/conformance.md says which is which.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES } from '../../src/index.ts'
import {
  addFilled,
  bootHost,
  counted,
  errnoOf,
  fill,
  framesOf,
  fullScans,
  holds,
  PAGE,
  pageOf,
} from '../support/world.ts'

/** What LTP's checker is told to expect; it compares exactly, with ksmd stopped. */
interface Expected {
  readonly run: number
  readonly shared: number
  readonly sharing: number
  readonly unshared: number
  readonly volatile: number
  readonly toScan: number
}

/** Waits as LTP does while merging (the rest of the scan under way and two more), then compares. */
function check(host: Host, { run, shared, sharing, unshared, volatile, toScan }: Expected): void {
  if (run === 1) host.ksm.scan(3)
  expect(host.ksm.get('run')).toBe(run)
  host.ksm.set('run', 0)
  expect(counted(host)).toEqual([shared, sharing, unshared, volatile])
  expect(host.ksm.get('sleep_millisecs')).toBe(0)
  expect(host.ksm.get('pages_to_scan')).toBe(toScan)
  if (run !== 2) host.ksm.set('run', run)
  host.audit()
}

/** The bytes each process writes in each of the four stages: process 0 and those after 2, process 1, process 2. */
const STAGES = [
  { bytes: 'caa', shared: 2, lone: 0 },
  { bytes: 'cba', shared: 3, lone: 0 },
  { bytes: 'ddd', shared: 1, lone: 0 },
  { bytes: 'ddd', shared: 1, lone: 1 },
]

interface SameMemory {
  /** Pages of each process, in regions of `unit` pages. */
  readonly size: number
  readonly unit: number
  readonly processes: number
  readonly node?: number
}

/** LTP's create_same_memory(): the histories of ksm01 to ksm04. */
function createSameMemory(host: Host, { size, unit, processes, node = 0 }: SameMemory): void {
  const total = size * processes
  const { ksm } = host
  ksm.set('merge_across_nodes', 1)
  const guests = Array.from({ length: processes }, (_, p) => {
    const mm = host.createMm({ name: `child-${p}` })
    const regions = Array.from({ length: size / unit }, () => {
      const at = mm.mmap(unit * PAGE, { node })
      mm.madvise(at, unit * PAGE, 'MADV_MERGEABLE')
      return at
    })
    return { mm, regions }
  })
  ksm.set('run', 2)
  ksm.set('max_page_sharing', total)
  ksm.set('run', 1)
  ksm.set('pages_to_scan', total)
  ksm.set('sleep_millisecs', 0)

  for (const { bytes, shared, lone } of STAGES) {
    const byteOf = (p: number): number => bytes.charCodeAt(p < 3 ? p : 0)
    for (const [p, { mm, regions }] of guests.entries()) {
      for (const at of regions) fill(mm, at, unit, byteOf(p))
    }
    const last = guests[1]!.regions.at(-1)! + unit * PAGE - 1
    if (lone > 0) guests[1]!.mm.write(last, Buffer.from('e'))
    const sharing = total - shared - lone
    check(host, { run: 1, shared, sharing, unshared: lone, volatile: 0, toScan: total })
    for (const [p, { mm, regions }] of guests.entries()) {
      const intact = p === 1 && lone > 0 ? regions.slice(0, -1) : regions
      expect(intact.every((at) => holds(mm, at, unit, byteOf(p)))).toBe(true)
    }
  }
  const nothing = { shared: 0, sharing: 0, unshared: 0, volatile: 0, toScan: total }
  ksm.set('run', 2)
  check(host, { run: 2, ...nothing })
  check(host, { run: 0, ...nothing })
  const last = guests[1]!.regions.at(-1)!
  expect(Buffer.from(guests[1]!.mm.read(last, unit * PAGE)).toString()).toBe(
    `${'d'.repeat(unit * PAGE - 1)}e`,
  )
  for (const [p, { mm, regions }] of guests.entries()) {
    const intact = p === 1 ? regions.slice(0, -1) : regions
    expect(intact.every((at) => holds(mm, at, unit, 'd'.charCodeAt(0)))).toBe(true)
    mm.exit()
  }
  expect(host.frames.free).toBe(host.frames.total)
  host.audit()
}

describe.each(INDEX_NAMES)('LTP, index %s', (index) => {
  it.each([
    { size: 8, unit: 8, processes: 3 },
    { size: 8, unit: 2, processes: 3 },
    { size: 256, unit: 64, processes: 3 },
    { size: 32, unit: 8, processes: 6 },
  ])('ksm01: %o', async (scenario) => {
    createSameMemory(await bootHost({ index }), scenario)
  })

  it.runIf(index === 'hash')('ksm01 at its original size: 98,304 pages', async () => {
    const host = await bootHost({ index, frames: 98_304 + 1 })
    createSameMemory(host, { size: 128 * 256, unit: 256, processes: 3 })
  })

  it('ksm02: bound to one NUMA node', async () => {
    const host = await bootHost({ index, frames: 4 * 192, numaNodes: 4 })
    const scenario = { size: 48, unit: 16, processes: 3, node: 2 }
    createSameMemory(host, scenario)
    createSameMemory(host, scenario)
  })

  it('ksm03: in as much memory as it needs and no more', async () => {
    createSameMemory(await bootHost({ index, frames: 3 * 64 + 1 }), { size: 64, unit: 16, processes: 3 })
  })

  it('ksm04: bound to one NUMA node, in little memory', async () => {
    const host = await bootHost({ index, frames: 2 * (3 * 64 + 1), numaNodes: 2 })
    const scenario = { size: 64, unit: 16, processes: 3, node: 1 }
    createSameMemory(host, scenario)
    createSameMemory(host, scenario)
  })

  it.each([
    { nodes: 2, pages: 100 },
    { nodes: 2, pages: 10 },
    { nodes: 3, pages: 100 },
    { nodes: 2, pages: 8000 },
  ])('ksm06: $nodes NUMA nodes, $pages pages each', async ({ nodes, pages }) => {
    const total = nodes * pages
    const host = await bootHost({ index, frames: 2 * total, numaNodes: nodes })
    const mm = host.createMm()
    const regions = Array.from({ length: nodes }, (_, node) => {
      const at = mm.mmap(pages * PAGE, { node })
      mm.madvise(at, pages * PAGE, 'MADV_MERGEABLE')
      fill(mm, at, pages, 10)
      expect(host.frame(mm.pfn(at)!).node).toBe(node)
      return at
    })
    host.ksm.set('sleep_millisecs', 0)
    host.ksm.set('pages_to_scan', total)
    for (const [merge_across_nodes, shared] of [
      [1, 1],
      [0, nodes],
    ] as const) {
      host.ksm.set('run', 2)
      host.ksm.set('max_page_sharing', total)
      host.ksm.set('merge_across_nodes', merge_across_nodes)
      host.ksm.set('run', 1)
      check(host, { run: 1, shared, sharing: total - shared, unshared: 0, volatile: 0, toScan: total })
    }
    for (const [node, at] of regions.entries()) expect(host.frame(mm.pfn(at)!).node).toBe(node)
    host.ksm.set('run', 2)
    for (const at of regions) mm.munmap(at, pages * PAGE)
    expect(host.frames.free).toBe(host.frames.total)
    host.audit()
  })

  it.each([
    [5, 1],
    [8, 3],
    [10, 4],
    [11, 5],
    [13, 7],
    [14, 7],
    [15, 8],
    [22, 15],
    [23, 15],
    [31, 23],
    [59, 47],
    [200, 173],
  ])('ksm07: smart scan, %i scans skip %i pages', async (scans, skipped) => {
    const host = await bootHost({ index })
    host.ksm.set('smart_scan', 1)
    const mm = host.createMm()
    const at = addFilled(mm, 1, 'a'.charCodeAt(0))
    host.ksm.set('run', 2)
    host.ksm.set('run', 1)
    const before = host.ksm.counters()
    host.ksm.scan(scans)
    host.ksm.set('run', 0)
    const after = host.ksm.counters()
    expect(after.full_scans - before.full_scans).toBe(scans)
    expect(after.pages_skipped - before.pages_skipped).toBe(skipped)
    // What LTP asserts. Its test polls once a second, so far more than ten scans pass.
    expect(skipped >= Math.floor((scans * 50) / 100)).toBe(scans >= 11)
    expect(errnoOf(() => mm.madvise(at, PAGE, 'MADV_UNMERGEABLE'))).toBeUndefined()
  })

  it.each([0, 1])('migrate_pages03: merge_across_nodes %i', async (merge_across_nodes) => {
    const host = await bootHost({ index, frames: 64, numaNodes: 2 })
    host.ksm.set('merge_across_nodes', merge_across_nodes)
    const mm = host.createMm()
    const pages = Array.from({ length: 20 }, () => addFilled(mm, 1, 0))
    fullScans(host, 3)
    expect(counted(host)).toEqual([1, 19, 0, 0])
    for (let round = 0; round < 600; round++) {
      const node = 1 - (round % 2)
      // migrate_pages() moves every page of the process.
      for (const pfn of new Set(pages.map((at) => mm.pfn(at)!))) host.migrate(pfn, { node })
      expect(pages.every((at) => host.frame(mm.pfn(at)!).node === node)).toBe(true)
      if (round % 50 === 0) host.ksm.scan(1)
    }
    expect(pages.every((at) => holds(mm, at, 1, 0))).toBe(true)
    expect(new Set(pages.map((at) => mm.pfn(at))).size).toBe(1)
    expect(counted(host)).toEqual([1, 19, 0, 0])
    expect(host.frames.free).toBe(63)
    host.audit()
  })

  it.each([0, 1, 2, 3])('mmap10: three children unmap what they share, %i scans before', async (scans) => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const at = addFilled(mm, 50, 1)
    if (scans > 0) fullScans(host, scans)
    for (let i = 0; i < 3; i++) {
      const child = mm.fork()
      if (scans > 0) host.ksm.scan(i)
      child.munmap(at, 50 * PAGE)
      child.exit()
      host.audit()
    }
    expect(holds(mm, at, 50, 1)).toBe(true)
    mm.exit()
    expect(host.frames.free).toBe(host.frames.total)
    fullScans(host, 1)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    host.audit()
  })

  it.each(['PROT_NONE', 'MADV_MERGEABLE'])('thp03: %s for a part of a range, then fork', async (part) => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const at = addFilled(mm, 1024, 1, { mergeable: false })
    for (const from of [1, 513]) {
      if (part === 'PROT_NONE') mm.mprotect(at + from * PAGE, 2 * PAGE, 'PROT_NONE')
      else mm.madvise(at + from * PAGE, 2 * PAGE, 'MADV_MERGEABLE')
    }
    const child = mm.fork()
    host.audit()
    fullScans(host, 2)
    const wanted = part === 'PROT_NONE' ? [0, 0, 0, 0] : [1, 7, 0, 0]
    expect(counted(host)).toEqual(wanted)
    expect(holds(child, at + 3 * PAGE, 510, 1)).toBe(true)
    child.exit()
    mm.exit()
    expect(host.frames.free).toBe(host.frames.total)
    host.audit()
  })

  it('madvise01, madvise02: both advices are taken wherever something is mapped, and nowhere else', async () => {
    const host = await bootHost({ index })
    const mm = host.createMm()
    const mappings = [
      {},
      { shared: true },
      { prot: 'PROT_READ' },
      { kind: 'hugetlb' },
      { kind: 'pfnmap' },
    ] as const
    for (const mapping of mappings) {
      const at = mm.mmap(10 * PAGE, mapping)
      for (const advice of ['MADV_MERGEABLE', 'MADV_UNMERGEABLE'] as const) {
        expect(errnoOf(() => mm.madvise(at, 10 * PAGE, advice))).toBeUndefined()
        expect(errnoOf(() => mm.madvise(at, 0, advice))).toBeUndefined()
        expect(() => mm.madvise(at + 100, PAGE, advice), 'not aligned').toThrow(RangeError)
      }
      mm.munmap(at + 5 * PAGE, PAGE)
      expect(
        errnoOf(() => mm.madvise(at, 10 * PAGE, 'MADV_MERGEABLE')),
        'a hole',
      ).toBe('ENOMEM')
    }
    expect(() => mm.madvise(0, PAGE, 'MADV_1212' as never)).toThrow(RangeError)
    host.audit()
  })

  it('oom01 to oom05, with KSM: only who allocates dies', async () => {
    const host = await bootHost({ index, frames: 256 })
    const bystander = host.createMm({ name: 'bystander' })
    const theirs = addFilled(bystander, 64, 7)
    host.ksm.set('run', 1)
    const hog = host.createMm({ name: 'hog' })
    let pages = 0
    const allocate = (): void => {
      for (; ; pages++) {
        const at = hog.mmap(PAGE)
        hog.madvise(at, PAGE, 'MADV_MERGEABLE')
        hog.write(at, pages % 4 === 0 ? pageOf(7) : Buffer.alloc(PAGE, `page ${pages} `))
        if (pages % 16 === 0) host.ksm.scan(1)
      }
    }
    expect(errnoOf(allocate)).toBe('ENOMEM')
    expect(pages).toBeGreaterThan(256 - 64)
    host.audit()
    expect(holds(bystander, theirs, 64, 7)).toBe(true)
    hog.exit()
    expect(host.frames.free).toBeGreaterThanOrEqual(256 - 64)
    fill(bystander, theirs, 64, 8)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 63, 0, 0])
    expect(framesOf(bystander, theirs, 64)).toEqual(new Array(64).fill(bystander.pfn(theirs)))
    host.audit()
  })
})
