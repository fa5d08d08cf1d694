// A stream of any format and packing, put away unpacked. What it is shows in its beginning: files that are not read are refused
// before all of them has come.

import { Buffer } from 'node:buffer'
import { PagefoldError } from '../errors.ts'
import type { DiskFile } from './file.ts'
import { refuse } from './file.ts'
import { HEAD_BYTES, kindOf, type Packing } from './formats.ts'
import { ByteReader } from './packed/pieces.ts'
import { spool } from './spool.ts'

/** Packed, and packed again: nobody does it more often in good faith. */
const MAX_DEPTH = 4

/** Takes a stream to its end, unpacked. Throws EINVAL for what is foreign or damaged, and what `spool` throws. */
export function putAway(path: string, chunks: Iterable<Uint8Array>): DiskFile {
  let stream = chunks
  for (let depth = 0; ; depth++) {
    const reader = new ByteReader(stream)
    const head = reader.upTo(HEAD_BYTES)
    const { kind, is } = kindOf(Buffer.from(head).toString('latin1'))
    stream = joined(head, reader)
    if (kind === 'foreign') throw refuse({ path }, is.advice)
    if (kind !== 'packing') return spool(path, stream)
    if (depth === MAX_DEPTH) throw refuse({ path }, `packed more than ${MAX_DEPTH} times: broken on purpose?`)
    stream = unpacked(path, is, stream)
  }
}

function* joined(head: Uint8Array, reader: ByteReader): Generator<Uint8Array> {
  yield head
  yield* reader.rest()
}

function* unpacked(
  path: string,
  { name, unpack }: Packing,
  chunks: Iterable<Uint8Array>,
): Generator<Uint8Array> {
  try {
    yield* unpack(chunks)
  } catch (cause) {
    if (cause instanceof PagefoldError) throw cause
    throw refuse({ path }, `damaged: its ${name} does not unpack (${(cause as Error).message})`, cause)
  }
}
