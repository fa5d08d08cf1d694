// Packed images made for a test, by packers as plain as the formats allow. What real ones make of a page is in
// packed-vectors.ts.

import { deflateSync } from 'node:zlib'
import { crc32c } from '../../src/images/codecs/crc32c.ts'
import { Xxh32 } from '../../src/images/codecs/xxh32.ts'

/** Snappy: literals of up to 60 bytes. */
export function snappy(bytes: Uint8Array): Buffer {
  const parts: Buffer[] = [varint(bytes.length)]
  for (let at = 0; at < bytes.length; at += 60) {
    const literal = bytes.subarray(at, at + 60)
    parts.push(Buffer.from([(literal.length - 1) << 2]), Buffer.from(literal))
  }
  return Buffer.concat(parts)
}

/** LZO1X: one run of literals, and the end. */
export function lzo(bytes: Uint8Array): Buffer {
  const more = bytes.length - 18
  const zeros = Math.ceil(more / 255) - 1
  const length = Buffer.concat([Buffer.from([0]), Buffer.alloc(zeros), Buffer.from([more - 255 * zeros])])
  return Buffer.concat([length, Buffer.from(bytes), Buffer.from([0x11, 0, 0])])
}

/** A Zstandard frame of plain blocks. */
export function zstd(bytes: Uint8Array): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0])
  header.writeUInt32LE(bytes.length, 5)
  const blocks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 65536) {
    const block = bytes.subarray(at, at + 65536)
    const last = at + block.length === bytes.length ? 1 : 0
    const blockHeader = Buffer.alloc(3)
    blockHeader.writeUIntLE((block.length << 3) | last, 0, 3)
    blocks.push(blockHeader, Buffer.from(block))
  }
  return Buffer.concat([header, ...blocks])
}

/** An LZ4 frame of plain blocks, with checksums of each and of all. */
export function lz4(bytes: Uint8Array): Buffer {
  const content = new Xxh32()
  content.update(bytes)
  const blocks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 65536) {
    const block = Buffer.from(bytes.subarray(at, at + 65536))
    blocks.push(word((block.length | 0x8000_0000) >>> 0), block, word(xxh32(block)))
  }
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x54, 0x40, 0])
  header[6] = (xxh32(header.subarray(4, 6)) >>> 8) & 255
  return Buffer.concat([header, ...blocks, word(0), word(content.digest())])
}

export function xxh32(bytes: Uint8Array): number {
  const hash = new Xxh32()
  hash.update(bytes)
  return hash.digest()
}

export type KdumpPacking = 'plain' | 'zlib' | 'lzo' | 'snappy' | 'zstd'

const PACK: Readonly<Record<KdumpPacking, readonly [number, (page: Uint8Array) => Buffer]>> = {
  plain: [0, (page) => Buffer.from(page)],
  zlib: [1, (page) => deflateSync(page)],
  lzo: [2, lzo],
  snappy: [4, snappy],
  zstd: [0x20, zstd],
}

export interface KdumpPage {
  readonly pfn: number
  /** Left out, the page is excluded: the machine has it, the dump does not. */
  readonly bytes?: Uint8Array
}

/** A kdump-compressed dump, of version 6; `change` may break its header and sub-header. */
export function kdump(
  pages: readonly KdumpPage[],
  packing: KdumpPacking | readonly KdumpPacking[] = 'zlib',
  change: (header: Buffer, subHeader: Buffer) => void = () => {},
): Buffer {
  const block = 4096
  const maxMapnr = Math.max(...pages.map(({ pfn }) => pfn)) + 1
  const bitmapBlocks = Math.ceil(maxMapnr / 8 / block)
  const header = Buffer.alloc(block)
  header.write('KDUMP   ', 'latin1')
  header.writeUInt32LE(6, 8)
  header.writeUInt32LE(block, 428)
  header.writeUInt32LE(1, 432)
  header.writeUInt32LE(2 * bitmapBlocks, 436)
  header.writeUInt32LE(maxMapnr, 440)
  const subHeader = Buffer.alloc(block)
  subHeader.writeBigUInt64LE(BigInt(maxMapnr), 96)
  change(header, subHeader)
  const bitmaps = [Buffer.alloc(bitmapBlocks * block), Buffer.alloc(bitmapBlocks * block)]
  const sorted = [...pages].sort((a, b) => a.pfn - b.pfn)
  for (const { pfn, bytes } of sorted) {
    bitmaps[0]![pfn >> 3]! |= 1 << (pfn & 7)
    if (bytes !== undefined) bitmaps[1]![pfn >> 3]! |= 1 << (pfn & 7)
  }
  const dumped = sorted.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]))
  const packings = typeof packing === 'string' ? [packing] : packing
  const table = Buffer.alloc(dumped.length * 24)
  const data: Buffer[] = []
  let at = 2 * block + 2 * bitmapBlocks * block + table.length
  for (const [i, bytes] of dumped.entries()) {
    const [flag, pack] = PACK[packings[i % packings.length]!]
    const packed = pack(bytes)
    table.writeBigUInt64LE(BigInt(at), i * 24)
    table.writeUInt32LE(packed.length, i * 24 + 8)
    table.writeUInt32LE(flag, i * 24 + 12)
    data.push(packed)
    at += packed.length
  }
  return Buffer.concat([header, subHeader, ...bitmaps, table, ...data])
}

/** The same bytes as makedumpfile writes them where it cannot seek: in records, out of order, the beginning twice. */
export function flattened(bytes: Uint8Array, recordBytes = 5000): Buffer {
  const header = Buffer.alloc(4096)
  header.write('makedumpfile', 'latin1')
  header.writeBigInt64BE(1n, 16)
  header.writeBigInt64BE(1n, 24)
  const record = (offset: number, part: Uint8Array): Buffer => {
    const head = Buffer.alloc(16)
    head.writeBigInt64BE(BigInt(offset), 0)
    head.writeBigInt64BE(BigInt(part.length), 8)
    return Buffer.concat([head, part])
  }
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; at += recordBytes) {
    records.unshift(record(at, bytes.subarray(at, at + recordBytes)))
  }
  const end = Buffer.alloc(16, 0xff)
  const first = record(0, Buffer.alloc(Math.min(700, bytes.length), 0xaa))
  return Buffer.concat([header, first, ...records, end])
}

export interface AvmlRange {
  readonly first: number
  readonly bytes: Uint8Array
}

/** A compressed AVML dump in chunks of 16 KiB, every third of them plain. */
export function avml(ranges: readonly AvmlRange[]): Buffer {
  return Buffer.concat(
    ranges.flatMap(({ first, bytes }) => {
      const header = Buffer.alloc(32)
      header.write('AVML', 'latin1')
      header.writeUInt32LE(2, 4)
      header.writeBigUInt64LE(BigInt(first), 8)
      header.writeBigUInt64LE(BigInt(first + bytes.length - 1), 16)
      const chunks: Uint8Array[] = [Buffer.from('\xff\x06\0\0sNaPpY', 'latin1')]
      for (let at = 0; at < bytes.length; at += 16384) {
        const part = bytes.subarray(at, at + 16384)
        const plain = (at / 16384) % 3 === 2
        const data = plain ? part : snappy(part)
        const crc = crc32c(part)
        const head = Buffer.alloc(8)
        head[0] = plain ? 1 : 0
        head.writeUIntLE(data.length + 4, 1, 3)
        head.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, 4)
        chunks.push(head, data)
      }
      const packed = Buffer.concat(chunks)
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(packed.length))
      return [header, packed, length]
    }),
  )
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 128)
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
