// A report as a reader meets it: opened from disk in a browser, without a network.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MergeResult } from '../../src/lab/index.ts'
import type { HashReport } from '../../src/report/hash-report.ts'
import {
  type BenchResult,
  type MetricChange,
  type PeerResult,
  type Section,
  type Unit,
  writeReport,
} from '../../src/report/index.ts'
import { format } from '../../src/report/page/units.ts'
import { browserUnavailable, launchBrowser, type OpenedPage, openFile } from '../support/browser.ts'
import { scratch } from '../support/files.ts'
import { guest, guestsUnavailable } from '../support/guests.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const WIDE = { width: 1280, height: 900 }
const NARROW = { width: 360, height: 740 }

let browser: Browser

/** Scans with --report and --json, and opens the report. */
async function openScan(args: readonly string[], options: BrowserContextOptions = { viewport: WIDE }) {
  const path = join(scratch(), 'report.html')
  const { status, stdout } = spawnSync(
    process.execPath,
    [MAIN, 'scan', ...args, '--json', '--report', path],
    {
      encoding: 'utf8',
    },
  )
  expect(status).toBe(0)
  return { result: JSON.parse(stdout) as MergeResult, ...(await openReport(path, options)) }
}

/** Runs another command with --report and --json, and opens the report. */
async function openCommand<Result>(...args: readonly string[]) {
  const path = join(scratch(), 'report.html')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, ...args, '--json', '--report', path],
    { encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return { result: JSON.parse(stdout) as Result, ...(await openReport(path)) }
}

async function openReport(
  path: string,
  options: BrowserContextOptions = { viewport: WIDE },
): Promise<OpenedPage> {
  const opened = await openFile(browser, path, options)
  await opened.page.waitForSelector('html[data-ready]')
  return opened
}

const DEMO = ['synth:demo,pages=512']

/** The figures of the table in a section, by column; numbers as they are, not as they are written. */
async function tableIn(page: Page, title: string): Promise<Record<string, (string | number)[]>> {
  const section = page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) })
  return section.locator('.wide table').evaluate((table) => {
    const heads = [...table.querySelectorAll('thead th')].map((head) => head.textContent ?? '')
    const rows = [...table.querySelectorAll('tbody tr')].map((row) =>
      [...row.querySelectorAll('th, td')].map((cell) => {
        const exact = cell.getAttribute('data-value')
        return exact === null ? (cell.textContent ?? '') : Number(exact)
      }),
    )
    return Object.fromEntries(heads.map((head, i) => [head, rows.map((row) => row[i]!)]))
  })
}

/** The panel about one page: its lines by name, and the answer. */
async function panelOf(page: Page): Promise<Record<string, string>> {
  return page.locator('.panel').evaluate((panel) => {
    const names = [...panel.querySelectorAll('dt')].map((name) => name.textContent ?? '')
    const values = [...panel.querySelectorAll('dd')].map((value) => value.textContent ?? '')
    return Object.fromEntries([
      ...names.map((name, i) => [name, values[i]!]),
      ['answer', panel.querySelector('.answer')?.textContent ?? ''],
    ])
  })
}

const skipped = browserUnavailable === undefined ? '' : ` (skipped: ${browserUnavailable})`

