// The index of a store on disk: a header, and behind it records, each with its checksum. docs/store-format.md draws them. What is
// read is never believed: a record that is not as it was written is told of, and the ones behind it are found again.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import { crc32c } from '../images/codecs/crc32c.ts'
import { SEGMENT_PAGES } from './disk-backing.ts'
import { LEAF_PAGES } from './leaves.ts'
import type { SnapshotInfo } from './state.ts'

/** The form that is written here. Others are refused. */
export const STORE_VERSION = 1

const MAGIC = 'pagefold store\n\0'
export const HEADER_BYTES = 64
const RECORD_HEADER = 16
/** What records begin at a multiple of. */
const ALIGN = 16
const PAGES = 1
const LEAVES = 2
const SNAPSHOT = 3
const DROP = 4

/** What the header says. */
export interface Header {
  /** Of the hash of pages. */
  readonly seed: bigint
  /** No segment had this number or a higher one when the index was written. */
  readonly nextSegment: number
}

/** Pages that were appended one behind the other: the number of the first, and two words of hash each. */
export interface PagesRecord {
  readonly kind: 'pages'
  readonly first: number
  readonly domain: string
  readonly hashes: Uint32Array
}

/** Leaves, with the number of the first: LEAF_PAGES numbers of pages each. */
export interface LeavesRecord {
  readonly kind: 'leaves'
  readonly first: number
  readonly pages: Uint32Array
}

/** A snapshot, and the numbers of its leaves. */
export interface SnapshotRecord {
  readonly kind: 'snapshot'
  readonly info: Omit<SnapshotInfo, 'pages'>
  readonly leaves: Uint32Array
}

/** A snapshot that is no more. */
export interface DropRecord {
  readonly kind: 'drop'
  readonly name: string
}

export type StoreRecord = PagesRecord | LeavesRecord | SnapshotRecord | DropRecord

const KINDS = { pages: PAGES, leaves: LEAVES, snapshot: SNAPSHOT, drop: DROP }

export function encodeHeader({ seed, nextSegment }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  bytes.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(bytes.buffer)
  for (const [i, word] of [STORE_VERSION, PAGE_SIZE, SEGMENT_PAGES, LEAF_PAGES].entries())
    view.setUint32(16 + 4 * i, word, true)
  view.setBigUint64(32, seed, true)
  view.setUint32(40, nextSegment, true)
  view.setUint32(60, crc32c(bytes.subarray(0, 60)), true)
  return bytes
}

/** Throws EINVAL for what is no index, EPROTO for one of another version, EUCLEAN for a damaged one; `where`: whose it is. */
export function decodeHeader(bytes: Uint8Array, where: string): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER_BYTES || textOf(bytes.subarray(0, 16)) !== MAGIC)
    throw new PagefoldError('EINVAL', `${where}: not a store of snapshots: its index begins otherwise`)
  const version = view.getUint32(16, true)
  if (version !== STORE_VERSION) {
    const todo = 'take the pagefold that wrote it, or a newer one'
    throw new PagefoldError(
      'EPROTO',
      `${where}: a store of version ${version}, and this pagefold reads version ${STORE_VERSION}: ${todo}`,
    )
  }
  const sizes = [PAGE_SIZE, SEGMENT_PAGES, LEAF_PAGES]
  const isSound = view.getUint32(60, true) === crc32c(bytes.subarray(0, 60))
  if (!isSound || sizes.some((size, i) => view.getUint32(20 + 4 * i, true) !== size))
    throw new PagefoldError('EUCLEAN', `${where}: damaged: the header of the index is not as it was written`)
  return { seed: view.getBigUint64(32, true), nextSegment: view.getUint32(40, true) }
}

export function encodeRecord(record: StoreRecord): Uint8Array {
  const payload = payloadOf(record)
  const bytes = new Uint8Array(RECORD_HEADER + aligned(payload.length))
  bytes.set(payload, RECORD_HEADER)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, KINDS[record.kind], true)
  view.setUint32(4, payload.length, true)
  view.setUint32(8, crc32c(payload), true)
  view.setUint32(12, crc32c(bytes.subarray(0, 12)), true)
  return bytes
}

/** What was found in an index. */
export interface Found {
  readonly records: StoreRecord[]
  /** Where the last change ends that came to its end: behind it is what somebody did not come to write. */
  readonly end: number
  /** Places where there was a record once. */
  readonly damaged: number[]
}

