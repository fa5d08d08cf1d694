// Counter vectors, third part: smart scan, the schedule on which a page that does not merge is visited, and what follows
// from it: two equal pages whose phases differ may never merge. The policy of our own that mends this is not Linux's, and is
// tried beside it.

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES, type SmartScanPolicy } from '../../src/index.ts'
import { addFilled, bootHost, counted, fill, fullScans, PAGE } from '../support/world.ts'

describe.each(INDEX_NAMES)('smart scan, index %s', (index) => {
  const setUp = async (smartScan: SmartScanPolicy = 'linux') => {
    const host = await bootHost({ index, smartScan })
    host.ksm.set('smart_scan', 1)
    host.ksm.set('run', 1)
    return { host, mm: host.createMm() }
  }

  it.each([false, true])(
    'visits an ageing page less and less often (it changes meanwhile: %s)',
    async (changes) => {
      const { host, mm } = await setUp()
      const at = addFilled(mm, 1, 9)
      const visited: number[] = []
      const skipped: number[] = []
      for (let scan = 1; scan <= 60; scan++) {
        if (changes) fill(mm, at, 1, scan)
        const { pages_scanned } = host.ksm.counters()
        host.ksm.scan(1)
        const now = host.ksm.counters()
        skipped[scan] = now.pages_skipped
        if (now.pages_scanned === pages_scanned) continue
        visited.push(scan)
        // Age does not depend on content; but only a page that kept still gets into the unstable tree.
        expect(now.pages_unshared).toBe(changes || scan === 1 ? 0 : 1)
      }
      expect(visited).toEqual([1, 2, 3, 4, 6, 9, 14, 23, 32, 41, 50, 59])
      expect([5, 8, 10, 11, 13, 14, 15, 22, 23, 31, 59].map((scan) => skipped[scan])).toEqual([
        1, 3, 4, 5, 7, 7, 8, 15, 15, 23, 47,
      ])
      host.audit()
    },
  )

  it('between its visits a lone page is volatile', async () => {
    const { host, mm } = await setUp()
    addFilled(mm, 1, 9)
    const rows = Array.from({ length: 9 }, () => {
      host.ksm.scan(1)
      return counted(host).slice(2)
    })
    const [seen, not] = [
      [1, 0],
      [0, 1],
    ]
    expect(rows).toEqual([not, seen, seen, seen, not, seen, not, not, seen])
  })

  it('never skips a merged page', async () => {
    const { host, mm } = await setUp()
    addFilled(mm, 4, 9)
    for (let i = 0; i < 30; i++) host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_skipped: 0, pages_scanned: 120, pages_sharing: 3 })
  })

  const PHASES: readonly [born: number, merged: number | undefined][] = [
    [63, 6],
    [64, 14],
    [65, 4],
    [66, 3],
    [67, 2],
    [68, undefined],
    [69, 9],
    [70, undefined],
    [71, undefined],
  ]

  it.each(PHASES)('a twin born at scan %i of an old page meets it in its scan %s', async (born, merged) => {
    const { host, mm } = await setUp()
    addFilled(mm, 1, 9)
    host.ksm.scan(born - 1)
    addFilled(mm, 1, 9)
    let lived = 0
    while (lived < 200 && host.ksm.counters().pages_sharing === 0) lived += host.ksm.scan(1)
    expect(lived < 200 ? lived : undefined).toBe(merged)
    if (merged !== undefined) return
    // A third copy helps if it hits one of the two phases; from then on each further one joins at its next visit.
    for (let copies = 0; copies < 9 && host.ksm.counters().pages_sharing === 0; copies++) {
      addFilled(mm, 1, 9)
      host.ksm.scan(19)
    }
    expect(host.ksm.counters().pages_shared).toBe(1)
    host.ksm.scan(20)
    expect(counted(host).slice(1)).toEqual([mm.ksmStat().ksm_rmap_items - 1, 0, 0])
  })

  it.each(['linux', 'phased'] as const)('%s: two old pages become equal', async (policy) => {
    const met: number[] = []
    for (let apart = 0; apart < 9; apart++) {
      const { host, mm } = await setUp(policy)
      const first = addFilled(mm, 1, 1)
      host.ksm.scan(9 + apart)
      const second = mm.mmap(PAGE)
      fill(mm, second, 1, 2)
      mm.madvise(second, PAGE, 'MADV_MERGEABLE')
      host.ksm.scan(90)
      fill(mm, first, 1, 3)
      fill(mm, second, 1, 3)
      let waited = 0
      while (waited < 200 && host.ksm.counters().pages_sharing === 0) waited += host.ksm.scan(1)
      if (waited < 200) met.push(waited)
    }
    // Linux: only where the phases are equal, which is one of nine.
    expect(met).toHaveLength(policy === 'linux' ? 1 : 9)
    expect(Math.max(...met)).toBeLessThanOrEqual(18)
  })

  it('smart_scan=0 takes effect at once', async () => {
    const { host, mm } = await setUp()
    addFilled(mm, 1, 9)
    host.ksm.scan(20)
    host.ksm.set('smart_scan', 0)
    fullScans(host, 1)
    expect(counted(host)).toEqual([0, 0, 1, 0])
  })
})
