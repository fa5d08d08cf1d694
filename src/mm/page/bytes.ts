// The bytes of frames. Every byte of guest memory that is written is written here, so whoever wants to know which pages
// have changed stands here.

import type { Arena } from '../../core/arena.ts'

export class FrameBytes {
  readonly #arena: Arena

  constructor(arena: Arena) {
    this.#arena = arena
  }

  /** Copies `count` bytes at `offset` of a page to `at` in `into`. */
  read(pfn: number, offset: number, count: number, into: Uint8Array, at: number): void {
    const from = this.#arena.byteAt(pfn, offset)
    into.set(this.#arena.u8.subarray(from, from + count), at)
  }

  /** Writes the `count` bytes at `at` in `from` at `offset` of a page. */
  write(pfn: number, offset: number, count: number, from: Uint8Array, at: number): void {
    // A view costs as much as copying half a page.
    const bytes = count === from.length ? from : from.subarray(at, at + count)
    this.#arena.u8.set(bytes, this.#arena.byteAt(pfn, offset))
  }

  /** Linux: copy_user_highpage() */
  copy(toPfn: number, fromPfn: number): void {
    this.#arena.core.copyPage(toPfn, fromPfn)
  }

  /** Fills a page with zeros. Linux: clear_user_highpage() */
  clear(pfn: number): void {
    this.#arena.core.clearPage(pfn)
  }

  /** Has `count` adjacent pages written by somebody outside, who must not keep the view. Throws what that throws. */
  fill(pfn: number, count: number, producer: (bytes: Uint8Array) => void): void {
    producer(this.#arena.pages(pfn, count))
  }

  /** A page as it lies in the arena, for somebody outside who hears when it ends. */
  view(pfn: number): Uint8Array {
    return this.#arena.page(pfn)
  }

  /** Shows a page to somebody outside, who must neither keep the view nor write to it. Throws what that throws. */
  show(pfn: number, reader: (bytes: Uint8Array) => void): void {
    reader(this.#arena.page(pfn))
  }
}
