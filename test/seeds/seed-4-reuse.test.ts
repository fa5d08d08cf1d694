// Seed 4: a merged page that a single pte maps is turned back into an ordinary one when it is written to, instead of
// being copied. Linux did so from 5.1 to 5.8; here it is a policy, off by default. Numbers are those of
// docs/seed-systems.md.

import { describe, expect, it } from 'vitest'
import {
  FRAME_LOCKED,
  MAPPING_ANON,
  MAPPING_KSM,
  MAPPING_TAG,
  PTE_DIRTY,
  PTE_WRITE,
  ZERO_PFN,
} from '../../assembly/abi.ts'
import { Host, INDEX_NAMES, type IndexName, memorySwapStore } from '../../src/index.ts'
import { canReuse, reuseKsmPage } from '../../src/mm/fault/cow.ts'
import { unmapToSwap } from '../../src/mm/reclaim/unmap-page.ts'
import { ksmOf, memoryOf, objectsOf, pteOf, vpnOf } from '../support/inside.ts'
import {
  byteAt,
  contentBytes,
  counted,
  type Guest,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

/** A and B share K, then B unmaps: one pte maps it, one item too many is counted. */
async function oneUserLeft(reuseKsm: boolean, index: IndexName = 'hash') {
  const host = await makeHost({ reuseKsm, index })
  const a = guest(host, 'a', [7])
  // At another address, so that K's index is not A's: the frame of the page scanned second survives.
  const { mm, at } = guest(host, 'b', [undefined, 7])
  const b = { mm, at: at + PAGE }
  host.ksm.scan(2)
  expect(counted(host)).toEqual([1, 1, 0, 0])
  const k = a.mm.pfn(a.at)!
  expect(b.mm.pfn(b.at)).toBe(k)
  b.mm.munmap(b.at, PAGE)
  expect(host.frame(k)).toMatchObject({ mapcount: 1, refcount: 1, mapping: { kind: 'ksm' } })
  const removed: number[] = []
  host.on('ksm_remove_ksm_page', ({ pfn }) => removed.push(pfn))
  return { host, a, b, k, removed }
}

function expectCopied({ host, a, k }: { host: Host; a: Guest; k: number }): void {
  pokeByte(a.mm, a.at, 9)
  expect(a.mm.pfn(a.at)).not.toBe(k)
  expect(host.vmstat().cow_ksm).toBe(1)
  expect(a.mm.read(a.at, 2)).toEqual(Uint8Array.of(9, contentBytes(7)[1]!))
}

function expectReused({ host, a, k }: { host: Host; a: Guest; k: number }): void {
  pokeByte(a.mm, a.at, 9)
  expect(a.mm.pfn(a.at)).toBe(k)
  expect(host.vmstat().cow_ksm).toBe(0)
  expect(host.frame(k)).toMatchObject({
    mapcount: 1,
    refcount: 1,
    mapping: { kind: 'anon', id: a.mm.vmas.at(vpnOf(a.at))!.anonVma!.id },
    index: vpnOf(a.at),
  })
  expect(pteOf(a.mm, a.at) & (PTE_WRITE | PTE_DIRTY)).toBe(PTE_WRITE | PTE_DIRTY)
}

describe('the policy', () => {
  it('4.1: is off unless asked for, and can be seen', async () => {
    expect((await Host.create({ frames: 8 })).policy).toMatchObject({ reuseKsm: false })
    expect((await Host.create({ frames: 8, reuseKsm: true })).policy).toMatchObject({ reuseKsm: true })
    await expect(Host.create({ frames: 8, reuseKsm: 1 as never })).rejects.toThrow(TypeError)
  })

  it.each(['anon_exclusive', 'page_count', 'mapcount+swapcount'] as const)(
    '4.1: has nothing to do with the COW policy: %s',
    async (cowPolicy) => {
      for (const reuseKsm of [false, true]) {
        const host = await makeHost({ reuseKsm, cowPolicy })
        const { mm, at } = guest(host, 'a', [7, 7])
        host.ksm.scan(2)
        mm.munmap(at + PAGE, PAGE)
        const k = mm.pfn(at)!
        pokeByte(mm, at, 9)
        expect(mm.pfn(at) === k).toBe(reuseKsm)
        host.audit()
      }
    },
  )
})

describe.each(INDEX_NAMES)('index %s', (index) => {
  it('T4-1, 4.2, off: a write copies, and the merged page is free', async () => {
    const scene = await oneUserLeft(false, index)
    const free = scene.host.frames.free
    expectCopied(scene)
    expect(scene.host.frame(scene.k)).toMatchObject({ refcount: 0, mapcount: 0, mapping: undefined })
    expect(scene.host.frames.free).toBe(free)
    expect(counted(scene.host), 'lazy').toEqual([1, 1, 0, 0])
    scene.host.audit()
  })

  it('4.2, off: while others map it, only the mapcount falls', async () => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [7, 7, 7])
    host.ksm.scan(2)
    const k = mm.pfn(at)!
    for (const [page, mapcount] of [2, 1, 0].entries()) {
      pokeByte(mm, at + page * PAGE, 9)
      expect(mm.pfn(at + page * PAGE)).not.toBe(k)
      expect(host.frame(k)).toMatchObject({ mapcount, refcount: mapcount })
      expect(host.vmstat().cow_ksm).toBe(page + 1)
    }
    host.audit()
  })

  it('T4-2, 4.3, 4.5, on: the page itself becomes an ordinary one; counters say so at the next visit', async () => {
    const scene = await oneUserLeft(true, index)
    const { host, k, removed } = scene
    expectReused(scene)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(host.metadata().stableNodes, 'the node is still in the tree').toBeGreaterThan(0)
    expect(objectsOf(host).stableNodes).toBe(1)
    host.audit()
    host.ksm.scan(1)
    expect(removed).toEqual([k])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(objectsOf(host).stableNodes).toBe(0)
    expect(host.frame(k), 'not freed').toMatchObject({ refcount: 1, mapcount: 1, mapping: { kind: 'anon' } })
    host.audit()
  })

  it('T4-2, on: or when a search for its content passes the node', async () => {
    // C is registered first, so it is visited before A.
    const host = await makeHost({ reuseKsm: true, index })
    const c = guest(host, 'c', [undefined])
    const a = guest(host, 'a', [7])
    const b = guest(host, 'b', [7])
    host.ksm.scan(2)
    b.mm.munmap(b.at, PAGE)
    const k = a.mm.pfn(a.at)!
    c.mm.write(c.at, contentBytes(7))
    host.ksm.scan(1)
    const removedAt: (string | undefined)[] = []
    host.on('ksm_remove_ksm_page', () => removedAt.push(ksmOf(host).cursor.slot.mm?.name))
    expectReused({ host, a, k })
    host.ksm.scan(1)
    expect(removedAt).toEqual(['c'])
    expect(c.mm.pfn(c.at)).not.toBe(k)
    expect([byteAt(a.mm, a.at), byteAt(c.mm, c.at)]).toEqual([9, 7])
    host.audit()
  })

  it('4.6, on: the reused page may merge again, two visits later', async () => {
    const scene = await oneUserLeft(true, index)
    const { host, a } = scene
    expectReused(scene)
    a.mm.write(a.at, contentBytes(8))
    const other = guest(host, 'c', [8])
    const merged: number[] = []
    for (let scan = 1; scan <= 3; scan++) {
      host.ksm.scan(1)
      if (scan === 1) expect(counted(host), 'its item is volatile').toEqual([0, 0, 0, 2])
      if (a.mm.pfn(a.at) === other.mm.pfn(other.at)) merged.push(scan)
    }
    expect(merged[0]).toBe(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })

  it('T4-6, on: the keyhole, asked while the page is frozen, takes it for gone', async () => {
    const { host, a, k, removed } = await oneUserLeft(true, index)
    const c = guest(host, 'c', [7])
    host.ksm.scan(1) // C's checksum is known: at its next visit it wants to join K
    const states: unknown[] = []
    memoryOf(host).race = (point) => {
      if (point !== 'reuse: after freeze') return
      memoryOf(host).race = undefined
      const { refcount, mapping } = host.frame(k)
      states.push(refcount, mapping?.kind)
      host.ksm.scan(1)
    }
    pokeByte(a.mm, a.at, 9)
    expect(states).toEqual([0, 'ksm'])
    expect(removed).toEqual([k])
    expect(a.mm.pfn(a.at)).toBe(k)
    expect(c.mm.pfn(c.at)).not.toBe(k)
    expect(byteAt(c.mm, c.at)).toBe(7)
    expect(byteAt(a.mm, a.at)).toBe(9)
    host.audit()
    host.ksm.scan(3)
    expect(c.mm.pfn(c.at)).not.toBe(k)
    expect(byteAt(c.mm, c.at)).toBe(7)
    host.audit()
  })

  it('T4-6, on: held by the keyhole before it is frozen, the page is copied', async () => {
    const { host, a, k } = await oneUserLeft(true, index)
    const { frames } = memoryOf(host)
    memoryOf(host).race = (point) => {
      if (point === 'reuse: before freeze') expect(frames.tryGet(k)).toBe(true)
    }
    expectCopied({ host, a, k })
    memoryOf(host).race = undefined
    expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 0, mapping: { kind: 'ksm' } })
    frames.put(k)
    expect(host.frame(k).refcount).toBe(0)
    host.audit()
  })

  it.each(['keyhole: after first check', 'keyhole: after get'] as const)(
    'T4-6, on: A writes while ksmd is at "%s": nobody else sees it',
    async (place) => {
      const { host, a, k } = await oneUserLeft(true, index)
      const c = guest(host, 'c', [7])
      host.ksm.scan(1)
      // A has to be past when C is visited: C's search is the one that peeps.
      let reused: boolean | undefined
      memoryOf(host).race = (point) => {
        if (point !== place || reused !== undefined) return
        pokeByte(a.mm, a.at, 9)
        reused = a.mm.pfn(a.at) === k
      }
      host.ksm.scan(1)
      memoryOf(host).race = undefined
      // Before ksmd has its reference the page can be reused; after, it is copied.
      expect(reused).toBe(place === 'keyhole: after first check')
      expect([byteAt(a.mm, a.at), byteAt(c.mm, c.at)]).toEqual([9, 7])
      expect(a.mm.pfn(a.at)).not.toBe(c.mm.pfn(c.at))
      host.audit()
      host.ksm.scan(3)
      expect([byteAt(a.mm, a.at), byteAt(c.mm, c.at)]).toEqual([9, 7])
      host.audit()
    },
  )

  it('T4-8: after a fork the first writer copies, the second reuses if that is on', async () => {
    for (const reuseKsm of [false, true]) {
      const { host, a, k } = await oneUserLeft(reuseKsm, index)
      const child = a.mm.fork({ name: 'child' })
      expect(host.frame(k).mapcount).toBe(2)
      pokeByte(child, a.at, 5)
      expect(child.pfn(a.at)).not.toBe(k)
      expect(host.vmstat().cow_ksm).toBe(1)
      pokeByte(a.mm, a.at, 9)
      expect(a.mm.pfn(a.at) === k).toBe(reuseKsm)
      expect(host.vmstat().cow_ksm).toBe(reuseKsm ? 1 : 2)
      expect([byteAt(child, a.at), byteAt(a.mm, a.at)]).toEqual([5, 9])
      host.audit()
      host.ksm.scan(2)
      host.audit()
    }
  })
})

