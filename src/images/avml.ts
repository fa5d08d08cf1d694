// Compressed AVML dumps: ranges of physical memory, each behind LiME's header under another name, as a stream of Snappy's
// frames, with the number of packed bytes behind it.
//
//   header of 32 bytes, magic "AVML", version 2 | chunks of at most 64 KiB | 8 bytes: the length of the chunks
//
// Source: https://github.com/microsoft/avml, src/image.rs;
// https://github.com/google/snappy/blob/main/framing_format.txt

import { crc32c } from './codecs/crc32c.ts'
import { unpackSnappy } from './codecs/snappy.ts'
import { type ImageFile, refuse } from './file.ts'
import { HEADER_BYTES, rangeHeader } from './lime.ts'
import type { Contents, Range } from './range.ts'
import { firstWhere } from './search.ts'

const KIND = { name: 'AVML', magic: 0x4c4d5641, version: 2 }
const CHUNK_HEADER = 4
const TRAILER_BYTES = 8
/** A chunk says what it is in its first byte; those from 0x80 on may be skipped, the beginning of a stream (0xff) too. */
const PACKED = 0x00
const PLAIN = 0x01
const SKIPPABLE = 0x80
/** In front of a chunk's data. */
const CHECKSUM_BYTES = 4
const MAX_CHUNK = 65_536

/** Where a chunk is, and which of the bytes of all chunks it holds. */
interface Chunk {
  readonly start: number
  readonly length: number
  readonly offset: number
  readonly fileBytes: number
  readonly packed: boolean
}

export function parseAvml(file: ImageFile): Contents {
  const ranges: Range[] = []
  const chunks: Chunk[] = []
  let unpacked = 0
  for (let at = 0; at < file.size; ) {
    const { address, length } = rangeHeader(file, at, KIND)
    const end = unpacked + length
    ranges.push({ address, memoryBytes: length, offset: unpacked, fileBytes: length })
    const start = at + HEADER_BYTES
    at = start
    while (unpacked < end || isStream(file, at)) {
      const { chunk, next } = readChunk(file, at, unpacked)
      at = next
      if (chunk === undefined) continue
      unpacked += chunk.length
      if (unpacked > end)
        throw refuse(file, `the chunk at byte ${chunk.offset} goes beyond its range: damaged`)
      chunks.push(chunk)
    }
    const packedBytes = Number(file.bytes(at, TRAILER_BYTES).readBigUInt64LE(0))
    if (packedBytes !== at - start)
      throw refuse(file, `damaged: the length at byte ${at} is not that of the range`)
    at += TRAILER_BYTES
  }
  const reader = new ChunkReader(file, chunks)
  return { ranges, read: (offset, into) => reader.read(offset, into) }
}

/** Does another stream of the same range begin here? A writer may end one and begin the next. */
function isStream(file: ImageFile, at: number): boolean {
  return at + CHUNK_HEADER <= file.size && file.bytes(at, CHUNK_HEADER).readUInt32LE(0) === 0x0000_06ff
}

function readChunk(file: ImageFile, at: number, start: number): { chunk: Chunk | undefined; next: number } {
  const header = file.bytes(at, CHUNK_HEADER).readUInt32LE(0)
  const [kind, bytes] = [header & 255, header >>> 8]
  const next = at + CHUNK_HEADER + bytes
  if (next > file.size)
    throw refuse(file, `truncated: the chunk at byte ${at} ends at ${next}, the file has ${file.size}`)
  if (kind >= SKIPPABLE) return { chunk: undefined, next }
  if ((kind !== PACKED && kind !== PLAIN) || bytes <= CHECKSUM_BYTES) {
    throw refuse(file, `the chunk at byte ${at} is of an unknown kind (${kind}): damaged`)
  }
  const offset = at + CHUNK_HEADER
  const fileBytes = bytes - CHECKSUM_BYTES
  const packed = kind === PACKED
  const length = packed ? unpackedLength(file, offset + CHECKSUM_BYTES) : fileBytes
  if (length === 0 || length > MAX_CHUNK)
    throw refuse(file, `the chunk at byte ${at} is ${length} bytes long: damaged`)
  return { chunk: { start, length, offset, fileBytes, packed }, next }
}

/** A block of Snappy's begins with its length, seven bits a byte. */
function unpackedLength(file: ImageFile, at: number): number {
  const bytes = file.bytes(at, Math.min(5, file.size - at))
  let value = 0
  for (const [i, byte] of bytes.entries()) {
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) break
  }
  return value
}

/** The bytes of all chunks, one after the other. Keeps the chunk it unpacked last. */
class ChunkReader {
  private readonly file: ImageFile
  private readonly chunks: readonly Chunk[]
  private readonly buffer = new Uint8Array(MAX_CHUNK)
  private current = -1

  constructor(file: ImageFile, chunks: readonly Chunk[]) {
    this.file = file
    this.chunks = chunks
  }

  read(from: number, into: Uint8Array): void {
    const { chunks } = this
    let i = firstWhere(chunks.length, (i) => chunks[i]!.start + chunks[i]!.length > from)
    for (let done = 0; done < into.length; i++) {
      const { start, length } = chunks[i]!
      this.unpack(i)
      const inChunk = from + done - start
      const count = Math.min(length - inChunk, into.length - done)
      into.set(this.buffer.subarray(inChunk, inChunk + count), done)
      done += count
    }
  }

  private unpack(i: number): void {
    if (this.current === i) return
    const { offset, fileBytes, length, packed } = this.chunks[i]!
    const bytes = this.file.bytes(offset, CHECKSUM_BYTES + fileBytes)
    const from = bytes.subarray(CHECKSUM_BYTES)
    const into = this.buffer.subarray(0, length)
    this.current = -1
    try {
      if (packed) unpackSnappy(from, into)
      else into.set(from)
    } catch (cause) {
      throw refuse(this.file, `damaged: the chunk at byte ${offset} cannot be unpacked`, cause)
    }
    if (masked(crc32c(into)) !== bytes.readUInt32LE(0)) {
      throw refuse(this.file, `damaged: the chunk at byte ${offset} has another checksum`)
    }
    this.current = i
  }
}

/** A checksum of data that holds checksums would be weak; the framing format disguises it. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
