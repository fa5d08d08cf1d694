// The host for images, an image taken into it, and a later moment written over it.

import { describe, expect, it } from 'vitest'
import { Host, type Image, PagefoldError } from '../../src/index.ts'
import { hostFor, loadGuest, MAX_IMAGE_PAGES, type MergeProgress, mergeImages } from '../../src/lab/index.ts'
import { writeMoment } from '../../src/lab/merge/write-moment.ts'
import { PAGE } from '../support/world.ts'

/** An image that is these bytes. */
function imageOf(bytes: Uint8Array): Image {
  return {
    source: 'bytes',
    format: 'raw',
    pages: bytes.length / PAGE,
    notes: [],
    addressOf: (page) => page * PAGE,
    read: (first, count, into) => into.set(bytes.subarray(first * PAGE, (first + count) * PAGE)),
    close() {},
  }
}

/** Pages 1, 1, 2, 3, 3, 4 and so on. */
function twins(pages: number): Uint8Array {
  return Uint8Array.from({ length: pages * PAGE }, (_, at) => 1 + (((2 * Math.floor(at / PAGE)) / 3) % 250))
}

describe('an image with holes', () => {
  const places = [0, 1, 2, 16, 17, 1000]
  const image = (addressOf: (page: number) => number): Image => ({ ...imageOf(twins(6)), addressOf })

  it('is the same in frames that have been used before, which come one at a time', async () => {
    const host = await Host.create({ frames: 16 })
    const before = host.createMm()
    const at = before.mmap(16 * PAGE)
    for (let page = 0; page < 16; page++) before.write(at + page * PAGE, Uint8Array.of(1))
    before.exit()
    const begin = 0x1000_0000
    const { mm } = host.loadImage(
      image((page) => places[page]! * PAGE),
      { address: begin, holes: true },
    )
    for (const [page, place] of places.entries())
      expect(mm.read(begin + place * PAGE, PAGE)).toEqual(twins(6).subarray(page * PAGE, (page + 1) * PAGE))
    host.audit()
  })

  it('lies where it lay in the guest, from an address on, and the holes are left out', async () => {
    const host = await Host.create({ frames: 64 })
    const begin = 0x1000_0000
    const { mm, address } = host.loadImage(
      image((page) => places[page]! * PAGE),
      { address: begin, holes: true },
    )
    expect(address).toBe(begin)
    for (const [page, place] of places.entries())
      expect(mm.read(begin + place * PAGE, PAGE)).toEqual(twins(6).subarray(page * PAGE, (page + 1) * PAGE))
    expect(mm.smaps().map(({ address, size }) => [(address - begin) / PAGE, size / PAGE])).toEqual([
      [0, 3],
      [16, 2],
      [1000, 1],
    ])
    expect(host.loadImage(imageOf(twins(3)), { address: begin }).address).toBe(begin)
    host.audit()
  })

  it.each([
    ['in another order', (page: number) => (6 - page) * PAGE],
    ['within pages', (page: number) => page * PAGE + 5],
    ['too far up', (page: number) => page * PAGE * 2 ** 32],
    ['nowhere', () => Number.NaN],
  ])('is refused if its pages lie %s', async (_, addressOf) => {
    const host = await Host.create({ frames: 64 })
    expect(() => host.loadImage(image(addressOf), { holes: true })).toThrow(RangeError)
    expect(host.frames.free).toBe(64)
    host.audit()
  })
})

it('an image for whose tables there is no room leaves nothing', async () => {
  const host = await Host.create({ frames: 64 })
  const { core } = host.memory.arena
  const slab: number[] = []
  for (let table = core.slabAlloc(0); table !== 0; table = core.slabAlloc(0)) slab.push(table)
  for (let left = 0; left < 3; left++) {
    expect(() => host.loadImage(imageOf(twins(6)))).toThrow(/ENOMEM/)
    expect(host.frames.free).toBe(64)
    host.audit()
    core.slabFree(0, slab.pop()!)
  }
  for (const table of slab) core.slabFree(0, table)
  expect(host.loadImage(imageOf(twins(6))).mm.smaps()).toHaveLength(1)
  host.audit()
})

