// Holes of sparse files: not read where the system tells them, and the same pages whether it does or not.

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileData, type Seek } from '../../src/images/data.ts'
import { openImage } from '../../src/images/index.ts'
import { census } from '../../src/lab/index.ts'
import { pages, scratch } from '../support/files.ts'
import { random as seeded } from '../support/random.ts'

const PAGE = 4096

/** A file of so many pages, some of them written. */
function sparse(path: string, count: number, written: readonly number[]): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, count * PAGE)
  for (const page of written) writeSync(fd, pages(1, 1 + (page % 200)), 0, PAGE, page * PAGE)
  closeSync(fd)
}

const seekUnavailable = (): string | undefined => {
  if (process.platform === 'win32') return 'no lseek'
  try {
    createRequire(import.meta.url).resolve('koffi')
  } catch {
    return 'koffi is not installed'
  }
  const path = join(scratch(), 'tried')
  sparse(path, 64, [1])
  const fd = openSync(path, 'r')
  const { blocks } = fstatSync(fd)
  closeSync(fd)
  return blocks * 512 < 64 * PAGE ? undefined : 'the file system keeps no holes'
}

/** A file with data at [100, 200) and [300, 400), as lseek tells it. */
const told: Seek = (_, offset, whence) => {
  const inside = (offset >= 100 && offset < 200) || (offset >= 300 && offset < 400)
  const data = whence === 3 || (process.platform === 'darwin' && whence === 4)
  if (data === inside && data) return offset
  if (data) return offset < 100 ? 100 : offset < 300 ? 300 : -1
  return !inside ? offset : offset < 200 ? 200 : 400
}

function withinOf(data: FileData, low: number, high: number): number[][] {
  const found: number[][] = []
  data.within(low, high, (from, to) => found.push([from, to]))
  return found
}

describe.skipIf(process.platform === 'darwin')('the data of a file', () => {
  it.each([
    [
      0,
      500,
      [
        [100, 200],
        [300, 400],
      ],
    ],
    [0, 100, []],
    [
      150,
      350,
      [
        [150, 200],
        [300, 350],
      ],
    ],
    [200, 300, []],
    [400, 500, []],
  ])('of bytes %i to %i is %o', (low, high, expected) => {
    const data = new FileData(3, { seek: told, endOfData: () => true })
    expect(withinOf(data, low, high)).toEqual(expected)
  })

  it('is all of it where nobody tells', () => {
    expect(withinOf(new FileData(3, { seek: () => -1, endOfData: () => false }), 50, 500)).toEqual([
      [50, 500],
    ])
  })

  it('is asked for anew where there was a hole', () => {
    let filled = false
    const seek: Seek = (fd, offset, whence) => (filled && whence === 3 ? offset : told(fd, offset, whence))
    const data = new FileData(3, { seek, endOfData: () => true })
    expect(withinOf(data, 200, 300)).toEqual([])
    filled = true
    expect(withinOf(data, 200, 300)).toEqual([[200, 300]])
  })
})

describe('a sparse file', () => {
  it('reads and counts as one without holes', async () => {
    const random = seeded(7)
    const dir = scratch()
    const written = Array.from({ length: 400 }, () => random.below(9000))
    sparse(join(dir, 'holes.raw'), 9000, written)
    writeFileSync(join(dir, 'whole.raw'), readFileSync(join(dir, 'holes.raw')))
    const [holes, whole] = ['holes.raw', 'whole.raw'].map((name) => openImage(join(dir, name)))
    const bytes = Buffer.alloc(9000 * PAGE, 0xee)
    holes!.read(0, 9000, bytes)
    expect(bytes.equals(readFileSync(join(dir, 'whole.raw')))).toBe(true)
    for (const workers of [0, 2]) {
      const [a, b] = await Promise.all([holes!, whole!].map((image) => census({ images: [image], workers })))
      expect(a!.counters).toEqual(b!.counters)
      expect(a!.zero_pages).toBe(9000 - new Set(written).size)
      expect(b!.zero_pages).toBe(a!.zero_pages)
    }
    holes!.close()
    whole!.close()
  })

  it('is read where it has bytes of its own, and where it got some since', ({ skip }) => {
    const why = seekUnavailable()
    skip(why !== undefined, why)
    const path = join(scratch(), 'holes.raw')
    sparse(path, 4096, [16, 2048])
    const image = openImage(path)
    const read = (): number => image.places!(0, 4096)!.reduce((sum, { length }) => sum + length, 0)
    const before = read()
    // A file system may give a few pages more than were written.
    expect(before).toBeGreaterThanOrEqual(2 * PAGE)
    expect(before).toBeLessThan(1024 * PAGE)
    const fd = openSync(path, 'r+')
    writeSync(fd, pages(1, 5), 0, PAGE, 3000 * PAGE)
    closeSync(fd)
    expect(read()).toBeGreaterThan(before)
    const page = Buffer.alloc(PAGE)
    image.read(3000, 1, page)
    expect(page.equals(pages(1, 5))).toBe(true)
    image.close()
  })
})
