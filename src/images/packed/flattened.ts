// Flattened dumps: what makedumpfile and QEMU write where they cannot seek (`makedumpfile -F`, QEMU's -z). Records, each with the
// place in the real file where its bytes go; a later record writes over an earlier one.
//
//   0 "makedumpfile", type and version, padded to 4096 | records: 8 bytes place, 8 bytes length, big-endian, then the bytes |
//   a record of -1, -1
//
// Source: makedumpfile, IMPLEMENTATION, "flattened format"

import { Buffer } from 'node:buffer'
import { type ImageFile, refuse } from '../file.ts'
import { firstWhere } from '../search.ts'

const HEADER_BYTES = 4096
const RECORD_BYTES = 16
const END = -1n
/** Headers and bitmaps are written twice or three times; who writes one place more often means harm. */
const MAX_TIMES = 16

interface Record {
  readonly offset: number
  readonly length: number
  /** Where its bytes are. */
  readonly at: number
}

/** The real file behind a flattened one. */
export function viewFlattened(file: ImageFile): ImageFile {
  return new Flattened(file, withoutOverwritten(file, recordsOf(file)))
}

function recordsOf(file: ImageFile): Record[] {
  const records: Record[] = []
  for (let at = HEADER_BYTES; ; ) {
    const header = file.bytes(at, RECORD_BYTES)
    const [offset, length] = [header.readBigInt64BE(0), header.readBigInt64BE(8)]
    if (offset === END && length === END) return records
    at += RECORD_BYTES
    const record = { offset: Number(offset), length: Number(length), at }
    const inside = offset >= 0n && length > 0n && record.offset + record.length <= Number.MAX_SAFE_INTEGER
    if (!inside) throw refuse(file, `a flattened dump whose record at byte ${at} makes no sense: damaged`)
    at += record.length
    if (at > file.size)
      throw refuse(file, `truncated: a record ends at byte ${at}, the file has ${file.size}`)
    records.push(record)
  }
}

/** By place, and of what is written twice only what was written last. */
function withoutOverwritten(file: ImageFile, records: readonly Record[]): Record[] {
  const inOrder = records.every(({ offset }, i) => {
    const before = records[i - 1]
    return before === undefined || before.offset + before.length <= offset
  })
  if (inOrder) return [...records]
  const edges = [...new Set(records.flatMap(({ offset, length }) => [offset, offset + length]))].sort(
    (a, b) => a - b,
  )
  const starts = new Map<number, Record[]>()
  const rank = new Map(records.map((record, i) => [record, i]))
  for (const record of records) {
    const others = starts.get(record.offset)
    if (others === undefined) starts.set(record.offset, [record])
    else others.push(record)
  }
  const visible: Record[] = []
  const open: Record[] = []
  for (const [i, edge] of edges.entries()) {
    for (let k = open.length - 1; k >= 0; k--) {
      if (open[k]!.offset + open[k]!.length <= edge) open.splice(k, 1)
    }
    open.push(...(starts.get(edge) ?? []).slice(0, MAX_TIMES + 1))
    if (open.length > MAX_TIMES)
      throw refuse(file, 'a flattened dump that writes one place over and over: damaged')
    const end = edges[i + 1]
    if (end === undefined || open.length === 0) continue
    const last = open.reduce((a, b) => (rank.get(b)! > rank.get(a)! ? b : a))
    visible.push({ offset: edge, length: end - edge, at: last.at + (edge - last.offset) })
  }
  return visible
}

class Flattened implements ImageFile {
  readonly path: string
  readonly size: number
  private readonly file: ImageFile
  /** Ascending, never overlapping. */
  private readonly records: readonly Record[]

  constructor(file: ImageFile, records: readonly Record[]) {
    const last = records.at(-1)
    if (last === undefined) throw refuse(file, 'a flattened dump with nothing in it')
    this.path = file.path
    this.file = file
    this.records = records
    this.size = last.offset + last.length
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
    const { records } = this
    const first = firstWhere(records.length, (i) => records[i]!.offset + records[i]!.length > offset)
    for (let i = first; i < records.length; i++) {
      const record = records[i]!
      if (record.offset >= end) break
      const from = Math.max(record.offset, offset)
      const to = Math.min(record.offset + record.length, end)
      this.file.read(record.at + (from - record.offset), into.subarray(from - offset, to - offset))
    }
  }

  close(): void {
    this.file.close()
  }
}
