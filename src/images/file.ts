// What a parser reads: bytes at known places, wherever they are kept. A file on disk is one; what a stream held, put away in a
// temporary file, is another (spool.ts); a rearranged view of a third (flattened.ts).

import { Buffer } from 'node:buffer'
import { closeSync, readSync } from 'node:fs'
import { PagefoldError } from '../errors.ts'

/** Bytes at known places. */
export interface ImageFile {
  /** As the user named it. */
  readonly path: string
  readonly size: number
  /** Bytes that it takes on disk, fewer than `size` if it has holes; undefined where that means nothing. */
  readonly allocated?: number | undefined
  /** Its descriptor, if its bytes are those of an open file. */
  readonly fd?: number
  /** Reads exactly `length` bytes. Throws EINVAL if the file ends before, EIO. */
  bytes(offset: number, length: number): Buffer
  /** Fills `into` with what begins at `offset`. Throws the same. */
  read(offset: number, into: Uint8Array): void
  close(): void
}

/** An EINVAL that names the file and says what is wrong with it. */
export function refuse({ path }: Pick<ImageFile, 'path'>, what: string, cause?: unknown): PagefoldError {
  return new PagefoldError('EINVAL', `${path}: ${what}`, { cause })
}

/**
 * What goes into shared memory, an arena, is read in stretches of this many bytes, which stay in the cache, and copied from there: on a virtual
 * machine a page that the kernel was the first to touch may cost as much again when the program comes to it.
 */
const STRETCH_BYTES = 2 ** 18
let stretch: Uint8Array | undefined

/** A file that is open. It owns `fd`. */
export class DiskFile implements ImageFile {
  readonly path: string
  readonly size: number
  readonly fd: number
  readonly allocated: number | undefined

  constructor(path: string, fd: number, size: number, allocated?: number) {
    this.path = path
    this.fd = fd
    this.size = size
    this.allocated = allocated
  }

  bytes(offset: number, length: number): Buffer {
    this.expectInside(offset, length)
    const bytes = Buffer.alloc(length)
    this.read(offset, bytes)
    return bytes
  }

  read(offset: number, into: Uint8Array): void {
    this.expectInside(offset, into.length)
    if (into.buffer instanceof ArrayBuffer) this.readWhole(offset, into)
    else this.readThrough(offset, into)
  }

  close(): void {
    closeSync(this.fd)
  }

  private readWhole(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const got = this.readSome(offset + done, into.subarray(done))
      if (got === 0)
        throw new PagefoldError('EIO', `${this.path}: ends at byte ${offset + done}; did it shrink?`)
      done += got
    }
  }

  private readThrough(offset: number, into: Uint8Array): void {
    stretch ??= new Uint8Array(STRETCH_BYTES)
    for (let done = 0; done < into.length; done += stretch.length) {
      const some = stretch.subarray(0, Math.min(stretch.length, into.length - done))
      this.readWhole(offset + done, some)
      into.set(some, done)
    }
  }

  private readSome(offset: number, into: Uint8Array): number {
    try {
      return readSync(this.fd, into, 0, into.length, offset)
    } catch (cause) {
      throw new PagefoldError('EIO', `${this.path}: cannot be read at byte ${offset}`, { cause })
    }
  }

  private expectInside(offset: number, length: number): void {
    if (offset + length <= this.size) return
    throw refuse(this, `truncated: ${length} bytes at ${offset} wanted, the file has ${this.size}`)
  }
}

/** Read at a time. */
const CHUNK_BYTES = 2 ** 16

/** A file from its beginning to its end. */
export function* chunksOf(file: ImageFile): Generator<Uint8Array> {
  for (let at = 0; at < file.size; at += CHUNK_BYTES) {
    yield file.bytes(at, Math.min(CHUNK_BYTES, file.size - at))
  }
}
