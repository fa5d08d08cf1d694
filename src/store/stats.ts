// What a store holds, in figures.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Disk } from './disk.ts'
import type { StoreState } from './state.ts'

/** What a store holds. */
export interface StoreStats {
  /** How many snapshots. */
  readonly snapshots: number
  /** Pages that all of them have together. */
  readonly pages: number
  /** Of these, those that are kept: each content once a domain, without that of zeros. */
  readonly distinct_pages: number
  /** Pages of zeros that all snapshots have together. */
  readonly zero_pages: number
  /** Bytes that their pages take, in memory or on the disk; of a whole store in a directory with the index. */
  readonly bytes_held: number
  /** Of these, bytes that no snapshot has any more, or none yet: what `compact` may give back. Of a domain: 0. */
  readonly bytes_free: number
}

/** Of a domain, or of all. */
export function statsOf(state: StoreState, disk: Disk | undefined, domain: string | undefined): StoreStats {
  const snapshots = [...state.snapshots.values()].filter(
    (one) => domain === undefined || one.domain === domain,
  )
  const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0)
  const { pages } = state
  const counted = {
    snapshots: snapshots.length,
    pages: sum(snapshots.map((one) => one.pages)),
    zero_pages: sum(snapshots.map((one) => one.zero_pages)),
  }
  if (domain !== undefined) {
    const distinct_pages = state.distinctPagesOf(domain)
    return { ...counted, distinct_pages, bytes_held: distinct_pages * PAGE_SIZE, bytes_free: 0 }
  }
  const held = sum([...pages.all()].map(({ used }) => pages.backing.heldBy(used)))
  return {
    ...counted,
    distinct_pages: pages.live,
    bytes_held: held + (disk?.indexBytes ?? 0),
    bytes_free: held - pages.live * PAGE_SIZE,
  }
}
