// The scan-time advisor: its arithmetic by the vectors, its knobs, and what it does to a ksmd that runs.

import { describe, expect, it } from 'vitest'
import type { AdvisorMode, Host } from '../../src/index.ts'
import { Advisor, type AdvisorGoals } from '../../src/ksm/advisor.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { errnoOf, guest, makeHost } from '../support/world.ts'

const GOALS: AdvisorGoals = { targetScanTime: 200, maxCpu: 70, maxPagesToScan: 30_000 }

/** One full scan of so many seconds with so much processor time, beginning where the last one ended. */
class Runs {
  readonly advisor = new Advisor()
  private nowMs: number
  private cpuMs = 0
  private pages: number

  constructor(pages: number, nowMs = 0) {
    this.pages = pages
    this.nowMs = nowMs
  }

  run(seconds: number, cpuPercent: number, goals: Partial<AdvisorGoals> = {}): number {
    this.advisor.start(this.nowMs)
    this.nowMs += seconds * 1000
    this.cpuMs += seconds * 10 * cpuPercent
    const advice = this.advisor.stop(this.nowMs, this.cpuMs, this.pages, { ...GOALS, ...goals })
    this.pages = advice.pagesToScan
    return this.pages
  }
}

describe('the arithmetic', () => {
  it('the first run: 500 pages, on target, 10 % of a processor', () => {
    // factor 100, change 30, 500 -> 150; a percent is worth 50 pages, so never below 500.
    expect(new Runs(500).run(200, 10)).toBe(500)
  })

  it('the second, twice as long', () => {
    const runs = new Runs(500)
    runs.run(200, 10)
    // factor 50, change (70*30 + 30*200)/100 = 81, 1000 -> 810.
    expect(runs.run(400, 10)).toBe(810)
  })

  it.each<
    [name: string, pages: number, seconds: number, cpu: number, goals: Partial<AdvisorGoals>, wanted: number]
  >([
    ['too fast: fewer pages, though never below 10 %', 5000, 20, 50, {}, 1000],
    ['too slow: more, as far as the processor share goes', 5000, 2000, 50, {}, 7000],
    ['what is wanted, where nothing is in the way', 500, 4000, 10, {}, 3000],
    ['a cap below', 500, 4000, 1, { maxPagesToScan: 700 }, 700],
    ['a cap below even the least', 500, 200, 1, { maxPagesToScan: 7 }, 7],
    ['a scan too short to measure counts as a second', 500, 0, 0, { targetScanTime: 1 }, 5000],
    ['a processor time too short to measure counts as a percent', 500, 200, 0, {}, 5000],
    ['more processors than one', 500, 200, 250, {}, 140],
    ['pages fewer than percents: each is worth a page', 5, 200, 50, {}, 10],
    [
      'target shorter than a hundredth of the scan: factor 1',
      1000,
      500,
      1,
      { targetScanTime: 1, maxCpu: 1000 },
      30_000,
    ],
    ['no share allowed: still the least', 500, 200, 10, { maxCpu: 0 }, 500],
  ])('%s', (_, pages, seconds, cpu, goals, wanted) => {
    expect(new Runs(pages).run(seconds, cpu, goals)).toBe(wanted)
  })

  it('counts processor time between two runs, on the first since its beginning', () => {
    const advisor = new Advisor()
    advisor.start(0)
    expect(advisor.stop(100_000, 50_000, 500, GOALS)).toMatchObject({ scanTime: 100, cpuPercent: 50 })
    advisor.start(100_000)
    expect(advisor.stop(200_000, 60_000, 500, GOALS)).toMatchObject({ scanTime: 100, cpuPercent: 10 })
    advisor.start(0)
    expect(advisor.stop(1_999, 60_000, 500, GOALS), 'whole seconds').toMatchObject({
      scanTime: 1,
      cpuPercent: 1,
    })
  })

  it('smoothes the change of the scan time with weight 30', () => {
    // change: 30, 51, 65, 75, 82, ... towards 100; scans on target, 1000 pages, nothing else in the way.
    const advisor = new Advisor()
    const found: number[] = []
    for (let i = 0; i < 5; i++) {
      advisor.start(0)
      found.push(
        advisor.stop(200_000, 0, 1000, { ...GOALS, maxCpu: 1000, maxPagesToScan: 2 ** 31 }).pagesToScan,
      )
    }
    // A percent is worth 1000 pages: the least is 10000, whatever is wanted.
    expect(found).toEqual([10_000, 10_000, 10_000, 10_000, 10_000])
    const busy = new Advisor()
    let cpuMs = 0
    const wanted = Array.from({ length: 5 }, () => {
      busy.start(0)
      cpuMs += 200_000
      return busy.stop(200_000, cpuMs, 1000, GOALS).pagesToScan
    })
    expect(wanted).toEqual([300, 510, 650, 700, 700])
  })

  it('forgets all of it', () => {
    const runs = new Runs(500)
    runs.run(200, 10)
    runs.advisor.reset()
    runs.advisor.start(0)
    expect(runs.advisor.stop(400_000, 40_000, 500, GOALS).pagesToScan, 'as a first run').toBe(500)
    runs.advisor.start(5_000)
    runs.advisor.reset()
    expect(runs.advisor.stop(7_000, 0, 500, GOALS).scanTime, 'when the scan began too, as Linux does').toBe(7)
  })
})

