// Every number that has a width: what happens at its end. docs/limits.md has the table. Where it would take days to get
// there, a test begins just before.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  CACHE_NODE,
  MAPCOUNT_MASK,
  NODE_LENGTH_MASK,
  RMAP_SEQNR_MASK,
  TICKET_SHIFT,
  WINDOW_LENGTH,
} from '../../assembly/abi.ts'
import { Arena, MAX_MAPPINGS } from '../../src/core/arena.ts'
import { MAX_REFCOUNT } from '../../src/core/frame-table.ts'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore, stillClock } from '../../src/index.ts'
import { MAX_ANON_VMA_ID } from '../../src/mm/model/anon-vma.ts'
import { expectStrategy } from '../../src/options.ts'
import { placed, RECORDS } from '../support/abi-layout.ts'
import { ksmOf, memoryOf, nodeOf, vpnOf } from '../support/inside.ts'
import {
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

/** As if so many ptes more mapped a frame; returns how to take that back. */
function mapOften(host: Host, pfn: number, mapcount: number): () => void {
  const { frames } = memoryOf(host)
  const before = frames.mapcount(pfn)
  const more = mapcount - before
  frames.addMapcount(pfn, more as 1)
  return () => frames.addMapcount(pfn, -more as 1)
}

function holdOften(host: Host, pfn: number, refcount: number): () => void {
  const { frames } = memoryOf(host)
  const more = refcount - frames.refcount(pfn)
  frames.setRefcount(pfn, refcount)
  return () => frames.setRefcount(pfn, frames.refcount(pfn) - more)
}

describe('the mapcount of a frame, 24 bits', () => {
  it('a fork that would be one too many is ENOMEM, and nothing is left of it', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    mm.fork({ name: 'b' })
    const back = mapOften(host, mm.pfn(at + PAGE)!, MAPCOUNT_MASK)
    expect(errnoOf(() => mm.fork())).toBe('ENOMEM')
    back()
    host.audit()
    expect(byteAt(mm.fork(), at + PAGE)).toBe(2)
    host.audit()
  })

  it('counts up to its end, and not into the flags', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1], { mergeable: false })
    const pfn = mm.pfn(at)!
    const back = mapOften(host, pfn, MAPCOUNT_MASK - 1)
    const child = mm.fork()
    expect(host.frame(pfn)).toMatchObject({ mapcount: MAPCOUNT_MASK, flags: [] })
    child.exit()
    back()
    host.audit()
  })

  it('a shared mapping, and one of a file, cannot be had by one more', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const shared = mm.mmap(PAGE, { shared: true })
    pokeByte(mm, shared, 1)
    const child = mm.fork()
    const file = new Uint8Array(PAGE).fill(3)
    const [one, two] = [mm.mmap(PAGE, { file }), child.mmap(PAGE, { file })]
    byteAt(mm, one)
    const back = [mm.pfn(shared)!, mm.pfn(one)!].map((pfn) => mapOften(host, pfn, MAPCOUNT_MASK))
    expect(errnoOf(() => byteAt(child, shared))).toBe('ENOMEM')
    expect(errnoOf(() => byteAt(child, two))).toBe('ENOMEM')
    for (const take of back) take()
    expect([byteAt(child, shared), byteAt(child, two)]).toEqual([1, 3])
    host.audit()
  })

  it('a page from swap cannot be mapped once more', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork()
    host.reclaim(mm.pfn(at)!)
    byteAt(mm, at)
    const back = mapOften(host, mm.pfn(at)!, MAPCOUNT_MASK)
    expect(errnoOf(() => byteAt(child, at))).toBe('ENOMEM')
    back()
    expect(byteAt(child, at)).toBe(7)
    host.audit()
  })

  it.each(INDEX_NAMES)('a merged page is full: others found another one, index %s', async (index) => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.set('max_page_sharing', 2 ** 31 - 1)
    host.ksm.scan(2)
    const first = mm.pfn(at)!
    const back = mapOften(host, first, MAPCOUNT_MASK)
    const late = guest(host, 'late', [7, 7])
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at)).toBe(late.mm.pfn(late.at + PAGE))
    expect(late.mm.pfn(late.at)).not.toBe(first)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 2, pages_sharing: 2, stable_node_chains: 1 })
    back()
    host.audit()
  })
})

