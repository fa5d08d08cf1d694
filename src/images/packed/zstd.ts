// Zstandard, by a library: Node has its own only from version 22 on, and not a piece at a time.

import { Decompress } from 'fzstd'
import { smaller } from './pieces.ts'

/** Four bytes unpack to 128 KiB of one value, so this much at a time to at most 64 MiB. */
const PIECE_BYTES = 2 ** 11

/** Unpacks a stream. Throws what the library throws. */
export function* unpackZstd(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let unpacked: Uint8Array[] = []
  const stream = new Decompress((bytes) => unpacked.push(bytes))
  for (const piece of smaller(chunks, PIECE_BYTES)) {
    stream.push(piece)
    yield* unpacked
    unpacked = []
  }
  stream.push(new Uint8Array(0), true)
  yield* unpacked
}
