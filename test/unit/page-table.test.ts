import { describe, expect, it } from 'vitest'
import { PTE_PRESENT, PTE_SPECIAL } from '../../assembly/abi.ts'
import { VPN_LIMIT } from '../../src/mm/model/address.ts'
import { PageTables } from '../../src/mm/page/page-table.ts'
import { bareArena } from '../support/arena.ts'
import { random } from '../support/random.ts'

describe('page tables', () => {
  it('are gone through without passing over a table behind a hole, wherever in the hole one begins', async () => {
    const tables = new PageTables(await bareArena({ frames: 64, mappings: 20_000 }))
    const pgd = tables.create()
    for (const span of [256, 65_536, 2 ** 24]) {
      const vpn = 2 * span
      expect(tables.reserve(pgd, vpn)).toBe(true)
      tables.set(pgd, vpn, 4096 + PTE_PRESENT)
      for (const from of [span, span + 1, span + span / 2, vpn - 1]) {
        expect(tables.next(pgd, from, VPN_LIMIT), `${from}`).toBe(vpn)
      }
      tables.set(pgd, vpn, 0)
    }
  })

  it('hold what a Map would, over the whole address space', async () => {
    const tables = new PageTables(await bareArena({ frames: 64, mappings: 20_000 }))
    const pgd = tables.create()
    const model = new Map<number, number>()
    const rnd = random(11)
    const places = [0, 255, 256, 65_535, 65_536, 2 ** 24 - 1, 2 ** 24, 2 ** 31, VPN_LIMIT - 600]
    for (let step = 0; step < 3000; step++) {
      const vpn = rnd.pick(places) + rnd.below(600)
      if (rnd.chance(0.7)) {
        expect(tables.reserve(pgd, vpn)).toBe(true)
        const pte =
          ((1 + rnd.below(2 ** 19)) * 4096 + (rnd.chance(0.9) ? PTE_PRESENT : PTE_PRESENT | PTE_SPECIAL)) >>>
          0
        tables.set(pgd, vpn, pte)
        model.set(vpn, pte)
      } else if (model.has(vpn)) {
        tables.set(pgd, vpn, 0)
        model.delete(vpn)
      }
      expect(tables.get(pgd, vpn)).toBe(model.get(vpn) ?? 0)
    }
    const walked: number[] = []
    for (
      let vpn = tables.next(pgd, 0, VPN_LIMIT);
      vpn < VPN_LIMIT;
      vpn = tables.next(pgd, vpn + 1, VPN_LIMIT)
    ) {
      walked.push(vpn)
      expect(tables.get(pgd, vpn)).toBe(model.get(vpn))
    }
    expect(walked).toEqual([...model.keys()].sort((a, b) => a - b))
    const own = [...model].filter(([, pte]) => (pte & PTE_SPECIAL) === 0).map(([vpn]) => vpn)
    const anonymous: number[] = []
    for (let vpn = tables.nextNormal(pgd, 0, VPN_LIMIT); vpn < VPN_LIMIT; ) {
      anonymous.push(vpn)
      vpn = tables.nextNormal(pgd, vpn + 1, VPN_LIMIT)
    }
    expect(anonymous).toEqual(own.sort((a, b) => a - b))
  })

  it('stops at the end asked for', async () => {
    const tables = new PageTables(await bareArena())
    const pgd = tables.create()
    tables.reserve(pgd, 300)
    tables.set(pgd, 300, PTE_PRESENT)
    expect(tables.next(pgd, 0, 300)).toBe(300)
    expect(tables.next(pgd, 0, 299)).toBe(299)
    expect(tables.next(pgd, 301, 1000)).toBe(1000)
    expect(tables.get(pgd, 300)).toBe(PTE_PRESENT)
  })

  it('gives empty tables back, and only those', async () => {
    const arena = await bareArena()
    const tables = new PageTables(arena)
    const pgd = tables.create()
    for (const vpn of [5, 300, 2 ** 24, 2 ** 24 + 1]) {
      tables.reserve(pgd, vpn)
      tables.set(pgd, vpn, PTE_PRESENT)
    }
    const full = arena.objects().pageTables
    tables.set(pgd, 2 ** 24, 0)
    tables.prune(pgd, 2 ** 24, 2 ** 24 + 1)
    expect(arena.objects().pageTables).toBe(full)
    tables.set(pgd, 2 ** 24 + 1, 0)
    tables.prune(pgd, 2 ** 24, 2 ** 24 + 2)
    expect(arena.objects().pageTables).toBe(full - 3)
    expect(tables.get(pgd, 300)).toBe(PTE_PRESENT)
    expect(tables.get(pgd, 2 ** 24 + 1)).toBe(0)
    for (const vpn of [5, 300]) tables.set(pgd, vpn, 0)
    tables.prune(pgd, 0, VPN_LIMIT)
    expect(arena.objects().pageTables).toBe(1)
  })

  it('reports running out of memory', async () => {
    const tables = new PageTables(await bareArena({ frames: 1, mappings: 1 }))
    const pgd = tables.create()
    let vpn = 0
    while (tables.reserve(pgd, vpn)) vpn += 2 ** 16
    expect(vpn).toBeGreaterThan(0)
    expect(tables.get(pgd, vpn)).toBe(0)
  })
})