describe('the length of a stable node, 24 bits', () => {
  /** As if so many items more were on a node's list. */
  function lengthen(host: Host, pfn: number, length: number): () => void {
    const { nodes } = ksmOf(host)
    const node = nodeOf(host, pfn)
    const more = length - nodes.length(node)
    nodes.addLength(node, more as 1)
    return () => nodes.addLength(node, -more as 1)
  }

  it.each(INDEX_NAMES)('is full for those who would join, and for forks, index %s', async (index) => {
    const host = await makeHost({ index })
    host.ksm.set('max_page_sharing', 2 ** 31 - 1)
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const pfn = mm.pfn(at)!
    const back = lengthen(host, pfn, NODE_LENGTH_MASK)
    const child = mm.fork({ name: 'child' })
    const late = guest(host, 'late', [7])
    host.ksm.scan(2)
    expect(child.ksmStat().ksm_merging_pages, 'the fork maps the page all the same').toBe(0)
    expect(child.pfn(at)).toBe(pfn)
    expect(late.mm.pfn(late.at)).not.toBe(pfn)
    back()
    host.audit()
    host.ksm.scan(2)
    expect(child.ksmStat().ksm_merging_pages).toBe(2)
    host.audit()
  })
})

describe('the refcount of a frame, 31 bits', () => {
  it('one more reference or mapping is ENOMEM', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1], { mergeable: false })
    const back = holdOften(host, mm.pfn(at)!, MAX_REFCOUNT)
    expect(errnoOf(() => mm.get(at, PAGE))).toBe('ENOMEM')
    expect(errnoOf(() => mm.pin(at, PAGE))).toBe('ENOMEM')
    expect(errnoOf(() => mm.fork())).toBe('ENOMEM')
    back()
    host.audit()
    mm.get(at, PAGE).release()
    host.audit()
  })
})

describe('the id of an anon_vma, 30 bits', () => {
  it('begins anew, and leaves out what is in use or named by a page that nobody maps', async () => {
    const host = await makeHost()
    const { anonVmas } = memoryOf(host)
    const early = guest(host, 'early', [1], { mergeable: false })
    const gone = guest(host, 'gone', [2], { mergeable: false })
    const held = gone.mm.get(gone.at, PAGE)
    gone.mm.exit()
    expect(host.frame(held.pfns[0]!).mapping?.id).toBe(2)
    Reflect.set(anonVmas, 'lastId', MAX_ANON_VMA_ID - 1)
    const late = [3, 4, 5].map((content) => guest(host, `late ${content}`, [content], { mergeable: false }))
    const ids = late.map(({ mm }) => [...mm.vmas][0]!.anonVma!.id)
    expect(ids, '1 is early’s, 2 is still named').toEqual([MAX_ANON_VMA_ID, 3, 4])
    expect(host.frame(late[0]!.mm.pfn(late[0]!.at)!).mapping).toEqual({ kind: 'anon', id: MAX_ANON_VMA_ID })
    host.audit()
    for (const { mm, at } of late) {
      const { told } = host.memoryFailure(mm.pfn(at)!)
      expect(told).toEqual([{ mm: mm.name, address: at }])
    }
    held.release()
    expect(byteAt(early.mm, early.at)).toBe(1)
    host.audit()
  })

  it('a merged page finds its users through the last of them', async () => {
    const host = await makeHost()
    Reflect.set(memoryOf(host).anonVmas, 'lastId', MAX_ANON_VMA_ID - 1)
    const a = guest(host, 'a', [7])
    const b = guest(host, 'b', [7])
    host.ksm.scan(2)
    expect(a.mm.pfn(a.at)).toBe(b.mm.pfn(b.at))
    expect(host.memoryFailure(a.mm.pfn(a.at)!).told).toHaveLength(2)
    host.audit()
  })
})

