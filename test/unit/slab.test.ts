import { describe, expect, it } from 'vitest'
import {
  CACHE_NODE,
  CACHE_RMAP,
  CACHE_TABLE,
  HEADER_ZONE_TOUCHED,
  NODE_BYTES,
  PAGE_SIZE,
  RMAP_BYTES,
  TABLE_BYTES,
} from '../../assembly/abi.ts'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import { bareArena } from '../support/arena.ts'
import { random } from '../support/random.ts'

const SIZES: Record<number, number> = {
  [CACHE_TABLE]: TABLE_BYTES,
  [CACHE_RMAP]: RMAP_BYTES,
  [CACHE_NODE]: NODE_BYTES,
}

describe('slabs', () => {
  it('keep what they handed out when the pages to come are touched, as far as before and further', async () => {
    const arena = await bareArena({ mappings: 4096 })
    const live: number[] = []
    const touched = (): number => arena.u32[HEADER_ZONE_TOUCHED / 4]!
    for (const [bytes, further] of [
      [8 * 4096, true],
      [2 * 4096, false],
      [40 * 4096, true],
    ] as const) {
      const before = touched()
      arena.core.touchPages(bytes)
      expect(touched() > before).toBe(further)
      for (let taken = 0; taken < 300; taken++) {
        const object = arena.core.slabAlloc(CACHE_RMAP)
        expect(arena.u8.subarray(object, object + RMAP_BYTES).every((byte) => byte === 0)).toBe(true)
        arena.u8.fill(0xff, object, object + RMAP_BYTES)
        live.push(object)
      }
    }
    for (const object of live)
      expect(arena.u8.subarray(object, object + RMAP_BYTES).every((byte) => byte === 0xff)).toBe(true)
  })

  it('hand out zeroed, aligned objects that never overlap, through any order of taking and giving back', async () => {
    const arena = await bareArena({ mappings: 64 })
    const rnd = random(3)
    const live = new Map<number, number>()
    for (let step = 0; step < 4000; step++) {
      if (rnd.chance(0.55)) {
        const kind = rnd.below(3)
        const object = arena.core.slabAlloc(kind)
        if (object === 0) continue
        const bytes = arena.u8.subarray(object, object + SIZES[kind]!)
        expect(object % 32).toBe(0)
        expect(bytes.every((byte) => byte === 0)).toBe(true)
        bytes.fill(0xff)
        live.set(object, kind)
      } else if (live.size > 0) {
        const object = rnd.pick([...live.keys()])
        const bytes = arena.u8.subarray(object, object + SIZES[live.get(object)!]!)
        expect(
          bytes.every((byte) => byte === 0xff),
          'nobody else wrote here',
        ).toBe(true)
        arena.core.slabFree(live.get(object)!, object)
        live.delete(object)
      }
    }
    const count = (kind: number) => [...live.values()].filter((other) => other === kind).length
    expect(arena.objects()).toEqual({
      pageTables: count(CACHE_TABLE),
      rmapItems: count(CACHE_RMAP),
      stableNodes: count(CACHE_NODE),
    })
  })

  it('say 0 when memory is used up, and go on once some is given back', async () => {
    const arena = await bareArena({ frames: 1, mappings: 1 })
    const taken: number[] = []
    for (
      let table = arena.core.slabAlloc(CACHE_TABLE);
      table !== 0;
      table = arena.core.slabAlloc(CACHE_TABLE)
    ) {
      taken.push(table)
    }
    expect(taken.length).toBeGreaterThan(100)
    expect(arena.core.takePages(1)).toBe(0)
    arena.core.slabFree(CACHE_TABLE, taken[0]!)
    expect(arena.core.slabAlloc(CACHE_TABLE)).toBe(taken[0])
  })

  it.each([1000, 60_000, 900_000])('have room for all that %i pages need beside two trees', async (pages) => {
    const arena = await bareArena({ frames: pages, mappings: pages, index: 'hash' })
    for (const _ of ['stable', 'unstable']) expect(arena.allocRoots()).not.toBe(0)
    // A pte and an item a page, a node a frame; and a table above for every 256 tables, with slabs half filled.
    const bytes = pages * (4 + RMAP_BYTES + NODE_BYTES)
    expect(arena.core.takePages(Math.ceil(bytes / PAGE_SIZE) + 64)).not.toBe(0)
  })

  it('give a stable node a new key each time its address is used again', async () => {
    const nodes = new StableNodes(await bareArena())
    const first = nodes.alloc(0, 3)
    const key = nodes.key(first)
    expect(nodes.nid(first)).toBe(3)
    nodes.free(first)
    const second = nodes.alloc(0, 0)
    expect(second).toBe(first)
    expect(nodes.key(second)).not.toBe(key)
    expect(StableNodes.ofMapping(nodes.key(second))).toBe(second)
  })
})
