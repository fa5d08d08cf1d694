// What comes as a stream, put away in a temporary file, because images are read at any place and more than once. The file has
// no name any more when it is used, is nobody else's to read, and is gone when it is closed, however the program ends.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PagefoldError } from '../errors.ts'
import { DiskFile, refuse } from './file.ts'

/** A stream is read no further: what is packed small may unpack to anything. */
const MAX_BYTES = 2 ** 36
/** Looked at for zeros at a time; those become holes. */
const BLOCK_BYTES = 2 ** 16
const ZEROS = new Uint8Array(BLOCK_BYTES)

/** Takes a stream to its end. Throws EINVAL if it holds nothing or never ends, ENOSPC, and what reading it throws. */
export function spool(path: string, chunks: Iterable<Uint8Array>): DiskFile {
  const fd = anonymousFile(path)
  try {
    let size = 0
    for (const chunk of chunks) {
      write(path, fd, chunk, size)
      size += chunk.length
      if (size > MAX_BYTES) {
        throw refuse(
          { path },
          'goes on after 64 GiB, and so much of a stream is not read: write it to a file',
        )
      }
    }
    if (size === 0) throw refuse({ path }, 'empty')
    ftruncateSync(fd, size)
    return new DiskFile(path, fd, size)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function anonymousFile(path: string): number {
  try {
    const dir = mkdtempSync(join(tmpdir(), 'pagefold-'))
    try {
      return openSync(join(dir, 'stream'), 'wx+', 0o600)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  } catch (cause) {
    throw noRoom(path, cause)
  }
}

function write(path: string, fd: number, chunk: Uint8Array, at: number): void {
  for (let from = 0; from < chunk.length; from += BLOCK_BYTES) {
    const block = chunk.subarray(from, from + BLOCK_BYTES)
    if (Buffer.compare(block, ZEROS.subarray(0, block.length)) === 0) continue
    try {
      for (let done = 0; done < block.length; ) {
        done += writeSync(fd, block, done, block.length - done, at + from + done)
      }
    } catch (cause) {
      throw noRoom(path, cause)
    }
  }
}

function noRoom(path: string, cause: unknown): PagefoldError {
  const why = (cause as NodeJS.ErrnoException).code ?? String(cause)
  const what = `cannot be unpacked into ${tmpdir()} (${why}); TMPDIR names another place`
  return new PagefoldError(why === 'EACCES' ? 'EACCES' : 'ENOSPC', `${path}: ${what}`, { cause })
}
