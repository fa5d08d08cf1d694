// LZ4 frames, one or several, checked where they say how.
// Specification: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md

import { Damaged } from '../codecs/copy-back.ts'
import { unpackLz4 as unpackBlock } from '../codecs/lz4.ts'
import { Xxh32 } from '../codecs/xxh32.ts'
import { ByteReader } from './pieces.ts'

const MAGIC = 0x184d2204
/** And fifteen more: frames that are no data. */
const SKIPPABLE = 0x184d2a50
const INDEPENDENT = 0x20
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY = 0x01
/** In a block's length: it is not packed. */
const PLAIN = 0x8000_0000
/** A block may refer to as much of what came before. */
const HISTORY = 2 ** 16

/** Unpacks a stream. Throws Damaged. */
export function* unpackLz4(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  const reader = new ByteReader(chunks)
  for (;;) {
    const magic = reader.upTo(4)
    if (magic.length === 0) return
    const number = magic.length === 4 ? word(magic) : 0
    if (number === MAGIC) yield* frame(reader)
    else if ((number & ~15) >>> 0 === SKIPPABLE) exactly(reader, word(exactly(reader, 4)))
    else throw new Damaged('goes on with what is no frame')
  }
}

function* frame(reader: ByteReader): Generator<Uint8Array> {
  const [flags, descriptor] = exactly(reader, 2) as unknown as [number, number]
  const sizeCode = (descriptor >>> 4) & 7
  if (flags >>> 6 !== 1 || sizeCode < 4) throw new Damaged('has a header that makes no sense')
  if ((flags & DICTIONARY) !== 0) throw new Damaged('needs a dictionary')
  // The length, if it is told, and a byte of checksum; both show in the content.
  exactly(reader, ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + 1)
  const blockSize = 2 ** (8 + 2 * sizeCode)
  const into = new Uint8Array(HISTORY + blockSize)
  const content = new Xxh32()
  let history = 0
  for (;;) {
    const header = word(exactly(reader, 4))
    if (header === 0) break
    const length = header % PLAIN
    if (length > blockSize) throw new Damaged('has a block that is too long')
    const block = exactly(reader, length)
    if ((flags & BLOCK_CHECKSUM) !== 0) expectChecksum(reader, new Xxh32(), block)
    let end = history + length
    if (header >= PLAIN) into.set(block, history)
    else end = unpackBlock(block, into.subarray(0, history + blockSize), history)
    const unpacked = into.slice(history, end)
    content.update(unpacked)
    yield unpacked
    if ((flags & INDEPENDENT) === 0) {
      const from = Math.max(0, end - HISTORY)
      into.copyWithin(0, from, end)
      history = end - from
    }
  }
  if ((flags & CONTENT_CHECKSUM) !== 0) expectChecksum(reader, content, new Uint8Array(0))
}

function expectChecksum(reader: ByteReader, hash: Xxh32, bytes: Uint8Array): void {
  hash.update(bytes)
  if (word(exactly(reader, 4)) !== hash.digest()) throw new Damaged('has another checksum than it says')
}

function exactly(reader: ByteReader, count: number): Uint8Array {
  const bytes = reader.upTo(count)
  if (bytes.length < count) throw new Damaged('ends in the middle')
  return bytes
}

function word(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0
}