describe('the index of a frame, 32 bits', () => {
  /** A mapping of the topmost page, moved down, that has grown beyond. */
  async function wrapped(): Promise<{ host: Host; mm: Mm; at: number }> {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const mm = host.createMm({ name: 'a' })
    const top = mm.mmap(PAGE, { address: 2 ** 44 - PAGE })
    mm.write(top, contentBytes(1))
    const at = mm.mremap(top, PAGE, PAGE, { address: 2 ** 30 })
    expect(mm.mremap(at, PAGE, 3 * PAGE)).toBe(at)
    for (const page of [1, 2]) mm.write(at + page * PAGE, contentBytes(page + 1))
    return { host, mm, at }
  }

  it('goes on from 0, and a page is still found', async () => {
    const { host, mm, at } = await wrapped()
    const child = mm.fork({ name: 'b' })
    expect([0, 1, 2].map((page) => host.frame(mm.pfn(at + page * PAGE)!).index)).toEqual([2 ** 32 - 1, 0, 1])
    const moved = host.migrate(mm.pfn(at + PAGE)!, { node: 0 })
    expect([mm.pfn(at + PAGE), child.pfn(at + PAGE)]).toEqual([moved, moved])
    expect(host.reclaim(mm.pfn(at + 2 * PAGE)!)).toBeUndefined()
    expect(byteAt(child, at + 2 * PAGE)).toBe(3)
    const { told } = host.memoryFailure(moved)
    expect(told.map(({ mm: name }) => name).sort()).toEqual(['a', 'b'])
    host.audit()
  })

  it('and so is a merged one; the mapping splits and joins across the wrap', async () => {
    const { host, mm, at } = await wrapped()
    mm.madvise(at, 3 * PAGE, 'MADV_MERGEABLE')
    for (const page of [0, 1, 2]) mm.write(at + page * PAGE, contentBytes(7))
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ')
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ|PROT_WRITE')
    expect([...mm.vmas]).toHaveLength(1)
    expect(host.memoryFailure(mm.pfn(at)!).told).toHaveLength(3)
    host.audit()
  })
})

describe('addresses, 44 bits', () => {
  it('the last page can be had, and no byte behind it', async () => {
    const mm = (await makeHost()).createMm()
    const at = mm.mmap(PAGE, { address: 2 ** 44 - PAGE })
    mm.write(at + PAGE - 1, Uint8Array.of(1))
    expect(() => mm.write(at + PAGE - 1, Uint8Array.of(1, 2))).toThrow(RangeError)
    expect(() => mm.mmap(2 * PAGE, { address: 2 ** 44 - PAGE })).toThrow(RangeError)
    for (const beyond of [2 ** 44, 2 ** 44 + 1]) expect(() => mm.read(beyond, 0)).toThrow(RangeError)
    expect(() => mm.read(at, PAGE + 1)).toThrow(RangeError)
    expect(() => mm.pin(at, PAGE + 1)).toThrow(RangeError)
    expect(() => mm.pin(at, 0)).toThrow(RangeError)
    expect(() => mm.mremap(at, PAGE, 2 * PAGE, { mayMove: false })).toThrow(RangeError)
  })
})

describe('the number of an mm, 16 bits', () => {
  it('the 65,536th at a time is EAGAIN', async () => {
    const host = await makeHost()
    const memory = memoryOf(host)
    const mms = Reflect.get(memory, 'mmById') as unknown[]
    mms.length = 65_535
    const last = host.createMm()
    expect(last.id).toBe(65_535)
    expect(errnoOf(() => host.createMm())).toBe('EAGAIN')
    expect(errnoOf(() => host.createMm({ domain: 'new' }))).toBe('EAGAIN')
    expect(host.metadata().roots, 'nor does its domain leave anything behind').toBe(makeRoots(host))
    last.exit()
    expect(host.createMm().id).toBe(65_535)
  })
  const makeRoots = (host: Host): number => memoryOf(host).arena.metadata().roots
})

