// Pages that belong to an object and not to an mm: what a shared mapping shows, and what lies in a file below a private one.

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
  /** Vmas that show it. */
  users = 1
  /** Where its pages come from, if not from nowhere. */
  readonly source: PageSource | undefined

  constructor(source?: PageSource) {
    this.source = source
  }
}
