// A store of snapshots: what is in this folder, as its users see it. Calls are done one after the other, in the order in which they
// were made; what only looks answers at once.

import { Stage } from '../core/stage.ts'
import { isWasmMemory, sizeOf } from '../core/wasm-memory.ts'
import {
  expectBoolean,
  expectInteger,
  expectObject,
  expectOptions,
  expectString,
  mistake,
  PagefoldError,
} from '../errors.ts'
import type { Host } from '../host.ts'
import type { Image } from '../image.ts'
import { INSPECT, type InspectArguments, shown } from '../inspect.ts'
import type { Mm } from '../mm/mm.ts'
import { randomSeed } from '../platform.ts'
import { MemoryBacking } from './backing.ts'
import { Disk } from './disk.ts'
import { exportSteps, openRaw } from './exporting.ts'
import { gather, type SegmentUse } from './gather.ts'
import { differing, Loader, type LoadSnapshotOptions } from './loading.ts'
import { Pages } from './pages.ts'
import { SnapshotImage } from './reading.ts'
import { type RestoredSnapshot, type RestoreOptions, restoreSnapshot } from './restore.ts'
import {
  expectThere,
  inTurns,
  type SavedSnapshot,
  type SaveOptions,
  type SavePlan,
  type SaveSource,
  saveSnapshot,
} from './save.ts'
import { type Snapshot, type SnapshotInfo, StoreState } from './state.ts'
import { type StoreStats, statsOf } from './stats.ts'
import { type Verification, verifySteps } from './verify.ts'

/** How a store is opened. */
export interface OpenOptions {
  /** Only to read what it holds now: beside a writer too. For a store in a directory. Default: false. */
  readonly readonly?: boolean
  /** Makes the store if there is none. Default: true. */
  readonly create?: boolean
}

/** What may be said about work that takes its time. */
export interface WorkOptions {
  /** Called now and then with how many pages of how many are done. */
  readonly onProgress?: (done: number, of: number) => void
}

/** How a store is compacted. */
export interface CompactOptions extends WorkOptions {
  /**
   * A snapshot whose pages are to lie in its own order, so that it is restored as fast as the first one that was saved. If they do not, all
   * segments that it has a part in are written anew.
   */
  readonly inOrder?: string
}

/** Letters in a name, a domain, and a note. */
const MAX_NAME = 1024
const MAX_NOTE = 2 ** 20
/** Pages in a snapshot: 4 TiB. */
const MAX_PAGES = 2 ** 30

const SAVE_OPTIONS = { like: true, domain: true, note: true, onProgress: true, signal: true } as const
const COMPACT_OPTIONS = { inOrder: true, onProgress: true } as const

/**
 * Snapshots of memory, of which equal pages are kept once. In memory, or in a directory, where a snapshot lasts when `save` has
 * resolved. Everything but `image` and `load` is done in turns: a call waits for those before it. Made by `SnapshotStore.open`,
 * ended by `close`.
 */
export class SnapshotStore {
  /** Where it is; undefined for one in memory. */
  readonly directory: string | undefined
  /** What is to be known about how it was opened; empty if nothing. */
  readonly notes: readonly string[]
  private readonly state: StoreState
  private readonly disk: Disk | undefined
  private readonly loader: Loader
  private isClosed = false
  /** Calls that are not done, and when the last of them is. */
  private waiting = 0
  private last: Promise<void> = Promise.resolve()

  private constructor(state: StoreState, directory: string | undefined, disk: Disk | undefined) {
    this.state = state
    this.directory = directory
    this.disk = disk
    this.notes = disk?.notes ?? []
    this.loader = new Loader(state)
  }

