// What looks at images and at what became of them: files with many ranges, page states, reports, synthetic guests.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openImage } from '../../src/images/index.ts'
import { type HostOptions, type Image, PAGE_SIZE } from '../../src/index.ts'
import {
  bestPossible,
  mergeImages,
  pageStates,
  sharingOf,
  synthImages,
  synthTruth,
} from '../../src/lab/index.ts'
import { mergeReport, renderReport } from '../../src/report/index.ts'
import { guestOf, scanningHost } from './guests.ts'
import type { Growth } from './measure.ts'

/** A LiME file of n ranges of a page, each with a hole behind it. */
function lime(n: number): Uint8Array {
  const bytes = new Uint8Array(n * (32 + PAGE_SIZE))
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < n; i++) {
    const at = i * (32 + PAGE_SIZE)
    const address = BigInt(2 * i * PAGE_SIZE)
    view.setUint32(at, 0x4c69_4d45, true)
    view.setUint32(at + 4, 1, true)
    view.setBigUint64(at + 8, address, true)
    view.setBigUint64(at + 16, address + BigInt(PAGE_SIZE - 1), true)
    view.setUint32(at + 32, i, true)
  }
  return bytes
}

const FILES: readonly Growth[] = [
  {
    name: 'LiME: opened, read, asked for addresses',
    of: 'ranges',
    prepare(n) {
      const dir = mkdtempSync(join(tmpdir(), 'pagefold-growth-'))
      const path = join(dir, 'guest.lime')
      writeFileSync(path, lime(n))
      const page = new Uint8Array(PAGE_SIZE)
      const run = (): void => {
        const image = openImage(path)
        for (let i = 0; i < image.pages; i++) {
          image.addressOf(i)
          image.read(i, 1, page)
        }
        image.close()
      }
      return { run, done: () => rmSync(dir, { recursive: true }) }
    },
  },
]

/** An image of numbered pages. */
function numbered(n: number, content: (page: number) => number): Image {
  return {
    source: 'numbered',
    format: 'raw',
    pages: n,
    notes: [],
    addressOf: (page) => page * PAGE_SIZE,
    read(first, count, into) {
      const words = new Uint32Array(into.buffer, into.byteOffset, (count * PAGE_SIZE) >>> 2)
      words.fill(0)
      for (let page = 0; page < count; page++) words[(page * PAGE_SIZE) >>> 2] = content(first + page)
    },
    close() {},
  }
}

function states(
  name: string,
  content: (page: number) => number,
  options: Partial<HostOptions>,
  sharing = 256,
): Growth {
  return {
    name,
    of: 'pages',
    async prepare(n) {
      const host = await scanningHost(n, options)
      host.ksm.set('max_page_sharing', sharing)
      const { mm, at } = guestOf(host, n, content)
      host.ksm.scan(2)
      const ranges = [{ mm, address: at, pages: n }]
      const run = (): void => {
        pageStates(host, ranges)
        sharingOf(ranges)
      }
      return { run, done: () => host.close() }
    },
  }
}

const STATES: readonly Growth[] = [
  states('what became of pages all different', (page) => page + 1, {}),
  states('what became of colliding pages', (page) => page + 1, { checksumBits: 1 }),
  states('what became of one content, max_page_sharing=2', () => 1, {}, 2),
]

async function mergeAndReport(images: readonly Image[]): Promise<void> {
  let pages: ReturnType<typeof pageStates> | undefined
  const result = await mergeImages({
    images,
    scans: 2,
    inspect: (host, ranges) => {
      pages = pageStates(host, ranges)
    },
  })
  renderReport(mergeReport(images, result, pages!))
}

const WHOLE: readonly Growth[] = [
  {
    name: 'mergeImages, and its report',
    of: 'pages',
    prepare(n) {
      const images = [numbered(n, (page) => page % (n >>> 1))]
      return { run: () => mergeAndReport(images) }
    },
  },
  {
    name: 'mergeImages of many, and its report',
    of: 'images',
    sizes: [64, 256, 1024],
    prepare(n) {
      const images = Array.from({ length: n }, () => numbered(16, (page) => page))
      return { run: () => mergeAndReport(images) }
    },
  },
  {
    name: 'the best possible',
    of: 'pages',
    prepare: (n) => ({ run: () => bestPossible([numbered(n, (page) => page >>> 1)]) }),
  },
  {
    name: 'synthetic guests and their truth',
    of: 'pages',
    prepare: (n) => ({
      run: () => {
        synthTruth({ preset: 'demo', pages: n, images: 2 })
        synthImages({ preset: 'demo', pages: n, images: 2 })
      },
    }),
  },
]

export const LOOKS: readonly Growth[] = [...FILES, ...STATES, ...WHOLE]
