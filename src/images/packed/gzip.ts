// gzip, one member or several, checked.
// Specification: RFC 1952

import { crc32 } from 'node:zlib'
import { Gunzip } from 'fflate/browser'
import { Damaged } from '../codecs/copy-back.ts'
import { smaller } from './pieces.ts'

/** A byte unpacks to at most 1032, so this much at a time to some 30 MiB. */
const PIECE_BYTES = 2 ** 15
/** Behind each member: the CRC-32 of what it holds, and its length. */
const TRAILER_BYTES = 8

/** Unpacks a stream. Throws Damaged, and what the unpacker throws. */
export function* unpackGzip(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let unpacked: Uint8Array[] = []
  let [crc, length, fed] = [0, 0, 0]
  let tail = Buffer.alloc(0)
  const check = (end: number): void => {
    const trailer = tail.subarray(tail.length - (fed - end) - TRAILER_BYTES)
    const right = trailer.readUInt32LE(0) === crc && trailer.readUInt32LE(4) === length % 2 ** 32
    if (!right) throw new Damaged('has another checksum than it says')
    crc = 0
    length = 0
  }
  const gunzip = new Gunzip((bytes) => {
    crc = crc32(bytes, crc)
    length += bytes.length
    unpacked.push(bytes)
  })
  gunzip.onmember = check
  for (const piece of smaller(chunks, PIECE_BYTES)) {
    // A member is told of when the next one's header is whole, which may be a piece later.
    tail = Buffer.concat([tail.subarray(-PIECE_BYTES), piece])
    fed += piece.length
    gunzip.push(piece)
    yield* unpacked
    unpacked = []
  }
  gunzip.push(new Uint8Array(0), true)
  yield* unpacked
  check(fed)
}
