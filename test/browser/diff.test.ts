// The report of a comparison as a reader meets it: both maps in sight, figures as in the JSON.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ResultDiff } from '../../src/report/index.ts'
import { browserUnavailable, launchBrowser, openFile } from '../support/browser.ts'
import { scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const pagefold = (...args: string[]): string =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' }).stdout

describe.skipIf(browserUnavailable !== undefined)('the report of pagefold diff', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser.close())

  it.each([
    [1280, 'beside each other'],
    [390, 'one below the other'],
  ])('at %i pixels has the maps of both %s', { timeout: 60_000 }, async (width, how) => {
    const dir = scratch()
    const [before, after, path] = ['a.json', 'b.json', 'diff.html'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    const scan = ['scan', 'synth:demo,pages=256', '--json', '--map']
    writeFileSync(before, pagefold(...scan))
    writeFileSync(after, pagefold(...scan, '--knob', 'use_zero_pages=1'))
    const diff = JSON.parse(pagefold('diff', before, after, '--json', '--report', path)) as ResultDiff
    const { page, trouble } = await openFile(browser, path, { viewport: { width, height: 900 } })
    await page.waitForSelector('html[data-ready]')
    expect(trouble).toEqual([])
    const maps = await page.locator('.map-section').all()
    expect(await page.locator('.map-section h2').allTextContents()).toEqual([
      `Memory of ${before}`,
      `Memory of ${after}`,
    ])
    const [first, second] = await Promise.all(maps.map((map) => map.boundingBox()))
    if (how === 'beside each other') expect(second).toMatchObject({ y: first!.y, width: first!.width })
    else expect(second!.y).toBeGreaterThanOrEqual(first!.y + first!.height)
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0)
    const names = await page
      .locator('.table-section', { hasText: 'What came out otherwise' })
      .locator('tbody tr')
      .count()
    expect(names).toBe(diff.figures.length)
  })
})
