// A census says what ksmd comes to: held against scans of the same images, and against what a kernel counted on them.

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { RMAP_BYTES } from '../../assembly/abi.ts'
import { openImage, openSource } from '../../src/images/index.ts'
import { type Image, PAGE_SIZE } from '../../src/index.ts'
import {
  type CensusCounters,
  type CensusKnob,
  census,
  mergeImages,
  pageStates,
  synthImages,
} from '../../src/lab/index.ts'
import { sharingMatrix } from '../../src/report/sharing-matrix.ts'
import { namedImage } from '../support/census.ts'
import { elfCore, pages as filePages } from '../support/files.ts'
import { guest, guestRecords, guestsUnavailable } from '../support/guests.ts'
import { random as seeded } from '../support/random.ts'
import { PRESETS, small } from '../support/synth.ts'

type Knobs = Partial<Record<CensusKnob, number>>

const COUNTERS = [
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'ksm_zero_pages',
  'stable_node_chains',
  'stable_node_dups',
  'general_profit',
] as const

const counted = (row: CensusCounters): object => Object.fromEntries(COUNTERS.map((name) => [name, row[name]]))

/** Counts and scans the same images, and expects the same. */
async function expectAsScanned(images: readonly Image[], knobs: Knobs = {}): Promise<void> {
  let matrix: number[][] = []
  const scanned = await mergeImages({
    images,
    knobs,
    inspect: (host, ranges) => {
      matrix = sharingMatrix(
        images.map(({ pages }) => pages),
        pageStates(host, ranges),
      )
    },
  })
  const result = await census({ images, knobs, workers: 0 })
  expect(counted(result.counters)).toEqual(counted(scanned.after_each_scan.at(-1)!))
  expect(result.saved).toEqual(scanned.sharing)
  expect(result.shared_between).toEqual(matrix)
  expect(result.pages).toBe(scanned.pages)
  expect(result.bytes_saved).toBe(scanned.bytes_saved)
  const { pages_shared, pages_unshared } = result.counters
  const items = pages_shared + result.counters.pages_sharing + pages_unshared
  expect(result.profit.pagefold).toBe(result.bytes_saved - items * RMAP_BYTES)
  expect(result.profit.linux).toBe(scanned.after_each_scan.at(-1)!.general_profit)
}

const SETTINGS: Knobs[] = [
  {},
  { use_zero_pages: 1 },
  { max_page_sharing: 5 },
  { max_page_sharing: 2, use_zero_pages: 1 },
]

describe.each(PRESETS)('%s', (preset) => {
  it.each(SETTINGS)('is counted as it is scanned, %o', async (knobs) => {
    await expectAsScanned(synthImages(small(preset)), knobs)
  })
})

describe('random images', () => {
  it.each([1, 2, 3, 4, 5, 6])('are counted as they are scanned, seed %i', async (seed) => {
    const random = seeded(seed)
    for (let round = 0; round < 6; round++) {
      const contents = 1 + random.below(40)
      const images = Array.from({ length: 1 + random.below(5) }, (_, i) =>
        namedImage(
          `image-${i}`,
          Array.from({ length: 1 + random.below(150) }, () => random.below(contents)),
        ),
      )
      await expectAsScanned(images, {
        max_page_sharing: 2 + random.below(random.chance(0.5) ? 6 : 60),
        use_zero_pages: random.below(2),
      })
    }
  })

  it('keep to their NUMA nodes where pages of two may not merge', async () => {
    const images = [
      [1, 1, 2, 0],
      [1, 2, 3, 0],
      [1, 4, 4, 0],
    ].map((names, i) => namedImage(`image-${i}`, names))
    const apart = await census({ images, nodes: [0, 1, 0], knobs: { merge_across_nodes: 0 } })
    // Node 0 has 1, 1, 2, 1, 4, 4 and two of zeros, node 1 has 1, 2, 3 and one of zeros.
    expect(apart.counters).toMatchObject({ pages_shared: 3, pages_sharing: 4, pages_unshared: 5 })
    expect(apart.saved).toEqual({ zero: 1, within: 2, between: 1 })
    expect(apart.shared_between).toEqual([
      [2, 0, 2],
      [0, 0, 0],
      [1, 0, 2],
    ])
    const together = await census({ images, nodes: [0, 1, 0] })
    expect(together.counters).toMatchObject({ pages_shared: 4, pages_sharing: 7, pages_unshared: 1 })
  })
})

