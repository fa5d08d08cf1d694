// Every figure of every report is one that --json prints.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import type { MergeResult } from '../../src/lab/index.ts'
import type { HashReport } from '../../src/report/hash-report.ts'
import {
  type BenchResult,
  type MetricChange,
  type PeerResult,
  type RunningTimes,
  type Section,
  writeReport,
} from '../../src/report/index.ts'
import { format } from '../../src/report/page/units.ts'
import { browserUnavailable } from '../support/browser.ts'
import { scratch } from '../support/files.ts'
import { guest, guestsUnavailable } from '../support/guests.ts'
import {
  barsIn,
  DEMO,
  MAIN,
  make,
  matrixIn,
  Reports,
  sectionOf,
  tableIn,
  unfold,
} from '../support/reports.ts'

const skipped = browserUnavailable === undefined ? '' : ` (skipped: ${browserUnavailable})`

/** The large figures on top, and what is written for them. */
async function figuresIn(page: Page): Promise<{ values: number[]; texts: string[] }> {
  const figures = page.locator('.figures-section dd[data-value]')
  return {
    values: await figures.evaluateAll((all) => all.map((one) => Number(one.getAttribute('data-value')))),
    texts: await figures.allTextContents(),
  }
}

function sum(values: readonly (string | number)[]): number {
  return values.reduce<number>((total, value) => total + Number(value), 0)
}

/** A table whose last row adds up the others. */
function expectToAddUp(table: Record<string, (string | number)[]>, columns: readonly string[]): void {
  for (const name of columns)
    expect(sum(table[name]!.slice(0, -1)), name).toBeCloseTo(Number(table[name]!.at(-1)), 6)
}

