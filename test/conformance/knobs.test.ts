// What the files under /sys/kernel/mm/ksm take and refuse, what madvise and prctl do where nothing can be merged, and the
// advisor's arithmetic: the error table and the advisor vectors.

import { describe, expect, it } from 'vitest'
import type { KnobName, MmapOptions } from '../../src/index.ts'
import { Advisor } from '../../src/ksm/advisor.ts'
import { addFilled, bootHost, counted, errnoOf, fill, framesOf, fullScans, PAGE } from '../support/world.ts'

describe('knobs', () => {
  it.each<[KnobName, number | string, string]>([
    ['run', 3, 'EINVAL'],
    ['run', -1, 'EINVAL'],
    ['run', 'x', 'EINVAL'],
    ['run', '', 'EINVAL'],
    ['max_page_sharing', 1, 'EINVAL'],
    ['max_page_sharing', 0, 'EINVAL'],
    ['max_page_sharing', 2 ** 31, 'ERANGE'],
    ['max_page_sharing', -(2 ** 31) - 1, 'ERANGE'],
    ['max_page_sharing', -(2 ** 31), 'EINVAL'],
    ['merge_across_nodes', 2, 'EINVAL'],
    ['use_zero_pages', 2, 'EINVAL'],
    ['smart_scan', 'maybe', 'EINVAL'],
    ['sleep_millisecs', 2 ** 32, 'EINVAL'],
    ['pages_to_scan', 1.5, 'EINVAL'],
    ['advisor_target_scan_time', 0, 'EINVAL'],
    ['advisor_mode', 'foo', 'EINVAL'],
    ['advisor_mode', 1, 'EINVAL'],
  ])('%s=%j is refused with %s and changes nothing', async (knob, value, errno) => {
    const host = await bootHost()
    const before = host.ksm.counters()
    expect(errnoOf(() => host.ksm.set(knob, value))).toBe(errno)
    expect(host.ksm.counters()).toEqual(before)
  })

  it.each<[KnobName, number | string, number | string]>([
    ['run', '2', 2],
    ['max_page_sharing', 2, 2],
    ['merge_across_nodes', '0', 0],
    ['use_zero_pages', 'y', 1],
    ['smart_scan', 'on', 1],
    ['advisor_max_cpu', 1000, 1000],
    ['advisor_target_scan_time', 1, 1],
    ['advisor_mode', 'scan-time', 'scan-time'],
    ['pages_to_scan', 0, 0],
    ['stable_node_chains_prune_millisecs', 0, 0],
  ])('%s=%j is taken', async (knob, value, read) => {
    const host = await bootHost({ numaNodes: 2 })
    host.ksm.set(knob, value)
    expect(host.ksm.get(knob)).toBe(read)
    expect(host.ksm.counters()[knob]).toBe(read)
  })

  it.each(['max_page_sharing', 'merge_across_nodes'] as const)(
    '%s cannot change while pages are merged, but may keep its value',
    async (knob) => {
      const host = await bootHost({ numaNodes: 2 })
      addFilled(host.createMm(), 4, 1)
      fullScans(host, 2)
      const value = host.ksm.get(knob)
      expect(errnoOf(() => host.ksm.set(knob, value === 1 ? 0 : 2))).toBe('EBUSY')
      expect(host.ksm.get(knob)).toBe(value)
      host.ksm.set(knob, value)
      host.ksm.set('run', 2)
      host.ksm.set(knob, value === 1 ? 0 : 2)
      host.audit()
    },
  )

  it.each(['max_page_sharing', 'merge_across_nodes'] as const)(
    '%s may change once nothing is merged, though an empty node is left',
    async (knob) => {
      const host = await bootHost({ numaNodes: 2 })
      const mm = host.createMm()
      const at = addFilled(mm, 4, 1)
      fullScans(host, 2)
      mm.munmap(at, 4 * PAGE)
      addFilled(mm, 1, 1)
      expect(errnoOf(() => host.ksm.set(knob, 0))).not.toBeUndefined()
      host.ksm.scan(1)
      expect(counted(host).slice(0, 2)).toEqual([0, 0])
      host.ksm.set(knob, knob === 'max_page_sharing' ? 2 : 0)
      host.audit()
    },
  )

  it('pages_to_scan is refused while the advisor chooses it', async () => {
    const host = await bootHost()
    host.ksm.set('advisor_mode', 'scan-time')
    expect(host.ksm.get('pages_to_scan')).toBe(500)
    expect(errnoOf(() => host.ksm.set('pages_to_scan', 7))).toBe('EINVAL')
    host.ksm.set('advisor_mode', 'none')
    expect(host.ksm.get('pages_to_scan')).toBe(100)
    host.ksm.set('pages_to_scan', 7)
    host.ksm.set('advisor_mode', 'none')
    expect(host.ksm.get('pages_to_scan'), 'no change of mode, no reset').toBe(7)
  })
})

