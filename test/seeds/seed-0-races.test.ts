// Seed 0, where somebody else acts in the middle of a peep: the frame is freed and used again, frozen, or its page moves
// away.

import { describe, expect, it } from 'vitest'
import { FRAME_LOCKED } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { BUSY, getKsmPage, type PageLock } from '../../src/ksm/keyhole.ts'
import { anonMapping } from '../../src/mm/page/rmap.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { ksmOf, memoryOf, nodeOf, objectsOf } from '../support/inside.ts'
import { always, once } from '../support/races.ts'
import { type Pair, SHARED_CONTENT, sharedPair, sharePage } from '../support/shared-pair.ts'
import { addRange, contentBytes, expectContent, makeHost, PAGE, useUpFrames } from '../support/world.ts'

/** Looks through a node's keyhole and lets go at once. */
function peep(host: Host, node: number, lock?: PageLock): number {
  const pfn = getKsmPage(ksmOf(host), node, lock)
  if (pfn > 0) memoryOf(host).frames.put(pfn)
  return pfn
}

/** Puts K into the swap cache, where it stays mapped by nobody. */
function swapCached({ host, a, p, k }: Pair): void {
  host.swapOn(memorySwapStore(8))
  const held = a.get(p, 1)
  expect(host.reclaim(k)).toBe('referenced')
  held.release()
  expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 0 })
}

