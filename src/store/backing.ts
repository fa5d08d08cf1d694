// Where the pages of a store are: in segments, numbered, of a fixed number of pages each, to which pages are appended. What is
// in a segment never changes; it goes as a whole.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'

/** Where segments are kept. Numbers of pages count from 0 in their segment. */
export interface Backing {
  /** Pages a segment. */
  readonly slots: number
  /** May the number of a segment that was removed be given to another? */
  readonly reusesNumbers: boolean
  /** Are pages to be held against their hashes when they are read? */
  readonly mayRot: boolean
  /** Bytes that segment takes which has so many pages. */
  heldBy(pages: number): number
  /** Begins a segment. Throws what the file system refuses. */
  create(segment: number): void
  /** Puts a page behind the last one of the segment that was begun last. Throws what the file system refuses. */
  append(segment: number, slot: number, page: Uint8Array): void
  /** Adjacent pages, as they lie; undefined where they have to be read. */
  view(segment: number, slot: number, count: number): Uint8Array | undefined
  /** Reads adjacent pages. Throws EIO, EAGAIN if the segment has gone. */
  read(segment: number, slot: number, count: number, into: Uint8Array): void
  /** Brings what was appended to where it is to stay. Throws what the file system refuses. */
  flush(): void
  /** Waits until it is on the disk. */
  sync(): Promise<void>
  /** Forgets pages from `slot` on. */
  truncate(segment: number, slot: number): void
  /** Gives a segment back. */
  remove(segment: number): void
  /** Gives back everything that is held open. */
  close(): void
}

/** Below 128 KiB nothing comes back to the system, in no engine; a megabyte does in all. */
const CHUNK_BYTES = 2 ** 20

/** Bytes that may become fewer, where the engine knows such. */
interface Resizable extends ArrayBuffer {
  resize?(bytes: number): void
}
const ResizableBuffer = ArrayBuffer as new (bytes: number, options: { maxByteLength: number }) => Resizable

/**
 * Segments of a megabyte, each an ArrayBuffer of its own. It can be resized, because V8 maps such ones each for itself, where
 * the C library keeps some of what it was given back; and because resized to nothing it goes back to the system at once, and
 * not when garbage is collected. So views must not be kept.
 */
export class MemoryBacking implements Backing {
  readonly slots = CHUNK_BYTES / PAGE_SIZE
  readonly reusesNumbers = true
  readonly mayRot = false
  private readonly chunks: (Uint8Array<Resizable> | undefined)[] = []

  heldBy(): number {
    return CHUNK_BYTES
  }

  create(segment: number): void {
    try {
      this.chunks[segment] = new Uint8Array(new ResizableBuffer(CHUNK_BYTES, { maxByteLength: CHUNK_BYTES }))
    } catch (cause) {
      throw new PagefoldError('ENOMEM', 'no memory left for the pages of a store', { cause })
    }
  }

  append(segment: number, slot: number, page: Uint8Array): void {
    this.chunks[segment]!.set(page, slot * PAGE_SIZE)
  }

  view(segment: number, slot: number, count: number): Uint8Array {
    return this.chunks[segment]!.subarray(slot * PAGE_SIZE, (slot + count) * PAGE_SIZE)
  }

  read(segment: number, slot: number, count: number, into: Uint8Array): void {
    into.set(this.view(segment, slot, count))
  }

  flush(): void {}

  async sync(): Promise<void> {}

  truncate(): void {}

  remove(segment: number): void {
    this.chunks[segment]?.buffer.resize?.(0)
    this.chunks[segment] = undefined
  }

  close(): void {
    for (const segment of this.chunks.keys()) this.remove(segment)
  }
}