describe('domains that come and go', () => {
  it.each(INDEX_NAMES)('leave nothing behind, index %s', async (index) => {
    const host = await makeHost({ index, mappings: 256, numaNodes: 2 })
    const { roots } = host.metadata()
    for (let i = 0; i < 600; i++) {
      const { mm } = guest(host, 'a', [7, 7, 8], { domain: `tenant ${i}` })
      if (i % 3 === 0) host.ksm.scan(2)
      mm.exit()
      host.ksm.scan(1)
      if (i % 50 === 0) host.audit()
    }
    expect(host.metadata().roots).toBe(roots)
    expect(host.metadata().stableNodes).toBe(0)
    host.audit()
  })

  it('a domain lives on in a fork, and begins anew when its name comes back', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7], { domain: 'red' })
    host.ksm.scan(2)
    const child = mm.fork()
    mm.exit()
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    child.replace().exit()
    host.ksm.scan(2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    const again = guest(host, 'again', [7, 7], { domain: 'red' })
    host.ksm.scan(2)
    expect(again.mm.pfn(at)).toBe(again.mm.pfn(at + PAGE))
    host.audit()
  })

  it('chains, and pages that somebody still holds, go with it', async () => {
    const host = await makeHost()
    host.ksm.set('max_page_sharing', 2)
    const { mm, at } = guest(host, 'a', [7, 7, 7, 7], { domain: 'red' })
    host.ksm.scan(2)
    const { roots } = host.metadata()
    expect(host.ksm.counters().stable_node_chains).toBe(1)
    const held = mm.get(at, PAGE)
    mm.exit()
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 0, stable_node_dups: 0 })
    expect(host.metadata().roots).toBeLessThan(roots)
    expect(host.metadata().stableNodes).toBe(0)
    held.release()
    host.audit()
  })

  it('ENOMEM for one too many at a time leaves nothing of it either', async () => {
    const host = await makeHost({ mappings: 64, numaNodes: 16 })
    const alive: Mm[] = []
    let errno: string | undefined
    while (errno === undefined) {
      errno = errnoOf(() => alive.push(host.createMm({ domain: `d${alive.length}` })))
    }
    expect(errno).toBe('ENOMEM')
    const { roots } = host.metadata()
    expect(errnoOf(() => host.createMm({ domain: 'one more' }))).toBe('ENOMEM')
    expect(host.metadata().roots).toBe(roots)
    alive.pop()!.exit()
    expect(errnoOf(() => host.createMm({ domain: 'one more' }))).toBeUndefined()
    host.audit()
  })
})

describe('when a chain was pruned, 32 bits of ms', () => {
  it.each([0, 2 ** 32 - 1000, 2 ** 40, 1.7e12])(
    'from %i ms on: not before it is due, and then',
    async (start) => {
      let now = start
      const host = await makeHost({ clock: { ...stillClock, now: () => now }, frames: 128 })
      host.ksm.set('stable_node_chains_prune_millisecs', 5000)
      host.ksm.set('max_page_sharing', 2)
      const { mm, at } = guest(host, 'a', [7, 7, 7, 7, 7, 7])
      host.ksm.scan(2)
      expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: 3 })
      // The two pages of the dup behind the others go; one more page has the chain looked through, when that is due.
      const { nodes } = ksmOf(host)
      const chain = nodes.chain(nodeOf(host, mm.pfn(at)!))
      const last = (): number => {
        let dup = nodes.first(chain)
        while (nodes.dupNext(dup) !== 0) dup = nodes.dupNext(dup)
        return nodes.pfn(dup)
      }
      const stale = last()
      for (let page = 0; page < 6; page++)
        if (mm.pfn(at + page * PAGE) === stale) pokeByte(mm, at + page * PAGE, 9)
      const late = guest(host, 'late', [7, 7])
      const prunedAt = nodes.pruneTime(chain)
      now += 4000
      host.ksm.scan(2)
      expect(nodes.pruneTime(chain), 'not yet').toBe(prunedAt)
      now += 2000
      pokeByte(late.mm, late.at, 5)
      late.mm.write(late.at, contentBytes(7))
      host.ksm.scan(2)
      expect(nodes.pruneTime(chain)).toBe(now % 2 ** 32)
      host.audit()
    },
  )
})

