// Seed 0 through random histories in which somebody acts at ksmd's race points: no frame ever bears a key that is not its
// node's, no node goes while a page still bears its key, and the lists always add up to what is counted.

import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../assembly/abi.ts'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore, PagefoldError } from '../../src/index.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { always } from '../support/races.ts'
import { type Random, random } from '../support/random.ts'
import { contentBytes, counted, makeHost, PAGE } from '../support/world.ts'

const PAGES = 4
const CONTENTS = 3
/** Where Linux holds no lock that would keep a guest, a migration or a reclaim out. */
const OPEN_POINTS =
  /^(keyhole|scan|merge: (after write|before compare|after compare|before pte|between|before stable))/

interface World {
  readonly host: Host
  readonly guests: { mm: Mm; at: number }[]
  readonly random: Random
}

/** Stops at once when a key is stored that is nobody's, or a node goes that a page still names. */
function guardKeys(host: Host): { stored: number; freed: number } {
  const seen = { stored: 0, freed: 0 }
  const { frames } = memoryOf(host)
  const { nodes } = ksmOf(host)
  const setMapping = frames.setMapping.bind(frames)
  frames.setMapping = (pfn, mapping) => {
    const node = StableNodes.ofMapping(mapping)
    if (node !== 0) {
      seen.stored++
      expect(mapping, `frame ${pfn} gets its node's key`).toBe(nodes.key(node))
      const home = nodes.pfn(node)
      expect(home === pfn || frames.mapping(home) === mapping, `its node knows frame ${pfn}`).toBe(true)
    }
    setMapping(pfn, mapping)
  }
  const free = nodes.free.bind(nodes)
  nodes.free = (node) => {
    seen.freed++
    const key = nodes.key(node)
    const { firstPfn, endPfn } = memoryOf(host).arena
    for (let pfn = firstPfn; pfn < endPfn; pfn++) {
      expect(frames.mapping(pfn), `frame ${pfn} names the node being freed`).not.toBe(key)
    }
    free(node)
  }
  return seen
}

function checkNodes(host: Host): void {
  const { frames } = memoryOf(host)
  const { nodes, items } = ksmOf(host)
  const byNode = new Map<number, number>()
  for (const slot of ksmOf(host).slots) {
    for (let item = slot.rmapList; item !== 0; item = items.next(item)) {
      const node = items.head(item)
      if (items.state(item) === 2) byNode.set(node, (byNode.get(node) ?? 0) + 1)
    }
  }
  let lengths = 0
  for (const [node, count] of byNode) {
    lengths += nodes.length(node)
    expect(nodes.length(node)).toBe(count)
    const pfn = nodes.pfn(node)
    if (frames.mapping(pfn) !== nodes.key(node)) continue
    expect(frames.refcount(pfn)).toBeGreaterThanOrEqual(frames.mapcount(pfn))
  }
  const [shared, sharing] = counted(host)
  expect(lengths, 'the lists add up').toBe(shared + sharing)
}

const ACTIONS: ((world: World) => void)[] = [
  (world) => write(world),
  (world) => write(world),
  (world) => write(world),
  ({ guests, random }) => {
    const { mm, at } = random.pick(guests)
    mm.madvise(at + random.below(PAGES) * PAGE, PAGE, 'MADV_DONTNEED')
  },
  ({ guests, random }) => {
    const { mm, at } = random.pick(guests)
    mm.read(at + random.below(PAGES) * PAGE, 1)
  },
  ({ guests, random }) => {
    if (guests.length >= 6) return
    const { mm, at } = random.pick(guests)
    guests.push({ mm: mm.fork(), at })
  },
  ({ guests, random }) => {
    if (guests.length <= 2) return
    guests.splice(random.below(guests.length), 1)[0]!.mm.exit()
  },
  (world) => withFrame(world, (pfn) => void world.host.migrate(pfn, { node: 0 })),
  (world) => withFrame(world, (pfn) => void world.host.reclaim(pfn)),
]

function write({ guests, random }: World): void {
  const { mm, at } = random.pick(guests)
  mm.write(at + random.below(PAGES) * PAGE, contentBytes(1 + random.below(CONTENTS)))
}

function withFrame({ host, guests, random }: World, act: (pfn: number) => void): void {
  const { mm, at } = random.pick(guests)
  const pfn = mm.pfn(at + random.below(PAGES) * PAGE)
  if (pfn !== undefined && pfn !== ZERO_PFN && host.frame(pfn).mapping !== undefined) act(pfn)
}

/** Does one thing; what the world refuses is no fault. */
function act(world: World): void {
  try {
    world.random.pick(ACTIONS)(world)
  } catch (error) {
    if (!(error instanceof PagefoldError)) throw error
  }
}

async function history(index: (typeof INDEX_NAMES)[number], seed: number) {
  const host = await makeHost({ index, frames: 48 })
  host.swapOn(memorySwapStore(64))
  const seen = guardKeys(host)
  const world: World = { host, guests: [], random: random(seed) }
  for (const name of ['first', 'second', 'third']) {
    const mm = host.createMm({ name })
    const at = mm.mmap(PAGES * PAGE)
    mm.madvise(at, PAGES * PAGE, 'MADV_MERGEABLE')
    world.guests.push({ mm, at })
  }
  const points = new Set<RacePoint>()
  always(host, (point) => {
    if (!OPEN_POINTS.test(point) || !world.random.chance(0.1)) return
    points.add(point)
    act(world)
  })
  for (let step = 0; step < 250; step++) {
    if (world.random.chance(0.3)) host.ksm.scanPages(1 + world.random.below(8))
    else act(world)
    checkNodes(host)
    host.audit()
  }
  return { ...seen, points }
}

describe.each(INDEX_NAMES)('seed 0, trees ordered by %s', (index) => {
  it('fuzz (0.5, 0.6): keys name living nodes, nodes outlive their pages, lists add up', async () => {
    const points = new Set<RacePoint>()
    let [stored, freed] = [0, 0]
    for (let seed = 1; seed <= 12; seed++) {
      const seen = await history(index, seed)
      stored += seen.stored
      freed += seen.freed
      for (const point of seen.points) points.add(point)
    }
    expect(stored).toBeGreaterThan(100)
    expect(freed).toBeGreaterThan(50)
    expect([...points].filter((point) => point.startsWith('keyhole'))).toHaveLength(4)
  })

  it('fuzz catches a frame that keeps its mapping when it is freed', async () => {
    const host = await makeHost({ index })
    const seen = guardKeys(host)
    const { frames } = memoryOf(host)
    const setMapping = frames.setMapping.bind(frames)
    frames.setMapping = (pfn, mapping) => {
      if (mapping !== 0) setMapping(pfn, mapping)
    }
    const guests = [1, 2].map(() => {
      const mm = host.createMm()
      const at = mm.mmap(PAGE)
      mm.write(at, contentBytes(1))
      mm.madvise(at, PAGE, 'MADV_MERGEABLE')
      return mm
    })
    host.ksm.scan(2)
    for (const mm of guests) mm.exit()
    expect(seen.stored).toBeGreaterThan(0)
    expect(() => host.ksm.scan(1)).toThrow(/names the node being freed/)
  })
})
