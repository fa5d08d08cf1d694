// The bytes of frames. Every byte of guest memory that is written is written here, so whoever wants to know which pages
// have changed stands here.

import type { Arena } from '../../core/arena.ts'

export class FrameBytes {
  private readonly arena: Arena

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** Copies what stands at `offset` of a page into `into`, as much as that holds. */
  read(pfn: number, offset: number, into: Uint8Array): void {
    into.set(this.arena.bytesAt(pfn, offset, into.length))
  }

  /** Writes `from` at `offset` of a page. */
  write(pfn: number, offset: number, from: Uint8Array): void {
    this.arena.bytesAt(pfn, offset, from.length).set(from)
  }

  /** Linux: copy_user_highpage() */
  copy(toPfn: number, fromPfn: number): void {
    this.arena.core.copyPage(toPfn, fromPfn)
  }

  /** Fills a page with zeros. Linux: clear_user_highpage() */
  clear(pfn: number): void {
    this.arena.core.clearPage(pfn)
  }

  /** Has `count` adjacent pages written by somebody outside, who must not keep the view. Throws what that throws. */
  fill(pfn: number, count: number, producer: (bytes: Uint8Array) => void): void {
    producer(this.arena.pages(pfn, count))
  }

  /** Shows a page to somebody outside, who must neither keep the view nor write to it. Throws what that throws. */
  show(pfn: number, reader: (bytes: Uint8Array) => void): void {
    reader(this.arena.page(pfn))
  }
}
