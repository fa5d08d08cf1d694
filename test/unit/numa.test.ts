// NUMA: where pages are placed, trees for each node with merge_across_nodes=0, and stable nodes whose page has moved.

import { describe, expect, it } from 'vitest'
import { FRAME_LOCKED, FRAME_SWAPCACHE } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, type IndexName, memorySwapStore } from '../../src/index.ts'
import { ksmOf, memoryOf, objectsOf } from '../support/inside.ts'
import { once } from '../support/races.ts'
import {
  addRange,
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  type Guest,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

const nodeOf = (host: Host, { mm, at }: Guest, page = 0): number => host.frame(mm.pfn(at + page * PAGE)!).node

describe('placement', () => {
  it('is where the range wants it, and elsewhere when that node is full', async () => {
    const host = await makeHost({ frames: 8, numaNodes: 2 })
    const one = guest(host, 'one', [1, 2, 3, 4, 5], { node: 1 })
    expect([0, 1, 2, 3, 4].map((page) => nodeOf(host, one, page))).toEqual([1, 1, 1, 1, 0])
    expect(() => one.mm.mmap(PAGE, { node: 2 })).toThrow(RangeError)
    host.audit()
  })

  it('holds for runs of fresh frames: each ends with its node', async () => {
    const host = await makeHost({ frames: 8, numaNodes: 2 })
    const { frames, arena } = memoryOf(host)
    const { firstPfn } = arena
    expect(frames.allocRun(3, 1)).toEqual({ pfn: firstPfn + 4, count: 3 })
    expect(frames.allocRun(100, 0)).toEqual({ pfn: firstPfn, count: 4 })
    expect(frames.allocRun(100, 0).count).toBe(0)
    expect(host.frames.free).toBe(1)
    for (let pfn = firstPfn; pfn < firstPfn + 7; pfn++) frames.put(pfn)
    expect(host.frames.free).toBe(8)
    host.audit()
  })

  it('holds for copies too: of zeros, of a fork, of a merged page', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [undefined, 7, 7], { node: 1 })
    const other = guest(host, 'b', [7], { node: 0 })
    byteAt(mm, at)
    pokeByte(mm, at, 1)
    expect(host.frame(mm.pfn(at)!).node).toBe(1)
    host.ksm.scan(2)
    expect(nodeOf(host, other), 'the frame of the page scanned second').toBe(1)
    const child = mm.fork({ name: 'child' })
    for (const each of [child, mm]) {
      pokeByte(each, at + PAGE, 9)
      expect(host.frame(each.pfn(at + PAGE)!).node).toBe(1)
    }
    pokeByte(other.mm, other.at, 9)
    expect(nodeOf(host, other)).toBe(0)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('frames beyond 2 GiB, index %s', (index) => {
  it('merge, break, fork and swap as others do', async () => {
    const host = await makeHost({ index, frames: 2 ** 20 - 40_000, mappings: 4096, numaNodes: 3 })
    host.swapOn(memorySwapStore(8))
    const { mm, at } = guest(host, 'a', [7, 7, 8], { node: 2 })
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    expect(mm.pfn(at)!).toBeGreaterThanOrEqual(2 ** 19)
    const child = mm.fork()
    pokeByte(child, at, 9)
    expect(host.vmstat().cow_ksm).toBe(1)
    mm.madvise(at, 3 * PAGE, 'MADV_PAGEOUT')
    expect([0, 1, 2].map((page) => byteAt(mm, at + page * PAGE))).toEqual(
      [7, 7, 8].map((content) => contentBytes(content)[0]),
    )
    host.ksm.scan(2)
    host.audit()
    host.close()
  })
})

describe.each(INDEX_NAMES)('merge_across_nodes, index %s', (index) => {
  async function twoNodes(across: 0 | 1, pages = 10) {
    const host = await makeHost({ index, numaNodes: 2, frames: 128 })
    host.ksm.set('merge_across_nodes', across)
    const mm = host.createMm({ name: 'a' })
    const [zero, one] = [0, 1].map((node) => ({
      mm,
      at: addRange(mm, new Array(pages).fill(10), { node }),
    })) as [Guest, Guest]
    host.ksm.scan(3)
    return { host, mm, zero, one }
  }

  it('ksm06: 1 merges all, 0 by node, and the switch needs everything unmerged first', async () => {
    const { host, zero, one } = await twoNodes(1)
    expect(counted(host)).toEqual([1, 19, 0, 0])
    expect(errnoOf(() => host.ksm.set('merge_across_nodes', 0))).toBe('EBUSY')
    host.ksm.set('run', 2)
    host.ksm.set('merge_across_nodes', 0)
    host.ksm.set('run', 1)
    host.ksm.scan(3)
    expect(counted(host)).toEqual([2, 18, 0, 0])
    expect([nodeOf(host, zero), nodeOf(host, one)]).toEqual([0, 1])
    expect(zero.mm.pfn(zero.at)).not.toBe(one.mm.pfn(one.at))
    host.audit()
    host.ksm.set('run', 2)
    host.ksm.set('merge_across_nodes', 1)
    host.ksm.set('run', 1)
    host.ksm.scan(3)
    expect(counted(host)).toEqual([1, 19, 0, 0])
    host.audit()
  })

  it('0: one page on each of two nodes does not merge', async () => {
    const { host } = await twoNodes(0, 1)
    expect(counted(host)).toEqual([0, 0, 2, 0])
  })

  it('0: a merged page that moves is filed anew, and serves the node where it is', async () => {
    const { host, mm, zero, one } = await twoNodes(0, 2)
    expect(counted(host)).toEqual([2, 2, 0, 0])
    pokeByte(mm, one.at, 1)
    pokeByte(mm, one.at + PAGE, 2)
    host.ksm.scan(1)
    const moved = host.migrate(mm.pfn(zero.at)!, { node: 1 })
    const late = [0, 1].map((node) => ({ mm, at: addRange(mm, [10], { node }) })) as [Guest, Guest]
    expect(ksmOf(host).migrateNodes.size).toBe(0)
    host.ksm.scan(2)
    expect(ksmOf(host).migrateNodes.size, 'placed again').toBe(0)
    expect(mm.pfn(zero.at)).toBe(moved)
    expect(late[1].mm.pfn(late[1].at), 'the one on node 1 joins').toBe(moved)
    expect(late[0].mm.pfn(late[0].at), 'the one on node 0 does not').not.toBe(moved)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 2 })
    host.audit()
  })

  it('0: where the content is merged already it becomes a second page of a chain', async () => {
    const { host, mm, zero, one } = await twoNodes(0, 2)
    host.migrate(mm.pfn(zero.at)!, { node: 1 })
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({
      pages_shared: 2,
      pages_sharing: 2,
      stable_node_chains: 1,
      stable_node_dups: 2,
    })
    expect(mm.pfn(zero.at)).not.toBe(mm.pfn(one.at))
    host.audit()
    host.ksm.scan(2)
    host.audit()
    expect(counted(host)).toEqual([2, 2, 0, 0])
    mm.munmap(zero.at, 2 * PAGE)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })

  it('0: with a single user it waits aside, which harms nobody', async () => {
    const { host, mm, zero, one } = await twoNodes(0, 2)
    mm.munmap(zero.at + PAGE, PAGE)
    host.migrate(mm.pfn(zero.at)!, { node: 1 })
    for (let scan = 0; scan < 3; scan++) {
      host.ksm.scan(1)
      expect(ksmOf(host).migrateNodes.size).toBe(1)
      expect([byteAt(mm, zero.at), byteAt(mm, one.at)]).toEqual([10, 10])
      host.audit()
    }
    // Gone, it is noticed at the start of the next scan.
    const removed: number[] = []
    host.on('ksm_remove_ksm_page', ({ pfn }) => removed.push(pfn))
    const pfn = mm.pfn(zero.at)!
    mm.munmap(zero.at, PAGE)
    memoryOf(host).race = (point) => {
      if (point === 'scan: after unstable reset') expect(removed).toEqual([pfn])
    }
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(ksmOf(host).migrateNodes.size).toBe(0)
    host.audit()
  })

  it('0: a search that meets a moved page sets it aside and goes away empty-handed', async () => {
    const { host, mm, zero } = await twoNodes(0, 2)
    // Registered first, so that it is visited before the page itself is.
    const early = { mm, at: mm.mmap(2 * PAGE, { address: zero.at - 16 * PAGE }) }
    mm.madvise(early.at, 2 * PAGE, 'MADV_MERGEABLE')
    for (const page of [0, 1]) mm.write(early.at + page * PAGE, mm.read(zero.at, PAGE))
    host.ksm.scan(1)
    const moved = host.migrate(mm.pfn(zero.at)!, { node: 1 })
    let aside = 0
    memoryOf(host).race = (point) => {
      if (point === 'scan: between pages') aside = Math.max(aside, ksmOf(host).migrateNodes.size)
    }
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(aside).toBe(1)
    expect(mm.pfn(early.at)).not.toBe(moved)
    expect(mm.pfn(early.at), 'the two found each other instead').toBe(mm.pfn(early.at + PAGE))
    expect(host.frame(mm.pfn(early.at)!).node).toBe(0)
    host.audit()
  })

  it('0: run=2 takes apart what waits aside too', async () => {
    const { host, mm, zero } = await twoNodes(0, 2)
    mm.munmap(zero.at + PAGE, PAGE)
    host.migrate(mm.pfn(zero.at)!, { node: 1 })
    host.ksm.scan(1)
    expect(ksmOf(host).migrateNodes.size).toBe(1)
    host.ksm.set('run', 2)
    expect(ksmOf(host).migrateNodes.size).toBe(0)
    expect(objectsOf(host)).toMatchObject({ stableNodes: 0, rmapItems: 0 })
    host.ksm.set('merge_across_nodes', 1)
    host.audit()
  })

  it('1: a merged page may lie anywhere, and moves freely', async () => {
    const { host, mm, zero, one } = await twoNodes(1, 2)
    for (const node of [0, 1, 0]) {
      const pfn = mm.pfn(zero.at)!
      if (host.frame(pfn).node !== node) host.migrate(pfn, { node })
      host.ksm.scan(1)
      expect(counted(host)).toEqual([1, 3, 0, 0])
      expect(ksmOf(host).migrateNodes.size).toBe(0)
      expect(mm.pfn(one.at)).toBe(mm.pfn(zero.at))
      host.audit()
    }
  })
})

describe.each(INDEX_NAMES)('a moved page that is locked as it would join another, index %s', (index) => {
  it('waits for the next scan and leaves no reference on the other', async () => {
    const { host, c, moved } = await movedAlone(index, [7, 7])
    const other = c.mm.pfn(c.at)!
    const { frames } = memoryOf(host)
    const seen = once(host, 'keyhole: after lock', () => frames.setFlag(moved, FRAME_LOCKED))
    host.ksm.scan(1)
    expect(seen.passed).toBeGreaterThan(0)
    expect(frames.hasFlag(moved, FRAME_LOCKED)).toBe(true)
    frames.clearFlag(moved, FRAME_LOCKED)
    expect(host.frame(other)).toMatchObject({ refcount: 2, mapcount: 2 })
    host.audit()
  })

  it('waits too while the other is being moved itself', async () => {
    const { host, a, c } = await movedAlone(index, [7, 7])
    const { frames } = memoryOf(host)
    const other = c.mm.pfn(c.at)!
    let frozen = 0
    // As a migration has it for a moment, and for the first visit only.
    memoryOf(host).race = (point) => {
      if (point === 'scan: between cursor and merge' && frozen++ === 0) {
        frames.setRefcount(other, 0)
        frames.setFlag(other, FRAME_SWAPCACHE)
      } else if (point === 'scan: between pages' && frames.refcount(other) === 0) {
        frames.setRefcount(other, 2)
        frames.clearFlag(other, FRAME_SWAPCACHE)
      }
    }
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(frozen).toBeGreaterThan(0)
    expect(ksmOf(host).migrateNodes.size).toBe(1)
    expect(a.mm.pfn(a.at)).not.toBe(other)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('a moved page, index %s', (index) => {
  it('has its place in the tree of its new node, though nobody shares it and nobody there is equal', async () => {
    const { host, a, moved } = await movedAlone(index, [8, 8])
    host.ksm.scan(1)
    expect(ksmOf(host).migrateNodes.size).toBe(0)
    const late = guest(host, 'late', [7], { node: 1 })
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at), 'it is found there').toBe(moved)
    expect(a.mm.pfn(a.at)).toBe(moved)
    host.audit()
  })

  it('that has as many users as it may is found by no more: whoever brought it is counted anew', async () => {
    const host = await makeHost({ index, numaNodes: 2 })
    host.ksm.set('merge_across_nodes', 0)
    host.ksm.set('max_page_sharing', 2)
    const [a, b] = [guest(host, 'a', [7], { node: 0 }), guest(host, 'b', [7], { node: 0 })]
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    const moved = host.migrate(a.mm.pfn(a.at)!, { node: 1 })
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 0, 1, 0])
    expect([a.mm.pfn(a.at), b.mm.pfn(b.at)]).toEqual([moved, moved])
    host.audit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })
})

/** A merged page that is mapped once, moved to node 1, where a guest has pages of these contents. */
async function movedAlone(index: IndexName, contents: number[]) {
  const host = await makeHost({ index, numaNodes: 2 })
  host.ksm.set('merge_across_nodes', 0)
  const [a, b] = [guest(host, 'a', [7], { node: 0 }), guest(host, 'b', [7], { node: 0 })]
  const c = guest(host, 'c', contents, { node: 1 })
  host.ksm.scan(2)
  b.mm.exit()
  return { host, a, c, moved: host.migrate(a.mm.pfn(a.at)!, { node: 1 }) }
}