  /**
   * Opens a store: in a directory, which is made if it is not there, or in memory. Throws EBUSY while another has it open for writing,
   * EPROTO for one of another version, EINVAL for a directory that holds something else, EUCLEAN for a damaged one, ENOENT if there is none
   * to be read, EACCES, ENOSPC, EIO; ENOTSUP where there are no files; TypeError.
   */
  static async open(directory?: string, options: OpenOptions = {}): Promise<SnapshotStore> {
    expectString('directory', directory)
    const known = { readonly: true, create: true } as const
    const { readonly = false, create = true } = expectOptions('SnapshotStore.open', options, known)
    expectBoolean('create', create)
    if (directory !== undefined) {
      const disk = await (readonly ? Disk.openToRead(directory) : Disk.open(directory, create))
      return new SnapshotStore(disk.state, directory, disk)
    }
    if (readonly) throw mistake(new TypeError('Expected a directory: one in memory holds nothing to be read'))
    const stage = await Stage.create(randomSeed())
    return new SnapshotStore(
      new StoreState(stage, new Pages(new MemoryBacking(), stage)),
      undefined,
      undefined,
    )
  }

  /**
   * Saves bytes, a `WebAssembly.Memory` as a whole, or the pages of an image, under a name. Bytes and memories are read before it returns if no
   * other call is waiting, so that their owner may go on at once; the last page is filled up with zeros. When it has resolved the snapshot
   * lasts; if it rejects, nothing is left of it. Throws EEXIST for a name in use, ENOENT for a `like` there is not, EPERM for one of another
   * domain or in a store opened to read, EFAULT for bytes that have gone before they were read, ENOSPC, EIO, what reading the image throws,
   * TypeError, RangeError.
   */
  async save(name: string, source: SaveSource, options: SaveOptions = {}): Promise<SavedSnapshot> {
    const plan = expectPlan('save', options)
    expectName('name', name)
    expectSource(source)
    return this.change(() => {
      this.expectFree(name)
      return saveSnapshot(this.state, this.disk, name, source, plan)
    })
  }

  /**
   * Saves an image, or a raw file of any length by its name. What files of other formats hold, `openSource` of pagefold/images tells.
   * Throws what `save` does; ENOENT, EACCES.
   */
  async import(name: string, source: string | Image, options: SaveOptions = {}): Promise<SavedSnapshot> {
    const plan = expectPlan('import', options)
    expectName('name', name)
    if (typeof source !== 'string') expectImage(source)
    return this.change(async () => {
      this.expectFree(name)
      if (typeof source !== 'string') return saveSnapshot(this.state, this.disk, name, source, plan)
      const file = openRaw(source)
      try {
        return await saveSnapshot(this.state, this.disk, name, file, plan, file.bytes)
      } finally {
        file.close()
      }
    })
  }

  /** All snapshots, of one domain if one is named, in the order in which they were saved. */
  list(options: { readonly domain?: string } = {}): SnapshotInfo[] {
    const { domain } = expectOptions('list', options, { domain: true })
    expectString('domain', domain)
    const all = [...this.look().snapshots.values()]
    return all.filter((snapshot) => domain === undefined || snapshot.domain === domain).map(infoOf)
  }

  /** What is known of a snapshot; undefined if there is none of this name. */
  get(name: string): SnapshotInfo | undefined {
    const snapshot = this.look().snapshots.get(name)
    return snapshot === undefined ? undefined : infoOf(snapshot)
  }

  /** What the store holds, or one domain of it, of which nothing can be learned about others. */
  stats(options: { readonly domain?: string } = {}): StoreStats {
    const { domain } = expectOptions('stats', options, { domain: true })
    expectString('domain', domain)
    return statsOf(this.look(), this.disk, domain)
  }

  /**
   * Writes a snapshot to `into`, which may be longer. With `from`, a snapshot that it holds already, only what differs is written. Throws
   * ENOENT, RangeError for too little room, EIO for a damaged page, EAGAIN if the store that is read was compacted: `into` may have been
   * written in part then.
   */
  async restore(name: string, into: Uint8Array, options: RestoreOptions = {}): Promise<RestoredSnapshot> {
    const plan = expectOptions('restore', options, { from: true, onProgress: true })
    expectString('from', plan.from)
    return this.turn(async () => restoreSnapshot(this.state, name, into, plan))
  }

