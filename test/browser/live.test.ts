// examples/browser: RISC-V guests and synthetic ones in a page, their memory drawn as it merges; every control by keys; wide and narrow, light
// and dark.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { AxeResults } from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
// @ts-expect-error: no types, and none needed
import { readyCpu } from '../../examples/riscv/build.mjs'
import { browserUnavailable, launchBrowser } from '../support/browser.ts'
import { ROOT } from '../support/package.ts'

const EXAMPLE = join(ROOT, 'examples/browser')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
}
const SHARED_MEMORY = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}
/** Where to put screenshots, for somebody to look at. */
const SHOTS = process.env.PAGEFOLD_SHOTS

describe.skipIf(browserUnavailable !== undefined)(
  `the live page${browserUnavailable ? ` (skipped: ${browserUnavailable})` : ''}`,
  () => {
    let browser: Browser
    let folder: string
    let server: Server
    let headers: Record<string, string> = SHARED_MEMORY

    beforeAll(async () => {
      await readyCpu()
      folder = mkdtempSync(join(tmpdir(), 'pagefold-live-'))
      await build({
        configFile: join(EXAMPLE, 'vite.config.mjs'),
        logLevel: 'error',
        build: { outDir: folder },
      })
      server = createServer((request, response) => {
        const name = request.url === '/' ? 'index.html' : request.url!
        try {
          const body = readFileSync(join(folder, name))
          response
            .writeHead(200, { ...headers, 'content-type': TYPES[extname(name)] ?? 'text/plain' })
            .end(body)
        } catch {
          response.writeHead(404).end()
        }
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      browser = await launchBrowser()
    }, 240_000)

    afterAll(async () => {
      await browser?.close()
      server?.close()
      rmSync(folder, { recursive: true })
    })

    async function open(options: BrowserContextOptions = {}): Promise<{ page: Page; trouble: string[] }> {
      const context = await browser.newContext(options)
      onTestFinished(() => context.close())
      const page = await context.newPage()
      const trouble: string[] = []
      page.on('console', (message) => trouble.push(`console: ${message.text()}`))
      page.on('pageerror', (error) => trouble.push(`error: ${error.message}`))
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      return { page, trouble }
    }

    /** What one of the figures says. */
    const figure = async (page: Page, label: string): Promise<number> => {
      const row = page.locator('#figures div', { hasText: label })
      return Number.parseFloat((await row.locator('dd').textContent({ timeout: 60_000 }))!)
    }

    const until = async (what: () => Promise<boolean>): Promise<void> => {
      await expect.poll(what, { timeout: 60_000, interval: 100 }).toBe(true)
    }

    /** How many dots of all guests have the colour of a state. */
    const dots = (page: Page, state: string): Promise<number> =>
      page.evaluate((name) => {
        const hex = getComputedStyle(document.documentElement).getPropertyValue(`--state-${name}`).trim()
        const wanted = Number.parseInt(hex.slice(1), 16)
        let count = 0
        for (const canvas of document.querySelectorAll<HTMLCanvasElement>('#guests canvas')) {
          const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
          for (let i = 0; i < data.length; i += 4)
            if ((data[i]! << 16) + (data[i + 1]! << 8) + data[i + 2]! === wanted) count++
        }
        return count
      }, state)

    it('draws memory of RISC-V guests as it merges, and takes it apart again', async () => {
      const { page, trouble } = await open()
      await until(async () => (await figure(page, 'pages_sharing')) > 500)
      expect(await page.locator('#guests canvas').count()).toBe(6)
      expect(await dots(page, 'shared-between')).toBeGreaterThan(500)
      await until(async () => (await page.locator('#console').textContent())!.includes('round 0'))
      await page.locator('[name=unmerge]').click()
      await until(async () => (await figure(page, 'pages_sharing')) === 0)
      await until(async () => (await dots(page, 'shared-between')) === 0)
      expect(trouble).toEqual([])
      expect(await page.locator('#trouble').isHidden()).toBe(true)
    })

    it('forks a guest: both share everything at once', async () => {
      const { page, trouble } = await open()
      await until(async () => (await figure(page, 'used')) > 5)
      await page.locator('[name=pause]').click()
      await page.locator('[name=run]').click()
      const before = await figure(page, 'used')
      await page.locator('[name=fork]').click()
      await until(async () => (await page.locator('#guests canvas').count()) === 7)
      expect((await figure(page, 'used')) - before).toBeLessThan(1)
      expect(trouble).toEqual([])
    })

    it('runs synthetic guests too, as many as the slider says', async () => {
      const { page, trouble } = await open()
      await page.locator('[value=synthetic]').check()
      await page.locator('input[name=count]').focus()
      await page.keyboard.press('Home')
      await page.keyboard.press('ArrowRight')
      await until(async () => (await page.locator('#guests canvas').count()) === 2)
      expect(await page.locator('output[name=count-text]').textContent()).toBe('2')
      await until(async () => (await figure(page, 'pages_sharing')) > 50)
      expect(await page.locator('#console').textContent()).toContain('pages written')
      expect(trouble).toEqual([])
    })

    it('is used by keys alone: knobs, and a look at a page and those that share it', async () => {
      const { page } = await open()
      await until(async () => (await figure(page, 'pages_sharing')) > 500)
      await page.locator('[name=pause]').focus()
      await page.keyboard.press('Space')
      expect(await page.locator('[name=pause]').getAttribute('aria-pressed')).toBe('true')
      await page.locator('input[name=pages_to_scan]').focus()
      await page.keyboard.press('ArrowRight')
      expect(await page.locator('output[name=pages_to_scan-text]').textContent()).toBe('500')
      await page.locator('#guests canvas').first().focus()
      await expect
        .poll(
          async () => {
            await page.keyboard.press('ArrowRight')
            return page.locator('#inspected').textContent()
          },
          { timeout: 30_000 },
        )
        .toMatch(/^guest \d+, page \d+: shared by guests; \d+ pages have this content$/)
      await page.keyboard.press('Tab')
      expect(await page.locator('#inspected').textContent()).toMatch(/page 0:/)
    })

    it.each([
      ['wide', 'light', 1400],
      ['wide', 'dark', 1400],
      ['narrow', 'light', 390],
      ['narrow', 'dark', 390],
    ] as const)('is readable %s and %s', async (size, colorScheme, width) => {
      const { page } = await open({ viewport: { width, height: 900 }, colorScheme })
      await until(async () => (await figure(page, 'pages_sharing')) > 500)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(overflow).toBeLessThanOrEqual(0)
      await page.addScriptTag({ content: AXE })
      const { violations } = await page.evaluate(() =>
        (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
      )
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
      if (SHOTS !== undefined)
        await page.screenshot({ path: join(SHOTS, `${size}-${colorScheme}.png`), fullPage: true })
    })

    it('says which headers are missing', async () => {
      headers = {}
      onTestFinished(() => {
        headers = SHARED_MEMORY
      })
      const { page } = await open()
      expect(await page.locator('#trouble').textContent()).toContain(
        'Cross-Origin-Embedder-Policy: require-corp',
      )
    })

    it('is small', () => {
      const scripts = readdirSync(join(folder, 'assets')).filter((name) => name.startsWith('worker-'))
      const [worker] = scripts.map((name) => readFileSync(join(folder, 'assets', name)))
      // The engine, its core, the states of pages, and the machine.
      expect(gzipSync(worker!, { level: 9 }).length).toBeLessThan(66_000)
    })
  },
)
