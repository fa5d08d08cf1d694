// The map of memory and the matrix as a reader explores them: by pointer, keys, links, addresses and search.

import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { openSources } from '../../src/images/index.ts'
import { mergeImages, type PageStates, pageStates } from '../../src/lab/index.ts'
import { type MapSection, mergeReport, writeReport } from '../../src/report/index.ts'
import { sharingMatrix } from '../../src/report/sharing-matrix.ts'
import { browserUnavailable } from '../support/browser.ts'
import { scratch } from '../support/files.ts'
import {
  DEMO,
  dotOf,
  make,
  matrixIn,
  NARROW,
  panelOf,
  Reports,
  sectionOf,
  tableIn,
  WIDE,
} from '../support/reports.ts'

const skipped = browserUnavailable === undefined ? '' : ` (skipped: ${browserUnavailable})`

/** The page under the cursor: its place among the squares, and the colours of it and of its state in the panel. */
async function cursorIn(page: Page) {
  const { column, row, top, width, swatch } = await page.evaluate(() => {
    const box = document.querySelector<HTMLElement>('.cursor:not([hidden])')!
    const canvas = box.parentElement!.querySelector('canvas')!
    const dot = Number.parseFloat(getComputedStyle(box).width)
    return {
      column: Math.round(Number.parseFloat(box.style.left) / dot),
      row: Math.round(Number.parseFloat(box.style.top) / dot),
      top: Math.round(Number.parseFloat(canvas.style.top) / dot),
      width: canvas.width,
      swatch: getComputedStyle(document.querySelector('.panel .swatch')!).backgroundColor,
    }
  })
  const colour = await dotOf(page.locator('.area canvas').first(), column, row - top)
  return { page: row * width + column, colour, swatch }
}

/** Rows of the large picture are of so many pages. */
async function columnsIn(page: Page): Promise<number> {
  return page
    .locator('.area canvas')
    .first()
    .evaluate((canvas) => (canvas as HTMLCanvasElement).width)
}

async function hashOf(page: Page): Promise<string> {
  return page.evaluate(() => location.hash)
}

