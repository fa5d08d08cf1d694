// Seed 0, the nodes: how they go stale and are cleaned up, why an empty one stays, and what becomes of their frames.

import { describe, expect, it } from 'vitest'
import { RMAP_STABLE, RMAP_VOLATILE } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, type Mm } from '../../src/index.ts'
import { getKsmPage } from '../../src/ksm/keyhole.ts'
import { itemsOf } from '../../src/ksm/rmap-walk.ts'
import { ksmOf, memoryOf, nodeOf, objectsOf } from '../support/inside.ts'
import { once } from '../support/races.ts'
import { SHARED_CONTENT, sharedPair, sharePage } from '../support/shared-pair.ts'
import {
  addRange,
  contentBytes,
  counted,
  expectContent,
  makeHost,
  PAGE,
  useUpFrames,
} from '../support/world.ts'

type Mutant = (host: Host) => void

describe.each(INDEX_NAMES)('seed 0, nodes in trees ordered by %s', (index) => {
  it('0.5: a node made anew at the same address has another key', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const { nodes } = ksmOf(host)
    const node = nodeOf(host, k)
    const key = nodes.key(node)
    a.munmap(p, PAGE)
    b.munmap(q, PAGE)
    host.ksm.scan(1)
    const next = sharePage(host)
    expect(nodeOf(host, next.k)).toBe(node)
    expect(nodes.key(node)).not.toBe(key)
  })

  it('0.7: a stale node goes with its items in list order, and each drops its anon_vma exactly once', async () => {
    const host = await makeHost({ index })
    const mms = [1, 2, 3].map((n) => host.createMm({ name: `guest ${n}` }))
    const at = mms.map((mm) => addRange(mm, [SHARED_CONTENT]))
    host.ksm.scan(2)
    const { items } = ksmOf(host)
    const node = nodeOf(host, mms[0]!.pfn(at[0]!)!)
    const listed = itemsOf(ksmOf(host), node)
    expect(listed).toHaveLength(3)
    const steps: string[] = []
    const names = new Map(listed.map((item) => [item, memoryOf(host).mm(items.mm(item)).name]))
    const { anonVmas } = memoryOf(host)
    const put = anonVmas.put.bind(anonVmas)
    anonVmas.put = (anonVma) => {
      steps.push(`put ${anonVma.id}`)
      put(anonVma)
    }
    host.on('ksm_remove_rmap_item', ({ rmap_item }) => {
      const [shared, sharing] = counted(host)
      steps.push(`${names.get(rmap_item)}, ${shared} + ${sharing}`)
    })
    const held = listed.map((item) => items.anonVma(item))
    mms.forEach((mm, i) => {
      mm.munmap(at[i]!, PAGE)
    })
    steps.length = 0
    host.ksm.scanPages(1) // nothing to visit is left: it passes all three mms
    expect(steps).toEqual([
      'guest 3, 1 + 1',
      `put ${held[0]}`,
      'guest 2, 1 + 0',
      `put ${held[1]}`,
      `put ${held[2]}`,
    ])
    expect(objectsOf(host).stableNodes).toBe(0)
    host.audit()
  })

  it('0.8: taking a live item away leaves its node, even with an empty list, as long as the page lives', async () => {
    const emptied = async (mutant?: Mutant): Promise<void> => {
      const { host, a, b, p, q, k } = await sharedPair({ index })
      mutant?.(host)
      const { nodes, items } = ksmOf(host)
      const node = nodeOf(host, k)
      const [ofB, ofA] = itemsOf(ksmOf(host), node) as [number, number]
      const child = a.fork({ name: 'child' })
      const anonVma = memoryOf(host).anonVmas.of(items.anonVma(ofA))
      const references = anonVma.refcount
      a.write(p, Uint8Array.of(1))
      b.write(q, Uint8Array.of(2))
      host.ksm.scanPages(1)
      expect(host.ksm.counters(), 'one item left').toMatchObject({ pages_shared: 1, pages_sharing: 0 })
      expect(items.state(ofA)).toBe(RMAP_VOLATILE)
      expect(items.state(ofB)).toBe(RMAP_STABLE)
      expect(anonVma.refcount, "A's reference has gone").toBe(references - 1)
      host.ksm.scanPages(1)
      expect(host.ksm.counters(), 'none left').toMatchObject({ pages_shared: 0, pages_sharing: 0 })
      expect(objectsOf(host).stableNodes, 'the node is still there').toBe(1)
      expect(memoryOf(host).frames.mapping(k)).toBe(nodes.key(node))
      expect(nodes.length(node)).toBe(0)
      host.ksm.scanPages(1) // the child, which maps the page too
      expect(host.ksm.counters(), 'the child has joined').toMatchObject({ pages_shared: 1, pages_sharing: 0 })
      expect(child.pfn(p)).toBe(k)
      host.audit()
    }
    await emptied()
    // Before 2009 a node went with its last item.
    const erasedWhenEmpty: Mutant = (host) => {
      const { nodes, core } = ksmOf(host)
      const addLength = nodes.addLength.bind(nodes)
      nodes.addLength = (node, change) => {
        addLength(node, change)
        if (nodes.length(node) > 0) return
        core.erase(node)
        nodes.free(node)
      }
    }
    await expect(emptied(erasedWhenEmpty)).rejects.toThrow(/the node is still there/)
  })

  it('0.9: a peep that fails while one item is being removed has cleaned that item too', async () => {
    const { host, a, b, p, q } = await sharedPair({ index })
    const { anonVmas } = memoryOf(host)
    const puts: number[] = []
    const put = anonVmas.put.bind(anonVmas)
    a.munmap(p, PAGE)
    b.munmap(q, PAGE)
    anonVmas.put = (anonVma) => {
      puts.push(anonVma.id)
      put(anonVma)
    }
    host.ksm.scan(1)
    expect(puts.sort(), 'one for each item').toEqual([1, 2])
    expect(anonVmas.live).toBe(0)
    host.audit()
  })

  it('T0-10 (0.11): no memory for the node: both pages are private again, and merge in the next scan', async () => {
    const host = await makeHost({ index })
    const a = host.createMm()
    const b = host.createMm()
    const p = addRange(a, [SHARED_CONTENT])
    const q = addRange(b, [SHARED_CONTENT])
    const references = (): number[] => [...memoryOf(host).anonVmas].map(({ refcount }) => refcount)
    const before = references()
    const { nodes, items } = ksmOf(host)
    const alloc = nodes.alloc.bind(nodes)
    let refused = 0
    nodes.alloc = (kind, nid) => (refused++ === 0 ? 0 : alloc(kind, nid))
    host.ksm.scan(2)
    expect(refused).toBe(1)
    expect(a.pfn(p)).not.toBe(b.pfn(q))
    for (const slot of ksmOf(host).slots) expect(items.state(slot.rmapList)).toBe(RMAP_VOLATILE)
    expect(references()).toEqual(before)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(objectsOf(host).rmapItems).toBe(2)
    for (const [mm, at] of [
      [a, p],
      [b, q],
    ] as const) {
      expect(host.frame(mm.pfn(at)!)).toMatchObject({ refcount: 1, mapping: { kind: 'anon' } })
      expectContent(mm, at, SHARED_CONTENT)
    }
    host.audit()
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    host.audit()
  })

  it('0.12: a merged page without a node is left as it is by ksmd', async () => {
    const host = await makeHost({ index })
    const a = host.createMm({ name: 'A' })
    const b = host.createMm({ name: 'B' })
    const p = addRange(a, [SHARED_CONTENT])
    const q = addRange(b, [SHARED_CONTENT])
    // B's page becomes the merged one; before A's can join, B forks and A's page changes.
    let child = b
    once(host, 'merge: between the two halves', () => {
      child = b.fork({ name: 'child' })
      a.write(p, Uint8Array.of(1))
    })
    host.ksm.scan(2)
    memoryOf(host).race = undefined
    const k = child.pfn(q)!
    expect(host.frame(k).mapping).toEqual({ kind: 'ksm', id: 0 })
    expect(b.pfn(q), 'B got a copy').not.toBe(k)
    // Equal pages all around do not bring it back into the trees either.
    addRange(a, [SHARED_CONTENT])
    host.ksm.scan(3)
    expect(child.pfn(q)).toBe(k)
    expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 1, mapping: { kind: 'ksm', id: 0 } })
    expectContent(child, q, SHARED_CONTENT)
    const [ofChild] = [...ksmOf(host).slots].filter(({ mm }) => mm === child)
    const checksum = Number(memoryOf(host).arena.checksum(k) & 0xffff_ffffn)
    expect(ksmOf(host).items.oldchecksum(ofChild!.rmapList), 'noted as for any page').toBe(checksum)
    child.write(q, Uint8Array.of(2))
    expect(child.pfn(q)).not.toBe(k)
    host.audit()
  })

  it('T0-11: what exits gives back every frame without a step of ksmd', async () => {
    const host = await makeHost({ index, frames: 600 })
    const contents = Array.from({ length: 200 }, (_, i) => i + 1)
    const guests = [1, 2].map((n) => host.createMm({ name: `guest ${n}` }))
    for (const guest of guests) addRange(guest, contents)
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 200, pages_sharing: 200 })
    expect(objectsOf(host).rmapItems).toBe(400)
    const free = host.frames.free
    const scanned = host.ksm.counters().pages_scanned
    for (const guest of guests) guest.exit()
    expect(host.frames.free - free).toBe(200)
    expect(host.ksm.counters().pages_scanned - scanned).toBe(0)
    // With a reference in the node each frame would have waited for ksmd to come by.
    const worstCaseMs = (items: number, pagesToScan: number, sleepMs: number): number =>
      Math.ceil(items / pagesToScan) * sleepMs
    expect(worstCaseMs(1_000_000, 100, 20)).toBe(200_000)
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(objectsOf(host).rmapItems).toBe(0)
    host.audit()
  })

  it('T0-6: a frame used again for an ordinary page of the same content is not taken for the merged one', async () => {
    const host = await makeHost({ index })
    const c = host.createMm({ name: 'C' })
    const r = addRange(c, [99])
    const { a, b, p, q, k } = sharePage(host)
    c.write(r, contentBytes(SHARED_CONTENT))
    host.ksm.scan(1) // notes the content of C's page
    moveToFrame(host, k, c, r, SHARED_CONTENT, () => {
      a.munmap(p, PAGE)
      b.munmap(q, PAGE)
    })
    expect(host.ksm.counters(), 'nobody has noticed yet').toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(3)
    host.ksm.scanPages(1) // C's page looks for its equal, and finds the dead node
    expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 1, mapping: { kind: 'anon' } })
    expectContent(c, r, SHARED_CONTENT)
    expect(host.ksm.counters(), 'the node has gone').toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(objectsOf(host).rmapItems).toBe(3)
    host.ksm.scan(1)
    expect(c.pfn(r)).toBe(k)
    host.audit()
  })

  it('T0-7: a frame used again by another node is stale for the first, and the second keeps its items', async () => {
    const host = await makeHost({ index })
    const c = host.createMm({ name: 'C' })
    const d = host.createMm({ name: 'D' })
    const [r, s] = [addRange(c, [98]), addRange(d, [99])]
    sharePage(host, 50) // at the top of a tree ordered by content: what follows do not meet each other
    const { a, b, p, q, k } = sharePage(host, 7)
    const first = nodeOf(host, k)
    c.write(r, contentBytes(60))
    d.write(s, contentBytes(60))
    host.ksm.scan(1)
    moveToFrame(host, k, d, s, 60, () => {
      a.munmap(p, PAGE)
      b.munmap(q, PAGE)
    })
    host.ksm.scanPages(2) // C and D
    const second = nodeOf(host, k)
    expect(second).not.toBe(first)
    expect(ksmOf(host).nodes.pfn(first), 'both nodes name the frame').toBe(k)
    expect(getKsmPage(ksmOf(host), first)).toBe(0)
    expect(itemsOf(ksmOf(host), second)).toHaveLength(2)
    expect([c.pfn(r), d.pfn(s)]).toEqual([k, k])
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 2, pages_sharing: 2 })
    expect(objectsOf(host).rmapItems).toBe(4)
    host.audit()
  })
})

/** Has `mm` write `content` at `address` into exactly the frame that `free` frees. */
function moveToFrame(
  host: Host,
  pfn: number,
  mm: Mm,
  address: number,
  content: number,
  free: () => void,
): void {
  const filler = useUpFrames(host)
  mm.madvise(address, PAGE, 'MADV_DONTNEED')
  filler.write(filler.mmap(PAGE), Uint8Array.of(1))
  free()
  mm.write(address, contentBytes(content))
  expect(mm.pfn(address), 'the very frame').toBe(pfn)
}
