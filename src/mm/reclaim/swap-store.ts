// Where swapped pages go: memory, or a file. A store moves pages and knows nothing of who they belong to.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectInteger } from '../../errors.ts'
import { files } from '../../platform.ts'
import { MAX_SWAP_SLOTS } from '../page/pte.ts'

/**
 * Pages by slot. Called in the middle of a fault or a reclaim: only calls that look are possible there (docs/callbacks.md).
 * `read` and `write` throw if they cannot; a page read must be what was written there last.
 */
export interface SwapStore {
  /** How many pages it holds, 1 to 2^20. */
  readonly slots: number
  /** Reads the page in `slot` into `into`, 4096 bytes. */
  read(slot: number, into: Uint8Array): void
  /** Writes `from`, 4096 bytes, to `slot`. They are not its to keep: it has to copy them. */
  write(slot: number, from: Uint8Array): void
  /** Called once it is no longer used for swap. */
  close?(): void
}

/** A store in memory of its own, outside the arena. */
export function memorySwapStore(slots: number): SwapStore {
  expectInteger('slots', slots, 1, MAX_SWAP_SLOTS)
  const pages = new Map<number, Uint8Array>()
  return {
    slots,
    read(slot, into) {
      const page = pages.get(slot)
      if (page === undefined) throw new Error(`nothing was written to slot ${slot}`)
      into.set(page)
    },
    write(slot, from) {
      pages.set(slot, from.slice())
    },
    close() {
      pages.clear()
    },
  }
}

/** A store in a file, which is made or overwritten. Throws ENOTSUP where there are no files. */
export function fileSwapStore(path: string, slots: number): SwapStore {
  expectInteger('slots', slots, 1, MAX_SWAP_SLOTS)
  const { fs } = files('fileSwapStore')
  const fd = fs.openSync(path, 'w+')
  return {
    slots,
    read(slot, into) {
      for (let done = 0; done < PAGE_SIZE; ) {
        const got = fs.readSync(fd, into, done, PAGE_SIZE - done, slot * PAGE_SIZE + done)
        if (got === 0) throw new Error(`${path} ends before slot ${slot}`)
        done += got
      }
    },
    write(slot, from) {
      for (let done = 0; done < PAGE_SIZE; ) {
        done += fs.writeSync(fd, from, done, PAGE_SIZE - done, slot * PAGE_SIZE + done)
      }
    },
    close() {
      fs.closeSync(fd)
    },
  }
}
