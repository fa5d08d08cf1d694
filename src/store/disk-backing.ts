// Segments as files: nothing but pages, each at its number times 4096, so that whoever has the index can read them with
// anything. What is appended is written a megabyte at a time.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import { type Files, readAt, writeAt, writeRefused } from '../platform.ts'
import type { Backing } from './backing.ts'

/** Pages a segment: 64 MiB. */
export const SEGMENT_PAGES = 16_384
const BUFFER_PAGES = 256
/** Kept open at a time; systems allow few. */
const MAX_OPEN = 64
const SEGMENT = /^segment-(\d{6,})$/

function segmentName(segment: number): string {
  return `segment-${String(segment).padStart(6, '0')}`
}

/** The numbers of the segments among names of files. */
export function segmentNumbers(names: readonly string[]): number[] {
  return names.flatMap((name) => SEGMENT.exec(name)?.[1] ?? []).map(Number)
}

export class DiskBacking implements Backing {
  readonly slots = SEGMENT_PAGES
  readonly reusesNumbers = false
  readonly mayRot = true
  private readonly files: Files
  private readonly dir: string
  private readonly writable: boolean
  private readonly fds = new Map<number, number>()
  /** What was appended and is not written: pages from `start` on of a segment. */
  private readonly buffer = new Uint8Array(BUFFER_PAGES * PAGE_SIZE)
  private buffered = { segment: -1, start: 0, count: 0 }
  /** Segments that have been written to and not synced. */
  private readonly dirty = new Set<number>()
  private entriesChanged = false

  constructor(files: Files, dir: string, writable: boolean) {
    this.files = files
    this.dir = dir
    this.writable = writable
  }

  heldBy(pages: number): number {
    return pages * PAGE_SIZE
  }

  create(segment: number): void {
    this.flush()
    const { fs } = this.files
    this.orRefused(() => this.keep(segment, fs.openSync(this.pathOf(segment), 'w+')))
    this.entriesChanged = true
  }

  append(segment: number, slot: number, page: Uint8Array): void {
    const { segment: current, start, count } = this.buffered
    if (current !== segment || start + count !== slot || count === BUFFER_PAGES) {
      this.flush()
      this.buffered = { segment, start: slot, count: 0 }
    }
    this.buffer.set(page, this.buffered.count * PAGE_SIZE)
    this.buffered.count++
  }

  view(): undefined {
    return undefined
  }

  read(segment: number, slot: number, count: number, into: Uint8Array): void {
    const { segment: current, start, count: waiting } = this.buffered
    const inFile = current === segment ? Math.max(0, Math.min(count, start - slot)) : count
    if (inFile > 0) this.readFile(segment, slot, into.subarray(0, inFile * PAGE_SIZE))
    if (inFile === count) return
    const from = slot + inFile - start
    if (slot + count > start + waiting)
      throw new PagefoldError('EIO', `${this.pathOf(segment)}: ends before page ${slot + count}`)
    into.set(this.buffer.subarray(from * PAGE_SIZE, (from + count - inFile) * PAGE_SIZE), inFile * PAGE_SIZE)
  }

  flush(): void {
    const { segment, start, count } = this.buffered
    if (count === 0) return
    this.dirty.add(segment)
    const bytes = this.buffer.subarray(0, count * PAGE_SIZE)
    this.orRefused(() => writeAt(this.files, this.fdOf(segment), bytes, start * PAGE_SIZE))
    this.buffered = { segment: -1, start: 0, count: 0 }
  }

  async sync(): Promise<void> {
    for (const segment of this.dirty) await synced(this.files, this.fdOf(segment))
    this.dirty.clear()
    if (this.entriesChanged) syncDirectory(this.files, this.dir)
    this.entriesChanged = false
  }

  truncate(segment: number, slot: number): void {
    this.forget(segment, slot)
    this.files.fs.ftruncateSync(this.fdOf(segment), slot * PAGE_SIZE)
  }

  remove(segment: number): void {
    this.forget(segment, 0)
    this.dirty.delete(segment)
    this.closeFile(segment)
    try {
      this.files.fs.rmSync(this.pathOf(segment), { force: true })
    } catch {
      // Nobody needs it: it goes when the store is opened next.
    }
  }

  close(): void {
    for (const segment of [...this.fds.keys()]) this.closeFile(segment)
  }

  private orRefused(write: () => void): void {
    try {
      write()
    } catch (cause) {
      throw writeRefused(this.files, this.dir, cause)
    }
  }

  /** What is waiting for the file from `slot` on is not to be written. */
  private forget(segment: number, slot: number): void {
    const { buffered } = this
    if (buffered.segment !== segment) return
    buffered.count = Math.min(buffered.count, Math.max(0, slot - buffered.start))
  }

  private readFile(segment: number, slot: number, into: Uint8Array): void {
    const got = readAt(this.files, this.fdOf(segment), into, slot * PAGE_SIZE)
    // What is missing is damaged, as its hash will tell.
    into.fill(0, got)
  }

  private fdOf(segment: number): number {
    const known = this.fds.get(segment)
    if (known !== undefined) return known
    try {
      const fd = this.files.fs.openSync(this.pathOf(segment), this.writable ? 'r+' : 'r')
      this.keep(segment, fd)
      return fd
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      const gone = 'is gone: if the store was compacted since it was opened, open it again'
      if (code === 'ENOENT') throw new PagefoldError('EAGAIN', `${this.pathOf(segment)}: ${gone}`, { cause })
      throw new PagefoldError('EIO', `${this.pathOf(segment)}: cannot be opened (${code})`, { cause })
    }
  }

  private keep(segment: number, fd: number): void {
    for (const oldest of this.fds.keys()) {
      if (this.fds.size < MAX_OPEN) break
      if (!this.dirty.has(oldest)) this.closeFile(oldest)
    }
    this.fds.set(segment, fd)
  }

  private closeFile(segment: number): void {
    const fd = this.fds.get(segment)
    this.fds.delete(segment)
    try {
      if (fd !== undefined) this.files.fs.closeSync(fd)
    } catch {
      // What was written has been synced, or is not needed.
    }
  }

  private pathOf(segment: number): string {
    return this.files.path.join(this.dir, segmentName(segment))
  }
}

/** Waits until what was written to a file is on the disk. */
export function synced({ fs }: Files, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)))
  })
}

/** Brings the names of files in a directory to the disk, where a directory can be told to. */
export function syncDirectory({ fs }: Files, dir: string): void {
  let fd: number
  try {
    fd = fs.openSync(dir, 'r')
  } catch {
    return // Windows opens none, and needs not be told.
  }
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}