describe('the knobs', () => {
  it("have Linux's defaults", async () => {
    const host = await makeHost()
    expect(host.ksm.counters()).toMatchObject({
      advisor_mode: 'none',
      advisor_max_cpu: 70,
      advisor_target_scan_time: 200,
      advisor_min_pages_to_scan: 500,
      advisor_max_pages_to_scan: 30_000,
    })
  })

  it("pages_to_scan is the advisor's while it is on; a change of mode sets it anew", async () => {
    const host = await makeHost()
    host.ksm.set('pages_to_scan', 7)
    host.ksm.set('advisor_mode', 'none')
    expect(host.ksm.get('pages_to_scan'), 'no change').toBe(7)
    host.ksm.set('advisor_min_pages_to_scan', 600)
    host.ksm.set('advisor_mode', 'scan-time')
    expect(host.ksm.get('pages_to_scan')).toBe(600)
    expect(errnoOf(() => host.ksm.set('pages_to_scan', 100))).toBe('EINVAL')
    expect(errnoOf(() => host.ksm.set('pages_to_scan', 600))).toBe('EINVAL')
    host.ksm.set('advisor_min_pages_to_scan', 700)
    host.ksm.set('advisor_mode', 'scan-time')
    expect(host.ksm.get('pages_to_scan'), 'no change').toBe(600)
    host.ksm.set('advisor_mode', 'none')
    expect(host.ksm.get('pages_to_scan')).toBe(100)
    host.ksm.set('pages_to_scan', 5)
  })

  it('refuse what Linux refuses', async () => {
    const host = await makeHost()
    for (const mode of ['foo', '', 'SCAN-TIME', 1]) {
      expect(errnoOf(() => host.ksm.set('advisor_mode', mode as AdvisorMode))).toBe('EINVAL')
    }
    expect(errnoOf(() => host.ksm.set('advisor_target_scan_time', 0))).toBe('EINVAL')
    expect(errnoOf(() => host.ksm.set('advisor_max_cpu', -1))).toBe('EINVAL')
    expect(errnoOf(() => host.ksm.set('advisor_max_pages_to_scan', 1.5))).toBe('EINVAL')
    host.ksm.set('advisor_max_cpu', 1000)
    host.ksm.set('advisor_target_scan_time', '1')
    expect(host.ksm.get('advisor_target_scan_time')).toBe(1)
  })
})

describe('a running ksmd', () => {
  const clock = (): ManualClock => new ManualClock()

  /** One full scan that takes so long. */
  async function scanFor(host: Host, time: ManualClock, seconds: number, cpuSeconds: number): Promise<void> {
    const pages = host.ksm.counters().full_scans
    host.ksm.scanPages(1)
    await time.advance(seconds * 1000, cpuSeconds * 1000)
    while (host.ksm.counters().full_scans === pages) host.ksm.scanPages(100)
  }

  it('is advised at the end of every full scan, and says so', async () => {
    const time = clock()
    const host = await makeHost({ clock: time })
    const advice: unknown[] = []
    const order: string[] = []
    host.on('ksm_advisor', (event) => {
      advice.push(event)
      order.push('advisor')
    })
    host.on('ksm_stop_scan', () => order.push('stop'))
    guest(host, 'a', [7, 8, 9])
    await scanFor(host, time, 10, 1)
    expect(advice, 'off').toEqual([])
    host.ksm.set('advisor_mode', 'scan-time')
    // The processor time of all ksmd's life counts in the first run: 1 + 19 s of 200.
    await scanFor(host, time, 200, 19)
    await scanFor(host, time, 400, 40)
    expect(advice).toEqual([
      { scan_time: 200, pages_to_scan: 500, cpu_percent: 10 },
      { scan_time: 400, pages_to_scan: 810, cpu_percent: 10 },
    ])
    expect(host.ksm.get('pages_to_scan')).toBe(810)
    expect(order).toEqual(['stop', 'advisor', 'stop', 'advisor', 'stop'])
    host.ksm.set('advisor_mode', 'none')
    await scanFor(host, time, 400, 40)
    expect(advice).toHaveLength(2)
    expect(host.ksm.get('pages_to_scan')).toBe(100)
  })

  it('may go below advisor_min_pages_to_scan: it is where pages_to_scan begins, no limit', async () => {
    const time = clock()
    const host = await makeHost({ clock: time })
    guest(host, 'a', [7, 8])
    host.ksm.set('advisor_mode', 'scan-time')
    await scanFor(host, time, 100, 90)
    expect(host.ksm.get('pages_to_scan')).toBeLessThan(500)
  })

  it('uses what was advised in its next batch', async () => {
    const time = clock()
    const host = await makeHost({ clock: time })
    guest(host, 'a', [1, 2, 3, 4, 5, 6, 7, 8])
    host.ksm.set('advisor_max_pages_to_scan', 3)
    host.ksm.set('advisor_mode', 'scan-time')
    host.ksm.start()
    await time.advance(0)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 8, full_scans: 1, pages_to_scan: 3 })
    await time.advance(20)
    expect(host.ksm.counters().pages_scanned).toBe(11)
    await host.ksm.stop()
  })
})
