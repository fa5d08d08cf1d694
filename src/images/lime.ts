// LiME dumps, and AVML's uncompressed ones: ranges of physical memory, each behind a header of 32 bytes.
//
//   0 magic "EMiL" | 4 version 1 | 8 first address | 16 last address, inclusive | 24 reserved
//
// Source: https://github.com/504ensicsLabs/LiME, lime.h

import { type ImageFile, refuse } from './file.ts'
import type { Contents, Range } from './range.ts'

/** Bytes of a range's header. */
export const HEADER_BYTES = 32
const MAGIC = 0x4c694d45

export function parseLime(file: ImageFile): Contents {
  const ranges: Range[] = []
  for (let at = 0; at < file.size; ) {
    const { address, length } = rangeHeader(file, at, { name: 'LiME', magic: MAGIC, version: 1 })
    const offset = at + HEADER_BYTES
    if (offset + length > file.size) {
      throw refuse(
        file,
        `truncated: the range at byte ${at} ends at byte ${offset + length}, the file has ${file.size}`,
      )
    }
    ranges.push({ address, memoryBytes: length, offset, fileBytes: length })
    at = offset + length
  }
  return { ranges }
}

/** Reads the header of a range, in LiME and in what took it over. Throws EINVAL for one that is broken. */
export function rangeHeader(
  file: ImageFile,
  at: number,
  kind: { readonly name: string; readonly magic: number; readonly version: number },
): { address: number; length: number } {
  const header = file.bytes(at, HEADER_BYTES)
  const which = `the range header at byte ${at}`
  if (header.readUInt32LE(0) !== kind.magic)
    throw refuse(file, `${which} has no ${kind.name} magic: damaged or truncated?`)
  const version = header.readUInt32LE(4)
  if (version !== kind.version)
    throw refuse(file, `${which} is of ${kind.name} version ${version}; only ${kind.version} is read`)
  const [first, last] = [header.readBigUInt64LE(8), header.readBigUInt64LE(16)]
  if (last < first)
    throw refuse(file, `${which} runs backward, from 0x${first.toString(16)} to 0x${last.toString(16)}`)
  const address = Number(first)
  if (BigInt(address) !== first) throw refuse(file, `${which}: 0x${first.toString(16)} is no page's address`)
  // Subtracted first: the last address of all is no number.
  return { address, length: Number(last - first) + 1 }
}
