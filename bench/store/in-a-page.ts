// What a page gets back of the memory of a store: the same as in Node (index.ts), in Chromium, whose processes Linux tells the size of.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import type { SnapshotStore } from '../../src/store/index.ts'
import { browserUnavailable, launchBrowser } from './chromium.ts'
import { givenBack, type StoreFigure } from './figure.ts'

/** Where the page has the store from. */
const SCRIPT = '/store.js'
/** How often a size is looked at after a step, the least of which counts, and how long apart. */
const LOOKS = 20
const EVERY_MS = 250

/** Bytes that a page's process is smaller by when every other snapshot was dropped, over those that `stats` says. */
export async function* droppedInAPage(_dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const [snapshots, looks] = smoke ? [64, 2] : [1024, LOOKS]
  const what = `every other of ${snapshots} snapshots dropped, in a page of Chromium`
  if (browserUnavailable !== undefined || !existsSync('/proc/self/status')) {
    yield { what, figure: `not measured: ${browserUnavailable ?? 'there is no /proc'}` }
    return
  }
  // First, because a server that listens keeps the process from ending if there is no browser to close it after.
  const browser = await launchBrowser()
  const server = await serve()
  try {
    const others = renderers()
    const page = await browser.newPage()
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`)
    const size = (): Promise<number> =>
      leastResident(
        renderers().filter((pid) => !others.includes(pid)),
        looks,
      )
    const before = { held: await saveMany(page, snapshots), resident: await size() }
    const after = { held: await dropEveryOther(page, snapshots), resident: await size() }
    yield { what, figure: givenBack('its process', before, after) }
  } finally {
    await browser.close()
    server.close()
  }
}

/** A page with nothing in it, and the store as one file. */
async function serve(): Promise<ReturnType<typeof createServer>> {
  const { build } = await import('esbuild')
  const entry = fileURLToPath(new URL('store.js', import.meta.url))
  const built = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  const script = built.outputFiles[0]!.contents
  const server = createServer(({ url }, response) => {
    const isScript = url === SCRIPT
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><title>A store</title>')
  })
  return new Promise((resolve) => void server.listen(0, () => resolve(server)))
}

/** What the page keeps between two steps. */
type InPage = typeof globalThis & { store: SnapshotStore }

/** Saves snapshots of 64 pages, all different, whose neighbours in memory belong to others. Returns the bytes held. */
function saveMany(page: Page, snapshots: number): Promise<number> {
  const told = { snapshots, url: SCRIPT }
  return page.evaluate(async ({ snapshots, url }) => {
    const { SnapshotStore } = (await import(url)) as typeof import('../../src/store/index.ts')
    const store = await SnapshotStore.open()
    const words = new Uint32Array(64 * 1024)
    for (let i = 0; i < snapshots; i++) {
      for (let at = 0; at < words.length; at++) words[at] = Math.imul(i * words.length + at + 1, 0x9e3779b1)
      await store.save(String(i), new Uint8Array(words.buffer))
    }
    Object.assign(globalThis, { store })
    return store.stats().bytes_held
  }, told)
}

function dropEveryOther(page: Page, snapshots: number): Promise<number> {
  return page.evaluate(async (snapshots) => {
    const { store } = globalThis as InPage
    for (let i = 0; i < snapshots; i += 2) await store.drop(String(i))
    await store.compact()
    return store.stats().bytes_held
  }, snapshots)
}

/** Processes that have pages of a Chromium in them. */
function renderers(): string[] {
  return readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && textOf(pid, 'cmdline').includes('--type=renderer'),
  )
}

async function leastResident(pids: readonly string[], looks: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < looks; look++) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    const kib = pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(textOf(pid, 'status'))?.[1] ?? 0))
    least = Math.min(least, 1024 * Math.max(...kib))
  }
  return least
}

/** Empty of a process that has ended. */
function textOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