describe('4.7, on: never', () => {
  it('T4-3: with an extra reference', async () => {
    const scene = await oneUserLeft(true)
    const device = scene.a.mm.get(scene.a.at, PAGE)
    expectCopied(scene)
    expect(device.read(0, 1), 'the device keeps what it had').toEqual(Uint8Array.of(7))
    device.release()
    expect(scene.host.frame(scene.k).refcount).toBe(0)
    scene.host.audit()
  })

  it('T4-4: in the swap cache', async () => {
    const scene = await oneUserLeft(true)
    const { host, a, k } = scene
    host.swapOn(memorySwapStore(4))
    const entry = memoryOf(host).swap.addToCache(k)!
    unmapToSwap(memoryOf(host), k, entry)
    byteAt(a.mm, a.at) // mapped again, still in the cache if it is merged
    memoryOf(host).swap.tryToFree(k)
    memoryOf(host).swap.addToCache(k)
    expect(host.frame(k)).toMatchObject({ mapcount: 1, mapping: { kind: 'ksm' } })
    expect(host.frame(k).flags).toContain('swapcache')
    expectCopied(scene)
    host.audit()
  })

  it('with two mappings', async () => {
    const host = await makeHost({ reuseKsm: true })
    const a = guest(host, 'a', [7])
    const b = guest(host, 'b', [7])
    host.ksm.scan(2)
    expectCopied({ host, a, k: a.mm.pfn(a.at)! })
    expect(byteAt(b.mm, b.at)).toBe(7)
  })

  it.each(['merge: between the two halves', 'merge: before stable insert'] as const)(
    'T4-5: without a node, at "%s"',
    async (point) => {
      const host = await makeHost({ reuseKsm: true })
      const a = guest(host, 'a', [7])
      const b = guest(host, 'b', [7])
      const seen: unknown[] = []
      memoryOf(host).race = (reached) => {
        if (reached !== point) return
        memoryOf(host).race = undefined
        // The scanned page is B's: it is merged, but in no tree yet.
        const k = b.mm.pfn(b.at)!
        expect(memoryOf(host).frames.mapping(k)).toBe(MAPPING_KSM)
        seen.push(host.vmstat().cow_ksm)
        pokeByte(b.mm, b.at, 9)
        seen.push(host.vmstat().cow_ksm, b.mm.pfn(b.at) === k)
      }
      host.ksm.scan(2)
      expect(seen).toEqual([0, 1, false])
      expect([byteAt(a.mm, a.at), byteAt(b.mm, b.at)]).toEqual([7, 9])
      host.ksm.scan(1)
      host.audit()
    },
  )

  it('T4-5: without a node, even if nobody else holds it: the rule itself', async () => {
    const { host, a, k } = await oneUserLeft(true)
    const { frames } = memoryOf(host)
    const key = frames.mapping(k)
    frames.setMapping(k, MAPPING_KSM)
    expectCopied({ host, a, k })
    expect(host.warnings()).toEqual([])
    expect(key & MAPPING_TAG).toBe(MAPPING_KSM)
  })

  it('for a device that reads: it holds a copy, whatever is left of the merged page', async () => {
    const { host, a, k } = await oneUserLeft(true)
    const pin = a.mm.pin(a.at, PAGE)
    expect(a.mm.pfn(a.at)).not.toBe(k)
    expect(host.frame(k).refcount).toBe(0)
    pokeByte(a.mm, a.at, 9)
    expect(pin.read(0, 1)).toEqual(Uint8Array.of(9))
    pin.release()
    host.audit()
  })

  it('while somebody holds the page lock', async () => {
    const scene = await oneUserLeft(true)
    memoryOf(scene.host).frames.setFlag(scene.k, FRAME_LOCKED)
    expectCopied(scene)
  })
})

