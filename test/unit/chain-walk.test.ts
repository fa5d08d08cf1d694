// Long chains: the walk over the dups that are worth a look comes to what Linux's walk over all of them comes to, and is
// shorter. The other walk is the one of hosts with race points.

import { describe, expect, it } from 'vitest'
import { KIND_CHAIN } from '../../assembly/abi.ts'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import { Host, type Mm, PAGE_SIZE } from '../../src/index.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { random as randomOf } from '../support/random.ts'
import { expectContent, guest, makeHost } from '../support/world.ts'

const PAGES = 96

interface World {
  readonly host: Host
  readonly mms: { mm: Mm; at: number }[]
}

async function worldOf(index: 'hash' | 'content', sharing: number, prune: number, time: { now: number }) {
  const clock = { now: () => time.now, cpu: () => 0, sleep: () => Promise.resolve() }
  const host = await Host.create({ frames: 1024, numaNodes: 2, index, clock: clock as never })
  host.ksm.set('smart_scan', 0)
  host.ksm.set('max_page_sharing', sharing)
  host.ksm.set('stable_node_chains_prune_millisecs', prune)
  host.ksm.set('run', 1)
  const mms = Array.from({ length: 3 }, () => {
    const mm = host.createMm()
    const at = mm.mmap(PAGES * PAGE_SIZE)
    for (let page = 0; page < PAGES; page++) mm.write(at + page * PAGE_SIZE, Uint8Array.of(1 + (page % 2)))
    mm.madvise(at, PAGES * PAGE_SIZE, 'MADV_MERGEABLE')
    return { mm, at }
  })
  return { host, mms }
}

/** One thing that may happen, done to a world; what it comes to. */
function act({ host, mms }: World, kind: number, who: number, page: number, length: number): unknown {
  const { mm, at } = mms[who]!
  const address = at + page * PAGE_SIZE
  const bytes = Math.min(length, PAGES - page) * PAGE_SIZE
  try {
    switch (kind) {
      case 0:
        return host.ksm.scanPages(1 + length * 7)
      case 1:
      case 2:
        for (let i = 0; i < bytes; i += PAGE_SIZE)
          mm.write(address + i, Uint8Array.of(1 + ((page + i / PAGE_SIZE) % 2)))
        return undefined
      case 3:
        return mm.madvise(address, bytes, 'MADV_DONTNEED')
      case 4:
        for (let i = 0; i < bytes; i += PAGE_SIZE) mm.write(address + i, Uint8Array.of(9))
        return undefined
      case 5: {
        const pfn = mm.pfn(address)
        return pfn === undefined ? undefined : host.migrate(pfn, { node: length % 2 })
      }
      case 6:
        return mm.madvise(address, bytes, 'MADV_UNMERGEABLE') ?? mm.madvise(address, bytes, 'MADV_MERGEABLE')
      default: {
        const pfn = mm.pfn(address)
        return pfn === undefined || length > 1 ? undefined : host.memoryFailure(pfn, { recover: true })
      }
    }
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('a walk over a chain', () => {
  it.each(
    [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => [
      seed,
      seed % 2 === 0 ? ('hash' as const) : ('content' as const),
      2 + (seed % 3),
      seed % 4 === 0 ? 0 : 20,
    ]),
  )(
    'comes to the same (seed %i, %s, max_page_sharing %i, pruned after %i ms)',
    async (seed, index, sharing, prune) => {
      const time = { now: 0 }
      const [noted, all] = [
        await worldOf(index as 'hash', sharing as number, prune as number, time),
        await worldOf(index as 'hash', sharing as number, prune as number, time),
      ]
      all.host.memory.race = () => {}
      const random = randomOf(seed as number)
      let dups = 0
      for (let step = 0; step < 250; step++) {
        const what = [random.below(9), random.below(3), random.below(PAGES), 1 + random.below(12)] as const
        const kind = what[0] === 7 && !random.chance(0.2) ? 0 : what[0] === 8 ? 0 : what[0]
        time.now += random.below(8)
        const [, who, page, length] = what
        expect(act(noted, kind, who, page, length), `step ${step}`).toEqual(act(all, kind, who, page, length))
        expect(noted.host.ksm.counters(), `step ${step}`).toEqual(all.host.ksm.counters())
        dups += noted.host.ksm.counters().stable_node_dups
        if (step % 5 === 0) noted.host.audit()
      }
      expect(dups).toBeGreaterThan(1000)
    },
  )

  it('asks for no page that is full and there', async () => {
    const { host } = await worldOf('hash', 2, 2000, { now: 0 })
    let asked = 0
    const { frames } = host.memory
    const tryGet = frames.tryGet.bind(frames)
    frames.tryGet = (pfn) => {
      asked++
      return tryGet(pfn)
    }
    host.ksm.scan(3)
    expect(host.ksm.counters().stable_node_dups).toBeGreaterThan(100)
    // A walk over all would ask for some 10,000.
    expect(asked).toBeLessThan(3 * 3 * PAGES * 4)
  })
})

describe.each(['hash', 'content'] as const)('pruning, index %s', (index) => {
  it.each([
    [19, 3],
    [20, 2],
  ])('%i ms after the last time, which was 20 to wait, %i dups are left', async (wait, dups) => {
    const time = { now: 1000 }
    const clock = { now: () => time.now, cpu: () => 0, sleep: () => Promise.resolve() }
    const host = await Host.create({ frames: 64, index, clock: clock as never })
    for (const [knob, value] of Object.entries({ smart_scan: 0, max_page_sharing: 3, run: 1 })) {
      host.ksm.set(knob as 'run', value)
    }
    host.ksm.set('stable_node_chains_prune_millisecs', 20)
    const [first, second] = [host.createMm(), host.createMm()]
    const range = (mm: Mm, pages: number): number => {
      const at = mm.mmap(pages * PAGE_SIZE)
      mm.madvise(at, pages * PAGE_SIZE, 'MADV_MERGEABLE')
      return at
    }
    const pages = [0, 1, 2, 3, 4, 5, 6, 7]
    const [p, at] = [range(first, 1), range(second, pages.length)]
    first.write(p, Uint8Array.of(9))
    for (const page of pages) second.write(at + page * PAGE_SIZE, Uint8Array.of(1))
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: 3 })
    first.write(p, Uint8Array.of(1))
    host.ksm.scan(1)
    // One of the full ones goes stale; the one with room is in front.
    const frames = pages.map((page) => second.pfn(at + page * PAGE_SIZE)!)
    const full = frames.find((pfn) => frames.filter((other) => other === pfn).length === 3)!
    for (const page of pages) {
      if (frames[page] === full) second.madvise(at + page * PAGE_SIZE, PAGE_SIZE, 'MADV_DONTNEED')
    }
    time.now += wait
    host.ksm.scanPages(1)
    expect(host.frame(first.pfn(p)!).mapping?.kind).toBe('ksm')
    expect(host.ksm.counters()).toMatchObject({ stable_node_chains: 1, stable_node_dups: dups })
    host.audit()
  })
})