/** Reads the records of an index. */
export function decodeRecords(bytes: Uint8Array): Found {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: Found & { end: number } = { records: [], end: HEADER_BYTES, damaged: [] }
  let damagedAt: number | undefined
  let committed = 0
  for (let at = HEADER_BYTES; at + RECORD_HEADER <= bytes.length; ) {
    const length = headerAt(bytes, view, at)
    const payload = length === undefined ? undefined : soundPayload(bytes, view, at, length)
    const record = payload && orNonsense(() => recordOf(view.getUint32(at, true), payload))
    if (record === undefined) {
      // What goes on behind it tells whether it is damaged or only the last, and not whole.
      damagedAt ??= at
      at += length === undefined ? ALIGN : RECORD_HEADER + aligned(length)
      continue
    }
    if (damagedAt !== undefined) found.damaged.push(damagedAt)
    damagedAt = undefined
    found.records.push(record)
    at += RECORD_HEADER + aligned(length!)
    if (record.kind !== 'snapshot' && record.kind !== 'drop') continue
    found.end = at
    committed = found.records.length
  }
  found.records.length = committed
  return found
}

/** The length that a header of a record tells; undefined if there is none here. */
function headerAt(bytes: Uint8Array, view: DataView, at: number): number | undefined {
  if (view.getUint32(at + 12, true) !== crc32c(bytes.subarray(at, at + 12))) return undefined
  return view.getUint32(at + 4, true)
}

function soundPayload(bytes: Uint8Array, view: DataView, at: number, length: number): Uint8Array | undefined {
  const start = at + RECORD_HEADER
  if (start + aligned(length) > bytes.length) return undefined
  const payload = bytes.subarray(start, start + length)
  return crc32c(payload) === view.getUint32(at + 8, true) ? payload : undefined
}

function payloadOf(record: StoreRecord): Uint8Array {
  switch (record.kind) {
    case 'pages':
      return joined([record.first, record.hashes.length / 2], [record.domain], record.hashes)
    case 'leaves':
      return joined([record.first, record.pages.length / LEAF_PAGES], [], record.pages)
    case 'snapshot': {
      const { name, domain, note, bytes, zero_pages, date } = record.info
      const time = Date.parse(date)
      const words = [bytes, time].flatMap((number) => [number % 2 ** 32, Math.floor(number / 2 ** 32)])
      return joined([...words, zero_pages, record.leaves.length], [name, domain, note], record.leaves)
    }
    case 'drop':
      return joined([], [record.name], new Uint32Array())
  }
}

/** Its checksum is right, and still it may say what cannot be: lengths beyond its end, a date that there is not. */
function orNonsense<Result>(decode: () => Result): Result | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Undefined for a kind that is not known. Throws RangeError for what cannot be. */
function recordOf(kind: number, payload: Uint8Array): StoreRecord | undefined {
  const reader = new Reader(payload)
  if (kind === PAGES) {
    const [first, count] = reader.words(2)
    const [domain] = reader.texts(1)
    return { kind: 'pages', first: first!, domain: domain!, hashes: reader.words(2 * count!) }
  }
  if (kind === LEAVES) {
    const [first, count] = reader.words(2)
    return { kind: 'leaves', first: first!, pages: reader.words(count! * LEAF_PAGES) }
  }
  if (kind === SNAPSHOT) {
    const [low, high, early, late, zero_pages, count] = reader.words(6)
    const [name, domain, note] = reader.texts(3)
    const date = new Date(early! + late! * 2 ** 32).toISOString()
    const info = {
      name: name!,
      domain: domain!,
      note: note!,
      bytes: low! + high! * 2 ** 32,
      zero_pages: zero_pages!,
      date,
    }
    return { kind: 'snapshot', info, leaves: reader.words(count!) }
  }
  return kind === DROP ? { kind: 'drop', name: reader.texts(1)[0]! } : undefined
}

/** Words, then texts (a word for the length of each, and their letters, filled up to a word), then more words. */
function joined(words: readonly number[], texts: readonly string[], rest: Uint32Array): Uint8Array {
  const letters = texts.map((text) => new TextEncoder().encode(text))
  const textBytes = letters.reduce((sum, { length }) => sum + 4 + wordAligned(length), 0)
  const bytes = new Uint8Array(4 * words.length + textBytes + 4 * rest.length)
  const view = new DataView(bytes.buffer)
  let at = 0
  const word = (value: number): void => {
    view.setUint32(at, value, true)
    at += 4
  }
  words.forEach(word)
  for (const text of letters) {
    word(text.length)
    bytes.set(text, at)
    at += wordAligned(text.length)
  }
  for (const value of rest) word(value)
  return bytes
}

class Reader {
  private readonly bytes: Uint8Array
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  words(count: number): Uint32Array {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, this.bytes.length - this.at)
    if (4 * count > view.byteLength) throw new RangeError('more words than bytes')
    const words = new Uint32Array(count)
    for (let i = 0; i < count; i++) words[i] = view.getUint32(4 * i, true)
    this.at += 4 * count
    return words
  }

  texts(count: number): string[] {
    return Array.from({ length: count }, () => {
      const [length] = this.words(1)
      const text = textOf(this.bytes.subarray(this.at, this.at + length!))
      this.at += wordAligned(length!)
      return text
    })
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN
}

function wordAligned(bytes: number): number {
  return Math.ceil(bytes / 4) * 4
}
