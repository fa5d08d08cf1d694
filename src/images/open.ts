// Bytes from outside, as pages. What a file holds is recognised by its content, never by its name (formats.ts).

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import type { Image, ImageFormat } from '../image.ts'
import { type Format, formatOf, HEAD_BYTES, RAW } from './formats.ts'
import { type ImageFile, layOut, type Piece, refuse } from './ranges.ts'

/** Opens a memory image. Throws PagefoldError (ENOENT, EACCES, EINVAL) with what is wrong with the file. */
export function openImage(path: string): Image {
  return open(path, recognise)
}

/** Opens a file as a raw image whatever it looks like. */
export function openRawImage(path: string): Image {
  return open(path, () => RAW)
}

function open(path: string, recognise: (file: ImageFile) => Format): Image {
  const fd = openFile(path)
  try {
    const stat = fstatSync(fd)
    if (stat.isDirectory()) throw refuse({ path }, 'a directory, not a memory image')
    if (!stat.isFile()) throw refuse({ path }, 'not a regular file')
    if (stat.size === 0) throw refuse({ path }, 'empty')
    return new FileImage(path, fd, stat.size, recognise)
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

  constructor(path: string, fd: number, size: number, recognise: (file: ImageFile) => Format) {
    this.source = path
    this.fd = fd
    const file: ImageFile = {
      path,
      size,
      bytes: (offset, length) => readExactly(path, fd, size, offset, length),
    }
    const { format, open } = recognise(file)
    const { ranges, notes = [] } = open(file)
    const { pages, pieces, extents } = layOut(file, ranges)
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

function recognise(file: ImageFile): Format {
  const head = file.bytes(0, Math.min(HEAD_BYTES, file.size)).toString('latin1')
  const format = formatOf(head)
  if ('advice' in format) throw refuse(file, format.advice)
  return format
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
    throw refuse({ path }, `truncated: ${length} bytes at ${offset} wanted, the file has ${size}`)
  }
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const got = readSync(fd, bytes, done, length - done, offset + done)
    if (got === 0) throw new PagefoldError('EIO', `${path}: ends at byte ${offset + done}; did it shrink?`)
    done += got
  }
  return bytes
}
