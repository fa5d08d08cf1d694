// The accounts of each mm, /proc/PID/ksm_stat: what each line says, and that the lines of all mms add up to what the host
// counts.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import { random } from '../support/random.ts'
import { addFilled, bootHost, errnoOf, fill, fullScans, PAGE } from '../support/world.ts'

/** Sums over every mm, those too that have exited and whose items ksmd has not dropped yet: their accounts are kept until then. */
function expectSums(host: Host, mms: readonly Mm[]): void {
  const { pages_shared, pages_sharing, pages_unshared, pages_volatile, ksm_zero_pages, general_profit } =
    host.ksm.counters()
  const sum = (line: keyof Mm['ksm']): number => mms.reduce((total, mm) => total + mm.ksm[line], 0)
  const profits = mms
    .filter((mm) => mm.users > 0)
    .reduce((total, mm) => total + mm.ksmStat().ksm_process_profit, 0)
  const gone = mms
    .filter((mm) => mm.users === 0)
    .reduce((total, { ksm }) => total + ksm.mergingPages * PAGE - ksm.rmapItems * 64, 0)
  expect(sum('rmapItems')).toBe(pages_shared + pages_sharing + pages_unshared + pages_volatile)
  expect(sum('mergingPages')).toBe(pages_shared + pages_sharing)
  expect(sum('zeroPages')).toBe(ksm_zero_pages)
  expect(profits + gone).toBe(general_profit + pages_shared * PAGE)
}

describe('ksm_stat', () => {
  it('has six lines, in the order and spelling of Linux', async () => {
    const mm = (await bootHost()).createMm()
    expect(Object.entries(mm.ksmStat())).toEqual([
      ['ksm_rmap_items', 0],
      ['ksm_zero_pages', 0],
      ['ksm_merging_pages', 0],
      ['ksm_process_profit', 0],
      ['ksm_merge_any', 'no'],
      ['ksm_mergeable', 'no'],
    ])
  })

  it('follows a page through its states', async () => {
    const host = await bootHost()
    host.ksm.set('use_zero_pages', 1)
    const mm = host.createMm()
    const at = addFilled(mm, 6, 0)
    fill(mm, at, 4, 7)
    const lines = (): unknown[] => Object.values(mm.ksmStat()).slice(0, 4)
    expect(lines()).toEqual([0, 0, 0, 0])
    fullScans(host, 1)
    expect(lines()).toEqual([6, 0, 0, -384])
    host.ksm.scan(1)
    expect(lines()).toEqual([6, 2, 4, 6 * 4096 - 384])
    host.ksm.scan(1)
    expect(lines(), 'zero pages have no items').toEqual([4, 2, 4, 6 * 4096 - 256])
    fill(mm, at + 4 * PAGE, 1, 1)
    expect(lines(), 'at once').toEqual([4, 1, 4, 5 * 4096 - 256])
    mm.munmap(at, 3 * PAGE)
    expect(lines(), 'later').toEqual([4, 1, 4, 5 * 4096 - 256])
    host.ksm.scan(1)
    expect(lines()).toEqual([2, 1, 1, 2 * 4096 - 128])
    mm.exit()
    expect(mm.ksm, 'zero pages go with their ptes').toEqual({ rmapItems: 2, zeroPages: 0, mergingPages: 1 })
    expect(
      errnoOf(() => mm.ksmStat()),
      'the file of one that has exited is empty',
    ).toBe('ESRCH')
    host.ksm.scan(1)
    expect(mm.ksm).toEqual({ rmapItems: 0, zeroPages: 0, mergingPages: 0 })
    host.audit()
  })

  it('says whether some range is mergeable now, and whether all are to be', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const said = (): string[] => [mm.ksmStat().ksm_merge_any, mm.ksmStat().ksm_mergeable]
    const at = mm.mmap(2 * PAGE)
    mm.madvise(at, PAGE, 'MADV_MERGEABLE')
    expect(said()).toEqual(['no', 'yes'])
    mm.madvise(at, PAGE, 'MADV_UNMERGEABLE')
    expect(said()).toEqual(['no', 'no'])
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    expect(said()).toEqual(['yes', 'yes'])
    mm.munmap(at, 2 * PAGE)
    expect(said()).toEqual(['yes', 'no'])
    expect(Object.values(mm.fork().ksmStat()).slice(4)).toEqual(['yes', 'no'])
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(said()).toEqual(['no', 'no'])
  })

  it('counts a page for the mm whose it is', async () => {
    const host = await bootHost()
    const [a, b] = [host.createMm(), host.createMm()]
    addFilled(a, 3, 7)
    addFilled(b, 5, 7)
    fullScans(host, 2)
    expect([a, b].map((mm) => mm.ksmStat().ksm_merging_pages)).toEqual([3, 5])
    expectSums(host, [a, b])
  })
})

describe.each(INDEX_NAMES)('the sums over all mms, index %s', (index) => {
  it.each([1, 2, 3, 4, 5, 6])('hold after every step of a random history, seed %i', async (seed) => {
    const { below, pick, chance } = random(seed)
    const host = await bootHost({ index, frames: 512 })
    host.ksm.set('use_zero_pages', seed % 2)
    host.ksm.set('max_page_sharing', 2 + below(6))
    host.ksm.set('stable_node_chains_prune_millisecs', 0)
    host.swapOn(memorySwapStore(64))
    const REGION = 12
    const everybody: Mm[] = []
    const spawn = (): void => {
      const mm = host.createMm()
      addFilled(mm, REGION, below(3))
      everybody.push(mm)
    }
    spawn()
    const alive = (): Mm[] => everybody.filter((mm) => mm.users > 0)
    const startOf = (mm: Mm): number => mm.vmas.find(0)!.start * PAGE
    const steps: readonly ((mm: Mm) => void)[] = [
      (mm) => fill(mm, startOf(mm) + below(REGION) * PAGE, 1, below(3)),
      (mm) => mm.madvise(startOf(mm) + below(REGION) * PAGE, PAGE, 'MADV_DONTNEED'),
      (mm) => mm.madvise(startOf(mm) + below(REGION / 2) * PAGE, (REGION / 2) * PAGE, 'MADV_UNMERGEABLE'),
      (mm) => mm.madvise(startOf(mm), REGION * PAGE, 'MADV_MERGEABLE'),
      (mm) => mm.madvise(startOf(mm), REGION * PAGE, 'MADV_PAGEOUT'),
      (mm) => void (everybody.length < 12 && everybody.push(mm.fork())),
      (mm) => {
        if (alive().length > 1) mm.exit()
      },
      () => void (everybody.length < 12 && spawn()),
    ]
    for (let step = 0; step < 150; step++) {
      if (chance(0.4)) fullScans(host, 1)
      else if (chance(0.05)) host.ksm.set('run', 2)
      else pick(steps)(pick(alive()))
      expectSums(host, everybody)
      host.audit()
    }
  })
})