describe('4.3: the rules, in their order', () => {
  it('references are counted before the lock, swapcache and node are asked before the freeze', async () => {
    const { host, a, k } = await oneUserLeft(true)
    const { frames } = memoryOf(host)
    const vma = a.mm.vmas.at(vpnOf(a.at))!
    const points: string[] = []
    memoryOf(host).race = (point) => points.push(`${point}, locked ${frames.hasFlag(k, FRAME_LOCKED)}`)
    host.swapOn(memorySwapStore(4))
    memoryOf(host).swap.addToCache(k)
    frames.setFlag(k, FRAME_LOCKED)
    // Rule 4 says no before the freeze is tried.
    expect(reuseKsmPage(memoryOf(host), vma, vpnOf(a.at), k)).toBe(false)
    expect(points).toEqual([])
    memoryOf(host).swap.tryToFree(k)
    const device = a.mm.get(a.at, 1)
    // Rule 5 says no: the freeze finds two references.
    expect(reuseKsmPage(memoryOf(host), vma, vpnOf(a.at), k)).toBe(false)
    expect(points).toEqual(['reuse: before freeze, locked true'])
    expect(host.frame(k).refcount).toBe(2)
    frames.clearFlag(k, FRAME_LOCKED)
    points.length = 0
    // Rule 1 says no before the lock is taken.
    expect(canReuse(a.mm, vma, vpnOf(a.at), k)).toBe(false)
    expect(points.filter((point) => point.startsWith('reuse'))).toEqual([])
    device.release()
    points.length = 0
    pokeByte(a.mm, a.at, 9)
    expect(points).toEqual(['reuse: before freeze, locked true', 'reuse: after freeze, locked true'])
    expect(host.frame(k).flags).not.toContain('locked')
    expect(frames.mapping(k) & MAPPING_TAG).toBe(MAPPING_ANON)
  })
})