  /**
   * The numbers of the pages that differ between two snapshots of one domain, ascending; what only the longer has is among them. Throws
   * ENOENT, EPERM for two of different domains, EIO.
   */
  difference(a: string, b: string): number[] {
    const state = this.look()
    const [one, other] = [state.expect(a), state.expect(b)]
    if (one.domain === other.domain) return differing(state, one, other)
    throw new PagefoldError('EPERM', 'snapshots of different domains are not compared')
  }

  /** A snapshot as an image, for whatever takes one. It can be read until the snapshot is dropped. Throws ENOENT, EIO. */
  image(name: string): Image {
    const state = this.look()
    return new SnapshotImage(state, state.expect(name))
  }

  /**
   * An mm in a host, of the snapshot's domain, that holds a snapshot in one mapping. Its pages are shared, until one is written to, with all
   * others that were loaded from this store. The store keeps an mm of its own in the host for that, until the snapshot is dropped or the
   * store closed. Throws ENOENT, EIO, ENOMEM.
   */
  async load(host: Host, name: string, options: LoadSnapshotOptions = {}): Promise<Mm> {
    const plan = expectOptions('load', options, { name: true, onProgress: true })
    expectObject('host', host, ['createMm'])
    return this.turn(async () => this.loader.load(host, this.state.expect(name), plan))
  }

  /**
   * Forgets a snapshot. In memory, what no other has is given back soon: no more than half of what is held is free then. In a directory
   * segments that are empty now are removed; `compact` gives back the rest. Throws ENOENT; EPERM, EIO.
   */
  async drop(name: string): Promise<void> {
    return this.change(async () => {
      const { state, disk } = this
      const snapshot = state.snapshots.get(name) ?? state.expect(name)
      await disk?.commit([{ kind: 'drop', name }])
      state.forget(snapshot)
      for (const { number, live, isOpen } of [...state.pages.all()])
        if (live === 0 && !isOpen) state.pages.remove(number)
      if (disk === undefined && isSparse(state)) await gatherIfRoom(state)
      this.loader.drop(snapshot)
    })
  }

  /**
   * Gives back everything that no snapshot has: in a directory, segments are written anew, for which there must be room. A snapshot that
   * is named is laid out in its order. Throws ENOENT for one there is not, ENOSPC, ENOMEM, EIO, EPERM; nothing has changed then.
   */
  async compact(options: CompactOptions = {}): Promise<void> {
    const { inOrder, onProgress } = expectOptions('compact', options, COMPACT_OPTIONS)
    expectString('inOrder', inOrder)
    return this.change(async () => {
      const snapshot = inOrder === undefined ? undefined : this.state.expect(inOrder)
      const moves = ({ used, live }: SegmentUse): boolean => live < used
      await gather(this.state, this.disk, { moves, inOrder: snapshot, onProgress })
    })
  }

  /**
   * Writes a snapshot to a raw file, whole or not at all; pages of zeros stay holes. Throws ENOENT, EACCES, ENOSPC, EIO, EAGAIN;
   * ENOTSUP where there are no files.
   */
  async export(
    name: string,
    file: string,
    options: WorkOptions & Pick<SaveOptions, 'signal'> = {},
  ): Promise<void> {
    const plan = expectOptions('export', options, { onProgress: true, signal: true })
    return this.turn(() =>
      inTurns(exportSteps(this.state, this.state.expect(name), file, plan.onProgress), plan.signal),
    )
  }

  /** Reads every page and says which are not as they were written, and which snapshots are whole. Throws EIO, EAGAIN. */
  async verify(options: WorkOptions & Pick<SaveOptions, 'signal'> = {}): Promise<Verification> {
    const { onProgress, signal } = expectOptions('verify', options, { onProgress: true, signal: true })
    return this.turn(() => inTurns(verifySteps(this.state, onProgress), signal))
  }