describe.each(INDEX_NAMES)('seed 0 under races, trees ordered by %s', (index) => {
  it('0.4: peeps in order: the key, a reference, the key again, and with the lock a third time', async () => {
    const { host, k } = await sharedPair({ index })
    const node = nodeOf(host, k)
    const { frames } = memoryOf(host)
    const steps: string[] = []
    const mapping = frames.mapping.bind(frames)
    const tryGet = frames.tryGet.bind(frames)
    const hasFlag = frames.hasFlag.bind(frames)
    const put = frames.put.bind(frames)
    frames.mapping = (pfn) => {
      steps.push('key')
      return mapping(pfn)
    }
    frames.tryGet = (pfn) => {
      steps.push('get')
      return tryGet(pfn)
    }
    frames.hasFlag = (pfn, flag) => {
      if (flag === FRAME_LOCKED) steps.push('lock')
      return hasFlag(pfn, flag)
    }
    frames.put = (pfn) => {
      steps.push('put')
      put(pfn)
    }
    const stepsOf = (lock: PageLock): string[] => {
      steps.length = 0
      getKsmPage(ksmOf(host), node, lock)
      const taken = [...steps]
      put(k)
      return taken
    }
    expect(stepsOf('nolock')).toEqual(['key', 'get', 'key'])
    expect(stepsOf('trylock')).toEqual(['key', 'get', 'key', 'lock', 'key'])
    frames.setFlag(k, FRAME_LOCKED)
    steps.length = 0
    expect(getKsmPage(ksmOf(host), node, 'trylock')).toBe(BUSY)
    expect(steps, 'what was taken is given back').toEqual(['key', 'get', 'key', 'lock', 'put'])
    frames.clearFlag(k, FRAME_LOCKED)
    expect(frames.refcount(k)).toBe(2)
  })

  it('T0-8 (0.4): freed and used again between check and reference: the new owner keeps its count', async () => {
    const reused = async (mutant?: (host: Host, k: number, key: number) => void): Promise<void> => {
      const { host, a, b, p, q, k } = await sharedPair({ index })
      const node = nodeOf(host, k)
      const c = host.createMm({ name: 'C' })
      const r = c.mmap(PAGE)
      useUpFrames(host)
      const { passed } = once(host, 'keyhole: after first check', () => {
        a.munmap(p, PAGE)
        b.munmap(q, PAGE)
        c.write(r, contentBytes(SHARED_CONTENT))
      })
      expect(passed).toBe(0)
      const taken: number[] = []
      const { frames } = memoryOf(host)
      const tryGet = frames.tryGet.bind(frames)
      frames.tryGet = (pfn) => {
        const got = tryGet(pfn)
        taken.push(pfn, frames.refcount(pfn))
        return got
      }
      mutant?.(host, k, ksmOf(host).nodes.key(node))
      expect(peep(host, node), 'the page is gone').toBe(0)
      expect(c.pfn(r)).toBe(k)
      expect(taken, 'a reference on C’s page was taken').toEqual([k, 2])
      expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 1, mapping: { kind: 'anon' } })
      expectContent(c, r, SHARED_CONTENT)
      expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
      host.audit()
    }
    await reused()
    // One look only: what it saw then is what it believes.
    const looksOnce = (host: Host, k: number, key: number): void => {
      const { frames } = memoryOf(host)
      const mapping = frames.mapping.bind(frames)
      frames.mapping = (pfn) => (pfn === k ? key : mapping(pfn))
    }
    await expect(reused(looksOnce)).rejects.toThrow(/the page is gone/)
  })

  it('0.4: once there is a reference the page stays, whoever unmaps it', async () => {
    for (const point of [
      'keyhole: after get',
      'keyhole: after second check',
      'keyhole: after lock',
    ] as const) {
      const { host, a, b, p, q, k } = await sharedPair({ index })
      const node = nodeOf(host, k)
      const free = host.frames.free
      const seen = once(host, point, () => {
        a.munmap(p, PAGE)
        b.munmap(q, PAGE)
        expect(host.frame(k)).toMatchObject({ refcount: 1, mapcount: 0 })
      })
      expect(getKsmPage(ksmOf(host), node, 'trylock')).toBe(k)
      expect(seen.passed).toBe(1)
      expect(host.frames.free).toBe(free)
      memoryOf(host).frames.put(k)
      expect(host.frames.free).toBe(free + 1)
      host.audit()
    }
  })

  it('T0-9 (0.6, 0.14): frozen and not in the swap cache, a page is taken for gone', async () => {
    const { host, k } = await sharedPair({ index })
    const node = nodeOf(host, k)
    const { frames } = memoryOf(host)
    frames.freeze(k, 2)
    expect(peep(host, node)).toBe(0)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 0, pages_sharing: 0 })
    expect(memoryOf(host).arena.page(k)).toEqual(contentBytes(SHARED_CONTENT))
    frames.unfreeze(k, 2)
    // Its mapping names a dead node now. A freezer has to give it another before it unfreezes, as the next test shows.
    expect(() => host.audit()).toThrow(/its node's key|where its node thinks/)
  })

  it('T0-9 (0.6): whoever freezes such a page has given it a new mapping before it unfreezes', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index, reuseKsm: true })
    const node = nodeOf(host, k)
    const { frames, anonVmas } = memoryOf(host)
    b.munmap(q, PAGE)
    const seen = once(host, 'reuse: after freeze', () => expect(peep(host, node)).toBe(0))
    let atUnfreeze = 0
    const unfreeze = frames.unfreeze.bind(frames)
    frames.unfreeze = (pfn, references) => {
      atUnfreeze = frames.mapping(pfn)
      unfreeze(pfn, references)
    }
    a.write(p, Uint8Array.of(1))
    expect(seen.passed).toBe(1)
    expect(a.pfn(p)).toBe(k)
    expect(atUnfreeze).toBe(anonMapping([...anonVmas][0]!.id))
    host.audit()
  })

  it('T0-9 (0.14): frozen by a migration, it is busy, and found again after', async () => {
    const pair = await sharedPair({ index })
    const { host, a, b, p, q, k } = pair
    swapCached(pair)
    const node = nodeOf(host, k)
    const seen: Partial<Record<RacePoint, number>> = {}
    always(host, (point) => {
      if (point.startsWith('migration')) seen[point] = peep(host, node, 'trylock')
    })
    const moved = host.migrate(k, { node: 0 })
    memoryOf(host).race = undefined
    expect(seen).toEqual({
      'migration: after freeze': BUSY,
      'migration: after kpfn store': BUSY, // the new page, locked
      'migration: after old mapping rewrite': BUSY,
      'migration: after swapcache flag clear': BUSY,
    })
    expect(peep(host, node)).toBe(moved)
    expectContent(a, p, SHARED_CONTENT)
    expectContent(b, q, SHARED_CONTENT)
    expect([a.pfn(p), b.pfn(q)]).toEqual([moved, moved])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    host.audit()
  })

  it('0.14: a search that meets a frozen page gives up for this time, and merges in the next scan', async () => {
    const pair = await sharedPair({ index })
    const { host, a, p, k } = pair
    const c = host.createMm({ name: 'C' })
    const r = addRange(c, [SHARED_CONTENT])
    host.ksm.scan(1)
    swapCached(pair)
    let visited = 0
    once(host, 'migration: after freeze', () => {
      const scanned = host.ksm.counters().pages_scanned
      host.ksm.scan(1)
      visited = host.ksm.counters().pages_scanned - scanned
    })
    const moved = host.migrate(k, { node: 0 })
    memoryOf(host).race = undefined
    expect(visited, 'C was visited, and waited').toBe(1)
    expect(c.pfn(r)).not.toBe(moved)
    host.audit()
    // Mapped again, or ksmd would drop its items, and a node without any takes nobody in.
    expectContent(a, p, SHARED_CONTENT)
    host.ksm.scan(1)
    expect(c.pfn(r)).toBe(moved)
    host.audit()
  })

  it.each(['both live', 'the other is gone'] as const)(
    '0.14: a chain keeps a dup whose page is frozen (%s)',
    async (chain) => {
      const host = await makeHost({ index })
      host.ksm.set('max_page_sharing', 2)
      const newcomer = host.createMm({ name: 'newcomer' })
      const r = addRange(newcomer, [1])
      const mms = [1, 2, 3, 4].map((n) => host.createMm({ name: `guest ${n}` }))
      const at = mms.map((mm) => addRange(mm, [SHARED_CONTENT]))
      host.ksm.scan(2)
      expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: 2 })
      newcomer.write(r, contentBytes(SHARED_CONTENT))
      host.ksm.scan(1)
      const frozen = mms[0]!.pfn(at[0]!)!
      host.swapOn(memorySwapStore(8))
      const held = mms[0]!.get(at[0]!, 1)
      expect(host.reclaim(frozen)).toBe('referenced')
      held.release()
      if (chain === 'the other is gone') for (const i of [2, 3]) mms[i]!.munmap(at[i]!, PAGE)
      const seen = once(host, 'migration: after freeze', () => host.ksm.scanPages(1)) // the newcomer
      host.migrate(frozen, { node: 0 })
      memoryOf(host).race = undefined
      expect(seen.passed).toBe(1)
      const dups = chain === 'both live' ? 2 : 1
      expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: dups })
      host.audit()
      for (const i of [0, 1]) expectContent(mms[i]!, at[i]!, SHARED_CONTENT)
      host.ksm.scan(2)
      host.audit()
    },
  )

  it('0.14: a page being moved keeps its items, so that its mappings are found at the end', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const seen = once(host, 'migration: after freeze', () => host.ksm.scan(2))
    const moved = host.migrate(k, { node: 0 })
    memoryOf(host).race = undefined
    expect(seen.passed).toBe(1)
    expect([a.pfn(p), b.pfn(q)]).toEqual([moved, moved])
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(2)
    host.audit()
  })

  it('0.14: so does one whose guest exits meanwhile, for the children that map it too', async () => {
    const { host, a, b, p, q, k } = await sharedPair({ index })
    const child = a.fork({ name: 'child' })
    once(host, 'migration: after freeze', () => {
      a.exit()
      host.ksm.scan(1)
    })
    const moved = host.migrate(k, { node: 0 })
    memoryOf(host).race = undefined
    expect([child.pfn(p), b.pfn(q)]).toEqual([moved, moved])
    host.audit()
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    expect(objectsOf(host).rmapItems).toBe(2)
    host.audit()
  })

  it('0.15: a page that moves in the middle of a peep is found where it is now', async () => {
    const { host, k } = await sharedPair({ index })
    const node = nodeOf(host, k)
    let moved = 0
    const seen = once(host, 'keyhole: after first check', () => {
      moved = host.migrate(k, { node: 0 })
    })
    expect(peep(host, node)).toBe(moved)
    expect(moved).not.toBe(k)
    expect(seen.passed, 'it started over').toBe(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    host.audit()
  })

  it('0.13: a search that meets a stale node removes it, begins again at the top, and finds its page', async () => {
    const host = await makeHost({ index })
    const c = host.createMm({ name: 'C' })
    const r = addRange(c, [99])
    const top = sharePage(host, 50) // in a tree ordered by content everything passes it
    const wanted = sharePage(host, 60)
    c.write(r, contentBytes(60))
    host.ksm.scan(1)
    top.a.munmap(top.p, PAGE)
    top.b.munmap(top.q, PAGE)
    expect(objectsOf(host).stableNodes).toBe(2)
    host.ksm.scanPages(1) // C alone
    expect(c.pfn(r), 'in the same visit').toBe(wanted.k)
    expect(objectsOf(host).stableNodes).toBe(index === 'content' ? 1 : 2)
    host.audit()
  })
})
