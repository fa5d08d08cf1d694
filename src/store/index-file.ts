// The index of a store on disk, as a file: records are appended to it, and each change is there when its last record is. Reading
// it again makes the state that was; gathering up writes it anew, whole.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import { type Files, readAt, writeAt, writeWhole } from '../platform.ts'
import { syncDirectory, synced } from './disk-backing.ts'
import { LEAF_PAGES, type Leaves } from './leaves.ts'
import {
  decodeHeader,
  decodeRecords,
  encodeHeader,
  encodeRecord,
  type Found,
  type LeavesRecord,
  type PagesRecord,
  type StoreRecord,
} from './records.ts'
import type { Snapshot, SnapshotInfo, StoreState } from './state.ts'

export const INDEX = 'index'
/** So many leaves can no gap be long that damage has left: whoever says so is wrong. */
const MAX_GAP = 2 ** 24

export class IndexFile {
  private readonly files: Files
  private readonly dir: string
  private readonly seed: bigint
  private fd: number
  private size: number
  /** Something failed after which nobody can tell what stands there. */
  isBroken = false

  /** Opens an index that has been read, to append to it: what is behind its last record goes. */
  constructor(files: Files, dir: string, seed: bigint, end: number) {
    this.files = files
    this.dir = dir
    this.seed = seed
    this.fd = files.fs.openSync(pathOf(files, dir), 'r+')
    this.size = end
    files.fs.ftruncateSync(this.fd, end)
  }

  get bytes(): number {
    return this.size
  }

  /** Appends records, all or none. Throws what the file system refuses. */
  append(records: readonly StoreRecord[]): void {
    const start = this.size
    try {
      for (const record of records) {
        const bytes = encodeRecord(record)
        writeAt(this.files, this.fd, bytes, this.size)
        this.size += bytes.length
      }
    } catch (error) {
      this.takeBack(start)
      throw error
    }
  }

  /** Waits until what was appended since it had this size is on the disk. If that fails it is taken away, and the index is broken. */
  async sync(size: number): Promise<void> {
    try {
      await synced(this.files, this.fd)
    } catch (error) {
      this.isBroken = true
      this.takeBack(size)
      throw error
    }
  }

  /** Writes it anew, whole or not at all. Throws what the file system refuses. What fails once it is there breaks it, and is not thrown. */
  rewrite(records: Iterable<StoreRecord>, nextSegment: number): void {
    this.size = writeIndex(this.files, this.dir, { seed: this.seed, nextSegment }, records)
    try {
      syncDirectory(this.files, this.dir)
      const { fd } = this
      this.fd = this.files.fs.openSync(pathOf(this.files, this.dir), 'r+')
      this.files.fs.closeSync(fd)
    } catch {
      this.isBroken = true
    }
  }

  private takeBack(size: number): void {
    try {
      this.files.fs.ftruncateSync(this.fd, size)
      this.size = size
    } catch {
      this.isBroken = true
    }
  }

  close(): void {
    this.files.fs.closeSync(this.fd)
  }
}

/** Writes an index whole or not at all, and returns how long it is. Throws what the file system refuses. */
export function writeIndex(
  files: Files,
  dir: string,
  header: Parameters<typeof encodeHeader>[0],
  records: Iterable<StoreRecord>,
): number {
  const parts = [encodeHeader(header), ...[...records].map(encodeRecord)]
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  writeWhole(files, pathOf(files, dir), bytes)
  return bytes.length
}

/** What to throw where there is none. */
export function noStore(dir: string, cause?: unknown): PagefoldError {
  return new PagefoldError('ENOENT', `${dir}: no store of snapshots there`, { cause })
}

