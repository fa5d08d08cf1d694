// What a store holds, wherever its pages are: snapshots, leaves, pages, domains. Everything that changes more than one of them
// is here or works on it.

import type { Stage } from '../core/stage.ts'
import { PagefoldError } from '../errors.ts'
import { LEAF_PAGES, Leaves } from './leaves.ts'
import type { Pages } from './pages.ts'

/** What is known of a snapshot. */
export interface SnapshotInfo {
  /** What it was saved as. */
  readonly name: string
  /** How many bytes were saved. */
  readonly bytes: number
  /** Pages of 4096 bytes; the last is filled up with zeros. */
  readonly pages: number
  /** Of these, pages of zeros. */
  readonly zero_pages: number
  /** Whose it is: it shares pages within its domain only. Empty: nobody's in particular. */
  readonly domain: string
  /** What was to be remembered with it; empty if nothing. */
  readonly note: string
  /** When it was saved, ISO 8601. */
  readonly date: string
}

/** A snapshot, and the leaves that its pages are in. */
export interface Snapshot extends SnapshotInfo {
  readonly leaves: Uint32Array
  /** Part of what the index says of it cannot be read. */
  readonly lost?: boolean
}

export class StoreState {
  readonly stage: Stage
  readonly pages: Pages
  readonly snapshots = new Map<string, Snapshot>()
  /** Not readonly: gathering up leaves makes new ones. */
  leaves = new Leaves()
  /** Domains have numbers here, in the order in which they came. */
  private readonly domains = new Map<string, number>()
  private readonly domainNames: string[] = []

  constructor(stage: Stage, pages: Pages) {
    this.stage = stage
    this.pages = pages
  }

  /** The number of a domain, which is given one if it has none. */
  domainNumber(name: string): number {
    const known = this.domains.get(name)
    if (known !== undefined) return known
    this.domainNames.push(name)
    this.domains.set(name, this.domains.size)
    return this.domains.size - 1
  }

  /** How many pages of a domain are kept. */
  distinctPagesOf(domain: string): number {
    const number = this.domains.get(domain)
    return number === undefined ? 0 : this.pages.liveOf(number)
  }

  /** The name of a domain. */
  domainName(number: number): string {
    return this.domainNames[number]!
  }

  /** The snapshot of this name. Throws ENOENT if there is none, EIO if it is lost. */
  expect(name: string): Snapshot {
    const snapshot = this.snapshots.get(name)
    if (snapshot?.lost) {
      const why = 'part of what the index says of it is damaged'
      throw new PagefoldError('EIO', `snapshot ${JSON.stringify(name)} cannot be read: ${why}`)
    }
    if (snapshot !== undefined) return snapshot
    throw new PagefoldError('ENOENT', `no snapshot ${JSON.stringify(name)} in the store`)
  }

  /** The leaf that names these pages, one more user of it counted. */
  holdLeaf(pages: Uint32Array): number {
    const leaf = this.leaves.find(pages) ?? this.leaves.add(pages)
    this.holdAgain(leaf)
    return leaf
  }

  /** Counts a user of a leaf. */
  holdAgain(leaf: number): void {
    if (this.leaves.hold(leaf)) for (const page of this.leaves.pagesOf(leaf)) this.pages.hold(page)
  }

  /** Takes a user of a leaf back, and with the last one those of its pages. */
  releaseLeaf(leaf: number): void {
    if (this.leaves.release(leaf)) for (const page of this.leaves.pagesOf(leaf)) this.pages.release(page)
  }

  /** The number of each page of a snapshot that a leaf names, as many as the snapshot has. */
  pagesOf({ leaves, pages }: Snapshot, leaf: number): Uint32Array {
    return this.leaves.pagesOf(leaves[leaf]!).subarray(0, pages - leaf * LEAF_PAGES)
  }

  /** Forgets a snapshot. */
  forget(snapshot: Snapshot): void {
    this.snapshots.delete(snapshot.name)
    for (const leaf of snapshot.leaves) this.releaseLeaf(leaf)
  }
}
