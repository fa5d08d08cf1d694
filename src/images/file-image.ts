// The pages of a file, once it is known where each is.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Image, ImageFormat, Place } from '../image.ts'
import { FileData } from './data.ts'
import type { ImageFile } from './file.ts'
import type { Contents } from './range.ts'
import type { Layout } from './ranges.ts'
import { firstWhere, piecesWithin } from './search.ts'

/** It owns `file`. */
export class FileImage implements Image {
  readonly source: string
  readonly format: ImageFormat
  readonly pages: number
  readonly absent: number
  readonly notes: readonly string[]
  private readonly file: ImageFile
  private readonly layout: Layout
  private readonly readBytes: (offset: number, into: Uint8Array) => void
  /** The file's, if pages are in it as they are. */
  private readonly fd: number | undefined
  /** What of it is no hole, if it may have holes. */
  private readonly data: FileData | undefined

  constructor(
    file: ImageFile,
    format: ImageFormat,
    contents: Contents,
    layout: Layout,
    notes: readonly string[],
  ) {
    this.source = file.path
    this.format = format
    this.pages = layout.pages
    this.absent = layout.absent
    this.notes = notes
    this.file = file
    this.layout = layout
    this.readBytes = contents.read ?? file.read.bind(file)
    this.fd = contents.read === undefined ? file.fd : undefined
    const sparse = (file.allocated ?? 0) < file.size
    this.data = sparse && this.fd !== undefined ? new FileData(this.fd) : undefined
  }

  addressOf(page: number): number {
    const { extents } = this.layout
    const extent = extents[firstWhere(extents.length, (i) => extents[i]!.page > page) - 1]!
    return extent.address + (page - extent.page) * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    const start = first * PAGE_SIZE
    const end = start + count * PAGE_SIZE
    let written = start
    this.dataWithin(start, end, (low, high, offset) => {
      into.fill(0, written - start, low - start)
      this.readBytes(offset, into.subarray(low - start, high - start))
      written = high
    })
    into.fill(0, written - start, end - start)
  }

  places(first: number, count: number): Place[] | undefined {
    const { fd } = this
    if (fd === undefined) return undefined
    const start = first * PAGE_SIZE
    const places: Place[] = []
    this.dataWithin(start, start + count * PAGE_SIZE, (low, high, offset) => {
      places.push({ at: low - start, length: high - low, fd, offset })
    })
    return places
  }

  close(): void {
    this.file.close()
  }

  /** Calls `use` with what of the file goes between two places, ascending, but for holes: from where to where, and where in the file that is. */
  private dataWithin(
    start: number,
    end: number,
    use: (low: number, high: number, offset: number) => void,
  ): void {
    const { data } = this
    piecesWithin(this.layout.pieces, start, end, (low, high, offset) => {
      if (data === undefined) use(low, high, offset)
      else
        data.within(offset, offset + (high - low), (from, to) => {
          use(low + (from - offset), low + (to - offset), from)
        })
    })
  }
}
