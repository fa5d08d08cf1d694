// Snapshots as files, and files as snapshots: raw ones, byte after byte, which everything else can read too.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { beginWhole, files, readAt, writeAt, writeRefused } from '../platform.ts'
import { LEAF_PAGES } from './leaves.ts'
import { ZERO_PAGE } from './pages.ts'
import { eachRun, readRun } from './reading.ts'
import type { Snapshot, StoreState } from './state.ts'

/**
 * Writes a snapshot to a file, whole or not at all, some megabytes a step; what is zeros stays a hole. Throws EIO, EAGAIN, EACCES, ENOSPC,
 * ENOENT if the directory is not there.
 */
export function* exportSteps(
  state: StoreState,
  snapshot: Snapshot,
  file: string,
  onProgress?: (done: number, of: number) => void,
): Generator<void> {
  const platform = files('SnapshotStore.export')
  const bytes = new Uint8Array(LEAF_PAGES * PAGE_SIZE)
  try {
    const whole = beginWhole(platform, file)
    try {
      for (let leaf = 0; leaf < snapshot.leaves.length; leaf++) {
        const first = leaf * LEAF_PAGES
        const end = Math.min(first + LEAF_PAGES, snapshot.pages)
        eachRun(state, snapshot, [first, end], (page, at, count) => {
          if (page === ZERO_PAGE) return
          const start = at * PAGE_SIZE
          const some = bytes.subarray(0, Math.min(count * PAGE_SIZE, snapshot.bytes - start))
          readRun(state, snapshot, [page, at, count], some)
          writeAt(platform, whole.fd, some, start)
        })
        onProgress?.(end, snapshot.pages)
        yield
      }
      platform.fs.ftruncateSync(whole.fd, snapshot.bytes)
      whole.keep()
    } finally {
      whole.close()
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw new PagefoldError('ENOENT', `${file}: no directory to write it in`, { cause })
    throw writeRefused(platform, file, cause)
  }
}

/** A raw file as it is, of any length; `bytes` is how long. Throws ENOENT, EACCES, EINVAL, EIO. */
export function openRaw(file: string): Image & { readonly bytes: number } {
  const platform = files('SnapshotStore.import')
  const { fs } = platform
  let fd: number
  try {
    fd = fs.openSync(file, 'r')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new PagefoldError('ENOENT', `${file}: no such file`, { cause })
    if (code === 'EACCES') throw new PagefoldError('EACCES', `${file}: not allowed to read it`, { cause })
    throw new PagefoldError('EIO', `${file}: cannot be opened (${code ?? cause})`, { cause })
  }
  const stat = fs.fstatSync(fd)
  if (!stat.isFile() || stat.size === 0) {
    fs.closeSync(fd)
    throw new PagefoldError('EINVAL', `${file}: ${stat.isFile() ? 'empty' : 'not a file'}`)
  }
  return {
    source: file,
    format: 'raw',
    bytes: stat.size,
    pages: Math.ceil(stat.size / PAGE_SIZE),
    notes: [],
    addressOf: (page) => page * PAGE_SIZE,
    read(first, count, into) {
      const wanted = Math.min(count * PAGE_SIZE, stat.size - first * PAGE_SIZE)
      const got = readAt(platform, fd, into.subarray(0, wanted), first * PAGE_SIZE)
      if (got < wanted) throw new PagefoldError('EIO', `${file}: became shorter while it was read`)
      into.fill(0, got, count * PAGE_SIZE)
    },
    close: () => fs.closeSync(fd),
  }
}
