// Seed 0: a stable node keeps no reference on its page, so a merged page is free the instant its last mapping goes.
// Here: what is counted and when, without anybody else acting in between. Nodes are in seed-0-nodes.test.ts, races in
// seed-0-races.test.ts.

import { describe, expect, it } from 'vitest'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import { type Host, INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { ksmOf, memoryOf, nodeOf, objectsOf } from '../support/inside.ts'
import { SHARED_CONTENT, sharedPair, sharePage } from '../support/shared-pair.ts'
import { addRange, makeHost, PAGE } from '../support/world.ts'

type Mutant = (host: Host) => void

/** A node that keeps its page: what Linux did until 2009. */
const nodeHoldsReference: Mutant = (host) => {
  const { frames } = memoryOf(host)
  const setMapping = frames.setMapping.bind(frames)
  frames.setMapping = (pfn, mapping) => {
    if (StableNodes.ofMapping(mapping) !== 0) frames.get(pfn)
    setMapping(pfn, mapping)
  }
}

/** A freed frame goes on saying whose page it was. */
const mappingOutlivesPage: Mutant = (host) => {
  const { frames } = memoryOf(host)
  const setMapping = frames.setMapping.bind(frames)
  frames.setMapping = (pfn, mapping) => {
    if (mapping !== 0) setMapping(pfn, mapping)
  }
}

describe.each(INDEX_NAMES)('seed 0, trees ordered by %s', (index) => {
  /** Runs T0-1 and T0-2 on a machine that may have been spoilt. */
  async function freedAtOnce(mutant?: Mutant): Promise<void> {
    const host = await makeHost({ index })
    mutant?.(host)
    const { a, b, p, q, k } = sharePage(host)
    expect(host.frame(k), 'T0-1').toMatchObject({ refcount: 2, mapcount: 2, mapping: { kind: 'ksm' } })
    const free = host.frames.free
    a.munmap(p, PAGE)
    expect(host.frame(k), 'T0-2, one left').toMatchObject({ refcount: 1, mapcount: 1 })
    expect(host.frames.free, 'T0-2, one left').toBe(free)
    b.munmap(q, PAGE)
    expect(host.frames.free, 'T0-2, at once').toBe(free + 1)
    expect(memoryOf(host).frames.mapping(k), 'T0-2, mapping').toBe(0)
    expect(host.ksm.counters(), 'T0-2, counters lag').toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(2)
  }

  it('T0-1 (0.1, 0.5): no hidden reference; the frame of the page scanned second survives', async () => {
    const host = await makeHost({ index })
    const a = host.createMm()
    const b = host.createMm()
    const p = addRange(a, [SHARED_CONTENT])
    const q = addRange(b, [SHARED_CONTENT])
    const [first, second] = [a.pfn(p)!, b.pfn(q)!]
    host.ksm.scan(2)
    expect([a.pfn(p), b.pfn(q)]).toEqual([second, second])
    expect(host.frame(second)).toMatchObject({ refcount: 2, mapcount: 2 })
    expect(memoryOf(host).frames.mapping(second)).toBe(ksmOf(host).nodes.key(nodeOf(host, second)))
    expect(host.frame(first)).toMatchObject({ refcount: 0, mapping: undefined })
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(2)
    host.audit()
  })

  it('T0-2 (0.2, 0.3, 0.10): free at once with ksmd stopped, mapping 0, counters lagging', () =>
    freedAtOnce())

  it('T0-1 and T0-2 catch a node that holds a reference, and a mapping that outlives its page', async () => {
    await expect(freedAtOnce(nodeHoldsReference)).rejects.toThrow(/T0-1/)
    await expect(freedAtOnce(mappingOutlivesPage)).rejects.toThrow(/T0-2, mapping/)
  })

  it('T0-3: the same by writing: each writer copies, the last copy frees the frame', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const free = host.frames.free
    a.write(p, Uint8Array.of(1))
    expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 1 })
    expect(host.frames.free).toBe(free - 1)
    b.write(q, Uint8Array.of(2))
    expect(b.pfn(q), 'copied although nobody else had it').not.toBe(k)
    expect(host.frame(k)).toMatchObject({ refcount: 0, mapping: undefined })
    expect(host.frames.free).toBe(free - 1)
    expect([a.read(p, 2), b.read(q, 2)]).toEqual([Uint8Array.of(1, 0), Uint8Array.of(2, 0)])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(2)
    expect(host.vmstat().cow_ksm).toBe(2)
    host.audit()
  })

  it('T0-4 (0.7): the next visit cleans up, telling of the node once and of each sharing item once', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const { anonVmas } = memoryOf(host)
    expect([...anonVmas].map(({ refcount }) => refcount)).toEqual([2, 2])
    a.munmap(p, PAGE)
    b.munmap(q, PAGE)
    expect(
      [...anonVmas].map(({ refcount }) => refcount),
      'only the items hold them',
    ).toEqual([1, 1])
    const told: string[] = []
    host.on('ksm_remove_ksm_page', ({ pfn }) => told.push(`page ${pfn}`))
    host.on('ksm_remove_rmap_item', ({ pfn, mm }) => told.push(`item of ${mm}, ${pfn}`))
    host.ksm.scan(1)
    // B's item was appended last and so comes first; A's, the last one, goes silently.
    expect(told).toEqual([`item of B, ${k}`, `page ${k}`])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(objectsOf(host).rmapItems).toBe(0)
    expect(anonVmas.live).toBe(0)
    expect(objectsOf(host).stableNodes).toBe(0)
    host.audit()
  })

  it('0.1: one reference more while the page is in the swap cache, and free with the last of both', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    host.swapOn(memorySwapStore(8))
    const free = host.frames.free
    const held = a.get(p, 1)
    expect(host.reclaim(k)).toBe('referenced')
    held.release()
    expect(host.frame(k), 'in the swap cache only').toMatchObject({ refcount: 1, mapcount: 0 })
    a.read(p, 1)
    b.read(q, 1)
    expect(host.frame(k)).toMatchObject({ refcount: 3, mapcount: 2, mapping: { kind: 'ksm' } })
    a.munmap(p, PAGE)
    b.munmap(q, PAGE)
    expect(host.frames.free).toBe(free + 1)
    host.audit()
  })

  it('0.2: a page that only the swap cache still has is free when its last swap entry goes', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    host.swapOn(memorySwapStore(8))
    const free = host.frames.free
    const held = a.get(p, 1)
    expect(host.reclaim(k)).toBe('referenced')
    held.release()
    a.exit()
    expect(host.frames.free).toBe(free)
    b.munmap(q, PAGE)
    expect(host.frames.free).toBe(free + 1)
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })
})