describe.skipIf(browserUnavailable)(`the map in the browser${skipped}`, () => {
  const reports = new Reports()

  it('says of every page in words what its colour says', async () => {
    const { page, result, trouble } = await reports.scan(DEMO)
    const map = await tableIn(page, 'Memory, page by page')
    const all = (name: string): number => map[name]!.at(-1) as number
    const { pages_shared, pages_sharing, pages_unshared } = result.after_each_scan.at(-1)!
    expect(all('unique')).toBe(pages_unshared)
    expect(all('zeros') + all('shared within the image') + all('shared between images')).toBe(
      pages_shared + pages_sharing,
    )
    const legend = page.locator('.legend button')
    const kinds = Object.keys(map).slice(2)
    expect(await legend.locator('span:nth-child(2)').allTextContents()).toEqual(kinds)
    for (const [i, kind] of kinds.entries()) {
      await legend.nth(i).click()
      expect((await panelOf(page)).State).toBe(kind)
      const { colour, swatch } = await cursorIn(page)
      expect(colour).toBe(swatch)
    }
    expect(trouble).toEqual([])
  })

  it('follows the pointer, and comes back to the page chosen', async () => {
    const { page } = await reports.scan(DEMO)
    await page
      .locator('.overview button')
      .nth(1)
      .click({ position: { x: 2, y: 2 } })
    const area = page.locator('.area')
    await area.scrollIntoViewIfNeeded()
    const box = (await page.locator('.field').boundingBox())!
    const dot = box.width / (await columnsIn(page))
    const at = (column: number, row: number): [number, number] => [
      box.x + (column + 0.5) * dot,
      box.y + (row + 0.5) * dot,
    ]
    await page.mouse.move(...at(5, 0))
    await expect.poll(() => panelOf(page)).toMatchObject({ Image: 'image=1', Page: '5', Address: '0x5000' })
    await page.mouse.click(...at(7, 0))
    await page.mouse.move(...at(9, 0))
    await expect.poll(async () => (await panelOf(page)).Page).toBe('9')
    await page.mouse.move(2, 2)
    await expect.poll(async () => (await panelOf(page)).Page).toBe('7')
    await expect.poll(() => hashOf(page)).toBe('#1/7')
  })

  it('names the sharers of a page, and leads to them and back', async () => {
    const { page } = await reports.scan(DEMO)
    await page.locator('.legend button', { hasText: 'shared between images' }).click()
    const first = await panelOf(page)
    expect(first.Sharers).toMatch(/^2: 1 in image=1, 1 in image=2/)
    expect(first.answer).toBe('Merged: it shares a frame with 2 other pages, of 3 images.')
    const links = page.locator('.sharers a')
    expect(await links.count()).toBe(2)
    const [name, number] = (await links.first().textContent())!.split('/')
    await links.first().click()
    await expect.poll(() => panelOf(page)).toMatchObject({ Image: name, Page: number })
    const back = page.locator('.sharers a', { hasText: `${first.Image}/${first.Page}` })
    await back.click()
    await expect.poll(() => panelOf(page)).toEqual(first)
  })

  it('can be read with the keys alone, and aloud', async () => {
    const { page, trouble } = await reports.scan(DEMO)
    const area = page.locator('.area')
    await area.focus()
    const columns = await columnsIn(page)
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
      expect((await panelOf(page)).Page, key).toBe(expected.toLocaleString('en-US'))
      expect((await cursorIn(page)).page, key).toBe(expected)
    }
    const { answer } = await panelOf(page)
    const said = page.locator('.map-section [aria-live=polite]')
    expect(await said.textContent()).toContain(answer)
    expect(await said.textContent()).toContain('page 0 of image=0, at 0x0')
    expect(await area.getAttribute('aria-label')).toBe('image=0, 512 pages')
    expect(await area.evaluate((shown) => getComputedStyle(shown).outlineStyle)).toBe('solid')

    const chosen = page.locator('.overview [aria-checked=true]')
    await chosen.focus()
    await page.keyboard.press('ArrowRight')
    expect(await chosen.getAttribute('aria-label')).toBe('image=1, 512 pages')
    expect(await page.evaluate(() => document.activeElement!.getAttribute('aria-checked'))).toBe('true')
    expect(await area.getAttribute('aria-label')).toBe('image=1, 512 pages')
    await page.keyboard.press('End')
    expect(await area.getAttribute('aria-label')).toBe('image=2, 512 pages')

    const chart = page.locator('.lines-section .chart').first()
    await chart.focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('.lines-section [aria-live=polite]').first().textContent()).toMatch(
      /^scan 2, pages_shared \d+, pages_sharing/,
    )
    expect(await chart.locator('.u-value').first().textContent()).toBe('2')
    expect(trouble).toEqual([])
  })

  it('zooms, by buttons and by keys, and keeps the place', async () => {
    const { page } = await reports.scan(['synth:demo,pages=4096,images=1'])
    const area = page.locator('.area')
    await page.getByLabel('Address or page number').fill('4000')
    await page.keyboard.press('Enter')
    const columns = await columnsIn(page)
    await page.getByRole('button', { name: 'Larger pages' }).click()
    expect(await columnsIn(page)).toBe(columns / 2)
    await area.focus()
    await page.keyboard.press('+')
    expect(await columnsIn(page)).toBe(columns / 4)
    expect((await cursorIn(page)).page).toBe(4000)
    expect(await area.evaluate((shown) => shown.scrollTop)).toBeGreaterThan(0)
    await page.keyboard.press('-')
    await page.keyboard.press('-')
    expect(await columnsIn(page)).toBe(columns)
    for (let i = 0; i < 10; i++) await page.keyboard.press('-')
    expect(await page.getByRole('button', { name: 'Smaller pages' }).isDisabled()).toBe(true)
    const { width, height } = (await page.locator('.field').boundingBox())!
    expect((width * height) / 4096, 'never one pixel a page').toBeGreaterThanOrEqual(4)
  })

  it('shows the page of an address that was sent, and gives one', async () => {
    const { path } = make('scan', ...DEMO)
    const opened = await reports.open(path, { viewport: WIDE }, '#1/31')
    const { page } = opened
    await expect.poll(() => panelOf(page)).toMatchObject({ Image: 'image=1', Page: '31', Address: '0x1f000' })
    expect((await cursorIn(page)).page).toBe(31)
    const inSight = (): Promise<boolean> =>
      page.locator('.cursor').evaluate((cursor) => {
        const { top, bottom } = cursor.getBoundingClientRect()
        return top >= 0 && bottom <= innerHeight
      })
    expect(await inSight()).toBe(true)
    await page.evaluate(() => {
      location.hash = '#2/0x4000'
    })
    await expect.poll(() => panelOf(page)).toMatchObject({ Image: 'image=2', Page: '4' })
    await expect.poll(() => hashOf(page)).toBe('#2/4')
    expect(await page.locator('.overview [aria-checked=true]').textContent()).toBe('image=2')
    expect(await page.locator('.panel dd a').first().getAttribute('href')).toBe('#2/4')
    await page.locator('.area').focus()
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => hashOf(page)).toBe('#2/5')
    expect(opened.trouble).toEqual([])
  })

  it.for([
    ['#7/1', /There is no image 7: they are numbered from 0 to 2/],
    ['#0/512', /image=0 has 512 pages, numbered from 0 to 511/],
    ['#0/0x99999000', /image=0 has no page at 0x99999000/],
    ['#0/with/9', /There is no image 9/],
  ] as const)('says why there is nothing at %s', async ([hash, why]) => {
    const { path } = make('scan', ...DEMO)
    const { page, trouble } = await reports.open(path, { viewport: WIDE }, hash)
    await expect.poll(() => page.locator('.panel [role=alert]').textContent()).toMatch(why)
    expect(trouble).toEqual([])
  })

  it('takes what is no address for none', async () => {
    const { path } = make('scan', ...DEMO)
    const { page, trouble } = await reports.open(path, { viewport: WIDE }, '#section')
    expect(await page.locator('.panel').textContent()).toBe('No page is pointed at.')
    expect(trouble).toEqual([])
  })

  it('answers why a page was not merged', async () => {
    const { page } = await reports.scan([...DEMO, '--knob', 'max_page_sharing=3'])
    const input = page.getByLabel('Address or page number')
    const image = page.getByLabel('Image', { exact: true })
    const find = async (text: string, where = 'image=0'): Promise<void> => {
      await image.selectOption({ label: where })
      await input.fill(text)
      await input.press('Enter')
    }
    await find('0x1fff', 'image=2')
    expect(await panelOf(page)).toMatchObject({ Image: 'image=2', Page: '1' })
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
    const { page } = await reports.scan([...DEMO, '--scans', '1'])
    await page.locator('.legend button', { hasText: 'volatile' }).click()
    expect((await panelOf(page)).answer).toMatch(/^Not merged: it is volatile\./)
  })

  it('shows on a phone what was found, above what is said of it', async () => {
    const { page } = await reports.scan(['synth:demo,pages=4096'], { viewport: NARROW })
    await page.getByLabel('Address or page number').fill('3000')
    await page.keyboard.press('Enter')
    const seen = await page.locator('.cursor').evaluate((cursor) => {
      const { left, top, width, height } = cursor.getBoundingClientRect()
      const panel = document.querySelector('.panel')!.getBoundingClientRect()
      const under = document.elementFromPoint(left + width / 2, top + height / 2)
      return {
        area: under?.closest('.area') !== null,
        panel: panel.top >= top + height && panel.bottom <= innerHeight,
      }
    })
    expect(seen).toEqual({ area: true, panel: true })
  })

  it('shows as a layer what a later moment changed', async () => {
    const { page, trouble } = await reports.scan([...DEMO, '--then', 'synth:demo,pages=512,moment=1'])
    const pixels = (): Promise<string> =>
      page
        .locator('.overview canvas')
        .first()
        .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL())
    const now = await pixels()
    const legend = await page.locator('.legend').textContent()
    await page.getByLabel('what changed').check()
    await expect.poll(pixels).not.toBe(now)
    const changed = page.locator('.legend button', { hasText: 'written' }).first()
    await changed.click()
    const panel = await panelOf(page)
    expect(panel.Since).toBe('written')
    expect(panel.Before).toBeTruthy()
    const swatch = await changed
      .locator('.swatch')
      .evaluate((shown) => getComputedStyle(shown).backgroundColor)
    expect((await cursorIn(page)).colour).toBe(swatch)
    await page.locator('.legend button', { hasText: 'as before' }).click()
    const same = await panelOf(page)
    expect(same.Since).toBe('not written')
    expect(same.Before).toBe(same.State)
    await page.getByLabel('the moment before').check()
    const before = await panelOf(page)
    await expect.poll(async () => (await cursorIn(page)).colour).toBeTruthy()
    expect(before).toEqual(same)
    await page.getByLabel('what became of each page').check()
    expect(await page.locator('.legend').textContent()).toBe(legend)
    expect(trouble).toEqual([])
  })

  it('shows who shares with whom, each number a way to the pages', async () => {
    const images = openSources(['synth:vm-hetero,pages=256'])
    let pages: PageStates | undefined
    const result = await mergeImages({
      images,
      inspect: (host, ranges) => {
        pages = pageStates(host, ranges)
      },
    })
    const path = join(scratch(), 'report.html')
    writeReport(path, mergeReport(images, result, pages!))
    const { page, trouble } = await reports.open(path)
    const names = images.map((_, i) => `image=${i}`)
    const expected = sharingMatrix(
      images.map((image) => image.pages),
      pages!,
    )
    expect(await matrixIn(page, 'Who shares with whom')).toEqual({
      '': names,
      ...Object.fromEntries(names.map((name, i) => [name, expected[i]])),
    })
    const pairs = expected.flatMap((row, i) => row.map((count, j) => ({ i, j, count })))
    const { i: from, j: to } = pairs.find(({ i, j, count }) => i !== j && count > 1 && count < 9)!
    const link = sectionOf(page, 'Who shares with whom').locator(`a[href="#${from}/with/${to}"]`)
    const found = new Set<string>()
    for (let i = 0; i < expected[from]![to]!; i++) {
      await link.click()
      await expect.poll(() => hashOf(page)).toMatch(new RegExp(`^#${from}/\\d+$`))
      const panel = await panelOf(page)
      expect(panel.Image).toBe(`image=${from}`)
      expect(panel.Sharers).toContain(`in image=${to}`)
      found.add(panel.Page!)
    }
    expect(found.size, 'each click leads to the next').toBe(expected[from]![to])
    expect(trouble).toEqual([])
  })

  it('shows many images small, and their matrix as a picture', async () => {
    const { page, result, trouble } = await reports.scan(['synth:sandbox-fork,pages=64,images=30'])
    expect(await page.locator('.overview button').count()).toBe(30)
    const area = page.locator('.matrix-area')
    await area.focus()
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key)
    const told = page.locator('.told')
    expect(await told.textContent()).toMatch(/^\d+ pages of image=2 shared with image=1 show them$/)
    const box = (await area.boundingBox())!
    await page.mouse.click(box.x + (20.5 * box.width) / 30, box.y + (11.5 * box.height) / 30)
    expect(await told.textContent()).toMatch(/ pages of image=11 shared with image=20/)
    await told.getByRole('link').click()
    await expect.poll(() => panelOf(page)).toMatchObject({ Image: 'image=11' })
    expect(await page.locator('.overview [aria-checked=true]').textContent()).toBe('image=11')
    const marked = await page.locator('.overview canvas').evaluateAll(
      (all) =>
        all.filter((one) => {
          const canvas = one as HTMLCanvasElement
          const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!
          copy.drawImage(canvas, 0, 0)
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height)
          return new Uint32Array(data.buffer).includes(0xff000000)
        }).length,
    )
    expect(marked, 'images in which sharers are marked').toBeGreaterThan(1)
    expect(result.images.length).toBe(30)
    expect(trouble).toEqual([])
  })

  it('can be there twice, each map with its own addresses', async () => {
    const images = openSources(DEMO)
    let pages: PageStates | undefined
    const result = await mergeImages({
      images,
      inspect: (host, ranges) => {
        pages = pageStates(host, ranges)
      },
    })
    const report = mergeReport(images, result, pages!)
    const map = report.sections.find((section): section is MapSection => section.kind === 'map')!
    const path = join(scratch(), 'twice.html')
    const sections = ['a', 'b'].map((id) => ({ ...map, title: `Memory ${id}` }))
    writeReport(path, { ...report, sections })
    const { page, trouble } = await reports.open(path, { viewport: WIDE }, '#b/1/31')
    const panel = (id: string) => sectionOf(page, `Memory ${id}`).locator('.panel')
    await expect.poll(() => panel('b').textContent()).toContain('image=1')
    expect(await panel('a').textContent()).toBe('No page is pointed at.')
    await sectionOf(page, 'Memory a').locator('.legend button').first().click()
    await expect.poll(() => hashOf(page)).toMatch(/^#a\/\d+\/\d+$/)
    const ids = await page.locator('[id]').evaluateAll((all) => all.map((one) => one.id))
    expect(new Set(ids).size).toBe(ids.length)
    const [left, right] = await Promise.all(
      ['a', 'b'].map((id) => sectionOf(page, `Memory ${id}`).boundingBox()),
    )
    expect(left!.y, 'side by side').toBe(right!.y)
    expect(trouble).toEqual([])
  })

  it('draws what is out of sight when it is scrolled to, and all of it for paper', async () => {
    const { page, trouble } = await reports.scan(['synth:sandbox-fork,pages=16,images=30'], {
      viewport: { width: 390, height: 600 },
    })
    const small = page.locator('.overview canvas')
    const undrawn = (): Promise<number> =>
      small.evaluateAll((all) => all.filter((one) => (one as HTMLCanvasElement).height === 150).length)
    const curves = page.locator('.chart canvas')
    expect(await undrawn(), 'nothing is drawn of what nobody sees').toBe(30)
    expect(await curves.count()).toBe(0)
    await small.first().scrollIntoViewIfNeeded()
    await expect.poll(undrawn).toBeLessThan(30)
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
    await expect.poll(() => curves.count()).toBe(await page.locator('.chart').count())
    expect(await undrawn()).toBe(0)
    expect(trouble).toEqual([])
  })

  it('draws all of it for paper, though nobody has scrolled to it', async () => {
    const { page } = await reports.scan(['synth:sandbox-fork,pages=16,images=30'], {
      viewport: { width: 390, height: 600 },
    })
    const undrawn = page.locator('.overview canvas').evaluateAll((all) => {
      dispatchEvent(new Event('beforeprint'))
      return all.filter((one) => (one as HTMLCanvasElement).height === 150).length
    })
    expect(await undrawn).toBe(0)
  })

  it('changes its colours with the reader', async () => {
    const { page } = await reports.scan(DEMO, { viewport: WIDE, colorScheme: 'light' })
    for (const place of ['.area canvas', '.overview canvas']) {
      await page.emulateMedia({ colorScheme: 'light' })
      const pixel = (): Promise<string> => dotOf(page.locator(place).first(), 0, 0)
      await page.locator(place).first().scrollIntoViewIfNeeded()
      await expect.poll(pixel, { message: 'drawn' }).not.toBe('rgb(0, 0, 0)')
      const before = await pixel()
      await page.emulateMedia({ colorScheme: 'dark' })
      await expect.poll(pixel).not.toBe(before)
    }
  })
})
