// The engine in a page: bundled by esbuild and by Vite without plugins or configuration, served with the two headers that shared
// memory wants, it does all that scripts/everywhere-program.mjs does in Node.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { build as esbuild } from 'esbuild'
import type { Browser } from 'playwright-core'
import { build as vite } from 'vite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { browserUnavailable, launchBrowser } from '../support/browser.ts'
import { project, ROOT } from '../support/package.ts'

const SHARED_MEMORY = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
}
const STEPS = [
  'example',
  'hypervisor',
  'helpers',
  'strategies',
  'advisor',
  'synthetic',
  'hashes',
  'snapshots',
  'platform',
]

describe.skipIf(browserUnavailable !== undefined)(
  `in a browser${browserUnavailable ? ` (skipped: ${browserUnavailable})` : ''}`,
  () => {
    let browser: Browser
    let folder: string

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'pagefold-browser-'))
      project(folder)
      copyFileSync(join(ROOT, 'scripts/everywhere-program.mjs'), join(folder, 'program.mjs'))
      writeFileSync(
        join(folder, 'main.mjs'),
        `import { program } from './program.mjs'
         program().then((lines) => { globalThis.lines = lines }, (error) => { globalThis.failed = String(error.stack) })`,
      )
      writeFileSync(
        join(folder, 'index.html'),
        '<!doctype html><script type="module" src="/main.mjs"></script>',
      )
      browser = await launchBrowser()
    })

    afterAll(async () => {
      await browser?.close()
      rmSync(folder, { recursive: true })
    })

    async function bundledByEsbuild(main: string): Promise<string> {
      const out = mkdtempSync(join(folder, 'esbuild-'))
      await esbuild({
        entryPoints: [join(folder, main)],
        outfile: join(out, 'main.js'),
        bundle: true,
        minify: true,
        format: 'esm',
      })
      writeFileSync(join(out, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>')
      return out
    }

    /** Serves a folder, opens its page, and returns what the page leaves in `lines`; throws what it leaves in `failed`. */
    async function seen(root: string, headers: Record<string, string>): Promise<string[]> {
      const server = createServer((request, response) => {
        const name = request.url === '/' ? '/index.html' : request.url!
        try {
          const body = readFileSync(join(root, name))
          response
            .writeHead(200, { ...headers, 'content-type': TYPES[extname(name)] ?? 'text/plain' })
            .end(body)
        } catch {
          response.writeHead(404, headers).end()
        }
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close())
      const page = await browser.newPage()
      onTestFinished(() => page.close())
      const error = new Promise<never>((_, reject) => page.on('pageerror', reject))
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      const done = page.waitForFunction('globalThis.lines ?? globalThis.failed', undefined, {
        timeout: 60_000,
      })
      await Promise.race([done, error])
      const { lines, failed } = await page.evaluate<{ lines?: string[]; failed?: string }>(
        '({ lines: globalThis.lines, failed: globalThis.failed })',
      )
      if (failed !== undefined) throw new Error(failed)
      return lines!
    }

    const expectAll = (lines: readonly string[]): void => {
      expect(lines.map((line) => line.split(':')[0])).toEqual(STEPS)
      expect(lines.at(-1)).toBe('platform: no fileSwapStore, no synthTruth, no writeReport')
    }

    it('does everything, bundled by esbuild', { timeout: 120_000 }, async () => {
      expectAll(await seen(await bundledByEsbuild('main.mjs'), SHARED_MEMORY))
    })

    it('does everything, bundled by Vite', { timeout: 120_000 }, async () => {
      await vite({ root: folder, logLevel: 'error', configFile: false })
      expect(readdirSync(join(folder, 'dist'))).toContain('index.html')
      expectAll(await seen(join(folder, 'dist'), SHARED_MEMORY))
    })

    const attempt = (code: string): string => {
      const name = `attempt-${code.length}.mjs`
      writeFileSync(
        join(folder, name),
        `import { Host } from 'pagefold'
         globalThis.attempt = async () => { ${code} }
         globalThis.attempt().then((line) => { globalThis.lines = [line] }, (error) => { globalThis.lines = [error.message] })`,
      )
      return name
    }

    it('takes the core from beside the page', async () => {
      const main = attempt(
        `const host = await Host.create({ frames: 64, workers: 1, wasm: new URL('./core.wasm', location.href) })
         return JSON.stringify(host.frames)`,
      )
      const out = await bundledByEsbuild(main)
      mkdirSync(out, { recursive: true })
      copyFileSync(join(folder, 'node_modules/pagefold/dist/core.wasm'), join(out, 'core.wasm'))
      expect(await seen(out, SHARED_MEMORY)).toEqual(['{"free":64,"total":64}'])
    })

    it('without the two headers says which are missing', async () => {
      const out = await bundledByEsbuild(
        attempt('return String(await Host.create({ frames: 64, workers: 1 }))'),
      )
      const [message] = await seen(out, {})
      expect(message).toMatch(
        /^ENOTSUP: .*Cross-Origin-Opener-Policy: same-origin.*Cross-Origin-Embedder-Policy/,
      )
    })
  },
)
