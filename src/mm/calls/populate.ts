// Mapping many fresh pages at once, to be filled in place: how an image gets into an mm without a second copy.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { brokenInvariant, mistake, PagefoldError } from '../../errors.ts'
import { addressOf, pageAt, VPN_LIMIT } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_READ } from '../model/vma.ts'
import { prepareAnonVma } from '../model/vma-edit.ts'
import { mkPte, pteMkdirty, pteMkwrite } from '../page/pte.ts'
import { setPte } from '../page/ptes.ts'
import { addNewAnonRmap } from '../page/rmap.ts'
import { mmap } from './mmap.ts'

/**
 * Maps a fresh frame at every page of [start, start + pages), none of which may be mapped yet, and has `fill` write
 * their bytes: it is called with adjacent pages at a time, and must write all it is given. What had been filled before
 * an error is mapped.
 */
export function populate(
  mm: MmStruct,
  start: number,
  pages: number,
  fill: (bytes: Uint8Array, firstPage: number, count: number) => void,
): void {
  const { bytes, frames, pageTables } = mm.memory
  const vma = mm.vmas.at(start)
  if (vma === undefined || vma.end < start + pages)
    throw brokenInvariant(`${mm.name}: the pages to fill are not one mapping`)
  prepareAnonVma(mm, vma)
  for (let page = 0; page < pages; ) {
    const { pfn, count } = takeRun(mm, pages - page, vma.nid)
    for (let i = 0; i < count; i++) {
      const vpn = start + page + i
      if (!pageTables.reserve(mm.pgd, vpn)) {
        for (let rest = i; rest < count; rest++) frames.put(pfn + rest)
        throw new PagefoldError('ENOMEM', `${mm.name}: no metadata left for page tables`)
      }
      addNewAnonRmap(mm.memory, pfn + i, vma, vpn)
      setPte(mm, vpn, pteMkdirty(pteMkwrite(mkPte(pfn + i, vma.has(VM_READ)))))
    }
    const first = page
    bytes.fill(pfn, count, (view) => fill(view, first, count))
    page += count
  }
}

/** Pages of an image that lie one behind the other in the guest. */
export interface Extent {
  /** The first of them, by its number in the image, and how many. */
  readonly first: number
  readonly count: number
  /** Where it lies, a virtual page. */
  readonly vpn: number
}

/**
 * Where the pages of an image lie in an mm: one behind the other, from `address` on or where there is room, or where `placeOf` says, counted from
 * `address`, with the holes between them. Throws RangeError if that is not in ascending order, in whole pages, or too far up.
 */
export function extentsOf(
  mm: MmStruct,
  pages: number,
  address: number | undefined,
  placeOf: ((page: number) => number) | undefined,
): Extent[] {
  if (placeOf === undefined) {
    const vpn = address === undefined ? mm.vmas.findRoom(pages) : pageAt(address)
    return [{ first: 0, count: pages, vpn }]
  }
  const begin = pageAt(address ?? 0)
  const extents: { first: number; count: number; vpn: number }[] = []
  for (let page = 0; page < pages; page++) {
    const vpn = begin + placeOf(page) / PAGE_SIZE
    const last = extents.at(-1)
    const end = last === undefined ? begin : last.vpn + last.count
    if (!Number.isInteger(vpn) || vpn < end || vpn >= VPN_LIMIT) {
      throw mistake(
        new RangeError(
          `Expected page ${page} of the image behind those before, in whole pages and below 2^44`,
        ),
      )
    }
    if (last !== undefined && vpn === end) last.count++
    else extents.push({ first: page, count: 1, vpn })
  }
  return extents
}

/** Maps each stretch of an image and has `fill` write its bytes, by their numbers in the image; returns where the first begins, in bytes. */
export function populateExtents(
  mm: MmStruct,
  extents: readonly Extent[],
  fill: (bytes: Uint8Array, firstPage: number, count: number) => void,
): number {
  for (const { first, count, vpn } of extents) {
    mmap(mm, count * PAGE_SIZE, { address: addressOf(vpn) })
    populate(mm, vpn, count, (bytes, page, some) => fill(bytes, first + page, some))
  }
  return addressOf(extents[0]!.vpn)
}

/** Adjacent frames: a run of never used ones, or a single freed one when those are out. */
function takeRun(mm: MmStruct, wanted: number, nid: number): { pfn: number; count: number } {
  const { frames } = mm.memory
  const run = frames.allocRun(Math.min(wanted, RUN_PAGES), nid)
  if (run.count > 0) return run
  const pfn = frames.alloc(nid)
  if (pfn === 0) throw new PagefoldError('ENOMEM', `${mm.name}: no free frame left`)
  return { pfn, count: 1 }
}

/** 4 MiB at a time: large enough to read fast, small enough for a progress bar. */
const RUN_PAGES = 1024
