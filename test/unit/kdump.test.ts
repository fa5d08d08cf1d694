// kdump-compressed dumps, flattened ones, and AVML's: each page unpacked where it is asked for.

import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { bitRuns } from '../../src/images/bit-runs.ts'
import { type ImageOptions, openImage } from '../../src/images/index.ts'
import type { Image } from '../../src/index.ts'
import { file, pages } from '../support/files.ts'
import { avml, flattened, type KdumpPacking, kdump } from '../support/packed.ts'
import { packedPage } from '../support/packed-vectors.ts'

function bytesOf(image: Image): Buffer {
  const bytes = Buffer.alloc(image.pages * 4096, 0xee)
  image.read(0, image.pages, bytes)
  return bytes
}

function refusal(bytes: Uint8Array, options?: ImageOptions): string {
  try {
    openImage(file('a', bytes), options).close()
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

const page = (value: number): Buffer => Buffer.alloc(4096, value)
/** Pages 1, 2, 5, 9 and 40000 are in it; 3, 4 and 41000 are excluded; the machine has no others. */
const DUMP = [
  ...[1, 2, 5, 9].map((pfn) => ({ pfn, bytes: page(pfn) })),
  { pfn: 40_000, bytes: packedPage() },
  ...[3, 4, 41_000].map((pfn) => ({ pfn })),
]
/** Where its descriptors are: behind two headers, and two bitmaps of two blocks. */
const TABLE = 6 * 4096
const CONTENT = Buffer.concat([page(1), page(2), page(5), page(9), packedPage()])

describe('kdump-compressed dumps', () => {
  const packings: readonly KdumpPacking[] = ['plain', 'zlib', 'lzo', 'snappy', 'zstd']

  it.each([...packings.map((one) => [one, [one]] as const), ['all of them', packings] as const])(
    'are read, packed by %s',
    (_, packing) => {
      const image = openImage(file('vmcore', kdump(DUMP, packing)))
      expect(image).toMatchObject({ format: 'kdump', pages: 5, absent: 3 })
      expect(bytesOf(image)).toEqual(CONTENT)
      expect([0, 2, 4].map((at) => image.addressOf(at))).toEqual([0x1000, 0x5000, 40_000 * 4096])
      const part = Buffer.alloc(2 * 4096)
      image.read(2, 2, part)
      expect(part).toEqual(CONTENT.subarray(2 * 4096, 4 * 4096))
      image.close()
    },
  )

  it('count what was excluded as zeros if asked to', () => {
    const image = openImage(file('vmcore', kdump(DUMP)), { absent: 'zero' })
    expect(image).toMatchObject({ pages: 8, absent: 0, notes: [] })
    const zeros = Buffer.alloc(4096)
    expect(bytesOf(image)).toEqual(
      Buffer.concat([CONTENT.subarray(0, 8192), zeros, zeros, CONTENT.subarray(8192), zeros]),
    )
    image.close()
  })

  it('are read flattened, and packed as a whole', () => {
    for (const bytes of [
      flattened(kdump(DUMP)),
      flattened(kdump(DUMP), 100),
      gzipSync(flattened(kdump(DUMP))),
    ]) {
      const image = openImage(file('vmcore', bytes))
      expect(image).toMatchObject({ format: 'kdump', pages: 5, absent: 3 })
      expect(bytesOf(image)).toEqual(CONTENT)
      image.close()
    }
  })

  it('are read where makedumpfile marked what it left out of the kernel', () => {
    const bytes = kdump(DUMP)
    bytes.writeUInt32LE(bytes.readUInt32LE(TABLE + 12) | 0x10, TABLE + 12)
    const image = openImage(file('vmcore', bytes))
    expect(bytesOf(image)).toEqual(CONTENT)
    image.close()
  })

  it('are refused when broken, with what is wrong', () => {
    const good = kdump(DUMP)
    expect(refusal(good.subarray(0, -1))).toContain('truncated: page 4')
    expect(refusal(good.subarray(0, 300))).toContain('truncated')
    expect(refusal(good.subarray(0, 9000))).toContain('truncated')
    expect(refusal(kdump(DUMP, 'zlib', (header) => header.writeUInt32BE(4096, 428)))).toContain('big-endian')
    expect(refusal(kdump(DUMP, 'zlib', (_, sub) => sub.writeUInt32LE(1, 12)))).toContain('--reassemble')
    expect(refusal(kdump(DUMP, 'zlib', (_, sub) => sub.writeBigUInt64LE(1n << 40n, 96)))).toContain(
      'whose bitmap has',
    )
    const unknown = kdump(DUMP)
    unknown.writeUInt32LE(0x40, TABLE + 12)
    expect(refusal(unknown)).toContain('packed in an unknown way (64)')
    expect(refusal(flattened(good).subarray(0, -30))).toContain('truncated')
    expect(refusal(flattened(good).subarray(0, 4096))).toContain('truncated')
  })

  it('say which page is damaged when it is read', () => {
    for (const packing of packings.slice(1)) {
      const bytes = kdump(DUMP, packing)
      const table = TABLE
      // As if the page before was meant: of another length.
      bytes.writeUInt32LE(bytes.readUInt32LE(table + 8) - 1, table + 8)
      const image = openImage(file('vmcore', bytes))
      expect(() => bytesOf(image), packing).toThrow('damaged: page 0')
      image.close()
    }
  })

  it('have a note when their disk was full', () => {
    const image = openImage(
      file(
        'vmcore',
        kdump(DUMP, 'zlib', (header) => header.writeUInt32LE(9, 424)),
      ),
    )
    expect(image.notes.join()).toContain('incomplete')
    image.close()
  })
})

describe('bitmaps', () => {
  it('are the runs of their bits', () => {
    const bits = [1, 1, 0, 0, 0, 0, 0, 1, ...Array(16).fill(1), 1, 0, 1, ...Array(13).fill(0), 1]
    const bitmap = new Uint8Array(6)
    for (const [i, bit] of bits.entries()) bitmap[i >> 3]! |= bit << (i & 7)
    expect([...bitRuns(bitmap, bits.length)]).toEqual([
      [0, 2],
      [7, 18],
      [26, 1],
      [40, 1],
    ])
    expect([...bitRuns(bitmap, 10)]).toEqual([
      [0, 2],
      [7, 3],
    ])
    expect([...bitRuns(new Uint8Array([255, 255]), 16)]).toEqual([[0, 16]])
  })
})

describe('compressed AVML dumps', () => {
  const ranges = [
    { first: 0x10_0000, bytes: Buffer.concat([pages(30), packedPage()]) },
    { first: 0x1000, bytes: pages(9, 50) },
  ]

  it('are read range by range, any part alone', () => {
    const image = openImage(file('guest.lime.compressed', avml(ranges)))
    expect(image).toMatchObject({ format: 'avml', pages: 40, absent: 0 })
    const wanted = Buffer.concat([ranges[1]!.bytes, ranges[0]!.bytes])
    expect(bytesOf(image)).toEqual(wanted)
    const part = Buffer.alloc(11 * 4096)
    image.read(7, 11, part)
    expect(part).toEqual(wanted.subarray(7 * 4096, 18 * 4096))
    image.close()
  })

  it('are refused when broken, with what is wrong', () => {
    const good = avml(ranges)
    expect(refusal(good.subarray(0, -1))).toContain('truncated')
    expect(refusal(good.subarray(0, 5000))).toContain('truncated')
    const length = Buffer.from(good)
    length[good.length - 8]! ^= 1
    expect(refusal(length)).toContain('damaged: the length')
    const kind = Buffer.from(good)
    kind[32 + 10] = 5
    expect(refusal(kind)).toContain('unknown kind (5)')
    const content = Buffer.from(good)
    content[32 + 10 + 8 + 40]! ^= 1
    const image = openImage(file('a', content))
    expect(() => bytesOf(image)).toThrow('another checksum')
    image.close()
  })
})