/** Reads the index of a store. Throws what decodeHeader does; ENOENT if there is none, EACCES, EIO. */
export function readIndex(
  files: Files,
  dir: string,
): Found & ReturnType<typeof decodeHeader> & { size: number } {
  const { fs } = files
  try {
    const fd = fs.openSync(pathOf(files, dir), 'r')
    try {
      const bytes = new Uint8Array(fs.fstatSync(fd).size)
      const found = bytes.subarray(0, readAt(files, fd, bytes, 0))
      return { ...decodeHeader(found, dir), ...decodeRecords(found), size: found.length }
    } finally {
      fs.closeSync(fd)
    }
  } catch (cause) {
    if (cause instanceof PagefoldError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') throw noStore(dir, cause)
    if (code === 'EACCES') throw new PagefoldError('EACCES', `${dir}: not allowed to read it`, { cause })
    throw new PagefoldError('EIO', `${dir}: its index cannot be read (${code ?? cause})`, { cause })
  }
}

function pathOf({ path }: Files, dir: string): string {
  return path.join(dir, INDEX)
}

/** Brings a state that is empty to what the records say. What they leave unsaid, because one was damaged, makes a snapshot `lost`. */
export function replay(records: readonly StoreRecord[], state: StoreState): void {
  const saved = new Map<string, { info: Omit<SnapshotInfo, 'pages'>; leaves: Uint32Array }>()
  const gaps: [from: number, to: number][] = []
  for (const record of records) {
    if (record.kind === 'pages') restorePages(record, state)
    else if (record.kind === 'leaves') restoreLeaves(record, state.leaves, gaps)
    else if (record.kind === 'snapshot') saved.set(record.info.name, record)
    else saved.delete(record.name)
  }
  for (const { info, leaves } of saved.values()) {
    const expected = Math.ceil(info.bytes / (PAGE_SIZE * LEAF_PAGES))
    const lost =
      leaves.length !== expected ||
      leaves.some(
        (leaf) =>
          leaf >= state.leaves.count ||
          gaps.some(([from, to]) => leaf >= from && leaf < to) ||
          state.leaves.pagesOf(leaf).some((page) => !state.pages.isKnown(page)),
      )
    const pages = Math.ceil(info.bytes / PAGE_SIZE)
    const sound = lost ? { leaves: new Uint32Array(), lost } : { leaves }
    state.snapshots.set(info.name, { ...info, pages, ...sound })
    for (const leaf of sound.leaves) state.holdAgain(leaf)
  }
}

function restorePages(record: PagesRecord, state: StoreState): void {
  const { first, hashes } = record
  const domain = state.domainNumber(record.domain)
  for (let i = 0; 2 * i < hashes.length; i++)
    state.pages.restore(first + i, hashes[2 * i]!, hashes[2 * i + 1]!, domain)
}

function restoreLeaves({ first, pages }: LeavesRecord, leaves: Leaves, gaps: [number, number][]): void {
  if (first < leaves.count || first > leaves.count + MAX_GAP) return
  if (first > leaves.count) gaps.push([leaves.count, first])
  leaves.skipTo(first)
  for (let at = 0; at < pages.length; at += LEAF_PAGES) leaves.add(pages.subarray(at, at + LEAF_PAGES))
}

/** What a save has appended: pages, the leaves that name them, and the snapshot that is made of those, last. */
export function* recordsOfSave(
  state: StoreState,
  runs: Iterable<{ first: number; count: number }>,
  firstLeaf: number,
  snapshot: Snapshot,
): Generator<StoreRecord> {
  for (const { first, count } of runs) yield pagesRecord(state, first, count, snapshot.domain)
  yield* leafRecords(state.leaves, firstLeaf)
  yield snapshotRecord(snapshot)
}

/** Everything that a store holds: runs of pages of one domain each, leaves, snapshots. */
export function* recordsOfAll(
  state: StoreState,
  runs: Iterable<{ first: number; count: number; domain: string }>,
  leaves: Leaves,
  snapshots: Iterable<Snapshot>,
): Generator<StoreRecord> {
  for (const { first, count, domain } of runs) yield pagesRecord(state, first, count, domain)
  yield* leafRecords(leaves, 1)
  for (const snapshot of snapshots) yield snapshotRecord(snapshot)
}

function pagesRecord({ pages }: StoreState, first: number, count: number, domain: string): StoreRecord {
  const hashes = new Uint32Array(2 * count)
  for (let i = 0; i < count; i++) {
    const { low, high } = pages.known(first + i)
    hashes[2 * i] = low
    hashes[2 * i + 1] = high
  }
  return { kind: 'pages', first, domain, hashes }
}

function* leafRecords(leaves: Leaves, from: number): Generator<StoreRecord> {
  if (leaves.count === from) return
  const pages = new Uint32Array((leaves.count - from) * LEAF_PAGES)
  for (let leaf = from; leaf < leaves.count; leaf++)
    pages.set(leaves.pagesOf(leaf), (leaf - from) * LEAF_PAGES)
  yield { kind: 'leaves', first: from, pages }
}

function snapshotRecord({ leaves, pages: _, lost: __, ...info }: Snapshot): StoreRecord {
  return { kind: 'snapshot', info, leaves }
}