describe('the rest of the widths', () => {
  it('a full scan’s number modulo 32, and a page that was in the unstable tree long ago', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 8])
    ksmOf(host).setSeqnr(RMAP_SEQNR_MASK - 1)
    host.ksm.scan(4)
    expect(counted(host)).toEqual([0, 0, 2, 0])
    mm.write(at + PAGE, contentBytes(7))
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })

  it('positions in the window, 32 bits of which a ticket has 29', async () => {
    const host = await makeHost({ workers: 1, frames: 4096 })
    const { window } = host.ksm.batch
    for (const position of [2 ** 31 - 300, -300, 2 ** (32 - TICKET_SHIFT) - 300]) {
      Reflect.set(window, 'head', position | 0)
      Reflect.set(window, 'end', position | 0)
      const contents = Array.from({ length: 2 * WINDOW_LENGTH }, (_, i) => 1 + (i % 3))
      const { mm, at } = guest(host, 'a', contents)
      host.ksm.scan(2)
      expect(mm.ksmStat().ksm_merging_pages).toBe(contents.length)
      for (const page of [0, 1, 700]) expectContent(mm, at + page * PAGE, contents[page]!)
      mm.exit()
      host.ksm.scan(1)
    }
    host.audit()
    host.close()
  })

  it('metadata lies below 2 GiB however much there may be, and a node’s key keeps its sign bit', async () => {
    const strategy = expectStrategy({})
    const arena = await Arena.create({ frames: 1000, mappings: MAX_MAPPINGS, ...strategy })
    expect(arena.firstPfn * PAGE).toBeLessThan(2 ** 31)
    expect(arena.endPfn).toBeLessThanOrEqual(2 ** 20)
    expect(arena.core.slabAlloc(CACHE_NODE) % 32, 'five low bits are free for tags').toBe(0)
    await expect(Arena.create({ frames: 2 ** 20, mappings: 1, ...strategy })).rejects.toThrow(RangeError)
    await expect(Arena.create({ frames: 1, mappings: MAX_MAPPINGS + 1, ...strategy })).rejects.toThrow(
      RangeError,
    )
  })

  it('swap: 2^20 slots a device, eight devices', async () => {
    const host = await makeHost()
    expect(() => memorySwapStore(2 ** 20 + 1)).toThrow(RangeError)
    expect(() => host.swapOn({ ...memorySwapStore(1), slots: 2 ** 20 + 1 })).toThrow(RangeError)
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    for (let device = 0; device < 7; device++) {
      const store = memorySwapStore(1)
      host.swapOn(store)
      mm.mmap(PAGE)
      const filler = guest(host, `filler ${device}`, [9], { mergeable: false })
      filler.mm.madvise(filler.at, PAGE, 'MADV_PAGEOUT')
    }
    host.swapOn(memorySwapStore(2 ** 20))
    expect(errnoOf(() => host.swapOn(memorySwapStore(1)))).toBe('EPERM')
    const { swap } = memoryOf(host)
    // The last slot of the last device.
    const device = (Reflect.get(swap, 'devices') as { hint: number }[])[7]!
    device.hint = 2 ** 20 - 1
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([7, 8])
    expect(vpnOf(at)).toBeGreaterThan(0)
    host.audit()
  })

  it('the node a frame lies on, 4 bits', async () => {
    const host = await makeHost({ frames: 64, numaNodes: 16 })
    host.ksm.set('merge_across_nodes', 0)
    const guests = [0, 15].map((node) => guest(host, `n${node}`, [7, 7], { node }))
    host.ksm.scan(2)
    expect(counted(host)).toEqual([2, 2, 0, 0])
    expect(guests.map(({ mm, at }) => host.frame(mm.pfn(at)!).node)).toEqual([0, 15])
    host.audit()
    await expect(makeHost({ frames: 64, numaNodes: 17 })).rejects.toThrow(RangeError)
  })
})

describe('docs/limits.md', () => {
  it('names every field of every record', () => {
    const text = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
    const named = new Set(text.match(/\b[A-Z]+(?:_[A-Z]+)*\b/g))
    const fields = new Set(RECORDS.flatMap((drawing) => placed(drawing)))
    for (const field of fields) expect(named.has(field), field).toBe(true)
    expect(fields.size).toBeGreaterThan(50)
  })
})
