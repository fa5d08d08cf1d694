// What is packed, unpacked: against what real libraries made, and against damage, which must be noticed and never runs away.

import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Damaged } from '../../src/images/codecs/copy-back.ts'
import { crc32c } from '../../src/images/codecs/crc32c.ts'
import { unpackLz4 } from '../../src/images/codecs/lz4.ts'
import { unpackLzo } from '../../src/images/codecs/lzo.ts'
import { unpackSnappy } from '../../src/images/codecs/snappy.ts'
import { openImage } from '../../src/images/index.ts'
import { putAway } from '../../src/images/unpack.ts'
import { file, lime, pages } from '../support/files.ts'
import { lz4, lzo, snappy, xxh32, zstd } from '../support/packed.ts'
import { LZO1X_1, LZO1X_999, packedPage, SNAPPY } from '../support/packed-vectors.ts'

type Unpack = (from: Uint8Array, into: Uint8Array) => void

const unpacked = (unpack: Unpack, from: Uint8Array, length: number): Buffer => {
  const into = Buffer.alloc(length, 0xee)
  unpack(from, into)
  return into
}

describe('codecs', () => {
  it('are tried on the page that the vectors are of', () => {
    const digest = createHash('sha256').update(packedPage()).digest('hex')
    expect(digest).toBe('92a3771205cb165d1b47ab151180b8d15e23bd747df82b83b9bf084d59ee9ac7')
  })

  it.each([
    ['lzo1x_1', unpackLzo, LZO1X_1],
    ['lzo1x_999', unpackLzo, LZO1X_999],
    ['snappy', unpackSnappy, SNAPPY],
  ] as const)('unpack what the real %s made', (_, unpack, from) => {
    expect(unpacked(unpack, from, 4096).equals(packedPage())).toBe(true)
  })

  it.each([
    ['lzo', unpackLzo, LZO1X_999],
    ['snappy', unpackSnappy, SNAPPY],
  ] as const)(
    '%s: any byte changed, any byte missing, a wrong length is Damaged or another page',
    (_, unpack, from) => {
      const into = new Uint8Array(4096)
      for (let at = 0; at < from.length; at++) {
        for (const broken of [Buffer.from(from), from.subarray(0, at)]) {
          if (broken.length === from.length) broken[at]! ^= 1 << (at % 8)
          try {
            unpack(broken, into)
            expect(broken.length, 'a part is never the whole').toBe(from.length)
          } catch (error) {
            expect(error).toBeInstanceOf(Damaged)
          }
        }
      }
      for (const length of [0, 4095, 4097]) {
        expect(() => unpack(from, new Uint8Array(length))).toThrow(Damaged)
      }
    },
  )

  it('lzo copies from as far as 48 KiB', () => {
    const first = pages(5)
    // Behind 20480 literals: 9 bytes from 16384 + 4096 back, then the last instruction's two literals, and the end.
    const packed = Buffer.concat([
      lzo(first).subarray(0, -3),
      Buffer.from([0x10, 0, ((4096 << 2) & 255) | 2, (4096 << 2) >>> 8, 7, 7]),
      Buffer.from([0x11, 0, 0]),
    ])
    // A length of 0 goes on in the next byte.
    packed.writeUInt8(0x10, packed.length - 9)
    packed.writeUInt8(1, packed.length - 8)
    const wanted = Buffer.concat([first, Buffer.alloc(10, 1), Buffer.from([7, 7])])
    expect(unpacked(unpackLzo, packed, wanted.length).equals(wanted)).toBe(true)
  })

  it('lzo copies from as far as its largest distance, and three bytes from 2 to 3 KiB behind literals', () => {
    const first = Buffer.concat([pages(11), packedPage()])
    const literals = lzo(first).subarray(0, -3)
    // 2 + 3 bytes from 16384 + 16384 + 8192 back, one literal.
    const far = Buffer.from([0x1b, ((8192 << 2) & 255) | 1, (8192 << 2) >>> 8, 7])
    const end = Buffer.from([0x11, 0, 0])
    const at = first.length - 40_960
    const wanted = Buffer.concat([first, first.subarray(at, at + 5), Buffer.from([7])])
    expect(unpacked(unpackLzo, Buffer.concat([literals, far, end]), wanted.length).equals(wanted)).toBe(true)
    // Distance 2049 + 2 + 4 * 100.
    const near = Buffer.from([2 << 2, 100])
    const from = first.length - 2451
    const three = Buffer.concat([first, first.subarray(from, from + 3)])
    expect(unpacked(unpackLzo, Buffer.concat([literals, near, end]), three.length).equals(three)).toBe(true)
  })

  it('snappy copies by distances of one, two and four bytes, and has literals of any length', () => {
    const literal = packedPage().subarray(0, 70)
    const packed = Buffer.concat([
      Buffer.from([70 + 4 + 3 + 2, 60 << 2, 69]),
      literal,
      Buffer.from([0x01, 70, ((3 - 1) << 2) | 2, 60, 0, ((2 - 1) << 2) | 3, 77, 0, 0, 0]),
    ])
    const copies = [literal.subarray(0, 4), literal.subarray(14, 17), literal.subarray(0, 2)]
    const wanted = Buffer.concat([literal, ...copies])
    expect(unpacked(unpackSnappy, packed, wanted.length).equals(wanted)).toBe(true)
    const far = Buffer.from(packed)
    far[far.length - 1] = 1
    expect(() => unpackSnappy(far, new Uint8Array(wanted.length))).toThrow('before its beginning')
  })

  it('lz4 has lengths of any size', () => {
    const literals = pages(1).subarray(0, 15 + 255 + 255 + 7)
    const block = Buffer.concat([
      Buffer.from([0xff, 255, 255, 7]),
      literals,
      Buffer.from([1, 0, 255, 3, 0x10, 90]),
    ])
    const into = new Uint8Array(2000)
    expect(unpackLz4(block, into, 0)).toBe(literals.length + 4 + 15 + 255 + 3 + 1)
  })

  it('lz4 repeats what is behind it, in the block and before', () => {
    // Five literals, a match of 4 + 15 + 2 from 3 back, then literals to the end.
    const block = Buffer.from([0x5f, 65, 66, 67, 68, 69, 3, 0, 2, 0x10, 90])
    const into = new Uint8Array(64)
    const end = unpackLz4(block, into, 10)
    expect(Buffer.from(into.subarray(10, end)).toString()).toBe(`AB${'CDE'.repeat(8)}Z`)
    expect(() => unpackLz4(block, new Uint8Array(20), 0)).toThrow(Damaged)
    expect(() => unpackLz4(Buffer.from([0x10, 65, 9, 0, 0]), into, 0)).toThrow('before its beginning')
    const before = Buffer.from([0x10, 65, 9, 0, 0x00])
    into.set(Buffer.from('12345678'), 0)
    expect(Buffer.from(into.subarray(8, unpackLz4(before, into, 8))).toString()).toBe('A1234')
  })

  it('have the checksums of their specifications', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
    expect(xxh32(Buffer.alloc(0))).toBe(0x02cc5d05)
    expect(xxh32(Buffer.from('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f)
  })
})

describe('packed files', () => {
  const raw = Buffer.concat([pages(40), Buffer.alloc(80 * 4096), pages(3, 60)])
  const members = Buffer.concat([gzipSync(raw.subarray(0, 70_000)), gzipSync(raw.subarray(70_000))])

  const bytesOf = (path: string): Buffer => {
    const image = openImage(path)
    const bytes = Buffer.alloc(image.pages * 4096)
    image.read(0, image.pages, bytes)
    image.close()
    return bytes
  }

  it.each([
    ['gzip', gzipSync(raw)],
    ['gzip of several members', members],
    ['zstd', zstd(raw)],
    ['zstd of several frames', Buffer.concat([zstd(raw.subarray(0, 8192)), zstd(raw.subarray(8192))])],
    ['lz4', lz4(raw)],
    ['lz4 of several frames', Buffer.concat([lz4(raw.subarray(0, 8192)), lz4(raw.subarray(8192))])],
    ['lz4 in gzip', gzipSync(lz4(raw))],
  ])('are read through: %s', (_, bytes) => {
    expect(bytesOf(file('guest.img', bytes)).equals(raw)).toBe(true)
  })

  it('may hold any format', () => {
    const dump = lime([{ first: 0x4000, bytes: pages(4) }])
    const image = openImage(file('guest.gz', gzipSync(dump)))
    expect(image).toMatchObject({ format: 'lime', pages: 4 })
    expect(image.addressOf(0)).toBe(0x4000)
    image.close()
  })

  it.each([
    ['gzip', gzipSync(raw), 30],
    ['gzip', members, 20],
    ['lz4', lz4(raw), 30_000],
  ] as const)('are refused when damaged: %s', (name, bytes, at) => {
    const refusal = (broken: Uint8Array): string => {
      try {
        openImage(file('a', broken)).close()
      } catch (error) {
        return (error as Error).message
      }
      return 'accepted'
    }
    const flipped = Buffer.from(bytes)
    flipped[at]! ^= 4
    const checksum = Buffer.from(bytes)
    checksum[bytes.length - 5]! ^= 1
    for (const broken of [flipped, checksum, bytes.subarray(0, -1), bytes.subarray(0, bytes.length >> 1)]) {
      expect(refusal(broken)).toContain(`damaged: its ${name} does not unpack`)
    }
  })

  it('are refused for what is in them: foreign, empty, odd, or packed without end', () => {
    const refusal = (bytes: Uint8Array): string => {
      try {
        openImage(file('a', bytes)).close()
      } catch (error) {
        return (error as Error).message
      }
      return 'accepted'
    }
    expect(refusal(gzipSync(Buffer.concat([Buffer.from('QEVM'), raw])))).toContain('migration stream')
    expect(refusal(gzipSync(Buffer.alloc(0)))).toContain('empty')
    expect(refusal(gzipSync(raw.subarray(1)))).toContain('no whole pages')
    let again = gzipSync(raw)
    for (let i = 0; i < 6; i++) again = gzipSync(again)
    expect(refusal(again)).toContain('broken on purpose')
  })

  it('that are foreign are refused before all of them has come', () => {
    let read = 0
    function* stream(): Generator<Uint8Array> {
      for (; ; read++) yield read === 0 ? Buffer.from(`QEVM${'\0'.repeat(9000)}`) : Buffer.alloc(65536, 1)
    }
    expect(() => putAway('-', stream())).toThrow('a QEMU migration stream')
    expect(read).toBe(0)
  })

  it('are raw memory if one says so', () => {
    const packed = Buffer.concat([gzipSync(raw), Buffer.alloc(4096)]).subarray(0, 4096)
    const image = openImage(file('guest.raw', packed), { format: 'raw' })
    expect(image).toMatchObject({ pages: 1, format: 'raw' })
    expect(image.notes.join()).toContain('begins like gzip')
    image.close()
  })

  it('snappy is as its packer says', () => {
    expect(unpacked(unpackSnappy, snappy(raw), raw.length).equals(raw)).toBe(true)
  })
})
