// A range of an address space. A vma is never half of anything: a call that concerns part of one splits it first,
// and neighbours that have become alike are joined again.

import type { AnonVma } from './anon-vma.ts'
import type { MmStruct } from './mm-struct.ts'
import type { SharedObject } from './shared-object.ts'

export const VM_READ = 1
export const VM_WRITE = 2
/** Shared with other mms as it is, not copied on write. */
export const VM_SHARED = 8
/** Registered for merging. Linux: VM_MERGEABLE */
export const VM_MERGEABLE = 16
/** Neither copied nor merged: device memory. Linux: VM_PFNMAP */
export const VM_PFNMAP = 32
/** Huge pages, which are never merged. Linux: VM_HUGETLB */
export const VM_HUGETLB = 64
/** Writes to protected pages are reported. Linux: VM_UFFD_WP */
export const VM_UFFD_WP = 128
/** Its pages are to stay in memory. Linux: VM_LOCKED */
export const VM_LOCKED = 256
/** A child does not get it at all. Linux: VM_DONTCOPY */
export const VM_DONTCOPY = 512
/** A child gets it empty. Linux: VM_WIPEONFORK */
export const VM_WIPEONFORK = 1024

/** What tells two neighbours apart, beside their anon_vmas. */
export interface VmaKind {
  readonly flags: number
  /** NUMA node its pages are wanted on. */
  readonly nid: number
}

export class Vma {
  readonly mm: MmStruct
  /** Virtual page numbers, end exclusive. The end of one that is in an mm's list is changed by `VmaList.setEnd`. */
  readonly start: number
  end: number
  flags: number
  readonly nid: number
  /** The page offset a page at `start` has in a frame's `index`: `start` as first mapped, kept when the vma moves. */
  pgoff: number
  /** Where new pages go; undefined until the first write. */
  anonVma: AnonVma | undefined = undefined
  /** The object whose pages a shared mapping shows, or the file below the pages of a private one's own. */
  shared: SharedObject | undefined = undefined
  /** Every anon_vma whose pages this vma may map, oldest first. */
  readonly anonVmaChain: AnonVma[] = []

  constructor(mm: MmStruct, start: number, end: number, kind: VmaKind, pgoff = start) {
    this.mm = mm
    this.start = start
    this.end = end
    this.flags = kind.flags
    this.nid = kind.nid
    this.pgoff = pgoff
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0
  }

  /**
   * The `index` of the page at `vpn`: 32 bits, so that it goes on with 0 behind the last, in a mapping that was moved down and has
   * grown. Linux: linear_page_index()
   */
  indexOf(vpn: number): number {
    return (vpn - this.start + this.pgoff) >>> 0
  }

  /** Where the page with this `index` would be, -1 if not here. Linux: vma_address() */
  vpnOf(index: number): number {
    const vpn = ((index - this.pgoff) >>> 0) + this.start
    return vpn < this.end ? vpn : -1
  }
}
