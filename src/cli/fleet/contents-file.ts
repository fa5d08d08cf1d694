// Contents of a census as a Parquet file, for engines that join those of many hosts: a row for each content of each guest. Rows are written in
// groups as they come, so that what this takes does not grow with them.

import { Buffer } from 'node:buffer'
import { writeSync } from 'node:fs'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { VERSION } from '../../index.ts'
import type { CensusContents } from '../../lab/index.ts'
import { expectContentsPath, writeContentsBy } from '../../report/index.ts'
import { value } from '../options.ts'

/** Under which a file says what it is of. */
export const METADATA_KEY = 'pagefold'

/** What a file says of its census. */
export interface FileMetadata {
  readonly version: string
  /** The fingerprint of a page of zeros: the same in all files that are made with one key. */
  readonly zero: string
  readonly host: string
  readonly guests: readonly string[]
}

/** The option: a path that contents can be written to. */
export const out = value(
  'FILE',
  'also write all contents, as Parquet, for `pagefold fleet` (needs --key)',
  (path) => {
    expectContentsPath(path)
    return path
  },
)

const ROWS = 131_072

const SCHEMA = [
  { name: 'contents', num_children: 6 },
  { name: 'host', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
  { name: 'guest', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
  { name: 'high', type: 'INT64', repetition_type: 'REQUIRED' },
  { name: 'low', type: 'INT64', repetition_type: 'REQUIRED' },
  { name: 'zero', type: 'BOOLEAN', repetition_type: 'REQUIRED' },
  { name: 'pages', type: 'INT64', repetition_type: 'REQUIRED' },
] as const

/** Writes a file whole or not at all. `guests`: what the images are called. Throws EIO, and what `writeReport` does. */
export function writeContentsFile(
  path: string,
  host: string,
  guests: readonly string[],
  contents: CensusContents,
): void {
  writeContentsBy(path, (fd) => {
    const bytes = new ByteWriter()
    const flush = (): void => {
      for (let done = 0; done < bytes.index; )
        done += writeSync(fd, Buffer.from(bytes.buffer, done, bytes.index - done))
      bytes.index = 0
    }
    const { zero } = contents
    const metadata: FileMetadata = { version: VERSION, zero: hex(zero.high, zero.low), host, guests }
    const parquet = new ParquetWriter({
      writer: bytes,
      schema: [...SCHEMA],
      kvMetadata: [{ key: METADATA_KEY, value: JSON.stringify(metadata) }],
      createdBy: `pagefold ${VERSION}`,
    })
    const rows = new Rows()
    const write = (): void => {
      if (rows.count > 0) parquet.write({ columnData: rows.columns(host, guests), rowGroupSize: ROWS })
      rows.count = 0
      flush()
    }
    const add = (high: bigint, low: bigint, guest: number, pages: number, isZero: boolean): void => {
      rows.add(high, low, guest, pages, isZero)
      if (rows.count === ROWS) write()
    }
    for (const [guest, pages] of zero.pages.entries())
      if (pages > 0) add(zero.high, zero.low, guest, pages, true)
    contents.each((high, low, images, pages) => {
      for (const [i, guest] of images.entries()) add(high, low, guest, pages[i]!, false)
    })
    write()
    parquet.finish()
    flush()
  })
}

function hex(high: bigint, low: bigint): string {
  return [high, low].map((word) => word.toString(16).padStart(16, '0')).join('')
}

/** Rows that wait to be written. */
class Rows {
  count = 0
  private readonly high = new BigInt64Array(ROWS)
  private readonly low = new BigInt64Array(ROWS)
  private readonly guest = new Uint32Array(ROWS)
  private readonly zero = new Uint8Array(ROWS)
  private readonly pages = new BigInt64Array(ROWS)

  add(high: bigint, low: bigint, guest: number, pages: number, zero: boolean): void {
    const at = this.count++
    this.high[at] = BigInt.asIntN(64, high)
    this.low[at] = BigInt.asIntN(64, low)
    this.guest[at] = guest
    this.zero[at] = Number(zero)
    this.pages[at] = BigInt(pages)
  }

  columns(host: string, guests: readonly string[]) {
    const { count } = this
    const list = <Value>(of: (i: number) => Value): Value[] => Array.from({ length: count }, (_, i) => of(i))
    // What is random does not get shorter.
    const random = { encoding: 'PLAIN', codec: 'UNCOMPRESSED' } as const
    return [
      { name: 'host', data: list(() => host) },
      { name: 'guest', data: list((i) => guests[this.guest[i]!]!) },
      { name: 'high', data: this.high.slice(0, count), ...random },
      { name: 'low', data: this.low.slice(0, count), ...random },
      { name: 'zero', data: list((i) => this.zero[i] === 1) },
      { name: 'pages', data: this.pages.slice(0, count) },
    ]
  }
}