describe('a host for images', () => {
  it('holds as many pages as were asked for, and one to break a merge with', async () => {
    const host = await hostFor(6)
    expect(host.frames.free).toBe(7)
    const heard: number[] = []
    const guest = loadGuest(host, imageOf(twins(6)), (pages) => heard.push(pages))
    expect(guest.pages).toBe(6)
    expect(heard.at(-1)).toBe(6)
    expect(host.ksm.get('smart_scan')).toBe(0)
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 2, pages_sharing: 2, pages_unshared: 2 })
    host.audit()
    host.close()
  })

  it('takes the strategy, the knobs and the policy it is told', async () => {
    const knobs = { smart_scan: 1, max_page_sharing: 7 }
    const host = await hostFor(4, { index: 'content', checksum: 'xxh64', guests: 'still', knobs })
    expect(host).toMatchObject({ index: 'content', checksum: 'xxh64' })
    expect(host.policy.guests).toBe('still')
    expect(host.ksm.get('smart_scan')).toBe(1)
    expect(host.ksm.get('max_page_sharing')).toBe(7)
    host.close()
  })

  it('says what is too large, and what is merely wrong', async () => {
    await expect(hostFor(2 ** 21)).rejects.toMatchObject({ code: 'ENOMEM' })
    for (const mms of [2, 1000, MAX_IMAGE_PAGES]) {
      await expect(hostFor(MAX_IMAGE_PAGES, { mms }), String(mms)).rejects.toMatchObject({ code: 'ENOMEM' })
    }
    await expect(hostFor(4, { knobs: { max_page_sharing: 1 } })).rejects.toBeInstanceOf(PagefoldError)
    for (const wrong of [{ guests: 'asleep' }, { workers: -1 }, { checksum: 'md5' }, { checksumBits: 65 }]) {
      const made = hostFor(4, wrong as never)
      await expect(made, JSON.stringify(wrong)).rejects.toBeInstanceOf(RangeError)
    }
    await expect(hostFor(-1)).rejects.toThrow(/`pages`/)
  })
})

describe('a later moment', () => {
  it('is written where it differs, be it in a single bit, and nowhere else', async () => {
    const before = twins(2100)
    const after = before.slice()
    // At the beginning and the end of a page, of a chunk, of all.
    const changed = [0, 3 * PAGE - 1, 1023 * PAGE, 1024 * PAGE + 2048, 2100 * PAGE - 1]
    // And each word of a few, in a page of its own.
    for (let word = 0; word < 16; word++) changed.push((20 + word) * PAGE + 4 * word)
    for (const at of changed) after[at]! ^= 1
    const [first, later] = [before, after].map((bytes) => imageOf(bytes)) as [Image, Image]
    const host = await hostFor(2100)
    const guest = loadGuest(host, first)
    host.ksm.scan(2)
    const heard: number[] = []
    expect(writeMoment([guest], [later], (pages) => heard.push(pages))).toBe(changed.length)
    expect(heard).toEqual([1024, 2048, 2100])
    expect(Buffer.compare(guest.mm.read(guest.address, after.length), after)).toBe(0)
    expect(writeMoment([guest], [later], () => {})).toBe(0)
    host.audit()
    host.close()
  })

  it('is told of with pages of all images together', async () => {
    const images = [imageOf(twins(3)), imageOf(twins(5))]
    const told: unknown[] = []
    const result = await mergeImages({ images, later: images, onProgress: (event) => told.push(event) })
    expect(result.pages_written).toBe(0)
    const writes = told.filter((event) => (event as { stage: string }).stage === 'write')
    expect(writes).toEqual([
      { stage: 'write', done: 3, of: 8 },
      { stage: 'write', done: 8, of: 8 },
    ])
  })

  it('is told how far each scan is, which is the same in batches as at once', async () => {
    const pages = 16_400
    const bytes = twins(pages)
    const told: string[] = []
    const onProgress = (event: MergeProgress): void => {
      if (event.stage === 'scan') told.push(`${event.scan}: ${event.done} of ${event.of}`)
    }
    const { after_each_scan } = await mergeImages({ images: [imageOf(bytes)], scans: 2, onProgress })
    expect(told).toEqual([1, 2].flatMap((scan) => [`${scan}: 0 of ${pages}`, `${scan}: 16384 of ${pages}`]))
    const host = await hostFor(pages, { knobs: { smart_scan: 0 } })
    loadGuest(host, imageOf(bytes))
    host.ksm.set('run', 1)
    for (const row of after_each_scan) {
      host.ksm.scan(1)
      expect(row).toMatchObject({ pages_sharing: host.ksm.counters().pages_sharing })
    }
    expect(host.ksm.counters().full_scans).toBe(2)
    host.close()
  })
})

describe('many small images', () => {
  it('have room for the page tables that each needs', async () => {
    const image = (i: number): Image => ({
      source: `image ${i}`,
      format: 'raw',
      pages: 1,
      notes: [],
      addressOf: () => 0,
      read: (_, count, into) => void into.fill(i & 255, 0, count * 4096),
      close() {},
    })
    const images = Array.from({ length: 1500 }, (_, i) => image(i))
    const result = await mergeImages({ images, scans: 2 })
    expect(result.after_each_scan[1]).toMatchObject({ pages_unshared: 0, ksm_zero_pages: 0 })
    expect(result.images).toHaveLength(1500)
  })
})
