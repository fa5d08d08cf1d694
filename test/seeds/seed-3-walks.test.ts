// Seed 3, the anon_vma's half: reverse walks that may sleep and overlap, while whoever links or unlinks is kept apart from
// them. pagefold has one engine thread and no locks; a walk reads the list in one go, before it visits anybody, and what a
// visitor unlinks meanwhile is passed over. So the semaphore of the list is modelled (test/support/rw-semaphore.ts), laid
// over the real lists, and must never have to wait.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import type { AnonVma } from '../../src/mm/model/anon-vma.ts'
import { anonVmaOf, getAnonVma, rmapWalk } from '../../src/mm/page/rmap.ts'
import { namesFreed, namesOf } from '../support/forest.ts'
import { memoryOf } from '../support/inside.ts'
import { always, atNotifiers, once } from '../support/races.ts'
import { lockForests, RwSemaphore } from '../support/rw-semaphore.ts'
import { sharedPair } from '../support/shared-pair.ts'
import { addRange, contentBytes, expectContent, makeHost, PAGE } from '../support/world.ts'

/** One page of a parent that `children` children map too. */
async function sharedByForks(
  children: number,
): Promise<{ host: Host; mms: Mm[]; at: number; anonVma: AnonVma }> {
  const host = await makeHost()
  host.swapOn(memorySwapStore(8))
  const parent = host.createMm({ name: 'parent' })
  const at = addRange(parent, [1], { mergeable: false })
  const mms = [parent, ...Array.from({ length: children }, (_, i) => parent.fork({ name: `child ${i}` }))]
  return { host, mms, at, anonVma: parent.vmas.at(at / PAGE)!.anonVma! }
}