describe('T4-7, 4.4: debug conditions', () => {
  it('warn with a dump of the frame, refuse, and change nothing', async () => {
    const { host, a, k } = await oneUserLeft(true)
    const { frames } = memoryOf(host)
    const vma = a.mm.vmas.at(vpnOf(a.at))!
    const unmapped = frames.alloc()
    frames.setMapping(unmapped, MAPPING_KSM)
    frames.setFlag(unmapped, FRAME_LOCKED)
    const violations: [name: RegExp, pfn: number][] = [
      [
        /unlocked page: frame \d+, refcount 1, mapcount 1, mapping 0x[0-9a-f]+, index 0x[0-9a-f]+, flags 0x/,
        k,
      ],
      [/unmapped page: frame \d+, refcount 1, mapcount 0/, unmapped],
      [/zero page: frame 1, refcount 1/, ZERO_PFN],
    ]
    const image = (): Uint8Array => memoryOf(host).arena.u8.slice(0, memoryOf(host).arena.endPfn * PAGE)
    for (const [i, [message, pfn]] of violations.entries()) {
      const before = image()
      expect(reuseKsmPage(memoryOf(host), vma, vpnOf(a.at), pfn)).toBe(false)
      expect(host.warnings()).toHaveLength(i + 1)
      expect(host.warnings()[i]).toMatch(message)
      expect(Buffer.compare(image(), before), 'bit for bit').toBe(0)
    }
    frames.clearFlag(unmapped, FRAME_LOCKED)
    frames.put(unmapped)
    // The model lives on.
    pokeByte(a.mm, a.at, 9)
    expect(a.mm.pfn(a.at)).toBe(k)
    host.audit()
  })
})
