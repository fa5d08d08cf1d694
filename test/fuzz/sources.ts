// What an embedder gives a host to call for bytes: swap stores, files, images. They fail now and then, and lie, and call back.

import type { Image, PageSource, SwapStore } from '../../src/index.ts'
import { contentBytes, PAGE } from '../support/world.ts'
import type { World } from './world.ts'

/** A swap store that sometimes does not work, or gives back other bytes than it got: both have to be noticed. */
export class FuzzStore implements SwapStore {
  readonly slots: number
  failing = true
  private readonly world: World
  private readonly pages = new Map<number, Uint8Array>()

  constructor(world: World, slots: number) {
    this.world = world
    this.slots = slots
  }

  read(slot: number, into: Uint8Array): void {
    this.world.callback('swap store')
    if (this.failing && this.world.whimOf(20)) throw this.world.own('the store cannot read')
    into.set(this.page(slot))
    if (this.failing && this.world.whimOf(40)) into[7]!++
  }

  write(slot: number, from: Uint8Array): void {
    this.world.callback('swap store')
    if (this.failing && this.world.whimOf(20)) throw this.world.own('the store cannot write')
    this.pages.set(slot, from.slice())
  }

  close(): void {
    this.world.callback('swap store')
  }

  page(slot: number): Uint8Array {
    return this.pages.get(slot)!
  }
}

/** A file of known pages: given as bytes, or as one that reads them. */
export class FuzzFile implements PageSource {
  readonly pages: number
  readonly contents: readonly Uint8Array[]
  /** What `mmap` is given. */
  readonly given: Uint8Array | PageSource
  private readonly world: World

  constructor(world: World, pages: number, asBytes: boolean) {
    this.world = world
    this.pages = pages
    // The last page of bytes is not a whole one.
    const length = pages * PAGE - (asBytes ? 100 : 0)
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += PAGE)
      bytes.set(contentBytes(1 + ((at / PAGE) % 3)).subarray(0, length - at), at)
    this.contents = Array.from({ length: pages }, (_, page) => {
      const whole = new Uint8Array(PAGE)
      whole.set(bytes.subarray(page * PAGE, (page + 1) * PAGE))
      return whole
    })
    this.given = asBytes ? bytes : this
  }

  read(page: number, into: Uint8Array): void {
    this.world.callback('file')
    if (this.world.whimOf(20)) throw this.world.own('the file cannot be read')
    into.set(this.contents[page]!)
  }
}

/** An image of so many pages. */
export function fuzzImage(world: World, contents: readonly Uint8Array[]): Image {
  return {
    source: world.freshName(),
    format: 'raw',
    pages: contents.length,
    notes: [],
    addressOf: (page) => page * PAGE,
    read: (first, count, into) => {
      world.callback('image')
      for (let i = 0; i < count; i++) into.set(contents[first + i]!, i * PAGE)
    },
    close: () => {},
  }
}
