// Who outside holds which frame. Linux: folio_maybe_dma_pinned() knows only that somebody might.

import { FRAME_PINNED } from '../../../assembly/abi.ts'
import type { Frames } from './frames.ts'

/** Who outside holds which frame: by pins, and by plain references. */
export class PinCounts {
  readonly #pins = new Map<number, number>()
  readonly #references = new Map<number, number>()
  readonly #frames: Frames

  constructor(frames: Frames) {
    this.#frames = frames
  }

  /** Takes a reference, and with `pin` the promise that goes with it. */
  add(pfn: number, pin: boolean): void {
    this.#frames.get(pfn)
    const counts = pin ? this.#pins : this.#references
    counts.set(pfn, (counts.get(pfn) ?? 0) + 1)
    if (pin) this.#frames.setFlag(pfn, FRAME_PINNED)
  }

  remove(pfn: number, pin: boolean): void {
    const counts = pin ? this.#pins : this.#references
    const left = counts.get(pfn)! - 1
    if (left > 0) counts.set(pfn, left)
    else counts.delete(pfn)
    if (pin && left === 0) this.#frames.clearFlag(pfn, FRAME_PINNED)
    this.#frames.put(pfn)
  }

  /** References that outsiders hold on a frame, of both kinds. */
  of(pfn: number): number {
    return (this.#pins.get(pfn) ?? 0) + (this.#references.get(pfn) ?? 0)
  }

  isPinned(pfn: number): boolean {
    return this.#pins.has(pfn)
  }
}
