// A whole save: pages taken one leaf after the other, and made to last, or nothing at all.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { bytesOf, isWasmMemory, sizeOf, type WasmMemory } from '../core/wasm-memory.ts'
import { PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { nextTurn } from '../platform.ts'
import type { Disk } from './disk.ts'
import { recordsOfSave } from './index-file.ts'
import { LEAF_PAGES } from './leaves.ts'
import { Saving } from './saving.ts'
import type { Snapshot, StoreState } from './state.ts'

/** Whether somebody wants work to stop: an AbortSignal is one. */
export interface StopSignal {
  /** Stop? */
  readonly aborted: boolean
  /** What the work is to reject with then. */
  readonly reason?: unknown
}

/** How a snapshot is saved. */
export interface SaveOptions {
  /** Another snapshot, which most pages equal at the same place: they are found by comparing, without hashing. */
  readonly like?: string
  /** Whose it is: pages are shared only within a domain. Default: that of all who name none. */
  readonly domain?: string
  /** Anything that is to be remembered with it. */
  readonly note?: string
  /** Called now and then with how many pages of how many have been taken. */
  readonly onProgress?: (done: number, of: number) => void
  /** Stops the save of an image, which takes its time; nothing is left of it then. */
  readonly signal?: StopSignal
}

/** What a save has come to. */
export interface SavedSnapshot {
  /** The snapshot's. */
  readonly name: string
  /** Pages that it has. */
  readonly pages: number
  /** Of these, pages of zeros. */
  readonly zero_pages: number
  /** Pages that were in the store in no snapshot of its domain, each counted once. */
  readonly added_pages: number
  /** The bytes of those. */
  readonly added_bytes: number
}

/** Options checked, the rest filled in. */
export interface SavePlan extends SaveOptions {
  readonly domain: string
  readonly note: string
}

const LEAF_BYTES = LEAF_PAGES * PAGE_SIZE
/** Between two calls of onProgress, in leaves: 16 MiB. */
const REPORT_LEAVES = 64
/** How long nobody else has his turn. */
const TURN_MS = 50

/** What is saved. */
export type SaveSource = Uint8Array | WasmMemory | Image

/**
 * Saves bytes or a memory, which are read before it returns, or an image, which is read bit by bit; `bytes`: how many count, if the last page
 * of an image is not full. Throws what SnapshotStore.save does.
 */
export async function saveSnapshot(
  state: StoreState,
  disk: Disk | undefined,
  name: string,
  source: SaveSource,
  plan: SavePlan,
  bytes = lengthOf(source),
): Promise<SavedSnapshot> {
  // There were some when it was called.
  if (source instanceof Uint8Array) expectThere(source, Math.max(1, bytes))
  const pages = Math.ceil(bytes / PAGE_SIZE)
  const { domain, note, like } = plan
  const saving = new Saving(state, pages, state.domainNumber(domain), expectLike(state, domain, like))
  try {
    if (source instanceof Uint8Array) takeBytes(saving, source, bytes, plan)
    else if (isWasmMemory(source)) takeMemory(saving, source, bytes, state, plan)
    else await takeImage(saving, source, state, plan)
    const { leaves, zeroPages, addedPages, firstLeaf, mark } = saving
    const date = new Date().toISOString()
    const snapshot: Snapshot = { name, bytes, pages, zero_pages: zeroPages, domain, note, date, leaves }
    await disk?.commit(recordsOfSave(state, state.pages.appendedSince(mark), firstLeaf, snapshot))
    state.snapshots.set(name, snapshot)
    return {
      name,
      pages,
      zero_pages: zeroPages,
      added_pages: addedPages,
      added_bytes: addedPages * PAGE_SIZE,
    }
  } catch (error) {
    if (disk === undefined) saving.undo()
    else disk.undo(() => saving.undo())
    throw error
  }
}

function expectLike(state: StoreState, domain: string, like: string | undefined): Snapshot | undefined {
  if (like === undefined) return undefined
  const snapshot = state.expect(like)
  if (snapshot.domain === domain) return snapshot
  const other = `snapshot ${JSON.stringify(like)} is of domain ${JSON.stringify(snapshot.domain)}`
  throw new PagefoldError('EPERM', `${other}: one of ${JSON.stringify(domain)} shares no pages with it`)
}

function lengthOf(source: SaveSource): number {
  if (source instanceof Uint8Array) return source.length
  return isWasmMemory(source) ? sizeOf(source) : source.pages * PAGE_SIZE
}

/** Takes leaf by leaf; `take` is told between which two bytes each lies. */
function takeLeaves(bytes: number, { onProgress }: SavePlan, take: (from: number, to: number) => void): void {
  const of = Math.ceil(bytes / PAGE_SIZE)
  for (let at = 0, leaf = 0; at < bytes; at += LEAF_BYTES, leaf++) {
    take(at, Math.min(at + LEAF_BYTES, bytes))
    if (leaf % REPORT_LEAVES === 0) onProgress?.(Math.min((leaf + 1) * LEAF_PAGES, of), of)
  }
  onProgress?.(of, of)
}

/** What is told of progress may have a memory grow: then its bytes are gone. */
function takeBytes(saving: Saving, source: Uint8Array, bytes: number, plan: SavePlan): void {
  takeLeaves(bytes, plan, (from, to) => {
    expectThere(source, bytes)
    saving.take(source.subarray(from, to))
  })
}

/** A memory that grows meanwhile holds what it held. */
function takeMemory(
  saving: Saving,
  memory: WasmMemory,
  bytes: number,
  { stage }: StoreState,
  plan: SavePlan,
): void {
  const onlooker = stage.onlookerOn(memory)
  takeLeaves(bytes, plan, (from, to) => saving.take(bytesOf(memory, from, to - from), onlooker))
}

/** Throws EFAULT if bytes are not there, or not as many as there were. */
export function expectThere({ buffer, length }: Uint8Array, bytes: number): void {
  if (length === bytes && !isDetached(buffer)) return
  const why = isDetached(buffer)
    ? 'their ArrayBuffer is detached, because its memory has grown or it went to another thread: give the memory itself'
    : 'their ArrayBuffer was resized'
  throw new PagefoldError('EFAULT', `the bytes that were to be saved are gone: ${why}`)
}

/** Not all engines tell by `detached`. */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false
  try {
    return new Uint8Array(buffer).length > 0
  } catch {
    return true
  }
}

async function takeImage(
  saving: Saving,
  image: Image,
  { stage }: StoreState,
  { onProgress, signal }: SavePlan,
): Promise<void> {
  let last = performance.now()
  for (let first = 0; first < image.pages; first += LEAF_PAGES) {
    const count = Math.min(LEAF_PAGES, image.pages - first)
    image.read(first, count, stage.pages.subarray(0, count * PAGE_SIZE))
    saving.takeStaged(count)
    onProgress?.(first + count, image.pages)
    if (performance.now() - last < TURN_MS) continue
    await nextTurn()
    last = performance.now()
    if (signal?.aborted) throw signal.reason
  }
}

/** Goes through steps, and lets others have their turn now and then; a signal ends it between two. */
export async function inTurns<Result>(
  steps: Generator<void, Result>,
  signal?: StopSignal | undefined,
): Promise<Result> {
  let last = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - last < TURN_MS) continue
    await nextTurn()
    last = performance.now()
    if (!signal?.aborted) continue
    steps.return(undefined as never)
    throw signal.reason
  }
}
