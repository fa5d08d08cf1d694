// Snappy's block format, read into memory of known size: kdump's pages and AVML's chunks. Every index is checked, since what
// is read may be damaged.
// Specification: https://github.com/google/snappy/blob/main/format_description.txt

import { copyBack, copyLiterals, Damaged } from './copy-back.ts'

/** Unpacks a block, which must fill `into` exactly. Throws Damaged. */
export function unpackSnappy(from: Uint8Array, into: Uint8Array): void {
  let at = 0
  const byte = (): number => {
    if (at >= from.length) throw new Damaged('ends in the middle')
    return from[at++]!
  }
  const number = (bytes: number): number => {
    let value = 0
    for (let i = 0; i < bytes; i++) value += byte() * 2 ** (8 * i)
    return value
  }
  if (varint(byte) !== into.length) throw new Damaged('is not as long as it must be')
  let end = 0
  while (at < from.length) {
    const tag = byte()
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >>> 2
      const length = 1 + (short < 60 ? short : number(short - 59))
      copyLiterals(from, at, into, end, length)
      at += length
      end += length
    } else if (kind === 1) {
      end = copyBack(into, end, ((tag >>> 5) << 8) | byte(), 4 + ((tag >>> 2) & 7))
    } else {
      end = copyBack(into, end, number(kind === 2 ? 2 : 4), 1 + (tag >>> 2))
    }
  }
  if (end !== into.length) throw new Damaged('ends too early')
}

function varint(byte: () => number): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    const next = byte()
    value += (next & 127) * 2 ** shift
    if (next < 128) return value
  }
  throw new Damaged('has no length')
}
