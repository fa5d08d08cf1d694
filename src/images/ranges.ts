// From ranges of guest addresses, wherever in a file their bytes lie, to pages. Pages are cut by address: a core file's
// segments are usually not page-aligned in the file, and cutting by file offset would give pages no guest ever had.

import type { Buffer } from 'node:buffer'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'

/** What a parser may read of the file. */
export interface ImageFile {
  readonly path: string
  readonly size: number
  /** Reads exactly `length` bytes. Throws EINVAL if the file ends before. */
  bytes(offset: number, length: number): Buffer
}

/** A range of guest memory: `fileBytes` of it are in the file, the rest up to `memoryBytes` is zeros. */
export interface Range {
  readonly address: number
  readonly memoryBytes: number
  readonly offset: number
  readonly fileBytes: number
}

/** What a parser found. */
export interface Contents {
  /** In any order; pages nobody names are holes. */
  readonly ranges: readonly Range[]
  /** What the user should know about how it was read. Default: nothing. */
  readonly notes?: readonly string[]
}

/** An EINVAL that names the file and says what is wrong with it. */
export function refuse({ path }: Pick<ImageFile, 'path'>, what: string): PagefoldError {
  return new PagefoldError('EINVAL', `${path}: ${what}`)
}

/** Bytes of the file, and where in the image (its pages one after the other) they go. Ascending, never overlapping. */
export interface Piece {
  readonly at: number
  readonly length: number
  readonly offset: number
}

export interface Layout {
  readonly pages: number
  readonly pieces: readonly Piece[]
  /** Runs of pages with adjacent addresses: the first page, and its address. */
  readonly extents: readonly { readonly page: number; readonly address: number }[]
}

/** No guest has more; a header that says so is broken. */
const MAX_BYTES = 2 ** 48
const ADDRESS_END = 2 ** 64

/** Sorts ranges by address and lays their pages one after the other, holes left out. Throws EINVAL for nonsense. */
export function layOut(file: Pick<ImageFile, 'path'>, ranges: readonly Range[]): Layout {
  const sorted = ranges.filter((range) => range.memoryBytes > 0).sort((a, b) => a.address - b.address)
  if (sorted.length === 0) throw refuse(file, 'holds no memory')
  const pieces: Piece[] = []
  const extents: { page: number; address: number }[] = []
  let pages = 0
  let endAddress = -1
  for (const range of sorted) {
    const end = range.address + range.memoryBytes
    if (range.memoryBytes > MAX_BYTES || end > ADDRESS_END) {
      throw refuse(file, `${show(range)} is absurd: no guest has so much memory`)
    }
    if (range.address < endAddress) throw refuse(file, `${show(range)} overlaps the one before`)
    const firstPageAddress = range.address - (range.address % PAGE_SIZE)
    const lastExtent = extents.at(-1)
    // A range may begin in the page in which the one before ends, or right behind it.
    const pagesEndAddress =
      lastExtent === undefined ? -1 : lastExtent.address + (pages - lastExtent.page) * PAGE_SIZE
    if (firstPageAddress > pagesEndAddress) extents.push({ page: pages, address: firstPageAddress })
    const extent = extents.at(-1)!
    const at = extent.page * PAGE_SIZE + (range.address - extent.address)
    if (range.fileBytes > 0) pieces.push({ at, length: range.fileBytes, offset: range.offset })
    pages = Math.ceil((at + range.memoryBytes) / PAGE_SIZE)
    endAddress = end
  }
  return { pages, pieces, extents }
}

function show({ address, memoryBytes }: Range): string {
  return `the range 0x${address.toString(16)}+0x${memoryBytes.toString(16)}`
}
