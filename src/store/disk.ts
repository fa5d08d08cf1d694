// A store in a directory: its lock, its index and its segments, opened together, and what makes a change last: pages are on the
// disk before the record that names them is written.

import { Stage } from '../core/stage.ts'
import { PagefoldError } from '../errors.ts'
import { type Files, files, randomSeed, writeRefused } from '../platform.ts'
import { DiskBacking, segmentNumbers, syncDirectory } from './disk-backing.ts'
import { INDEX, IndexFile, noStore, readIndex, replay, writeIndex } from './index-file.ts'
import { isLock, takeLock } from './lock.ts'
import { Pages } from './pages.ts'
import type { StoreRecord } from './records.ts'
import { StoreState } from './state.ts'

export class Disk {
  readonly state: StoreState
  /** What is to be known about how it was opened. */
  readonly notes: readonly string[]
  private readonly files: Files
  private readonly dir: string
  /** Undefined where it is only read. */
  private readonly index: IndexFile | undefined
  private readonly unlock: () => void
  private readonly bytesRead: number
  /** A change may be there and may not: nobody can tell any more. */
  private isBroken = false

  private constructor(
    place: { files: Files; dir: string },
    state: StoreState,
    index: IndexFile | undefined,
    found: { notes: readonly string[]; size: number },
    unlock: () => void,
  ) {
    this.files = place.files
    this.dir = place.dir
    this.state = state
    this.index = index
    this.notes = found.notes
    this.bytesRead = found.size
    this.unlock = unlock
  }

  /**
   * Opens a store to write; if there is none, it is made with `create`, else ENOENT. Throws EBUSY while another writes it, EINVAL for a directory of something
   * else, EPROTO for a store of another version, EUCLEAN for a damaged one, EACCES, ENOSPC, EIO, ENOTSUP where there are no files.
   */
  static async open(dir: string, create: boolean): Promise<Disk> {
    const platform = files('SnapshotStore.open')
    if (!create && !platform.fs.existsSync(dir)) throw noStore(dir)
    const unlock = await occupy(platform, dir)
    try {
      if (!platform.fs.existsSync(platform.path.join(dir, INDEX))) {
        if (!create) throw noStore(dir)
        makeIndex(platform, dir)
      }
      const found = readIndex(platform, dir)
      expectSound(dir, found.damaged)
      const state = await stateOf(platform, dir, found, true)
      const index = new IndexFile(platform, dir, found.seed, found.end)
      tidy(platform, dir, state.pages)
      return new Disk({ files: platform, dir }, state, index, { notes: notesOn(dir, found), size: 0 }, unlock)
    } catch (cause) {
      unlock()
      throw writeRefused(platform, dir, cause)
    }
  }

  /** Opens one to read: what it held just now. Throws ENOENT if there is none, and what `open` does, but neither EBUSY nor EUCLEAN. */
  static async openToRead(dir: string): Promise<Disk> {
    const platform = files('SnapshotStore.open')
    const found = readIndex(platform, dir)
    const state = await stateOf(platform, dir, found, false)
    const notes = found.damaged.map(
      (at) => `${dir}: its index is damaged at byte ${at}: what stood there is lost`,
    )
    return new Disk({ files: platform, dir }, state, undefined, { notes, size: found.size }, () => {})
  }

  get isWritable(): boolean {
    return this.index !== undefined
  }

  get indexBytes(): number {
    return this.index?.bytes ?? this.bytesRead
  }

  /** Throws EIO if it is broken. */
  expectSound(): void {
    if (!this.isBroken && this.index?.isBroken !== true) return
    throw new PagefoldError(
      'EIO',
      `${this.dir}: the disk has failed in the middle of a change: open it again`,
    )
  }

  /** Makes a change last. Throws ENOSPC, EIO, EACCES: it is not there then, or else the store is broken. */
  async commit(records: Iterable<StoreRecord>): Promise<void> {
    const index = this.index!
    const { backing } = this.state.pages
    try {
      backing.flush()
      await this.orBroken(() => backing.sync())
      const { bytes } = index
      index.append([...records])
      await index.sync(bytes)
    } catch (cause) {
      throw writeRefused(this.files, this.dir, cause)
    }
  }

