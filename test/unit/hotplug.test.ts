// Memory hot-remove and hot-add: a range of frames is emptied, taken away, and given back; and what ksmd does meanwhile.

import { describe, expect, it, vi } from 'vitest'
import { type Clock, type Host, INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { ksmOf, memoryOf, objectsOf } from '../support/inside.ts'
import {
  byteAt,
  counted,
  errnoOf,
  expectContent,
  fill,
  framesOf,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

/** The first and the last frame behind the first half of the host's memory. */
function lowerHalf(host: Host): [number, number] {
  const { firstPfn, endPfn } = memoryOf(host).arena
  return [firstPfn, firstPfn + (endPfn - firstPfn) / 2]
}

describe('offline', () => {
  it('moves what lies there, and hands nothing of it out', async () => {
    const host = await makeHost({ frames: 16 })
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    const [start, end] = lowerHalf(host)
    host.offline(start, end)
    expect(host.frames).toMatchObject({ total: 8, free: 4 })
    for (let page = 0; page < 4; page++) {
      expect(mm.pfn(at + page * PAGE)).toBeGreaterThanOrEqual(end)
      expectContent(mm, at + page * PAGE, page + 1)
    }
    host.audit()
    const more = mm.mmap(5 * PAGE)
    expect(errnoOf(() => fill(mm, more, 5, 1))).toBe('ENOMEM')
    expect(host.frames.free).toBe(0)
    host.audit()
    host.online(start, end)
    expect(host.frames).toMatchObject({ total: 16, free: 8 })
    fill(mm, more, 5, 1)
    expect(mm.read(more + 4 * PAGE, 1)).toEqual(Uint8Array.of(1))
    host.audit()
  })

  it('of frames never used costs nothing, and they read as zeros when they are back', async () => {
    const host = await makeHost({ frames: 16 })
    const [, start] = lowerHalf(host)
    host.offline(start, start + 8)
    expect(host.frames).toMatchObject({ total: 8, free: 8 })
    host.audit()
    host.online(start, start + 8)
    const { mm, at } = guest(host, 'a', new Array(16).fill(undefined), { mergeable: false })
    mm.write(at, Uint8Array.of(1))
    for (let page = 0; page < 16; page++) mm.write(at + page * PAGE + 1, Uint8Array.of(1))
    for (let page = 1; page < 16; page++) expect(mm.read(at + page * PAGE, 3)).toEqual(Uint8Array.of(0, 1, 0))
    expect(host.frames.free).toBe(0)
    host.audit()
  })

  it('and each of them is handed out once afterwards', async () => {
    const host = await makeHost({ frames: 8 })
    const { endPfn } = memoryOf(host).arena
    host.offline(endPfn - 2, endPfn)
    host.online(endPfn - 2, endPfn)
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6, 7, 8], { mergeable: false })
    expect(errnoOf(() => mm.mmap(PAGE, { shared: true }) && pokeByte(mm, mm.mmap(PAGE), 1))).toBe('ENOMEM')
    expect(new Set(framesOf(mm, at, 8)).size).toBe(8)
    host.audit()
  })

  it('and so is the next one to be handed out, when it went and came back', async () => {
    const host = await makeHost({ frames: 8 })
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6, 7], { mergeable: false })
    mm.munmap(at + 4 * PAGE, 3 * PAGE)
    const fresh = memoryOf(host).arena.endPfn - 1
    host.offline(fresh, fresh + 1)
    host.online(fresh, fresh + 1)
    const more = mm.mmap(4 * PAGE)
    for (let page = 0; page < 4; page++) pokeByte(mm, more + page * PAGE, 1)
    expect(new Set([...framesOf(mm, at, 4), ...framesOf(mm, more, 4)]).size).toBe(8)
    expect(errnoOf(() => pokeByte(mm, mm.mmap(PAGE), 1))).toBe('ENOMEM')
    host.audit()
  })

  it('takes a range once, and only whole ranges back', async () => {
    const host = await makeHost({ frames: 16 })
    const [start, end] = lowerHalf(host)
    host.offline(start, end)
    for (const [from, to] of [
      [start, end],
      [end - 1, end + 1],
    ] as const) {
      expect(errnoOf(() => host.offline(from, to))).toBe('EINVAL')
      expect(host.frames).toMatchObject({ total: 8, free: 8 })
      host.audit()
    }
    expect(errnoOf(() => host.online(start, end - 1))).toBe('EINVAL')
    expect(errnoOf(() => host.online(end, end + 1))).toBe('EINVAL')
    host.online(start, end)
    expect(errnoOf(() => host.online(start, end))).toBe('EINVAL')
    expect(() => host.offline(0, 1)).toThrow(RangeError)
    expect(() => host.offline(start, start)).toThrow(RangeError)
    expect(() => host.offline(start, memoryOf(host).arena.endPfn + 1)).toThrow(RangeError)
    host.audit()
  })

  it('is cancelled by a page that somebody holds: everything stays, and is used again', async () => {
    const host = await makeHost({ frames: 16 })
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    const pin = mm.pin(at + PAGE, PAGE, { write: true })
    const [start, end] = lowerHalf(host)
    expect(errnoOf(() => host.offline(start, end))).toBe('EBUSY')
    expect(host.frames).toMatchObject({ total: 16, free: 13 })
    expect(mm.pfn(at + PAGE)).toBe(pin.pfns[0])
    expect(host.ksm.get('run')).toBe(1)
    host.audit()
    const rest = guest(host, 'b', new Array(13).fill(5), { mergeable: false })
    expect(host.frames.free).toBe(0)
    rest.mm.exit()
    pin.release()
    host.offline(start, end)
    expect([0, 1, 2].map((page) => byteAt(mm, at + page * PAGE))).toEqual([1, 2, 3])
    host.audit()
  })

  it('is cancelled when there is nowhere to go', async () => {
    const host = await makeHost({ frames: 8 })
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6], { mergeable: false })
    const [start, end] = lowerHalf(host)
    expect(errnoOf(() => host.offline(start, end))).toBe('ENOMEM')
    expect(host.frames).toMatchObject({ total: 8, free: 2 })
    for (let page = 0; page < 6; page++) expect(byteAt(mm, at + page * PAGE)).toBe(page + 1)
    host.audit()
  })

  it('stays on the NUMA node while that has room, and leaves it then', async () => {
    const host = await makeHost({ frames: 16, numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    const start = memoryOf(host).arena.firstPfn
    host.offline(start, start + 2)
    expect([0, 1, 2, 3].map((page) => host.frame(mm.pfn(at + page * PAGE)!).node)).toEqual([0, 0, 0, 0])
    host.offline(start + 2, start + 8)
    expect([0, 1, 2, 3].map((page) => host.frame(mm.pfn(at + page * PAGE)!).node)).toEqual([1, 1, 1, 1])
    host.audit()
    const zero = mm.mmap(PAGE, { node: 0 })
    pokeByte(mm, zero, 1)
    expect(host.frame(mm.pfn(zero)!).node, 'node 0 is gone').toBe(1)
    host.audit()
  })

  it('moves pages of the swap cache, passes over broken ones, and refuses shared memory', async () => {
    const host = await makeHost({ frames: 16 })
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    const child = mm.fork({ name: 'child' })
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at)
    host.memoryFailure(mm.pfn(at + PAGE)!)
    const [start, end] = lowerHalf(host)
    host.offline(start, end)
    host.audit()
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([1, 1])
    host.online(start, end)
    expect(host.frames, 'the broken one is no use').toMatchObject({ total: 16, free: 14 })
    host.audit()
    const shared = mm.mmap(PAGE, { shared: true })
    pokeByte(mm, shared, 7)
    expect(errnoOf(() => host.offline(mm.pfn(shared)!, mm.pfn(shared)! + 1))).toBe('EBUSY')
    host.audit()
  })
})

