// LiME dumps (and AVML's uncompressed ones): ranges of physical memory, each behind a header of 32 bytes.
//
//   0 magic "EMiL" | 4 version 1 | 8 first address | 16 last address, inclusive | 24 reserved
//
// Source: https://github.com/504ensicsLabs/LiME, lime.h

import { type Contents, type ImageFile, type Range, refuse } from './ranges.ts'

const HEADER_BYTES = 32
const MAGIC = 0x4c694d45
const VERSION = 1

export function parseLime(file: ImageFile): Contents {
  const ranges: Range[] = []
  for (let at = 0; at < file.size; ) {
    const header = file.bytes(at, HEADER_BYTES)
    const which = `the range header at byte ${at}`
    if (header.readUInt32LE(0) !== MAGIC)
      throw refuse(file, `${which} has no LiME magic: damaged or truncated?`)
    const version = header.readUInt32LE(4)
    if (version !== VERSION)
      throw refuse(file, `${which} is of LiME version ${version}; only ${VERSION} is read`)
    const first = Number(header.readBigUInt64LE(8))
    const last = Number(header.readBigUInt64LE(16))
    if (last < first)
      throw refuse(file, `${which} runs backward, from 0x${first.toString(16)} to 0x${last.toString(16)}`)
    const length = last - first + 1
    const offset = at + HEADER_BYTES
    if (offset + length > file.size) {
      throw refuse(
        file,
        `truncated: the range at byte ${at} ends at byte ${offset + length}, the file has ${file.size}`,
      )
    }
    ranges.push({ address: first, memoryBytes: length, offset, fileBytes: length })
    at = offset + length
  }
  return { ranges }
}
