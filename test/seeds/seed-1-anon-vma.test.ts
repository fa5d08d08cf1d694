// Seed 1: an anon_vma that a merged page's item, or a migration, still holds may outlive every process; its root, where
// the lock of its whole forest lies, must outlive it. So every member holds a reference on the root from its first day to
// its last. The older ways of counting that this replaced are compared with it in seed-1-schemes.test.ts.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import type { AnonVma } from '../../src/mm/model/anon-vma.ts'
import { getAnonVma } from '../../src/mm/page/rmap.ts'
import { type Forest, forest, namesFreed, namesOf, permutations } from '../support/forest.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { once } from '../support/races.ts'
import { addRange, contentBytes, expectContent, makeHost, PAGE } from '../support/world.ts'

type Mutant = (host: Host) => void

/** What was posted first: no reference on the root. */
const forkTakesNoReference: Mutant = (host) => {
  const { anonVmas } = memoryOf(host)
  const fork = anonVmas.fork.bind(anonVmas)
  anonVmas.fork = (vma, parentVma) => {
    const live = anonVmas.live
    fork(vma, parentVma)
    if (anonVmas.live > live) vma.anonVma!.root.refcount--
  }
}

/** What was posted next: the root drops a reference on itself that it never took. */
const rootDropsItself: Mutant = (host) => {
  const { anonVmas } = memoryOf(host)
  const put = anonVmas.put.bind(anonVmas)
  anonVmas.put = (anonVma) => {
    const last = anonVma.refcount === 1
    put(anonVma)
    if (last && anonVma.root === anonVma) put(anonVma.root)
  }
}

const migrationTakesNoReference: Mutant = (host) => {
  memoryOf(host).anonVmas.get = () => {}
}

const vmaOf = (mm: Mm, address: number) => mm.vmas.at(address / PAGE)!

/** A process with one written page, and a guest outside the forest whose page of the same content waits to be shared. */
async function familyAndStranger(options: { index: (typeof INDEX_NAMES)[number] }, mutant?: Mutant) {
  const host = await makeHost(options)
  const stranger = host.createMm({ name: 'stranger' })
  addRange(stranger, [7])
  mutant?.(host)
  const parent = host.createMm({ name: 'P' })
  const at = addRange(parent, [1], { mergeable: false })
  return { host, parent, at }
}

/** Has a process write the shared content to its page and ksmd merge it with the stranger's. */
function merge(host: Host, mm: Mm, at: number): void {
  mm.write(at, contentBytes(7))
  mm.madvise(at, PAGE, 'MADV_MERGEABLE')
  host.ksm.scan(2)
  expect(host.frame(mm.pfn(at)!).mapping!.kind).toBe('ksm')
}