describe('seed 3, walks', () => {
  it('T3-8 (3.5, 3.6): readers overlap, a writer is alone, and what is taken one way is given back that way', () => {
    const lock = new RwSemaphore()
    lock.downRead()
    lock.downRead()
    expect(() => lock.downWrite()).toThrow(/would wait/)
    // The patch of 2008 took i_mmap_sem for reading in try_to_unmap_file, and gave it back for writing.
    expect(() => lock.upWrite()).toThrow(/not taken so/)
    lock.upRead()
    lock.upRead()
    lock.downWrite()
    expect(() => lock.downRead()).toThrow(/would wait/)
    expect(() => lock.downWrite()).toThrow(/would wait/)
    expect(() => lock.upRead()).toThrow(/not taken so/)
    lock.upWrite()
    expect([lock.readers, lock.writer]).toEqual([0, false])
  })

  it('T3-8 (3.5, 3.6): walks only read the lists, forks and unmaps write; every mode taken is given back', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const locks = lockForests(host)
    const modes = (action: () => unknown): string[] => {
      locks.taken.length = 0
      action()
      return [...new Set(locks.taken.map(({ mode }) => mode))].sort()
    }
    const parent = host.createMm()
    const at = addRange(parent, [1, 2, 3])
    const stranger = host.createMm()
    addRange(stranger, [1])
    let child = parent
    expect(modes(() => (child = parent.fork()))).toContain('write')
    const lock = locks.of(parent.vmas.at(at / PAGE)!.anonVma!)
    const free = (): void => expect([lock.readers, lock.writer]).toEqual([0, false])
    free()
    expect(modes(() => host.migrate(parent.pfn(at)!, { node: 0 }))).toEqual(['read'])
    expect(modes(() => host.reclaim(parent.pfn(at + PAGE)!))).toEqual(['read'])
    expect(modes(() => parent.read(at + PAGE, 1))).toEqual([])
    expect(
      modes(() => host.ksm.scan(3)),
      'a merge knows where the page is mapped',
    ).toEqual([])
    expect(
      modes(() => host.migrate(parent.pfn(at)!, { node: 0 })),
      'a merged page',
    ).toEqual(['read'])
    expect(modes(() => child.munmap(at + PAGE, PAGE))).toContain('write')
    expect(modes(() => child.exit())).toEqual(['write'])
    free()
    host.audit()
  })

  it('T3-8 (3.5): two walks of one forest overlap', async () => {
    const { host, mms, at } = await sharedByForks(3)
    const [parent, , second] = mms as [Mm, Mm, Mm]
    second.write(at, contentBytes(2)) // a page of its own, in the same forest
    const inner = second.pfn(at)!
    const outer = parent.pfn(at)!
    let moved = 0
    atNotifiers(host, parent, {
      start: () => {
        if (moved === 0) moved = host.migrate(inner, { node: 0 })
      },
    })
    const movedOuter = host.migrate(outer, { node: 0 })
    expect(second.pfn(at)).toBe(moved)
    for (const mm of mms) {
      if (mm !== second) expect(mm.pfn(at)).toBe(movedOuter)
      expectContent(mm, at, mm === second ? 2 : 1)
    }
    host.audit()
  })

  it.each(['exit', 'munmap'] as const)(
    'T3-8 (3.5): what leaves by %s during a walk is not visited',
    async (how) => {
      const { host, mms, at } = await sharedByForks(3)
      const [parent, first, second, third] = mms as [Mm, Mm, Mm, Mm]
      const locks = lockForests(host)
      const pfn = parent.pfn(at)!
      const visited: string[] = []
      rmapWalk(memoryOf(host), pfn, (mm) => {
        visited.push(mm.name)
        if (mm === first) {
          if (how === 'exit') second.exit()
          else second.munmap(at, PAGE)
        }
        return true
      })
      expect(visited).toEqual([parent, first, third].map(({ name }) => name))
      expect(locks.taken.every(({ root }) => root === anonVmaOf(memoryOf(host), pfn)!.root.id)).toBe(true)
      atNotifiers(host, parent, { end: () => void (third.users > 0 && third.exit()) })
      expect(host.reclaim(pfn)).toBeUndefined()
      expectContent(parent, at, 1)
      host.audit()
    },
  )

  it.each(INDEX_NAMES)('T3-8 (3.5): nor is a mapping of a merged page (%s)', async (index) => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const child = a.fork({ name: 'child' })
    const visited: string[] = []
    rmapWalk(memoryOf(host), k, (mm) => {
      visited.push(mm.name)
      if (visited.length === 1) {
        child.munmap(p, PAGE)
        a.write(p, Uint8Array.of(1))
        host.ksm.scanPages(1) // takes A's item off the list
      }
      return true
    })
    expect(visited).toEqual(['B'])
    expect(b.pfn(q)).toBe(k)
    host.audit()
    // Among forks found through one item, too.
    const [one, two] = [b.fork({ name: 'one' }), b.fork({ name: 'two' })]
    visited.length = 0
    rmapWalk(memoryOf(host), k, (mm) => {
      visited.push(mm.name)
      if (mm === one) two.munmap(q, PAGE)
      return true
    })
    expect(visited).toEqual(['B', 'one'])
    host.audit()
  })

  it('3.1: one reference for being linked, one for each holder, free exactly at 0', async () => {
    const { host, mms, at, anonVma } = await sharedByForks(0)
    const [parent] = mms as [Mm]
    const freed = namesFreed(host, namesOf({ R: anonVma }))
    expect(anonVma.refcount).toBe(1)
    parent.munmap(at, PAGE)
    expect(freed).toEqual(['R'])
    const again = addRange(parent, [1, 2, 3], { mergeable: false })
    const other = parent.vmas.at(again / PAGE)!.anonVma!
    parent.mprotect(again + PAGE, PAGE, 'PROT_READ') // three vmas on one anon_vma
    expect([other.vmas.size, other.refcount]).toEqual([3, 1])
    const holder = getAnonVma(memoryOf(host), parent.pfn(again)!)!
    expect(holder).toBe(other)
    parent.munmap(again, 3 * PAGE)
    expect(other.refcount).toBe(1)
    memoryOf(host).anonVmas.put(other)
    expect(memoryOf(host).anonVmas.live).toBe(0)
  })

  it('3.2: nothing is had through a page that is not anonymous, merged, or mapped by nobody', async () => {
    const { host, k } = await sharedPair()
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm()
    const plain = addRange(mm, [1], { mergeable: false })
    const shared = mm.mmap(PAGE, { shared: true })
    mm.write(shared, Uint8Array.of(1))
    const references = (): number[] => [...memoryOf(host).anonVmas].map(({ refcount }) => refcount)
    const before = references()
    expect(getAnonVma(memoryOf(host), mm.pfn(shared)!), 'not anonymous').toBeUndefined()
    expect(getAnonVma(memoryOf(host), k), 'merged').toBeUndefined()
    const pfn = mm.pfn(plain)!
    const device = mm.get(plain, 1)
    expect(host.reclaim(pfn)).toBe('referenced')
    expect(getAnonVma(memoryOf(host), pfn), 'not mapped').toBeUndefined()
    expect(references()).toEqual(before)
    device.release()
    host.audit()
  })

  it('3.3: an anon_vma is let go only when nobody has its list in hand', async () => {
    const { host, mms, at, anonVma } = await sharedByForks(2)
    const locks = lockForests(host)
    const held: unknown[] = []
    memoryOf(host).anonVmas.onFree = ({ root }) => {
      const lock = root === anonVma && root.refcount === 0 ? undefined : locks.of(root)
      held.push([lock?.readers ?? 0, lock?.writer ?? false])
    }
    const pfn = mms[0]!.pfn(at)!
    once(host, 'migration: after freeze', () => {
      for (const mm of mms) mm.exit()
    })
    host.migrate(pfn, { node: 0 })
    expect(held).toEqual([
      [0, false],
      [0, false],
      [0, false],
    ])
    expect(memoryOf(host).anonVmas.live).toBe(0)
  })

  it('3.7: a walk runs through: nobody gets to act between two of its visits', async () => {
    const { host, mms, at } = await sharedByForks(20)
    const pfn = mms[0]!.pfn(at)!
    let visits = 0
    const pointsDuring: string[] = []
    for (const mm of mms) mm.registerNotifier({ invalidateRangeEnd: () => void visits++ })
    always(host, (point) => {
      if (visits > 0 && visits < mms.length) pointsDuring.push(point)
    })
    host.migrate(pfn, { node: 0 })
    expect(visits).toBe(mms.length)
    expect(pointsDuring).toEqual([])
  })

  it('T3-7 (3.4): a migration holds its anon_vma to the end, whose last vma goes meanwhile', async () => {
    const emptied = async (mutant?: (host: Host) => void): Promise<void> => {
      const { host, mms, at, anonVma } = await sharedByForks(0)
      const [parent] = mms as [Mm]
      const freed = namesFreed(host, namesOf({ R: anonVma }))
      const pfn = parent.pfn(at)!
      const free = host.frames.free
      mutant?.(host)
      const counts: number[] = []
      always(host, (point) => {
        if (!point.startsWith('migration')) return
        if (counts.length === 0) parent.munmap(at, PAGE)
        counts.push(anonVma.refcount)
        expect(freed, 'not before the end').toEqual([])
      })
      host.migrate(pfn, { node: 0 })
      expect(counts, 'never 0').toEqual([1, 1])
      expect(freed).toEqual(['R'])
      expect(anonVma.refcount).toBe(0)
      expect(host.frames.free, 'nobody took either page').toBe(free + 1)
      host.audit()
    }
    await emptied()
    // Before: nobody held it, and at the end the emptied one was counted up from 0.
    await expect(
      emptied((host) => {
        memoryOf(host).anonVmas.get = () => {}
      }),
    ).rejects.toThrow(/not before the end/)
  })
})
