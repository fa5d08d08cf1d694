// Reports made by the commands and opened as a reader opens them; what stands in their tables, panels and matrices.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import type { MergeResult } from '../../src/lab/index.ts'
import { launchBrowser, type OpenedPage, openFile } from './browser.ts'
import { butBusy } from './busy.ts'

export const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
export const WIDE = { width: 1280, height: 900 }
export const NARROW = { width: 360, height: 740 }
export const DEMO = ['synth:demo,pages=512']

/** A report that was made, with what --json prints. */
export interface Made<Result> {
  readonly path: string
  readonly result: Result
}

/** Where they are, until the tests of a file are over. */
const FOLDER = mkdtempSync(join(tmpdir(), 'pagefold-reports-'))
const made = new Map<string, Made<unknown>>()

/** Runs a command with --report and --json, once, and expects that it has nothing to complain about. */
export function make<Result = MergeResult>(...args: readonly string[]): Made<Result> {
  const key = JSON.stringify(args)
  if (!made.has(key)) made.set(key, run(args))
  return made.get(key) as Made<Result>
}

function run(args: readonly string[]): Made<unknown> {
  const path = join(FOLDER, `${made.size}.html`)
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, ...args, '--json', '--report', path],
    { encoding: 'utf8' },
  )
  expect(butBusy(stderr)).toBe('')
  expect(status).toBe(0)
  return { path, result: JSON.parse(stdout) }
}

/** Opens reports in a browser that is started for the tests of a file, if there is one. */
export class Reports {
  private browser: Browser | undefined

  constructor() {
    beforeAll(async () => {
      this.browser = await launchBrowser()
    })
    afterAll(async () => {
      rmSync(FOLDER, { recursive: true })
      await this.browser?.close()
    })
  }

  /** Opens a report; `hash`: at this address. */
  async open(
    path: string,
    options: BrowserContextOptions = { viewport: WIDE },
    hash = '',
  ): Promise<OpenedPage> {
    const opened = await openFile(this.browser!, path, options, hash)
    await opened.page.waitForSelector('html[data-ready]')
    return opened
  }

  /** Scans, and opens the report. */
  async scan(
    args: readonly string[],
    options?: BrowserContextOptions,
  ): Promise<OpenedPage & Made<MergeResult>> {
    const made = make('scan', ...args)
    return { ...made, ...(await this.open(made.path, options)) }
  }
}

/** A section, by its title. */
export function sectionOf(page: Page, title: string) {
  return page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) })
}

/** Opens every table that is behind a line. */
export async function unfold(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true
  })
  await page.waitForFunction(() =>
    [...document.querySelectorAll('details')].every((details) => details.querySelector('table') !== null),
  )
}

/** The figures of the table in a section, by column; numbers as they are, not as they are written. */
export async function tableIn(page: Page, title: string): Promise<Record<string, (string | number)[]>> {
  const section = sectionOf(page, title)
  for (const summary of await section.locator('details:not([open]) > summary').all()) await summary.click()
  return section.locator('.wide:not(.matrix) table').evaluate((table) => {
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

/** The rows of a matrix, its names first; what is not there is a dash. */
export async function matrixIn(page: Page, title: string): Promise<Record<string, (string | number)[]>> {
  return sectionOf(page, title)
    .locator('.matrix table')
    .evaluate((table) => {
      const heads = [...table.querySelectorAll('thead th')].map((head) => head.textContent ?? '')
      const rows = [...table.querySelectorAll('tbody tr')].map((row): [string, (string | number)[]] => [
        row.querySelector('th')!.textContent ?? '',
        [...row.querySelectorAll('td')].map((cell) => {
          const exact = cell.getAttribute('data-value')
          return exact === null ? (cell.textContent ?? '') : Number(exact)
        }),
      ])
      return Object.fromEntries([['', heads], ...rows])
    })
}

/** The bars of a section: by label and series how long they are and what stands beside, and the ends of the whiskers. */
export async function barsIn(page: Page, title: string) {
  return sectionOf(page, title)
    .locator('.bars-group')
    .evaluateAll((groups) =>
      groups.map((group) => {
        const left = group.querySelector('.bar-track')!.getBoundingClientRect().left
        return {
          label: group.querySelector('.bars-label')!.textContent!,
          rows: [...group.querySelectorAll('.bar-row')].map((row) => {
            const [bar, whisker] = [row.querySelector('.bar'), row.querySelector('.whisker')]
            const zero = row.querySelector('.bar-zero')!.getBoundingClientRect().left - left
            const box = whisker?.getBoundingClientRect()
            return {
              width: bar?.getBoundingClientRect().width ?? null,
              begins: bar === null ? null : bar.getBoundingClientRect().left - left - zero,
              whisker: box === undefined ? null : [box.left - left - zero, box.right - left - zero],
              value: row.querySelector('.bar-value')!.getAttribute('data-value'),
              text: row.querySelector('.bar-value')!.textContent!,
            }
          }),
        }
      }),
    )
}

/** A dot of a canvas, as it is seen. */
export async function dotOf(canvas: Locator, column: number, row: number): Promise<string> {
  return canvas.evaluate(
    (seen, [x, y]) => {
      // A copy, because whoever reads a canvas often is told to say so when it is made.
      const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!
      copy.drawImage(seen as HTMLCanvasElement, x!, y!, 1, 1, 0, 0, 1, 1)
      const [red, green, blue] = copy.getImageData(0, 0, 1, 1).data
      return `rgb(${red}, ${green}, ${blue})`
    },
    [column, row],
  )
}

/** The panel about one page: its lines by name, and the answer. */
export async function panelOf(page: Page): Promise<Record<string, string>> {
  return page.locator('.panel').evaluate((panel) => {
    const names = [...panel.querySelectorAll('dt')].map((name) => name.textContent ?? '')
    const values = [...panel.querySelectorAll('dd')].map((value) => value.textContent ?? '')
    return Object.fromEntries([
      ...names.map((name, i) => [name, values[i]!]),
      ['answer', panel.querySelector('.answer')?.textContent ?? ''],
    ])
  })
}