it('a dup that took a page and can take one more stands in front from then on', async () => {
  const host = await makeHost({ frames: 128 })
  host.ksm.set('max_page_sharing', 5)
  const first = guest(host, 'first', [7, 7, 7, 7, 7])
  host.ksm.scan(2)
  guest(host, 'second', [7, 7, 7, 7, 7])
  host.ksm.scan(2)
  const { nodes } = ksmOf(host)
  const { frames } = memoryOf(host)
  const roomy = StableNodes.ofMapping(frames.mapping(first.mm.pfn(first.at)!))
  const chain = nodes.chain(roomy)
  expect(nodes.first(chain), 'the full one').not.toBe(roomy)
  first.mm.munmap(first.at + PAGE_SIZE, 3 * PAGE_SIZE)
  host.ksm.scan(1)
  const late = guest(host, 'late', [7])
  host.ksm.scan(2)
  expect(late.mm.pfn(late.at)).toBe(first.mm.pfn(first.at))
  expect(nodes.first(chain)).toBe(roomy)
  host.audit()
})

it.each([
  ['due', 0, 'the fullest'],
  ['not due', 1_000_000, 'in front'],
] as const)(
  'with pruning %s (%i ms) a page joins the dup that has room and is %s',
  async (_, prune, joined) => {
    const host = await makeHost({ frames: 128 })
    host.ksm.set('max_page_sharing', 6)
    host.ksm.set('stable_node_chains_prune_millisecs', prune)
    const first = guest(host, 'first', [7, 7, 7, 7, 7, 7])
    host.ksm.scan(2)
    const second = guest(host, 'second', [7, 7, 7, 7, 7, 7])
    host.ksm.scan(2)
    // Two are left of the one in front, three of the other.
    second.mm.munmap(second.at + 2 * PAGE_SIZE, 4 * PAGE_SIZE)
    first.mm.munmap(first.at + 3 * PAGE_SIZE, 3 * PAGE_SIZE)
    host.ksm.scan(1)
    const late = guest(host, 'late', [7])
    host.ksm.scan(2)
    const { mm, at } = joined === 'the fullest' ? first : second
    expect(late.mm.pfn(late.at)).toBe(mm.pfn(at))
    host.audit()
  },
)

it('a page that would need a chain when memory has run out stays as it was, and merges later', async () => {
  const host = await makeHost({ frames: 128 })
  host.ksm.set('max_page_sharing', 2)
  const { mm, at } = guest(host, 'a', [7, 7, 7, 7])
  const { nodes } = ksmOf(host)
  const alloc = nodes.alloc.bind(nodes)
  nodes.alloc = (kind, nid) => (kind === KIND_CHAIN ? 0 : alloc(kind, nid))
  host.ksm.scan(3)
  expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1, stable_node_chains: 0 })
  for (let page = 0; page < 4; page++) expectContent(mm, at + page * PAGE_SIZE, 7)
  host.audit()
  nodes.alloc = alloc
  host.ksm.scan(3)
  expect(host.ksm.counters()).toMatchObject({ pages_shared: 2, pages_sharing: 2, stable_node_chains: 1 })
  host.audit()
})