describe('madvise and prctl', () => {
  it.each([{ shared: true }, { kind: 'hugetlb' }, { kind: 'pfnmap' }] satisfies MmapOptions[])(
    'MADV_MERGEABLE and PR_SET_MEMORY_MERGE have no effect on %o',
    async (options) => {
      const host = await bootHost()
      const mm = host.createMm()
      const at = mm.mmap(4 * PAGE, options)
      if (options.kind !== 'pfnmap') fill(mm, at, 4, 7)
      const frames = framesOf(mm, at, 4)
      mm.madvise(at, 4 * PAGE, 'MADV_MERGEABLE')
      expect(mm.ksmStat().ksm_mergeable).toBe('no')
      expect(mm.mergeable, 'not even registered').toBe(false)
      mm.prctl('PR_SET_MEMORY_MERGE', 1)
      const later = mm.mmap(PAGE, options)
      expect(mm.ksmStat()).toMatchObject({ ksm_mergeable: 'no', ksm_merge_any: 'yes' })
      fullScans(host, 3)
      expect(counted(host)).toEqual([0, 0, 0, 0])
      expect(framesOf(mm, at, 4)).toEqual(frames)
      mm.madvise(at, 4 * PAGE, 'MADV_UNMERGEABLE')
      mm.munmap(later, PAGE)
      host.audit()
    },
  )

  it.each([
    ['PR_SET_MEMORY_MERGE', [1, 1]],
    ['PR_SET_MEMORY_MERGE', [1, 0, 0, 5]],
    ['PR_SET_MEMORY_MERGE', [0, 2]],
    ['PR_GET_MEMORY_MERGE', [1]],
    ['PR_GET_MEMORY_MERGE', [0, 0, 0, 1]],
  ] as const)('prctl refuses %s with %o', async (option, args) => {
    const mm = (await bootHost()).createMm()
    expect(errnoOf(() => mm.prctl(option, ...args))).toBe('EINVAL')
    expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(0)
    expect(mm.prctl('PR_SET_MEMORY_MERGE', 1, 0, 0, 0)).toBe(0)
  })

  it.each(['before', 'between', 'behind'])(
    'madvise over a hole %s does the rest and says ENOMEM',
    async (where) => {
      const host = await bootHost()
      const mm = host.createMm()
      const at = mm.mmap(6 * PAGE)
      const hole = { before: 0, between: 2, behind: 5 }[where]!
      mm.munmap(at + hole * PAGE, PAGE)
      expect(errnoOf(() => mm.madvise(at, 6 * PAGE, 'MADV_MERGEABLE'))).toBe('ENOMEM')
      for (let page = 0; page < 6; page++) if (page !== hole) fill(mm, at + page * PAGE, 1, 7)
      fullScans(host, 2)
      expect(counted(host)).toEqual([1, 4, 0, 0])
      expect(errnoOf(() => mm.madvise(at, 6 * PAGE, 'MADV_UNMERGEABLE'))).toBe('ENOMEM')
      expect(new Set(framesOf(mm, at, 6)).size).toBe(6)
      host.audit()
    },
  )
})

describe('advisor', () => {
  const GOALS = { targetScanTime: 200, maxCpu: 70, maxPagesToScan: 30_000 }

  it('500 pages, a scan of 200 s at 10 %: 500; then one of 400 s: 810', () => {
    const advisor = new Advisor()
    advisor.start(0)
    expect(advisor.stop(200_000, 20_000, 500, GOALS)).toEqual({
      scanTime: 200,
      pagesToScan: 500,
      cpuPercent: 10,
    })
    advisor.start(1_000_000)
    expect(advisor.stop(1_400_000, 60_000, 500, GOALS)).toEqual({
      scanTime: 400,
      pagesToScan: 810,
      cpuPercent: 10,
    })
  })

  it('writes pages_to_scan after every full scan, by the host clock', async () => {
    let [now, cpu] = [0, 0]
    const clock = { now: () => now, cpu: () => cpu, sleep: () => Promise.resolve() }
    const host = await bootHost({ clock })
    const told: object[] = []
    host.on('ksm_advisor', (event) => told.push(event))
    host.ksm.set('advisor_mode', 'scan-time')
    addFilled(host.createMm(), 8, 1)
    host.ksm.set('run', 1)
    for (const seconds of [200, 400]) {
      host.ksm.scanPages(4)
      now += seconds * 1000
      cpu += seconds * 100
      host.ksm.scanPages(100)
      host.ksm.scanPages(0)
      // The batch that finds the end of the list ends the scan.
      expect(host.ksm.counters().full_scans).toBe(told.length)
    }
    expect(told).toEqual([
      { scan_time: 200, pages_to_scan: 500, cpu_percent: 10 },
      { scan_time: 400, pages_to_scan: 810, cpu_percent: 10 },
    ])
    expect(host.ksm.get('pages_to_scan')).toBe(810)
  })

  it('never asks for more than advisor_max_pages_to_scan, nor for less than a tenth of a processor', () => {
    const busy = new Advisor()
    busy.start(0)
    expect(busy.stop(1000, 1000, 500, GOALS).pagesToScan, '5 a percent').toBe(50)
    const idle = new Advisor()
    idle.start(0)
    // A scan a hundred times too slow, hardly any processor time: bounded by the cap.
    expect(idle.stop(20_000_000, 1, 500_000, GOALS).pagesToScan).toBe(30_000)
  })
})
