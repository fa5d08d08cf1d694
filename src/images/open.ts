// Bytes from outside, as pages. What a file holds is recognised by its content, never by its name.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import type { Image, ImageFormat } from '../image.ts'
import { parseElfCore } from './elf-core.ts'
import { parseLime } from './lime.ts'
import { type ImageFile, layOut, type Piece, type Range } from './ranges.ts'
import { parseRaw } from './raw.ts'

/** Enough of a file's beginning to recognise it by. */
const HEAD_BYTES = 64

/** Formats that are known and not read: what to do instead. */
const FOREIGN: readonly { readonly magic: string; readonly what: string }[] = [
  {
    magic: 'KDUMP   ',
    what: 'a kdump-compressed dump; convert it with `makedumpfile -E` or dump without -z',
  },
  { magic: 'makedumpfile', what: 'a flattened kdump; unpack it with `makedumpfile -R`' },
  { magic: 'AVML', what: 'a compressed AVML dump; convert it with `avml-convert`' },
  { magic: '\x1f\x8b', what: 'gzip-compressed; unpack it first' },
  { magic: '\x28\xb5\x2f\xfd', what: 'zstd-compressed; unpack it first' },
  { magic: '\xfd7zXZ', what: 'xz-compressed; unpack it first' },
]

/** Opens a memory image. Throws PagefoldError (ENOENT, EACCES, EINVAL) with what is wrong with the file. */
export function openImage(path: string): Image {
  return open(path, recognise)
}

/** Opens a file as a raw image whatever it looks like. */
export function openRawImage(path: string): Image {
  return open(path, (file) => ({ format: 'raw', ...parseRaw(file) }))
}

type Parser = (file: ImageFile) => { format: ImageFormat; ranges: Range[]; notes: string[] }

function open(path: string, parser: Parser): Image {
  const fd = openFile(path)
  try {
    const stat = fstatSync(fd)
    if (stat.isDirectory()) throw new PagefoldError('EINVAL', `${path}: a directory, not a memory image`)
    if (!stat.isFile()) throw new PagefoldError('EINVAL', `${path}: not a regular file`)
    if (stat.size === 0) throw new PagefoldError('EINVAL', `${path}: empty`)
    return new FileImage(path, fd, stat.size, parser)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

class FileImage implements Image {
  readonly source: string
  readonly format: ImageFormat
  readonly pages: number
  readonly notes: readonly string[]
  private readonly fd: number
  private readonly pieces: readonly Piece[]
  private readonly extents: readonly { readonly page: number; readonly address: number }[]

  constructor(path: string, fd: number, size: number, parser: Parser) {
    this.source = path
    this.fd = fd
    const file: ImageFile = {
      path,
      size,
      bytes: (offset, length) => readExactly(path, fd, size, offset, length),
    }
    const { format, ranges, notes } = parser(file)
    const { pages, pieces, extents } = layOut(path, ranges)
    this.format = format
    this.notes = notes
    this.pages = pages
    this.pieces = pieces
    this.extents = extents
  }

  addressOf(page: number): number {
    let extent = this.extents[0]!
    for (const other of this.extents) if (other.page <= page) extent = other
    return extent.address + (page - extent.page) * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    const start = first * PAGE_SIZE
    const end = start + count * PAGE_SIZE
    let written = start
    for (let i = firstEndingBehind(this.pieces, start); i < this.pieces.length; i++) {
      const piece = this.pieces[i]!
      if (piece.at >= end) break
      const from = Math.max(piece.at, start)
      const to = Math.min(piece.at + piece.length, end)
      into.fill(0, written - start, from - start)
      this.readAt(piece.offset + (from - piece.at), into.subarray(from - start, to - start))
      written = to
    }
    into.fill(0, written - start, end - start)
  }

  close(): void {
    closeSync(this.fd)
  }

  private readAt(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const got = readSync(this.fd, into, done, into.length - done, offset + done)
      if (got === 0)
        throw new PagefoldError('EIO', `${this.source}: ends at byte ${offset + done}; did it shrink?`)
      done += got
    }
  }
}

function recognise(file: ImageFile): { format: ImageFormat; ranges: Range[]; notes: string[] } {
  const head = file.bytes(0, Math.min(HEAD_BYTES, file.size)).toString('latin1')
  if (head.startsWith('\x7fELF')) return { format: 'elf', ranges: parseElfCore(file), notes: [] }
  if (head.startsWith('EMiL')) return { format: 'lime', ranges: parseLime(file), notes: [] }
  const foreign = FOREIGN.find(({ magic }) => head.startsWith(magic))
  if (foreign !== undefined) throw new PagefoldError('EINVAL', `${file.path}: ${foreign.what}`)
  return { format: 'raw', ...parseRaw(file) }
}

/** The first piece that is not wholly before a byte of the image. */
function firstEndingBehind(pieces: readonly Piece[], at: number): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const piece = pieces[middle]!
    if (piece.at + piece.length <= at) low = middle + 1
    else high = middle
  }
  return low
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw new PagefoldError('ENOENT', `${path}: no such file`, { cause })
    if (code === 'EACCES') throw new PagefoldError('EACCES', `${path}: not allowed to read it`, { cause })
    throw new PagefoldError('EINVAL', `${path}: cannot be opened (${code ?? cause})`, { cause })
  }
}

function readExactly(path: string, fd: number, size: number, offset: number, length: number): Buffer {
  if (offset + length > size) {
    throw new PagefoldError(
      'EINVAL',
      `${path}: truncated: ${length} bytes at ${offset} wanted, the file has ${size}`,
    )
  }
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const got = readSync(fd, bytes, done, length - done, offset + done)
    if (got === 0) throw new PagefoldError('EIO', `${path}: ends at byte ${offset + done}; did it shrink?`)
    done += got
  }
  return bytes
}
