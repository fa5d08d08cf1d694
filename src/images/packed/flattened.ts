// Flattened dumps: what makedumpfile and QEMU write where they cannot seek (`makedumpfile -F`, QEMU's -z). Records, each with the
// place in the real file where its bytes go; a later record writes over an earlier one.
//
//   0 "makedumpfile", type and version, padded to 4096 | records: 8 bytes place, 8 bytes length, big-endian, then the bytes |
//   a record of -1, -1
//
// Source: makedumpfile, IMPLEMENTATION, "flattened format"

import { Buffer } from 'node:buffer'
import { type ImageFile, refuse } from '../file.ts'
import { type Piece, piecesWithin } from '../search.ts'

const HEADER_BYTES = 4096
const RECORD_BYTES = 16
const END = -1n
/** Headers and bitmaps are written twice or three times; who writes one place more often means harm. */
const MAX_TIMES = 16

/** The real file behind a flattened one. */
export function viewFlattened(file: ImageFile): ImageFile {
  return new Flattened(file, withoutOverwritten(file, recordsOf(file)))
}

function recordsOf(file: ImageFile): Piece[] {
  const records: Piece[] = []
  for (let next = HEADER_BYTES; ; ) {
    const header = file.bytes(next, RECORD_BYTES)
    const [place, bytes] = [header.readBigInt64BE(0), header.readBigInt64BE(8)]
    if (place === END && bytes === END) return records
    const offset = next + RECORD_BYTES
    const [at, length] = [Number(place), Number(bytes)]
    const inside = place >= 0n && bytes > 0n && at + length <= Number.MAX_SAFE_INTEGER
    if (!inside) throw refuse(file, `a flattened dump whose record at byte ${offset} makes no sense: damaged`)
    next = offset + length
    if (next > file.size)
      throw refuse(file, `truncated: a record ends at byte ${next}, the file has ${file.size}`)
    records.push({ at, length, offset })
  }
}

/** By place, and of what is written twice only what was written last. */
function withoutOverwritten(file: ImageFile, records: readonly Piece[]): readonly Piece[] {
  const inOrder = records.every(({ at }, i) => {
    const before = records[i - 1]
    return before === undefined || before.at + before.length <= at
  })
  if (inOrder) return records
  const edges = [...new Set(records.flatMap(({ at, length }) => [at, at + length]))].sort((a, b) => a - b)
  const starts = new Map<number, Piece[]>()
  const rank = new Map(records.map((record, i) => [record, i]))
  for (const record of records) {
    const others = starts.get(record.at)
    if (others === undefined) starts.set(record.at, [record])
    else others.push(record)
  }
  const visible: Piece[] = []
  const open: Piece[] = []
  for (const [i, edge] of edges.entries()) {
    for (let k = open.length - 1; k >= 0; k--) {
      if (open[k]!.at + open[k]!.length <= edge) open.splice(k, 1)
    }
    open.push(...(starts.get(edge) ?? []).slice(0, MAX_TIMES + 1))
    if (open.length > MAX_TIMES)
      throw refuse(file, 'a flattened dump that writes one place over and over: damaged')
    const end = edges[i + 1]
    if (end === undefined || open.length === 0) continue
    const last = open.reduce((a, b) => (rank.get(b)! > rank.get(a)! ? b : a))
    visible.push({ at: edge, length: end - edge, offset: last.offset + (edge - last.at) })
  }
  return visible
}

class Flattened implements ImageFile {
  readonly path: string
  readonly size: number
  private readonly file: ImageFile
  private readonly records: readonly Piece[]

  constructor(file: ImageFile, records: readonly Piece[]) {
    const last = records.at(-1)
    if (last === undefined) throw refuse(file, 'a flattened dump with nothing in it')
    this.path = file.path
    this.file = file
    this.records = records
    this.size = last.at + last.length
  }

  bytes(offset: number, length: number): Buffer {
    if (offset + length > this.size) {
      throw refuse(
        this,
        `truncated: ${length} bytes at ${offset} wanted, the unflattened file has ${this.size}`,
      )
    }
    const bytes = Buffer.alloc(length)
    this.read(offset, bytes)
    return bytes
  }

  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.size) throw refuse(this, 'truncated: the unflattened file ends before')
    const end = offset + into.length
    into.fill(0)
    piecesWithin(this.records, offset, end, (low, high, from) => {
      this.file.read(from, into.subarray(low - offset, high - offset))
    })
  }

  close(): void {
    this.file.close()
  }
}