describe('NUMA nodes that images tell', () => {
  const named = (names: number[], nodes?: [number, number][]): Image => ({
    ...namedImage('process', names),
    ...(nodes && { nodes: new Map(nodes) }),
  })
  const apart = { merge_across_nodes: 0 }

  it('are gone by, and it is said where pages lie elsewhere', async () => {
    const whole = [named([1, 2], [[0, 2]]), named([1, 2], [[1, 2]]), named([1, 3], [[0, 2]])]
    const measured = await census({ images: whole, knobs: apart })
    expect(measured).toMatchObject({ nodes_by: 'measured', counters: { pages_shared: 1, pages_sharing: 1 } })
    expect(measured.images.map(({ node }) => node)).toEqual([0, 1, 0])
    const split: [number, number][] = [
      [0, 1],
      [3, 3],
    ]
    const estimated = await census({
      images: [named([1, 2, 3, 4], split), named([1], [[3, 1]])],
      knobs: apart,
    })
    expect(estimated).toMatchObject({ nodes_by: 'estimated', counters: { pages_sharing: 1 } })
    expect(estimated.images.map(({ node, part_on_other_nodes: part }) => [node, part])).toEqual([
      [3, 0.25],
      [3, 0],
    ])
  })

  it('are not known where one image does not tell', async () => {
    const images = [named([1, 2], [[1, 2]]), named([1, 2])]
    const assumed = await census({ images, knobs: apart })
    expect(assumed).toMatchObject({ nodes_by: 'assumed', counters: { pages_sharing: 2 } })
    expect((await census({ images, nodes: [1, 0], knobs: apart })).nodes_by).toBe('given')
  })
})

describe('two moments', () => {
  it('leave out of merging what differs', async () => {
    const images = [namedImage('a', [1, 1, 2, 0]), namedImage('b', [1, 2, 3, 0])]
    const later = [namedImage('a', [1, 5, 2, 0]), namedImage('b', [1, 2, 4, 6])]
    const result = await census({ images, later })
    expect(result.counters).toMatchObject({
      pages_shared: 2,
      pages_sharing: 2,
      pages_unshared: 1,
      pages_volatile: 3,
      general_profit: 2 * PAGE_SIZE - 8 * 64,
    })
    expect(result.images.map(({ volatile_pages }) => volatile_pages)).toEqual([1, 2])
  })

  it('may be the same images read again', async () => {
    let reads = 0
    const still = namedImage('a', [1, 1, 2, 0])
    const moving: Image = {
      ...still,
      read(first, count, into) {
        still.read(first, count, into)
        if (reads++ > 0) into[4096] = 1
      },
    }
    const result = await census({ images: [moving], againAfter: 0, workers: 0 })
    expect(result.counters).toMatchObject({ pages_volatile: 1, pages_shared: 0, pages_unshared: 3 })
  })
})

describe('pages that are gone', () => {
  it.each([0, 1])('are not counted, %i threads', async (workers) => {
    const image: Image = { ...namedImage('live', [1, 1, 0, 1, 0]), gone: (page) => page === 1 || page === 4 }
    const result = await census({ images: [image], workers })
    expect(result.images[0]).toMatchObject({ pages: 3, gone_pages: 2, zero_pages: 1 })
    expect(result.counters).toMatchObject({ pages_shared: 1, pages_sharing: 1, pages_unshared: 1 })
  })
})