describe('a fork fills the anon_vma of one that is gone', () => {
  it.each([
    [1, true],
    [2, false],
  ])('if that has at most one child: with %i, %s', async (children, reused) => {
    const { host, parent, at } = await familyAndStranger({ index: 'hash' })
    const middle = parent.fork({ name: 'M' })
    const left = vmaOf(middle, at).anonVma!
    const kept = Array.from({ length: children }, (_, i) => middle.fork({ name: `C${i}` }))
    middle.exit()
    expect([left.numChildren, left.numActiveVmas]).toEqual([children, 0])
    const grandchild = kept[0]!.fork({ name: 'G' })
    expect(vmaOf(grandchild, at).anonVma === left).toBe(reused)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('seed 1, trees ordered by %s', (index) => {
  it('T1-1 (1.1, 1.2, 1.3, 1.4, 1.10): the root outlives a child that only an item still holds', async () => {
    const { host, parent, at } = await familyAndStranger({ index })
    const names = namesOf({ R: vmaOf(parent, at).anonVma! })
    const freed = namesFreed(host, names)
    const root = vmaOf(parent, at).anonVma!
    expect(root.refcount).toBe(1)
    const child = parent.fork({ name: 'C' })
    const a = vmaOf(child, at).anonVma!
    names.set(a, 'a')
    expect([a.refcount, root.refcount], 'after fork').toEqual([1, 2])
    merge(host, child, at)
    expect([a.refcount, root.refcount], 'held by an item').toEqual([2, 2])
    child.exit()
    expect([a.refcount, root.refcount], 'C has exited').toEqual([1, 2])
    parent.exit()
    expect([a.refcount, root.refcount], 'P has exited').toEqual([1, 1])
    expect(freed).toEqual([])
    host.ksm.scan(1)
    expect(freed).toEqual(['a', 'R'])
    host.audit()
    for (const mm of memoryOf(host).mms()) (mm as Mm).exit()
    host.ksm.scan(1)
    expect(memoryOf(host).anonVmas.live).toBe(0)
    host.audit()
  })

  it('T1-2: without the reference the late drop trips over the freed root', async () => {
    const lateDrop = async (mutant?: Mutant): Promise<void> => {
      const { host, parent, at } = await familyAndStranger({ index }, mutant)
      const child = parent.fork()
      merge(host, child, at)
      child.exit()
      parent.exit()
      host.ksm.scan(1)
    }
    await lateDrop()
    await expect(lateDrop(forkTakesNoReference)).rejects.toThrow(/used after it was freed/)
  })

  it('T1-3 (1.2): a migration holds its anon_vma, and through it the root, while everybody exits', async () => {
    const allExitDuringMove = async (mutant?: Mutant): Promise<void> => {
      const { host, parent, at } = await familyAndStranger({ index })
      const root = vmaOf(parent, at).anonVma!
      const child = parent.fork()
      const a = vmaOf(child, at).anonVma!
      child.write(at, contentBytes(2))
      const freed = namesFreed(host, namesOf({ R: root, a }))
      const pfn = child.pfn(at)!
      const free = host.frames.free
      const frames = host.frame(parent.pfn(at)!).refcount
      mutant?.(host)
      once(host, 'migration: after freeze', () => {
        expect(a.refcount, 'linked, and held').toBe(2)
        child.exit()
        parent.exit()
        expect([a.refcount, root.refcount]).toEqual([1, 1])
        expect(freed, 'during the move').toEqual([])
      })
      host.migrate(pfn, { node: 0 })
      expect(freed).toEqual(['a', 'R'])
      expect(host.frames.free).toBe(free + 1 + frames)
      host.audit()
    }
    await allExitDuringMove()
    await expect(allExitDuringMove(migrationTakesNoReference)).rejects.toThrow(/linked, and held/)
  })

  it('T1-4 (1.1, 1.4, 1.7): three generations, every order of exits, the item dropped at any time', async () => {
    const orders = permutations(['P', 'C', 'G'] as const)
    expect(orders).toHaveLength(6)
    for (const order of orders) {
      for (let dropAt = 0; dropAt <= 3; dropAt++) {
        const family = await threeGenerations(index)
        const { host, freed, mms, drop } = family
        order.forEach((name, i) => {
          if (i === dropAt) drop()
          mms[name].exit()
        })
        if (dropAt === 3) drop()
        const what = `${order.join('')}, drop at ${dropAt}: ${freed.join('')}`
        expect([...freed].sort(), what).toEqual(['R', 'a', 'b'])
        expect(freed.at(-1), what).toBe('R')
        expect(memoryOf(host).anonVmas.live, what).toBe(1) // the stranger's
        host.audit()
      }
    }
  })

  it('T1-5 (1.5): an item on the root itself: down to 0, not below, and freed once', async () => {
    const rootHeld = async (mutant?: Mutant): Promise<void> => {
      const { host, parent, at } = await familyAndStranger({ index }, mutant)
      const root = vmaOf(parent, at).anonVma!
      const freed = namesFreed(host, namesOf({ R: root }))
      merge(host, parent, at)
      expect(root.refcount).toBe(2)
      parent.exit()
      expect(root.refcount).toBe(1)
      host.ksm.scan(1)
      expect(root.refcount).toBe(0)
      expect(freed).toEqual(['R'])
      host.audit()
    }
    await rootHeld()
    await expect(rootHeld(rootDropsItself)).rejects.toThrow(/used after it was freed/)
  })

  it('1.6: what is emptied is decided for all before the first is freed', async () => {
    const { host, parent, at } = await familyAndStranger({ index })
    const grandchild = parent.fork().fork()
    const vma = vmaOf(grandchild, at)
    const chain = [...vma.anonVmaChain]
    expect(chain).toHaveLength(3)
    const seen: unknown[] = []
    memoryOf(host).anonVmas.onFree = (anonVma) => {
      seen.push({
        id: anonVma.id,
        linked: chain.filter(({ vmas }) => vmas.has(vma)).length,
        users: anonVma.vmas.size,
      })
    }
    grandchild.exit()
    expect(seen).toEqual([{ id: chain[2]!.id, linked: 0, users: 0 }])
  })

  it('1.7: without any other reference they go newest first', async () => {
    const { host, parent, at } = await familyAndStranger({ index })
    const child = parent.fork()
    const grandchild = child.fork()
    const [R, a, b] = [parent, child, grandchild].map((mm) => vmaOf(mm, at).anonVma!) as [
      AnonVma,
      AnonVma,
      AnonVma,
    ]
    const freed = namesFreed(host, namesOf({ R, a, b }))
    parent.exit()
    child.exit()
    expect(freed, 'the grandchild may still map their pages').toEqual([])
    grandchild.exit()
    expect(freed).toEqual(['b', 'a', 'R'])
  })

  it('1.9: an anon_vma is had only through a page that is mapped', async () => {
    const host = await makeHost({ index })
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const at = addRange(mm, [1], { mergeable: false })
    const pfn = mm.pfn(at)!
    const device = mm.get(at, 1)
    const anonVma = getAnonVma(memoryOf(host), pfn)!
    expect(anonVma.refcount).toBe(2)
    memoryOf(host).anonVmas.put(anonVma)
    mm.exit()
    // The device still has the page, whose mapping names what is no more.
    expect(host.frame(pfn)).toMatchObject({
      refcount: 1,
      mapcount: 0,
      mapping: { kind: 'anon', id: anonVma.id },
    })
    expect(getAnonVma(memoryOf(host), pfn)).toBeUndefined()
    expect(anonVma.refcount).toBe(0)
    expect(() => memoryOf(host).anonVmas.get(anonVma)).toThrow(/used after it was freed/)
    expect(() => host.migrate(pfn, { node: 0 })).toThrow(/EAGAIN/)
    expect(host.reclaim(pfn)).toBe('referenced')
    host.memoryFailure(pfn)
    device.release()
    expect(memoryOf(host).swap.usage.used).toBe(0)
    host.audit()
  })

  it('T1-8: an anon_vma that nobody fills is filled again, and takes no second reference on the root', async () => {
    const { host, parent, at } = await familyAndStranger({ index })
    const root = vmaOf(parent, at).anonVma!
    const child = parent.fork()
    const a = vmaOf(child, at).anonVma!
    const grandchild = child.fork()
    const b = vmaOf(grandchild, at).anonVma!
    expect([root.refcount, a.numChildren, a.numActiveVmas]).toEqual([3, 1, 1])
    child.exit()
    expect([a.numChildren, a.numActiveVmas]).toEqual([1, 0])
    const next = grandchild.fork()
    expect(vmaOf(next, at).anonVma).toBe(a)
    expect([root.refcount, a.refcount, b.refcount]).toEqual([3, 1, 1])
    expect(memoryOf(host).anonVmas.live).toBe(4)
    host.audit()
    const freed = namesFreed(host, namesOf({ R: root, a, b }))
    for (const mm of [parent, grandchild, next]) mm.exit()
    expect(freed.at(-1)).toBe('R')
    expect([...freed].sort()).toEqual(['R', 'a', 'b'])
    host.audit()
  })
})

/** P -> C -> G, and one merged page of G's own. `drop` has ksmd drop its item, whether or not G still lives. */
async function threeGenerations(index: (typeof INDEX_NAMES)[number]): Promise<Forest> {
  const { host, parent, at } = await familyAndStranger({ index })
  const family = forest(host, parent, at)
  const { R, a, b } = family.anonVmas
  expect([R.refcount, a.refcount, b.refcount]).toEqual([3, 1, 1])
  const grandchild = family.mms.G
  merge(host, grandchild, at)
  expect([R.refcount, a.refcount, b.refcount]).toEqual([3, 1, 2])
  expect([...ksmOf(host).slots]).toHaveLength(2)
  return {
    ...family,
    drop: () => {
      if (grandchild.users > 0) {
        grandchild.write(at, contentBytes(3))
        expectContent(grandchild, at, 3)
      }
      host.ksm.scan(1)
    },
  }
}
