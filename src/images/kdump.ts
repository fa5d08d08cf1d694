// kdump-compressed dumps, also known as diskdump: what makedumpfile writes with -c, -l, -p and -z, QEMU with -z, -l and -s,
// `virsh dump --memory-only --format kdump-*`. Little-endian ones of 64 bits.
//
//   block 0                    header: "KDUMP   ", version, block size, how many blocks of what
//   block 1                    sub-header: the largest pfn, whether it is a part of a dump
//   block 1 + sub-header       bitmap of the pages the machine has, then bitmap of those that are in the file
//   behind                     a descriptor for each bit of the second: place, bytes, how packed
//
// Source: makedumpfile, IMPLEMENTATION and diskdump_mod.h; QEMU, include/sysemu/dump.h

import { inflateSync } from 'node:zlib'
import { decompress as unpackZstd } from 'fzstd'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { bitRuns } from './bit-runs.ts'
import { unpackLzo } from './codecs/lzo.ts'
import { unpackSnappy } from './codecs/snappy.ts'
import { type ImageFile, refuse } from './file.ts'
import type { Contents, Range } from './range.ts'

const HEADER_BYTES = 464
const SUB_HEADER_BYTES = 104
const DESCRIPTOR_BYTES = 24
/** More than any architecture's page. */
const MAX_BLOCK = 2 ** 16
/** Descriptors read at a time. */
const BATCH = 2048

/** How a page is packed, a bit each, and what unpacks it into memory of its size. */
const PACKINGS: ReadonlyMap<number, (from: Uint8Array, into: Uint8Array) => void> = new Map([
  [0x01, (from, into) => fill(into, inflateSync(from, { maxOutputLength: into.length }))],
  [0x02, unpackLzo],
  [0x04, unpackSnappy],
  [0x20, (from, into) => fill(into, unpackZstd(from))],
])
const INCOMPLETE = 0x08
const EXCLUDED_VMEMMAP = 0x10

export function parseKdump(file: ImageFile): Contents {
  const header = file.bytes(0, HEADER_BYTES)
  const blockSize = header.readUInt32LE(428)
  if (blockSize < PAGE_SIZE || blockSize > MAX_BLOCK || blockSize % PAGE_SIZE !== 0) {
    throw refuse(
      file,
      `a kdump with blocks of ${blockSize} bytes: broken, or of a 32-bit or big-endian machine, which is not read`,
    )
  }
  const subHeader = file.bytes(blockSize, SUB_HEADER_BYTES)
  if (subHeader.readUInt32LE(12) !== 0) {
    throw refuse(file, 'one part of a dump that was split; join all of them with `makedumpfile --reassemble`')
  }
  const bitmapAt = (1 + header.readUInt32LE(432)) * blockSize
  const bitmapBytes = header.readUInt32LE(436) * blockSize
  const bitmaps = file.bytes(bitmapAt, bitmapBytes)
  const half = bitmapBytes / 2
  const maxMapnr =
    header.readUInt32LE(8) >= 6 ? Number(subHeader.readBigUInt64LE(96)) : header.readUInt32LE(440)
  if (maxMapnr > half * 8)
    throw refuse(file, `a kdump of ${maxMapnr} pages whose bitmap has ${half * 8} bits`)
  const ranges: Range[] = []
  for (const [pfn, count] of bitRuns(bitmaps.subarray(0, half), maxMapnr)) {
    ranges.push({ address: pfn * blockSize, memoryBytes: count * blockSize, offset: 0, fileBytes: 0 })
  }
  let pages = 0
  for (const [pfn, count] of bitRuns(bitmaps.subarray(half), maxMapnr)) {
    const bytes = count * blockSize
    ranges.push({ address: pfn * blockSize, memoryBytes: bytes, offset: pages * blockSize, fileBytes: bytes })
    pages += count
  }
  const blocks = new Blocks(file, blockSize, bitmapAt + bitmapBytes, pages)
  blocks.check()
  const incomplete = (header.readUInt32LE(424) & INCOMPLETE) !== 0
  const notes = incomplete ? [`${file.path}: an incomplete dump: the disk was full when it was written`] : []
  return { ranges, notes, read: (offset, into) => blocks.read(offset, into) }
}

/** The pages that are in the file, one after the other as if they were not packed. */
class Blocks {
  private readonly file: ImageFile
  private readonly blockSize: number
  private readonly table: number
  private readonly count: number
  /** For parts of a page. */
  private readonly block: Uint8Array

  constructor(file: ImageFile, blockSize: number, table: number, count: number) {
    this.file = file
    this.blockSize = blockSize
    this.table = table
    this.count = count
    this.block = new Uint8Array(blockSize)
  }

  /** Throws EINVAL for a page that is not in the file or packed in a way nobody knows. */
  check(): void {
    for (let first = 0; first < this.count; first += BATCH) {
      const count = Math.min(BATCH, this.count - first)
      const table = this.descriptors(first, count)
      for (let i = 0; i < count; i++) {
        const { offset, size, packing } = descriptor(table, i)
        if (offset + size > this.file.size) {
          const where = `page ${first + i} ends at byte ${offset + size}, the file has ${this.file.size}`
          throw refuse(this.file, `truncated: ${where}`)
        }
        const known = packing === 0 ? size === this.blockSize : PACKINGS.has(packing)
        if (!known) throw refuse(this.file, `page ${first + i} is packed in an unknown way (${packing})`)
      }
    }
  }

  read(from: number, into: Uint8Array): void {
    const { blockSize } = this
    for (let done = 0; done < into.length; ) {
      const first = Math.floor((from + done) / blockSize)
      const wanted = Math.ceil((from + into.length) / blockSize) - first
      const count = Math.min(BATCH, wanted)
      const table = this.descriptors(first, count)
      for (let i = 0; i < count; i++) {
        const inBlock = (from + done) % blockSize
        const length = Math.min(blockSize - inBlock, into.length - done)
        const whole = length === blockSize
        const block = whole ? into.subarray(done, done + blockSize) : this.block
        this.unpack(first + i, descriptor(table, i), block)
        if (!whole) into.set(block.subarray(inBlock, inBlock + length), done)
        done += length
      }
    }
  }

  private descriptors(first: number, count: number): Buffer {
    return this.file.bytes(this.table + first * DESCRIPTOR_BYTES, count * DESCRIPTOR_BYTES)
  }

  private unpack(page: number, { offset, size, packing }: Descriptor, into: Uint8Array): void {
    if (packing === 0) {
      this.file.read(offset, into)
      return
    }
    const from = this.file.bytes(offset, size)
    try {
      PACKINGS.get(packing)!(from, into)
    } catch (cause) {
      throw refuse(this.file, `damaged: page ${page}, at byte ${offset}, cannot be unpacked`, cause)
    }
  }
}

interface Descriptor {
  readonly offset: number
  readonly size: number
  readonly packing: number
}

function descriptor(table: Buffer, i: number): Descriptor {
  const at = i * DESCRIPTOR_BYTES
  return {
    offset: Number(table.readBigUInt64LE(at)),
    size: table.readUInt32LE(at + 8),
    packing: table.readUInt32LE(at + 12) & ~EXCLUDED_VMEMMAP,
  }
}

function fill(into: Uint8Array, bytes: Uint8Array): void {
  if (bytes.length !== into.length) throw new RangeError(`${bytes.length} bytes instead of ${into.length}`)
  into.set(bytes)
}