describe('files', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pagefold-census-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('come to the same with any number of threads, wherever their pages lie', async () => {
    const bytes = Buffer.concat([filePages(1500), filePages(700), Buffer.alloc(300 * 4096), filePages(40, 9)])
    writeFileSync(join(folder, 'a.raw'), bytes)
    writeFileSync(join(folder, 'b.core'), elfCore([{ bytes }, { bytes: filePages(3) }]))
    const images = ['a.raw', 'b.core'].map((name) => openImage(join(folder, name)))
    images.push(...openSource('synth:demo,pages=1200,images=1'))
    const results = []
    for (const workers of [0, 1, 3]) {
      const {
        elapsed_ms: _,
        peak_memory_bytes: __,
        workers: threads,
        ...rest
      } = await census({
        images,
        workers,
        key: '00112233445566778899aabbccddeeff',
        locate: true,
      })
      expect(threads).toBe(workers)
      results.push(rest)
    }
    expect(results[1]).toEqual(results[0])
    expect(results[2]).toEqual(results[0])
    await expectAsScanned(images)
    for (const image of images) image.close()
  })

  it('are compared with others that no thread can read by itself', async () => {
    const before = filePages(5000)
    const after = Buffer.from(before)
    for (const page of [0, 1023, 1024, 4095, 4096, 4999]) after[page * 4096] ^= 1
    const images = ['before.raw', 'after.raw'].map((name, i) => {
      writeFileSync(join(folder, name), [before, after][i]!)
      return openImage(join(folder, name))
    }) as [Image, Image]
    const handed: Image = {
      ...namedImage('handed', new Array(5000)),
      read: (first, count, into) => images[1].read(first, count, into),
    }
    for (const workers of [0, 2]) {
      const { counters } = await census({ images: [images[0]], later: [handed], workers })
      expect(counters.pages_volatile).toBe(6)
    }
    for (const image of images) image.close()
  })

  it('are read here too while threads are busy', async () => {
    const path = join(folder, 'long.raw')
    writeFileSync(path, filePages(5))
    truncateSync(path, 16_385 * PAGE_SIZE)
    const image = openImage(path)
    const here = vi.spyOn(image, 'read')
    const { counters, distinct } = await census({ images: [image], workers: 1, knobs: { use_zero_pages: 1 } })
    // Of five stretches of 4096 pages the thread is given two; the third is read before it can be heard.
    expect(here.mock.calls[0]![0]).toBe(2 * 4096)
    expect(here.mock.calls.every(([first]) => first >= 2 * 4096)).toBe(true)
    expect(counters.ksm_zero_pages).toBe(16_380)
    expect(distinct).toBe(6)
    image.close()
  })

  it('that shrink while they are read are an error, whoever reads', async () => {
    const path = join(folder, 'shrinking.raw')
    for (const workers of [0, 2]) {
      writeFileSync(path, filePages(3000))
      const image = openImage(path)
      writeFileSync(path, filePages(10))
      await expect(census({ images: [image], workers })).rejects.toMatchObject({ code: 'EIO' })
      image.close()
    }
  })
})