  /**
   * Makes a change last that leaves nothing as it was. Throws what `commit` does. What was needed before may go if it says so: else
   * it is not certain that the change is on the disk, and the store is broken.
   */
  async rewrite(records: Iterable<StoreRecord>): Promise<boolean> {
    const { backing, nextNumber } = this.state.pages
    try {
      backing.flush()
      await this.orBroken(() => backing.sync())
      this.index!.rewrite(records, nextNumber)
      return !this.index!.isBroken
    } catch (cause) {
      throw writeRefused(this.files, this.dir, cause)
    }
  }

  /** Takes back what a change has done that did not come to last. */
  undo(takeBack: () => void): void {
    try {
      takeBack()
    } catch (error) {
      this.isBroken = true
      throw writeRefused(this.files, this.dir, error)
    }
  }

  close(): void {
    this.index?.close()
    this.unlock()
  }

  /** What fails to be synced may be lost, and is not told of again. */
  private async orBroken(sync: () => Promise<void>): Promise<void> {
    try {
      await sync()
    } catch (error) {
      this.isBroken = true
      throw error
    }
  }
}

/** Makes the directory if need be, and takes its lock. */
async function occupy(platform: Files, dir: string): Promise<() => void> {
  const { fs } = platform
  try {
    fs.mkdirSync(dir, { recursive: true })
    const names = fs.readdirSync(dir).filter((name) => !isOurs(name))
    if (names[0] !== undefined && !fs.existsSync(platform.path.join(dir, INDEX)))
      throw new PagefoldError(
        'EINVAL',
        `${dir}: not empty (${names[0]}, ...), and no store of snapshots: name a directory of its own`,
      )
    return await takeLock(platform, dir)
  } catch (cause) {
    throw writeRefused(platform, dir, cause)
  }
}

/** What may lie about where a store is just being made. */
function isOurs(name: string): boolean {
  return isLock(name) || name.startsWith(`.${INDEX}.`)
}

function makeIndex(platform: Files, dir: string): void {
  writeIndex(platform, dir, { seed: randomSeed(), nextSegment: 0 }, [])
  syncDirectory(platform, dir)
}

async function stateOf(
  platform: Files,
  dir: string,
  found: ReturnType<typeof readIndex>,
  writable: boolean,
): Promise<StoreState> {
  const stage = await Stage.create(found.seed)
  const pages = new Pages(new DiskBacking(platform, dir, writable), stage)
  const state = new StoreState(stage, pages)
  replay(found.records, state)
  pages.keepNumbersBelow(found.nextSegment)
  pages.indexAll()
  return state
}

function expectSound(dir: string, damaged: readonly number[]): void {
  const [at] = damaged
  if (at === undefined) return
  const todo = 'open it to read, with readonly: true, and export what is whole'
  throw new PagefoldError('EUCLEAN', `${dir}: its index is damaged at byte ${at}: ${todo}`)
}

/** Takes away what was on its way when a writer ended in the middle. */
function tidy(platform: Files, dir: string, pages: Pages): void {
  const { fs, path } = platform
  const kept = new Set<number>()
  for (const { number, used, live, isOpen } of [...pages.all()]) {
    if (live === 0 && !isOpen) pages.remove(number)
    else kept.add(number)
    if (isOpen) pages.backing.truncate(number, used)
  }
  const names = fs.readdirSync(dir)
  for (const number of segmentNumbers(names)) if (!kept.has(number)) pages.backing.remove(number)
  for (const name of names)
    if (name.startsWith(`.${INDEX}.`)) fs.rmSync(path.join(dir, name), { force: true })
}

function notesOn(dir: string, { end, size }: { end: number; size: number }): string[] {
  if (end === size) return []
  return [
    `${dir}: a change was not ended (${size - end} bytes of the index): the store is as it was before it`,
  ]
}