describe.skipIf(browserUnavailable)(`a report in the browser${skipped}`, () => {
  const reports = new Reports()

  it.for([
    { of: 'synthetic guests', args: () => DEMO, unavailable: undefined },
    {
      of: 'with zero pages, and a limit',
      args: () => [...DEMO, '--knob', 'use_zero_pages=1', '--knob', 'max_page_sharing=3'],
      unavailable: undefined,
    },
    {
      of: 'one image at two moments',
      args: () => ['synth:demo,pages=256,images=1', '--then', 'synth:demo,pages=256,images=1,moment=1'],
      unavailable: undefined,
    },
    {
      of: 'two real guests',
      args: () => ['guest-web.t0.raw', 'guest-batch.t0.raw'].map(guest),
      unavailable: guestsUnavailable(),
    },
    {
      of: 'two real guests at two moments',
      args: () => [
        ...['guest-web.t0.raw', 'guest-batch.t0.raw'].map(guest),
        '--then',
        ...['guest-web.t1.raw', 'guest-batch.t1.raw'].map(guest),
      ],
      unavailable: guestsUnavailable(),
    },
  ])('shows the figures of the JSON, all of them: $of', async ({ args, unavailable }, { skip }) => {
    if (unavailable !== undefined) skip(unavailable)
    const { page, result, trouble } = await reports.scan(args())
    const rows = result.after_each_scan
    const counters = await tableIn(page, 'Counters after every full scan')
    expect(counters.scan).toEqual(rows.map((_, i) => i + 1))
    for (const name of [
      'pages_shared',
      'pages_sharing',
      'pages_unshared',
      'pages_volatile',
      'ksm_zero_pages',
      'pages_skipped',
      'stable_node_chains',
      'stable_node_dups',
    ] as const) {
      expect(counters[name], name).toEqual(rows.map((row) => row[name]))
    }
    const convergence = await tableIn(page, 'Convergence')
    expect(convergence['this scan']).toEqual(rows.map((row) => row.elapsed_ms))
    expect(convergence['processor time']).toEqual(rows.map((row) => row.cpu_ms))
    expect(convergence.general_profit).toEqual(rows.map((row) => row.general_profit))
    expect(convergence.saved!.at(-1)).toBe(result.bytes_saved)
    const images = await tableIn(page, 'Images')
    const sources = await sectionOf(page, 'Images')
      .locator('tbody th')
      .evaluateAll((heads) => heads.map((head) => head.getAttribute('title')))
    expect(sources).toEqual(result.images.map(({ source }) => source))
    expect(images.pages).toEqual(result.images.map(({ pages }) => pages))
    const knobs = await tableIn(page, 'Knobs')
    expect(knobs.knob).toEqual(Object.keys(result.knobs))
    expect(knobs.value).toEqual(Object.values(result.knobs).map(String))
    const records = await tableIn(page, "pagefold's own records")
    expect(new Set(records.size)).toEqual(
      new Set([
        result.metadata.frameTable,
        result.metadata.roots,
        result.metadata.pageTables,
        result.metadata.rmapItems,
        result.metadata.stableNodes,
        result.metadata_bytes,
      ]),
    )
    expectToAddUp(records, ['size'])
    const { zero, within, between } = result.sharing
    const values = [
      result.bytes_saved,
      ...[zero, within, between].map((frames) => frames * 4096),
      result.metadata_bytes,
      result.profit_after_own_metadata,
    ]
    const figures = await figuresIn(page)
    expect(figures.values.slice(0, 6)).toEqual(values)
    expect(figures.texts.slice(0, 6)).toEqual(values.map((value) => format(value, 'bytes')))
    expect(figures.values.slice(6)).toEqual(result.pages_written === undefined ? [] : [result.pages_written])
    expect(trouble).toEqual([])
  })

  it.for([
    [...DEMO],
    [...DEMO, '--knob', 'use_zero_pages=1'],
    [...DEMO, '--knob', 'max_page_sharing=3', '--scans', '2'],
    ['synth:vm-hetero,pages=256', '--then', 'synth:vm-hetero,pages=256,moment=1'],
  ])('has classes of pages that add up to what is saved: %s', async (args) => {
    const { page, result, trouble } = await reports.scan(args)
    const classes = await tableIn(page, 'From pages to savings')
    const columns = ['pages', 'of all pages', 'frames left', 'saved', 'zeros', 'same image', 'another image']
    expectToAddUp(classes, columns)
    const { zero, within, between } = result.sharing
    expect(columns.map((name) => classes[name]!.at(-1))).toEqual([
      result.pages,
      1,
      result.pages - result.bytes_saved / 4096,
      result.bytes_saved,
      ...[zero, within, between].map((frames) => frames * 4096),
    ])
    // The same classes as the map's, with as many pages.
    const legend = page.locator('.legend button')
    expect(classes.class!.slice(0, -1)).toEqual(await legend.locator('span:nth-child(2)').allTextContents())
    expect(classes.pages!.slice(0, -1)).toEqual(
      await legend
        .locator('[data-value]')
        .evaluateAll((all) => all.map((one) => Number(one.getAttribute('data-value')))),
    )
    const map = await tableIn(page, 'Memory, page by page')
    expect(classes.class!.slice(0, -1).map((name) => map[name]!.at(-1))).toEqual(classes.pages!.slice(0, -1))
    expect(map.pages).toEqual([...result.images.map(({ pages }) => pages), result.pages])
    expect(trouble).toEqual([])
  })

  it('counts what a later moment wrote', async () => {
    const { page, result } = await reports.scan([...DEMO, '--then', 'synth:demo,pages=512,moment=1'])
    await page.getByLabel('what changed').check()
    const counts = await page
      .locator('.legend button')
      .evaluateAll((all) =>
        all.map((one): [string, number] => [
          one.querySelector('span:nth-child(2)')!.textContent!,
          Number(one.querySelector('[data-value]')!.getAttribute('data-value')),
        ]),
      )
    expect(sum(counts.map(([, count]) => count))).toBe(result.pages)
    const written = counts.filter(([label]) => label.startsWith('written'))
    expect(sum(written.map(([, count]) => count))).toBe(result.pages_written)
    expect(result.pages_written).toBeGreaterThan(0)
  })

  it('sets checksums and indexes side by side', async () => {
    const { path, result } = make<HashReport>(
      ...['hash', 'synth:demo,pages=64', '--checksum', 'xxh3,crc32c,sampled,none'],
    )
    const { page, trouble } = await reports.open(path)
    const { checksums, sets } = result
    const costs = [...result.costs].sort((a, b) => a.cold.median - b.cold.median)
    const time = await tableIn(page, 'Time a page')
    expect(time.checksum).toEqual(costs.map(({ checksum }) => checksum))
    expect(time.cold).toEqual(costs.map(({ cold }) => cold.median))
    expect(time.hot).toEqual(costs.map(({ hot }) => hot.median))
    const read = new Map<string, number>(checksums.map(({ checksum, touched }) => [checksum, touched.bytes]))
    expect(time['bytes read']).toEqual(costs.map(({ checksum }) => read.get(checksum) ?? 4096))
    for (const [i, { checksum, cold }] of costs.entries()) {
      const speed = time['cold, speed']![i]!
      if (checksum === 'sampled' || checksum === 'none') expect(speed).toBe('–')
      else expect(speed).toBeCloseTo((4096 / cold.median) * 1e9, 0)
    }
    const bars = await barsIn(page, 'Time a page')
    expect(bars.map(({ rows }) => Number(rows[0]!.value))).toEqual(costs.map(({ cold }) => cold.median))
    expect(bars.every(({ rows }) => rows.every(({ whisker }) => whisker !== null))).toBe(true)
    const strategies = [...result.strategies].sort((a, b) => a.time.median - b.time.median)
    const converge = await tableIn(page, 'Time to converge')
    expect(converge['checksum, index']).toEqual(
      strategies.map(({ checksum, index }) => `${checksum}, ${index}`),
    )
    expect(converge['a page']).toEqual(strategies.map((one) => one.time.median))
    expect(converge['pages merged']).toEqual(strategies.map((one) => one.pages_merged))
    expect(converge['metadata a page']).toEqual(strategies.map((one) => one.metadata_bytes_per_page))
    const searches = await tableIn(page, 'Searches')
    const byProbes = [...result.strategies].sort((a, b) => a.probes_per_search - b.probes_per_search)
    expect(searches['probes a search']).toEqual(byProbes.map((one) => one.probes_per_search))
    expect(searches['in vain']).toEqual(byProbes.map((one) => one.failed_comparisons))
    const names = sets.map(({ name, random_seed }) => `${name}${random_seed ? ', random seed' : ''}`)
    for (const [title, width] of [
      ['Confused, all bits kept', 64],
      ['Confused, 16 bits kept', 16],
    ] as const) {
      expect(await matrixIn(page, title)).toEqual({
        '': names,
        'by chance': sets.map(({ birthday }) => birthday[width]),
        ...Object.fromEntries(
          checksums
            .slice(0, 3)
            .map(({ checksum, collisions }) => [checksum, sets.map((_, i) => collisions[i]?.[width] ?? '–')]),
        ),
      })
    }
    const confused = await tableIn(page, 'Confused, by bits kept')
    for (const [i, { birthday }] of sets.entries()) {
      const rows = confused.pages!.flatMap((name, row) => (name === names[i] ? [row] : []))
      expect(rows.map((row) => confused.checksum![row])).toEqual(['by chance', 'xxh3', 'crc32c', 'sampled'])
      for (const width of [16, 24, 32, 48, 64] as const) {
        const theirs = checksums.slice(0, 3).map(({ collisions }) => collisions[i]?.[width] ?? '–')
        expect(rows.map((row) => confused[`${width} bits`]![row])).toEqual([birthday[width], ...theirs])
      }
    }
    const missed = await matrixIn(page, 'Changes missed')
    const expected = await tableIn(page, 'Changes missed, beside what was to be expected')
    const changes = ['bit', 'word', 'line', 'half'] as const
    for (const one of checksums) {
      expect(missed[one.checksum]).toEqual(changes.map((change) => one.missed[change]))
    }
    for (const change of changes) {
      expect(expected[`one ${change}`]).toEqual(checksums.map((one) => one.missed[change]))
      expect(expected[`one ${change}, expected`]).toEqual(checksums.map((one) => one.missed_expected[change]))
    }
    expect(await page.locator('.verdict').textContent()).toContain(
      `${strategies[0]!.checksum} by ${strategies[0]!.index}`,
    )
    expect(trouble).toEqual([])
  })

  it('sets peers side by side, shows how pagefold gets there, and what changed', async () => {
    const args = ['bench', 'synth:demo,pages=256', '--trials', '3', '--peers', 'js,pagefold-still']
    const baseline = join(scratch(), 'before.json')
    const { stdout } = spawnSync(process.execPath, [MAIN, ...args, '--json'], { encoding: 'utf8' })
    const before = JSON.parse(stdout) as BenchResult
    // As if it had once been a hundred times as slow: never a change for the worse, which would be exit 1.
    for (const one of (before.peers.pagefold as PeerResult).samples) {
      Object.assign(one, {
        converge_ns_per_page: one.converge_ns_per_page * 100,
        rescan_ns_per_page: one.rescan_ns_per_page * 100,
      })
    }
    const { cpu } = (before.running!.peers as Record<string, RunningTimes>).pagefold!
    Object.assign(cpu, { samples: cpu.samples.map((ms) => ms * 100) })
    for (const { peers } of before.written!)
      Object.assign(peers.pagefold!.scan, { samples: peers.pagefold!.scan.samples.map((ns) => ns * 100) })
    for (const one of before.curve.samples) Object.assign(one, { cpu_ms_to_90: one.cpu_ms_to_90! * 100 })
    writeFileSync(baseline, JSON.stringify(before))
    const { path, result } = make<BenchResult & { changes: MetricChange[] }>(...args, '--baseline', baseline)
    const { page, trouble } = await reports.open(path)
    const { peers, ratios, curve, still, changes } = result
    const time = await tableIn(page, 'Time a page')
    const shown = Object.entries(peers)
      .flatMap(([name, peer]) => ('samples' in peer ? [{ name, peer }] : []))
      .sort((a, b) => a.peer.converge_ns_per_page - b.peer.converge_ns_per_page)
    expect(shown.map(({ name }) => name).sort()).toEqual(['js', 'pagefold', 'pagefold-still'])
    expect(time.peer).toEqual(shown.map(({ name }) => name))
    expect(time.converge).toEqual(shown.map(({ peer }) => peer.converge_ns_per_page))
    expect(time.rescan).toEqual(shown.map(({ peer }) => peer.rescan_ns_per_page))
    expect(time['over pagefold']).toEqual(shown.map(({ name }) => ratios[name] ?? 1))
    const bars = await barsIn(page, 'Time a page')
    // All have one axis; the longest bar tells it best, and a short one is a few pixels.
    const slowest = shown.length - 1
    const scale = bars[slowest]!.rows[0]!.width! / shown[slowest]!.peer.converge_ns_per_page
    for (const [i, { peer }] of shown.entries()) {
      const [low, high] = bars[i]!.rows[0]!.whisker!
      const all = peer.samples.map((one) => one.converge_ns_per_page)
      expect(Math.abs(low! - Math.min(...all) * scale)).toBeLessThan(2)
      expect(Math.abs(high! - Math.max(...all) * scale)).toBeLessThan(2)
    }
    const { points } = curve.samples[0]!
    for (const title of ['Saved over bytes scanned', 'Saved over processor time']) {
      const saved = await tableIn(page, title)
      expect(saved.saved).toEqual(points.map(([, , bytes]) => bytes))
      expect(new Set(saved['best possible'])).toEqual(new Set([curve.best.bytes_saved]))
    }
    const overBytes = await tableIn(page, 'Saved over bytes scanned')
    expect(overBytes.scanned).toEqual(points.map(([scanned]) => scanned))
    expect(overBytes.scanned).toEqual(still!.points.map(([scanned]) => scanned))
    expect(overBytes['saved, guests that hold still']).toEqual(still!.points.map(([, , bytes]) => bytes))
    const overTime = await tableIn(page, 'Saved over processor time')
    const lastTimes = curve.samples.map((sample) => sample.points.at(-1)![1]).sort((a, b) => a - b)
    expect(overTime['processor time']!.at(-1)).toBe(lastTimes[1])
    expect((await figuresIn(page)).values).toEqual([
      curve.best.bytes_saved,
      curve.bytes_saved,
      curve.net_profit,
      curve.area,
      still!.bytes_saved,
    ])
    const afterWrites = await tableIn(page, 'A scan after guests have written')
    const rows = result.written!
    expect(rows.map(({ written_percent }) => written_percent)).toEqual([0, 1, 1, 10, 10, 100, 100])
    expect(afterWrites.written!.slice(0, 3)).toEqual(['nothing', '1 %, same bytes', '1 %, other bytes'])
    expect(afterWrites['pages written']).toEqual(rows.map((row) => row.pages_written))
    for (const name of ['pagefold', 'js']) {
      const scans = rows.map((row) => row.peers[name]!.scan)
      expect(afterWrites[name]).toEqual(scans.map(({ median }) => median))
      expect(afterWrites[`${name}, from`]).toEqual(scans.map(({ low }) => low))
      expect(afterWrites[`${name}, to`]).toEqual(scans.map(({ high }) => high))
    }
    const over = rows.map((row) => row.peers.js!.over_pagefold)
    expect(afterWrites['js over pagefold']).toEqual(over.map(({ median }) => median))
    expect(afterWrites['js over pagefold, to']).toEqual(over.map(({ high }) => high))
    const { pagefold: ran } = result.running!.peers as Record<string, RunningTimes>
    const running = await tableIn(page, 'Saved while guests run')
    expect(running['processor time']).toEqual(ran!.points.map(([time]) => time))
    expect(running.pagefold).toEqual(ran!.points.map(([, saved]) => saved))
    const inFigures = await tableIn(page, 'Guests that run, in figures')
    expect(inFigures['processor time']).toEqual([ran!.cpu.median])
    expect(inFigures['saved in the end']).toEqual([ran!.bytes_saved])
    expect(inFigures['saved on average']).toEqual([ran!.mean_bytes_saved])
    const against = await tableIn(page, 'Against the baseline')
    expect(against.metric).toEqual(changes.map(({ metric }) => metric))
    expect(against.change).toEqual(changes.map(({ change }) => change))
    const figuresOf = await tableIn(page, 'Against the baseline, in figures')
    expect(figuresOf.verdict).toEqual(changes.map(({ verdict }) => verdict))
    expect(figuresOf['before, median']).toEqual(changes.map((change) => change.before.median))
    expect(figuresOf['after, max']).toEqual(changes.map((change) => change.after.max))
    expect(trouble).toEqual([])
  })

  it('draws bars as long as they are much, from 0, with whiskers', async () => {
    const path = join(scratch(), 'bench.html')
    const section: Section = {
      kind: 'bars',
      title: 'Time a page',
      label: 'peer',
      labels: ['pagefold', 'linux', 'js'],
      series: [
        {
          label: 'converge',
          unit: 'ns',
          values: [690, 6214, null],
          low: [600, 6000, null],
          high: [720, 7000, null],
        },
        { label: 'rescan', unit: 'ns', values: [-120, 900, 400] },
      ],
    }
    writeReport(path, { title: 'pagefold bench', subtitle: 'a test', sections: [section], result: {} })
    const { page, trouble } = await reports.open(path)
    expect(await tableIn(page, 'Time a page')).toEqual({
      peer: ['pagefold', 'linux', 'js'],
      converge: [690, 6214, '–'],
      rescan: [-120, 900, 400],
    })
    const bars = await barsIn(page, 'Time a page')
    expect(bars.map(({ label }) => label)).toEqual(['pagefold', 'linux', 'js'])
    const [own, linux, js] = bars.map(({ rows }) => rows)
    const scale = linux![0]!.width! / 6214
    const near = (pixels: number | null | undefined, amount: number): void =>
      expect(Math.abs(pixels! - amount * scale), String(amount)).toBeLessThan(1.5)
    near(own![0]!.width, 690)
    near(own![0]!.whisker![0], 600)
    near(own![0]!.whisker![1], 720)
    near(linux![0]!.whisker![1], 7000)
    near(own![1]!.width, 120)
    near(own![1]!.begins, -120)
    near(linux![1]!.width, 900)
    expect([js![0]!.width, js![0]!.whisker]).toEqual([null, null])
    expect(own![0]!.text).toBe('converge 690 ns 600–720 ns')
    expect(js![0]!.text).toBe('converge –')
    expect(trouble).toEqual([])
  })

  it('says at its foot what made it, when and where', async () => {
    const { page, result } = await reports.scan(DEMO)
    const { command, date, version, machine } = result as MergeResult & {
      command: string
      date: string
      version: string
      machine: { processor: string; cores: number; kernel: string }
    }
    const foot = (await page.locator('footer').textContent())!
    for (const said of [
      command,
      date.slice(0, 10),
      `pagefold ${version}`,
      machine.processor,
      machine.kernel,
    ]) {
      expect(foot).toContain(said)
    }
  })

  it('sorts tables by a column, and keeps the sum last', async () => {
    const { page } = await reports.scan(DEMO)
    await unfold(page)
    const section = sectionOf(page, 'From pages to savings')
    const first = async (): Promise<(string | number)[]> =>
      (await tableIn(page, 'From pages to savings')).pages!
    const unsorted = await first()
    const numbers = unsorted.slice(0, -1).map(Number)
    const head = section.getByRole('button', { name: 'pages', exact: true })
    await head.click()
    expect(await first()).toEqual([...numbers.sort((a, b) => b - a), unsorted.at(-1)])
    expect(await section.locator('th[aria-sort=descending]').textContent()).toBe('pages')
    await head.click()
    expect(await first()).toEqual([...numbers.sort((a, b) => a - b), unsorted.at(-1)])
    await section.getByRole('button', { name: 'class' }).click()
    const { class: names } = await tableIn(page, 'From pages to savings')
    expect(names!.slice(0, -1)).toEqual([...names!.slice(0, -1)].sort())
    expect(await section.locator('th[aria-sort]').count()).toBe(1)
  })
})
