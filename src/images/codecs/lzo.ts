// LZO1X, read into memory of known size: the pages of `makedumpfile -l`. Every index is checked, since what is read may be
// damaged.
// Specification: Linux, Documentation/staging/lzo.rst, "LZO stream format as understood by Linux's LZO decompressor"

import { copyBack, copyLiterals, Damaged } from './copy-back.ts'

/** After four literals or more; up to three are counted themselves. */
const MANY = 4

/** Unpacks a stream, which must fill `into` exactly. Throws Damaged. */
export function unpackLzo(from: Uint8Array, into: Uint8Array): void {
  let at = 0
  let end = 0
  const byte = (): number => {
    if (at >= from.length) throw new Damaged('ends in the middle')
    return from[at++]!
  }
  /** A length that does not fit into its instruction goes on in the bytes behind: zeros are 255 each. */
  const length = (short: number, base: number): number => {
    if (short !== 0) return short
    let more = base
    for (;;) {
      const next = byte()
      if (next !== 0) return more + next
      more += 255
    }
  }
  const literals = (count: number): void => {
    copyLiterals(from, at, into, end, count)
    at += count
    end += count
  }

  /** Literals that the last instruction copied: 0 to 3, or MANY. */
  let state = 0
  if (from.length > 0 && from[0]! > 17) {
    const count = byte() - 17
    literals(count)
    state = Math.min(count, MANY)
  }
  for (;;) {
    const code = byte()
    if (code < 16 && state === 0) {
      literals(3 + length(code, 15))
      state = MANY
      continue
    }
    let behind: number
    if (code >= 64) {
      behind = code & 3
      const distance = 1 + ((code >>> 2) & 7) + byte() * 8
      end = copyBack(into, end, distance, (code >>> 5) + 1)
    } else if (code >= 16) {
      const far = code < 32
      const count = 2 + (far ? length(code & 7, 7) : length(code & 31, 31))
      const low = byte()
      const word = (low | (byte() << 8)) >>> 2
      behind = low & 3
      const distance = far ? 16384 + ((code & 8) << 11) + word : 1 + word
      if (far && distance === 16384) break
      end = copyBack(into, end, distance, count)
    } else {
      behind = code & 3
      const distance = 1 + (code >>> 2) + byte() * 4
      end = state === MANY ? copyBack(into, end, 2048 + distance, 3) : copyBack(into, end, distance, 2)
    }
    literals(behind)
    state = behind
  }
  if (end !== into.length) throw new Damaged('ends too early')
}