  /** Waits for what was called before, and gives back memory, files, and the lock. What was loaded into hosts stays there. */
  async close(): Promise<void> {
    if (this.isClosed) return
    await this.turn(async () => {
      this.isClosed = true
      this.loader.drop()
      this.state.snapshots.clear()
      this.state.pages.backing.close()
      this.disk?.close()
    })
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { directory = 'memory', isClosed } = this
    const what = isClosed ? { closed: true } : { snapshots: this.state.snapshots.size }
    return shown('SnapshotStore', () => ({ in: directory, ...what }), context)
  }

  private look(): StoreState {
    if (this.isClosed) throw new PagefoldError('EINVAL', 'the store is closed')
    return this.state
  }

  private expectFree(name: string): void {
    if (!this.state.snapshots.has(name)) return
    throw new PagefoldError('EEXIST', `there is a snapshot ${JSON.stringify(name)} in the store already`)
  }

  private change<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.turn(async () => {
      if (this.disk?.isWritable === false)
        throw new PagefoldError('EPERM', `${this.directory}: opened to read: nothing can be changed`)
      this.disk?.expectSound()
      return work()
    })
  }

  /** Does something when everything before it is done: at once, and before it returns, if there is nothing. */
  private async turn<Result>(work: () => Promise<Result>): Promise<Result> {
    const before = this.last
    let done!: () => void
    this.last = new Promise((resolve) => {
      done = resolve
    })
    try {
      if (this.waiting++ > 0) await before
      this.look()
      return await work()
    } finally {
      this.waiting--
      done()
    }
  }
}

function infoOf({ leaves: _, lost: __, ...info }: Snapshot): SnapshotInfo {
  return info
}

function expectPlan(call: string, options: SaveOptions): SavePlan {
  const { domain = '', note = '', ...rest } = expectOptions(call, options, SAVE_OPTIONS)
  expectString('like', rest.like)
  if (domain !== '') expectName('domain', domain)
  expectString('note', note)
  if (note.length > MAX_NOTE)
    throw mistake(new RangeError(`Expected \`note\` to have at most ${MAX_NOTE} letters, got ${note.length}`))
  return { ...rest, domain, note }
}

function expectSource(source: SaveSource): void {
  if (source instanceof Uint8Array) {
    expectThere(source, source.length)
    expectSome(source.length)
  } else if (isWasmMemory(source)) expectSome(sizeOf(source))
  else expectImage(source)
}

function expectSome(bytes: number): void {
  if (bytes === 0) throw mistake(new RangeError('Expected `source` to have bytes, got none'))
}

function expectImage(source: Image): void {
  expectObject('source', source, ['read'])
  expectInteger('source.pages', source.pages, 1, MAX_PAGES)
}

function expectName(what: string, name: string): void {
  if (expectString(what, name) !== undefined && name.length > 0 && name.length <= MAX_NAME) return
  throw mistake(new RangeError(`Expected \`${what}\` to be a name of 1 to ${MAX_NAME} letters`))
}

/** In memory: is more than half of what is held free, or of the leaves? */
function isSparse(state: StoreState): boolean {
  const { bytes_held, bytes_free } = statsOf(state, undefined, undefined)
  const { count, live } = state.leaves
  return (2 * bytes_free > bytes_held && bytes_free > FEW_BYTES) || count > 2 * live + FEW_LEAVES
}

/** What is not worth it. */
const FEW_BYTES = 2 ** 16
const FEW_LEAVES = 1024

/** Moves what is in segments less than half full. Without room for it everything stays where it is. */
async function gatherIfRoom(state: StoreState): Promise<void> {
  try {
    await gather(state, undefined, { moves: ({ used, live }) => 2 * live < used })
  } catch (error) {
    if ((error as PagefoldError).code !== 'ENOMEM') throw error
  }
}
