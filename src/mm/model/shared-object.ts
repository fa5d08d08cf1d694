// Pages that belong to an object and not to an mm: what a shared mapping shows, and what lies in a file below a private one.

import type { Vma } from './vma.ts'

/** A file that is mapped: so many pages of 4096 bytes. `read` writes one of them to `into`, all of it, and may throw. */
export interface PageSource {
  /** How many pages it has. */
  readonly pages: number
  /** Writes page number `page` to `into`. */
  read(page: number, into: Uint8Array): void
}

/** Lives as long as some vma shows it. Linux: struct address_space */
export class SharedObject {
  /** Frames by page; the object holds one reference on each. */
  readonly pages = new Map<number, number>()
  /** The vmas that show it. Linux: the interval tree i_mmap */
  readonly vmas = new Set<Vma>()
  /** Where its pages come from, if not from nowhere. */
  readonly source: PageSource | undefined
  /** What callers name it by, if it is a file. */
  readonly name: object | undefined

  constructor(source?: PageSource, name?: object) {
    this.source = source
    this.name = name
  }
}

/** Which page of which object a frame holds. */
export interface ObjectPage {
  readonly object: SharedObject
  readonly index: number
}

/** A vma shows an object from now on, or nothing if there is none. */
export function show(vma: Vma, object: SharedObject | undefined): void {
  vma.shared = object
  object?.vmas.add(vma)
}
