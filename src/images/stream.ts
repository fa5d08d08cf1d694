// What can only be read from its beginning to its end: standard input, pipes, FIFOs.

import { readSync } from 'node:fs'
import { PagefoldError } from '../errors.ts'
import { refuse } from './file.ts'

/** Read at a time. */
const CHUNK_BYTES = 2 ** 16
/** Between two looks at a pipe in which there is nothing. */
const PAUSE_MS = 5
/** How long nobody may come to write. Who is there may take as long as he likes; who goes again at once is not seen. */
const PATIENCE_MS = 10_000

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** What a pipe holds, until all who write have closed it. `fd` stays open. Throws EINVAL if nobody comes to write, EIO. */
export function* readPipe(path: string, fd: number): Generator<Uint8Array> {
  const began = performance.now()
  let someoneIsThere = false
  for (;;) {
    const chunk = readChunk(path, fd)
    if (chunk !== undefined && chunk.length > 0) yield chunk
    else if (chunk === undefined || !someoneIsThere) {
      if (chunk !== undefined && performance.now() - began > PATIENCE_MS) {
        throw refuse({ path }, `a pipe to which nobody has written in ${PATIENCE_MS / 1000} s`)
      }
      Atomics.wait(sleeper, 0, 0, PAUSE_MS)
    } else return
    // A pipe nobody has open to write says that it is at its end; one that has a writer says that there is nothing yet.
    someoneIsThere ||= chunk === undefined || chunk.length > 0
  }
}

/** Can be read once. */
let taken = false

/** Standard input, to its end. Throws EINVAL if it was read before, EIO. */
export function* readStandardInput(path: string): Generator<Uint8Array> {
  if (taken) throw refuse({ path }, 'standard input was read already, and can be read once')
  taken = true
  for (;;) {
    const chunk = readChunk(path, 0)
    if (chunk === undefined) Atomics.wait(sleeper, 0, 0, PAUSE_MS)
    else if (chunk.length === 0) return
    else yield chunk
  }
}

/** What is there, at least a byte; nothing at the end; undefined if there may be more later. */
function readChunk(path: string, fd: number): Uint8Array | undefined {
  const chunk = new Uint8Array(CHUNK_BYTES)
  try {
    return chunk.subarray(0, readSync(fd, chunk, 0, CHUNK_BYTES, null))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EAGAIN') return undefined
    // What Windows says at the end of a pipe.
    if (code === 'EOF') return new Uint8Array(0)
    throw new PagefoldError('EIO', `${path}: cannot be read (${code})`, { cause })
  }
}