describe.each(INDEX_NAMES)('ksmd and hot-remove, index %s', (index) => {
  it('merged pages move for all their users', async () => {
    const host = await makeHost({ frames: 32, index })
    const a = guest(host, 'a', [7, 7, 7, 8, 8])
    const b = guest(host, 'b', [7, 8])
    host.ksm.scan(2)
    const [start, end] = lowerHalf(host)
    host.offline(start, end)
    expect(counted(host)).toEqual([2, 5, 0, 0])
    expect(b.mm.pfn(b.at)).toBe(a.mm.pfn(a.at))
    expect(a.mm.pfn(a.at)).toBeGreaterThanOrEqual(end)
    host.audit()
    const late = guest(host, 'late', [7])
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at)).toBe(a.mm.pfn(a.at))
    host.audit()
  })

  it('stable nodes that point into the range go, without a look at the pages', async () => {
    const host = await makeHost({ frames: 32, index })
    host.ksm.set('max_page_sharing', 2)
    const a = guest(host, 'a', [7, 7, 7, 7, 8, 8])
    const keeper = guest(host, 'b', [9, 9])
    host.ksm.scan(2)
    const doomed = [0, 2, 4].map((page) => a.mm.pfn(a.at + page * PAGE)!)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 4, stable_node_chains: 1, stable_node_dups: 2 })
    a.mm.munmap(a.at, 6 * PAGE)
    expect(host.ksm.counters(), 'lazy').toMatchObject({ pages_shared: 4, pages_sharing: 4 })
    const removed: number[] = []
    host.on('ksm_remove_ksm_page', ({ pfn }) => removed.push(pfn))
    const looked = vi.spyOn(memoryOf(host).frames, 'mapping')
    memoryOf(host).ksm.memoryOffline(Math.min(...doomed), Math.max(...doomed) + 1)
    for (const pfn of doomed) expect(looked).not.toHaveBeenCalledWith(pfn)
    looked.mockRestore()
    expect(removed.sort()).toEqual(doomed.sort())
    expect(host.ksm.counters()).toMatchObject({
      pages_shared: 1,
      pages_sharing: 1,
      stable_node_chains: 0,
      stable_node_dups: 0,
    })
    expect(objectsOf(host).stableNodes).toBe(1)
    host.audit()
    host.ksm.scan(2)
    expect(keeper.mm.pfn(keeper.at)).toBe(keeper.mm.pfn(keeper.at + PAGE))
    host.audit()
  })

  it('one that waits for another NUMA tree goes too', async () => {
    const host = await makeHost({ frames: 32, index, numaNodes: 2 })
    host.ksm.set('merge_across_nodes', 0)
    const zero = guest(host, 'a', [7, 7])
    guest(host, 'b', [7, 7], { node: 1 })
    host.ksm.scan(2)
    zero.mm.munmap(zero.at + PAGE, PAGE)
    const moved = host.migrate(zero.mm.pfn(zero.at)!, { node: 1 })
    host.ksm.scan(1)
    expect(ksmOf(host).migrateNodes.size).toBe(1)
    zero.mm.munmap(zero.at, PAGE)
    host.offline(moved, moved + 1)
    expect(ksmOf(host).migrateNodes.size).toBe(0)
    expect(host.ksm.counters().pages_shared).toBe(1)
    host.audit()
  })

  it('while it goes on: ksmd and three knobs wait, faults do not', async () => {
    const host = await makeHost({ frames: 32, index })
    const { mm, at } = guest(host, 'a', [7, 7, 8])
    host.ksm.scan(2)
    const [start, end] = lowerHalf(host)
    const answers: Record<string, unknown> = {}
    memoryOf(host).race = (point) => {
      if (point !== 'migration: after swapcache flag clear' || 'run' in answers) return
      answers.run = host.ksm.get('run')
      answers.scan = errnoOf(() => host.ksm.scan(1))
      answers['run=2'] = errnoOf(() => host.ksm.set('run', 2))
      answers.max_page_sharing = errnoOf(() => host.ksm.set('max_page_sharing', 9))
      answers.merge_across_nodes = errnoOf(() => host.ksm.set('merge_across_nodes', 0))
      host.ksm.set('sleep_millisecs', 5)
      pokeByte(mm, at + 2 * PAGE, 9)
    }
    host.offline(start, end)
    memoryOf(host).race = undefined
    expect(answers).toEqual({
      run: 1 | 4,
      scan: 'EBUSY',
      'run=2': 'EBUSY',
      max_page_sharing: 'EBUSY',
      merge_across_nodes: 'EBUSY',
    })
    expect(byteAt(mm, at + 2 * PAGE)).toBe(9)
    expect(host.ksm.get('run')).toBe(1)
    host.ksm.scan(1)
    host.audit()
  })

  it('a sleeping ksmd goes on afterwards, taken or cancelled', async () => {
    const sleeps: (() => void)[] = []
    const clock: Clock = {
      now: () => 0,
      cpu: () => 0,
      sleep: (_, signal) =>
        new Promise((resolve) => {
          sleeps.push(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        }),
    }
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    const host = await makeHost({ frames: 32, index, clock })
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.start()
    await settle()
    sleeps.shift()!()
    await settle()
    const scanned = (): number => host.ksm.counters().pages_scanned
    expect(scanned()).toBe(2)
    memoryOf(host).ksm.memoryGoingOffline()
    sleeps.shift()!()
    await settle()
    expect(scanned(), 'it waits').toBe(2)
    memoryOf(host).ksm.memoryCancelOffline()
    await settle()
    expect(scanned()).toBeGreaterThan(2)
    await host.ksm.stop()
    expect(byteAt(mm, at)).toBe(7)
    host.audit()
  })
})