describe('the census', () => {
  const images = [namedImage('a', [1, 1, 1, 2, 0, 0]), namedImage('b', [1, 2, 3, 0])]

  it('lists the contents that pay most, and where they are', async () => {
    const { most } = await census({ images, locate: true })
    expect(most.map(({ fingerprint: _, ...rest }) => rest)).toEqual([
      { pages: 4, images: 2, bytes_saved: 3 * 4096, first: { image: 0, page: 0, address: 0 } },
      { pages: 2, images: 2, bytes_saved: 4096, first: { image: 0, page: 3, address: 3 * 4096 } },
    ])
    expect((await census({ images, most: 1 })).most).toHaveLength(1)
    expect((await census({ images, most: 0 })).most).toEqual([])
  })

  it('has the same fingerprints with the same key, and others without', async () => {
    const prints = async (key?: string) => {
      const { most } = await census({ images, ...(key && { key }) })
      return most.map(({ fingerprint }) => fingerprint)
    }
    const key = '0123456789abcdef0123456789abcdef'
    expect(await prints(key)).toEqual(await prints(key))
    expect(await prints()).not.toEqual(await prints())
    await expect(census({ images, key: 'abc' })).rejects.toThrow(RangeError)
  })

  it('hands over every content', async () => {
    const rows: unknown[] = []
    await census({
      images,
      onContents: ({ count, zero, each }) => {
        expect(count).toBe(3)
        expect(zero.pages).toEqual([2, 1])
        each((_, __, images, pages) => rows.push([[...images], [...pages]]))
      },
    })
    expect(rows).toHaveLength(3)
    expect(rows).toEqual(
      expect.arrayContaining([
        [
          [0, 1],
          [3, 1],
        ],
        [
          [0, 1],
          [1, 1],
        ],
        [[1], [1]],
      ]),
    )
  })

  it('compares bytes where it is asked to, and says so', async () => {
    expect((await census({ images, verify: true })).verified_pages).toBe(3 + 1 + 3)
    let reads = 0
    const changing: Image = {
      ...images[0]!,
      read(first, count, into) {
        images[0]!.read(first, count, into)
        if (reads++ === 1) into[5] = 7
      },
    }
    await expect(census({ images: [changing], verify: true, workers: 0 })).rejects.toMatchObject({
      code: 'EUCLEAN',
    })
  })

  it('says how long ksmd sleeps over it, and what would be soon enough', async () => {
    const images = [
      namedImage(
        'a',
        Array.from({ length: 1000 }, (_, i) => i),
      ),
    ]
    const knobs = { pages_to_scan: 100, sleep_millisecs: 20 }
    const { pace, pages_to_scan_wanted } = await census({ images, knobs, within: 100 })
    expect(pace).toEqual({ ...knobs, full_scan_ms: 200, merged_ms: 400 })
    // 100 ms are two scans of two batches each: 500 pages a batch.
    expect(pages_to_scan_wanted).toBe(500)
  })

  it.each([
    [{ images: [] }, 'no image to count'],
    [{ images, knobs: { smart_scan: 1 } as never }, 'no knob "smart_scan"'],
    [{ images, knobs: { max_page_sharing: 1 } }, 'max_page_sharing'],
    [{ images, nodes: [1] }, '1 nodes for 2 images'],
    [{ images, later: images, againAfter: 1 }, 'not both'],
    [{ images, workers: 65 }, 'workers'],
    [{ images, later: [images[0]!] }, 'names 1 images'],
    [{ images, later: [images[1]!, images[0]!] }, 'not the same guest at a later moment'],
  ])('refuses what makes no sense: %o', async (options, message) => {
    await expect(census(options)).rejects.toThrow(message)
  })
})

describe('the kernel', () => {
  const recordings = JSON.parse(
    readFileSync(new URL('../conformance/recorded/synthetic.json', import.meta.url), 'utf8'),
  ) as {
    name: string
    source: string
    later?: string
    knobs: Record<string, number>
    after_each_scan: never[]
  }[]

  it.each(recordings.filter(({ later, knobs }) => later === undefined && knobs.smart_scan !== 1))(
    'counted the same of synthetic guests: $name',
    async ({ source, knobs, after_each_scan }) => {
      const images = openSource(source)
      const { counters } = await census({ images, knobs })
      expect(counted(counters)).toEqual(counted(after_each_scan.at(-1)!))
    },
  )

  const unavailable = guestsUnavailable()
  const still = unavailable
    ? []
    : guestRecords().filter(({ then, knobs }) => then === undefined && knobs.smart_scan !== 1)
  it.skipIf(unavailable).each(still)(`counted the same of real guests: $name`, async (record) => {
    const images = record.images.map((name) => openImage(guest(name)))
    const { smart_scan: _, ...knobs } = record.knobs
    const { counters } = await census({ images, knobs })
    expect(counted(counters)).toEqual(counted(record.after_each_scan.at(-1) as never))
    for (const image of images) image.close()
  })
})