describe.skipIf(browserUnavailable)(`a report in the browser${skipped}`, () => {
  beforeAll(async () => {
    browser = await launchBrowser()
  })

  afterAll(async () => {
    await browser?.close()
  })

  it.for([
    { of: 'synthetic guests', sources: () => DEMO, unavailable: undefined },
    {
      of: 'two real guests',
      sources: () => ['guest-web.t0.raw', 'guest-batch.t0.raw'].map(guest),
      unavailable: guestsUnavailable(),
    },
  ])('shows the figures of the JSON, all of them: $of', async ({ sources, unavailable }, { skip }) => {
    if (unavailable !== undefined) skip(unavailable)
    const { page, result, trouble } = await openScan(sources())
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
    expect(images.source).toEqual(result.images.map(({ source }) => source))
    expect(images.pages).toEqual(result.images.map(({ pages }) => pages))
    const knobs = await tableIn(page, 'Knobs')
    expect(knobs.knob).toEqual(Object.keys(result.knobs))
    expect(knobs.value).toEqual(Object.values(result.knobs).map(String))
    const records = await tableIn(page, "pagefold's own records")
    expect(records.size).toEqual([
      result.metadata.frameTable,
      result.metadata.roots,
      result.metadata.pageTables,
      result.metadata.rmapItems,
      result.metadata.stableNodes,
      result.metadata_bytes,
    ])
    const { zero, within, between } = result.sharing
    const figures = page.locator('.figures-section dd[data-value]')
    const values = [
      result.bytes_saved,
      ...[zero, within, between].map((frames) => frames * 4096),
      result.metadata_bytes,
      result.profit_after_own_metadata,
    ]
    expect(
      await figures.evaluateAll((all) => all.map((one) => Number(one.getAttribute('data-value')))),
    ).toEqual(values)
    expect(await figures.allTextContents()).toEqual(values.map((value) => format(value, 'bytes')))
    expect(trouble).toEqual([])
  })

  it('says of every page in words what its colour says', async () => {
    const { page, result, trouble } = await openScan(DEMO)
    const map = await tableIn(page, 'Memory, page by page')
    const all = Object.fromEntries(map.state!.map((state, i) => [state, map.all![i] as number]))
    const { pages_shared, pages_sharing, pages_unshared } = result.after_each_scan.at(-1)!
    expect(all.unique).toBe(pages_unshared)
    expect(all.zeros! + all['shared within the image']! + all['shared between images']!).toBe(
      pages_shared + pages_sharing,
    )
    const legend = page.locator('.legend button')
    expect(await legend.count()).toBe(map.state!.length)
    for (const [i, state] of map.state!.entries()) {
      await legend.nth(i).click()
      expect((await panelOf(page)).State).toBe(state)
      const colours = await page.evaluate(() => {
        const swatch = getComputedStyle(document.querySelector('.panel .swatch')!).backgroundColor
        const box = document.querySelector<HTMLElement>('.cursor:not([hidden])')!
        const canvas = box.parentElement!.querySelector('canvas')!
        const dot = Number.parseFloat(box.style.width)
        const [x, y] = [Number.parseFloat(box.style.left) / dot, Number.parseFloat(box.style.top) / dot]
        const copy = document.createElement('canvas').getContext('2d')!
        copy.drawImage(canvas, x, y, 1, 1, 0, 0, 1, 1)
        const [red, green, blue] = copy.getImageData(0, 0, 1, 1).data
        return [swatch, `rgb(${red}, ${green}, ${blue})`]
      })
      expect(colours[1]).toBe(colours[0])
    }
    expect(trouble).toEqual([])
  })

  it('follows the pointer, and comes back to the page chosen', async () => {
    const { page } = await openScan(DEMO)
    const area = page.locator('.area').nth(1)
    await area.scrollIntoViewIfNeeded()
    const box = (await area.boundingBox())!
    const dot =
      box.width /
      (await area
        .locator('canvas')
        .first()
        .evaluate((canvas) => (canvas as HTMLCanvasElement).width))
    const at = (column: number, row: number): [number, number] => [
      box.x + (column + 0.5) * dot,
      box.y + (row + 0.5) * dot,
    ]
    await page.mouse.move(...at(5, 0))
    expect(await panelOf(page)).toMatchObject({
      Image: 'synth:demo,pages=512,image=1',
      Page: '5',
      Address: '0x5000',
    })
    await page.mouse.click(...at(7, 0))
    await page.mouse.move(...at(9, 0))
    expect((await panelOf(page)).Page).toBe('9')
    await page.mouse.move(2, 2)
    expect((await panelOf(page)).Page).toBe('7')
  })

  it('names the sharers of a page', async () => {
    const { page } = await openScan(DEMO)
    await page.locator('.legend button', { hasText: 'shared between images' }).click()
    const { Sharers, answer } = await panelOf(page)
    expect(Sharers).toBe('2: 1 in synth:demo,pages=512,image=1, 1 in synth:demo,pages=512,image=2')
    expect(answer).toBe('Merged: it shares a frame with 2 other pages, of 3 images.')
  })

  it('can be read with the keys alone, and aloud', async () => {
    const { page, trouble } = await openScan(DEMO)
    const area = page.locator('.area').first()
    await area.focus()
    const columns = await area
      .locator('canvas')
      .first()
      .evaluate((canvas) => (canvas as HTMLCanvasElement).width)
    const steps: [key: string, page: number][] = [
      ['ArrowRight', 0],
      ['ArrowRight', 1],
      ['ArrowDown', 1 + columns],
      ['End', 2 * columns - 1],
      ['ArrowLeft', 2 * columns - 2],
      ['Home', columns],
      ['ArrowUp', 0],
      ['ArrowUp', 0],
      ['Control+End', 511],
      ['PageDown', 511],
      ['PageUp', Math.max(0, 511 - 16 * columns)],
      ['Control+Home', 0],
    ]
    for (const [key, expected] of steps) {
      await page.keyboard.press(key)
      expect((await panelOf(page)).Page, key).toBe(String(expected))
    }
    const { answer } = await panelOf(page)
    const said = page.locator('.map-section [aria-live=polite]')
    expect(await said.textContent()).toContain(answer)
    expect(await said.textContent()).toContain('page 0 of synth:demo,pages=512,image=0, at 0x0')
    expect(await area.getAttribute('aria-label')).toBe('synth:demo,pages=512,image=0, 512 pages')
    expect(await area.evaluate((shown) => getComputedStyle(shown).outlineStyle)).toBe('solid')

    const chart = page.locator('.lines-section .chart').first()
    await chart.focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('.lines-section [aria-live=polite]').first().textContent()).toMatch(
      /^scan 2, pages_shared \d+, pages_sharing/,
    )
    expect(await chart.locator('.u-value').first().textContent()).toBe('2')
    const unnamed = await page.evaluate(() => {
      const nameOf = (control: Element): string =>
        control.getAttribute('aria-label') ??
        document.getElementById(control.getAttribute('aria-labelledby') ?? '')?.textContent ??
        ((control as HTMLInputElement).labels?.[0] ?? control).textContent ??
        ''
      const controls = document.querySelectorAll('button, input, select, summary, [tabindex="0"]')
      return [...controls]
        .filter((control) => nameOf(control).trim() === '')
        .map((control) => control.outerHTML)
    })
    expect(unnamed).toEqual([])
    expect(trouble).toEqual([])
  })

  it('answers why a page was not merged', async () => {
    const { page } = await openScan([...DEMO, '--knob', 'max_page_sharing=3'])
    const input = page.getByLabel('Address or page number')
    const image = page.getByLabel('Image', { exact: true })
    const find = async (text: string, where = 'synth:demo,pages=512,image=0'): Promise<void> => {
      await image.selectOption({ label: where })
      await input.fill(text)
      await input.press('Enter')
    }
    await find('0x1fff', 'synth:demo,pages=512,image=2')
    expect(await panelOf(page)).toMatchObject({ Image: 'synth:demo,pages=512,image=2', Page: '1' })
    await page.locator('.legend button', { hasText: 'over the sharing limit' }).click()
    const over = await panelOf(page)
    await find('0')
    await find(over.Address!, over.Image!)
    expect(await panelOf(page)).toEqual(over)
    expect(over.answer).toMatch(/^Not merged: it is over the sharing limit\..* 3 pages/)
    expect(over.Sharers).toBe('none')
    await find('512')
    expect(await page.getByRole('alert').textContent()).toMatch(/numbered from 0 to 511/)
    await find('31')
    expect(await page.getByRole('alert').textContent()).toBe('')
  })

  it('says of pages that do not keep still that they are volatile', async () => {
    const { page } = await openScan([...DEMO, '--scans', '1'])
    await page.locator('.legend button', { hasText: 'volatile' }).click()
    expect((await panelOf(page)).answer).toMatch(/^Not merged: it is volatile\./)
  })

  const looks: [string, BrowserContextOptions][] = [
    ['light', { viewport: WIDE, colorScheme: 'light' }],
    ['dark', { viewport: WIDE, colorScheme: 'dark' }],
    ['narrow and light', { viewport: NARROW, colorScheme: 'light' }],
    ['narrow and dark', { viewport: NARROW, colorScheme: 'dark' }],
  ]
  it.each(looks)('can be read %s', async (_, options) => {
    const { page, trouble } = await openScan(DEMO, options)
    for (const summary of await page.locator('summary').all()) await summary.click()
    await page.locator('.legend button').first().click()
    const seen = await page.evaluate(() => {
      const luminance = (text: string): number => {
        const [red, green, blue] = text.match(/[\d.]+/g)!.map((part) => {
          const linear = Number(part) / 255
          return linear <= 0.04045 ? linear / 12.92 : ((linear + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
      }
      const paper = luminance(getComputedStyle(document.body).backgroundColor)
      const contrast = (element: Element): number => {
        const ink = luminance(getComputedStyle(element).color)
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
      }
      return {
        sideways: document.scrollingElement!.scrollWidth - innerWidth,
        dark: paper < 0.5,
        faintest: Math.min(
          ...[...document.querySelectorAll('p, td, th, dt, dd, summary, h1, h2')].map(contrast),
        ),
        charts: [...document.querySelectorAll('.chart canvas')].map(
          (canvas) => canvas.getBoundingClientRect().width,
        ),
      }
    })
    expect(seen.sideways).toBe(0)
    expect(seen.dark).toBe(options.colorScheme === 'dark')
    expect(seen.faintest).toBeGreaterThan(4.5)
    expect(seen.charts).toHaveLength(3)
    expect(Math.min(...seen.charts)).toBeGreaterThan(200)
    expect(trouble).toEqual([])
  })

  it('changes its colours with the reader', async () => {
    const { page } = await openScan(DEMO, { viewport: WIDE, colorScheme: 'light' })
    const pixel = (): Promise<string> =>
      page
        .locator('.area canvas')
        .first()
        .evaluate((canvas) => {
          const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 1, 1)
          return [...data].join()
        })
    const before = await pixel()
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(pixel).not.toBe(before)
  })

  it('sets checksums and indexes side by side', async () => {
    const { page, result, trouble } = await openCommand<HashReport>(
      ...['hash', 'synth:demo,pages=64', '--checksum', 'xxh3,crc32c,sampled,none'],
    )
    const { costs, checksums, strategies, sets } = result
    const time = await tableIn(page, 'Time a page')
    expect(time.checksum).toEqual(['xxh3', 'crc32c', 'sampled', 'none', 'xxhash-wasm'])
    expect(time.cold).toEqual(costs.map(({ cold }) => cold.median))
    expect(time.hot).toEqual(costs.map(({ hot }) => hot.median))
    expect(time['bytes read']).toEqual([...checksums.map(({ touched }) => touched.bytes), 4096])
    const speed = await tableIn(page, 'Speed')
    expect(speed.checksum).toEqual(['xxh3', 'crc32c', 'xxhash-wasm'])
    expect(speed.cold![0]).toBeCloseTo((4096 / costs[0]!.cold.median) * 1e9, 0)
    const converge = await tableIn(page, 'Time to converge')
    expect(converge['checksum, index']).toEqual(
      strategies.map(({ checksum, index }) => `${checksum}, ${index}`),
    )
    expect(converge['a page']).toEqual(strategies.map((one) => one.ns_per_page))
    expect(converge['pages merged']).toEqual(strategies.map((one) => one.pages_merged))
    const searches = await tableIn(page, 'Searches')
    expect(searches['probes a search']).toEqual(strategies.map((one) => one.probes_per_search))
    expect(searches['in vain']).toEqual(strategies.map((one) => one.failed_comparisons))
    const metadata = await tableIn(page, 'Metadata')
    expect(metadata['a page']).toEqual(strategies.map((one) => one.metadata_bytes_per_page))
    for (const [i, { name, random_seed, birthday }] of sets.entries()) {
      const confused = await tableIn(page, `Confused: ${name}${random_seed ? ', random seed' : ''}`)
      expect(confused.checksum).toEqual(['by chance', 'xxh3', 'crc32c', 'sampled'])
      for (const width of [16, 24, 32, 48, 64] as const) {
        const theirs = checksums.slice(0, 3).map(({ collisions }) => collisions[i]?.[width] ?? '–')
        expect(confused[`${width} bits`]).toEqual([birthday[width], ...theirs])
      }
    }
    const missed = await tableIn(page, 'Changes missed')
    for (const change of ['bit', 'word', 'line', 'half'] as const) {
      expect(missed[`one ${change}`]).toEqual(checksums.map((one) => one.missed[change]))
      expect(missed[`one ${change}, expected`]).toEqual(checksums.map((one) => one.missed_expected[change]))
    }
    expect(await page.locator('.chart canvas').count()).toBe(6 + sets.length)
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
    for (const one of before.curve.samples) Object.assign(one, { cpu_ms_to_90: one.cpu_ms_to_90! * 100 })
    writeFileSync(baseline, JSON.stringify(before))
    const { page, result, trouble } = await openCommand<BenchResult & { changes: MetricChange[] }>(
      ...args,
      '--baseline',
      baseline,
    )
    const { peers, ratios, curve, still, changes } = result
    const time = await tableIn(page, 'Time a page')
    expect(time.peer).toEqual(['pagefold', 'pagefold-still', 'js'])
    const shown = time.peer!.map((name) => peers[name] as PeerResult)
    expect(time.converge).toEqual(shown.map((peer) => peer.converge_ns_per_page))
    expect(time.rescan).toEqual(shown.map((peer) => peer.rescan_ns_per_page))
    expect(time['over pagefold']).toEqual([1, ratios['pagefold-still'], ratios.js])
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
    const figures = page.locator('.figures-section dd[data-value]')
    expect(
      await figures.evaluateAll((all) => all.map((one) => Number(one.getAttribute('data-value')))),
    ).toEqual([curve.best.bytes_saved, curve.bytes_saved, curve.net_profit, curve.area, still!.bytes_saved])
    const against = await tableIn(page, 'Against the baseline')
    expect(against.metric).toEqual(changes.map(({ metric }) => metric))
    expect(against.change).toEqual(changes.map(({ change }) => change))
    const figuresOf = await tableIn(page, 'Against the baseline, in figures')
    expect(figuresOf.verdict).toEqual(changes.map(({ verdict }) => verdict))
    expect(figuresOf['before, median']).toEqual(changes.map((change) => change.before.median))
    expect(figuresOf['after, max']).toEqual(changes.map((change) => change.after.max))
    expect(trouble).toEqual([])
  })

  it('sets strategies side by side for other commands', async () => {
    const path = join(scratch(), 'bench.html')
    const values: [string, Unit, (number | null)[]][] = [
      ['converge', 'ns', [690, 6214, null]],
      ['rescan', 'ns', [120, 900, 400]],
    ]
    const section: Section = {
      kind: 'bars',
      title: 'Time a page',
      label: 'peer',
      labels: ['pagefold', 'linux', 'js'],
      series: values.map(([label, unit, list]) => ({ label, unit, values: list })),
    }
    writeReport(path, { title: 'pagefold bench', subtitle: 'a test', sections: [section], result: {} })
    const { page, trouble } = await openReport(path)
    expect(await tableIn(page, 'Time a page')).toEqual({
      peer: ['pagefold', 'linux', 'js'],
      converge: [690, 6214, '–'],
      rescan: [120, 900, 400],
    })
    const heights = await page.locator('.chart canvas').evaluate((element) => {
      const canvas = element as HTMLCanvasElement
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
      const [red, green, blue] = getComputedStyle(document.documentElement)
        .getPropertyValue('--series-1')
        .match(/[0-9a-f]{2}/g)!
        .map((part) => Number.parseInt(part, 16))
      const columns = new Array<number>(canvas.width).fill(0)
      for (let i = 0; i < data.length; i += 4) {
        if (data[i] === red && data[i + 1] === green && data[i + 2] === blue)
          columns[(i / 4) % canvas.width]!++
      }
      // The heights of the bars from left to right, one a run of coloured columns.
      return columns.filter((height, x) => height > 3 && (columns[x - 1] ?? 0) <= 3)
    })
    expect(heights).toHaveLength(2)
    expect(heights[1]! / heights[0]!).toBeCloseTo(6214 / 690, 0)
    expect(trouble).toEqual([])
  })
})
