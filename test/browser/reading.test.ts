// Every report can be read: in light and dark, wide and narrow, on paper, and by whoever cannot see it.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { browserUnavailable } from '../support/browser.ts'
import { DEMO, make, NARROW, Reports, unfold, WIDE } from '../support/reports.ts'

const skipped = browserUnavailable === undefined ? '' : ` (skipped: ${browserUnavailable})`
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const COMMANDS: Record<string, readonly string[]> = {
  scan: ['scan', ...DEMO],
  'scan of two moments': ['scan', ...DEMO, '--then', 'synth:demo,pages=512,moment=1'],
  'scan of many images': ['scan', 'synth:sandbox-fork,pages=64,images=40'],
  hash: ['hash', 'synth:demo,pages=64', '--checksum', 'xxh3,crc32c,sampled'],
  bench: ['bench', 'synth:demo,pages=256', '--trials', '1', '--peers', 'js'],
}

const LOOKS: readonly [string, BrowserContextOptions][] = [
  ['light', { viewport: WIDE, colorScheme: 'light' }],
  ['dark', { viewport: WIDE, colorScheme: 'dark' }],
  ['narrow and light', { viewport: NARROW, colorScheme: 'light' }],
  ['narrow and dark', { viewport: NARROW, colorScheme: 'dark' }],
]

/** What axe finds wrong, of all its rules. */
async function found(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  )
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(', ')}`)
}

describe.skipIf(browserUnavailable)(`a report can be read${skipped}`, () => {
  const reports = new Reports()
  const pathOf = (name: string): string => make(...COMMANDS[name]!).path

  const cases = Object.keys(COMMANDS).flatMap((name) =>
    LOOKS.map(([look, options]) => ({ name, look, options })),
  )
  it.for(cases)('$name, $look', async ({ name, options }) => {
    const { page, trouble } = await reports.open(pathOf(name), options)
    await unfold(page)
    await page
      .locator('.legend button')
      .first()
      .click({ timeout: 1000 })
      .catch(() => {})
    const seen = await page.evaluate(() => ({
      sideways: document.scrollingElement!.scrollWidth - innerWidth,
      paper: getComputedStyle(document.body).backgroundColor,
      charts: [...document.querySelectorAll('.chart canvas')].map(
        (canvas) => canvas.getBoundingClientRect().width,
      ),
    }))
    expect(seen.sideways).toBe(0)
    expect(seen.paper).toBe(options.colorScheme === 'dark' ? 'rgb(20, 24, 31)' : 'rgb(255, 255, 255)')
    for (const width of seen.charts) expect(width).toBeGreaterThan(200)
    expect(await found(page)).toEqual([])
    expect(trouble).toEqual([])
  })

  it.for(Object.keys(COMMANDS))(
    '%s, every control of it with a name and in reach of the keys',
    async (name) => {
      const { page } = await reports.open(pathOf(name))
      await unfold(page)
      const unnamed = await page.evaluate(() => {
        const nameOf = (control: Element): string =>
          control.getAttribute('aria-label') ??
          document.getElementById(control.getAttribute('aria-labelledby') ?? '')?.textContent ??
          ((control as HTMLInputElement).labels?.[0] ?? control).textContent ??
          ''
        const controls = document.querySelectorAll('a, button, input, select, summary, [tabindex="0"]')
        return [...controls]
          .filter((control) => nameOf(control).trim() === '')
          .map((control) => control.outerHTML)
      })
      expect(unnamed).toEqual([])
      const wanted = new Set(
        await page
          .locator('section')
          .evaluateAll((all) =>
            all
              .filter((one) => one.querySelector('button, a, [tabindex="0"]') !== null)
              .map((one) => one.className),
          ),
      )
      for (let presses = 0; presses < 400 && wanted.size > 0; presses++) {
        await page.keyboard.press('Tab')
        wanted.delete(await page.evaluate(() => document.activeElement?.closest('section')?.className ?? ''))
      }
      expect([...wanted]).toEqual([])
    },
  )

  it.for(Object.keys(COMMANDS))(
    '%s, on paper, in light colours and without what only a screen can do',
    async (name) => {
      const { page } = await reports.open(pathOf(name), { viewport: WIDE, colorScheme: 'light' })
      await page.emulateMedia({ media: 'print' })
      expect(await page.locator('.panel, form, .zoom, summary').filter({ visible: true }).count()).toBe(0)
      expect(await page.locator('h1, .verdict').filter({ visible: true }).count()).toBe(2)
      expect((await page.pdf()).subarray(0, 5).toString()).toBe('%PDF-')
    },
  )

  it('says first what is to be kept in mind', async () => {
    for (const [name, says] of [
      ['scan', /^Merging saves [\d.]+ MiB of [\d.]+ MiB, [\d.]+ %; /],
      ['hash', /^Merging takes least time with \S+ by \S+, [\d,]+ ns a page/],
      ['bench', /^pagefold merges everything in [\d,]+ ns a page.*1 trial cannot tell/],
    ] as const) {
      const { page } = await reports.open(pathOf(name))
      expect(await page.locator('header .verdict').textContent()).toMatch(says)
    }
  })
})
