// Making an mm equal to one of its own past, and telling where it is not: two page tables are compared word by word, so that it costs
// what differs. What snapshots are made of.

import { FRAME_DIRTY, ZERO_PFN } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import { handleMmFault } from '../fault/fault.ts'
import { addressOf } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_LOCKED, VM_MERGEABLE, VM_PFNMAP, VM_SHARED, VM_UFFD_WP, type Vma } from '../model/vma.ts'
import { prepareAnonVma } from '../model/vma-edit.ts'
import { EMPTY_PTE, pteNormal, ptePfn, ptePresent } from '../page/pte.ts'
import { getPte, markSoftDirty, nextDifferentPte, setPte } from '../page/ptes.ts'
import { anonVmaOf, isPlainAnon } from '../page/rmap.ts'
import { copyPinnedPage, copyPte, copyVma, heldPage } from './fork.ts'
import { unmapRange, zapPte } from './unmap.ts'

/** Bytes of an mm, from `address` on. */
export interface ChangedRange {
  readonly address: number
  readonly length: number
}

/**
 * Gives `to` the mappings and pages of `from` where it has others. ENOMEM: what lies before has been done.
 * `event`: what the notifiers of the one that is in use are told.
 */
export function makeEqual(
  to: MmStruct,
  from: MmStruct,
  event: 'clear' | 'protection_page',
): Errno | undefined {
  const errno = equalVmas(to, from)
  if (errno !== undefined) return errno
  to.mergeAny = from.mergeAny
  to.restored = true
  for (const vma of to.vmas) {
    if (!hasOwnPages(vma)) continue
    const errno = equalPages(to, vma, from, event)
    if (errno !== undefined) return errno
  }
  return undefined
}

/** Unmaps what is not mapped in `from`, or not so, and maps what is. */
function equalVmas(to: MmStruct, from: MmStruct): Errno | undefined {
  for (const vma of [...to.vmas]) {
    if (!isLike(vma, from.vmas.at(vma.start))) unmapRange(to, vma.start, vma.end)
  }
  for (const vma of from.vmas) {
    if (to.vmas.at(vma.start) !== undefined) continue
    if (vma.has(VM_MERGEABLE) && !to.mergeable) to.memory.ksm.enter(to)
    const errno = copyVma(to, from, vma, true)
    if (errno !== undefined) return errno
  }
  return undefined
}

/** Do two vmas map the same, in the same way? What is locked, and of which writes are reported, is not part of a snapshot. */
function isLike(vma: Vma, other: Vma | undefined): boolean {
  if (other === undefined) return false
  // Pages that came since would have no way back to it.
  if (vma.anonVma === undefined && other.anonVma !== undefined) return false
  const flags = (vma.flags ^ other.flags) & ~(VM_LOCKED | VM_UFFD_WP)
  return (
    vma.start === other.start &&
    vma.end === other.end &&
    flags === 0 &&
    vma.nid === other.nid &&
    vma.pgoff === other.pgoff &&
    vma.shared === other.shared
  )
}

/** Shared memory and devices stay as they are. */
function hasOwnPages(vma: Vma): boolean {
  return !vma.has(VM_SHARED | VM_PFNMAP)
}

function equalPages(
  to: MmStruct,
  vma: Vma,
  from: MmStruct,
  event: 'clear' | 'protection_page',
): Errno | undefined {
  for (let vpn = nextDifferentPte(to, from, vma.start, vma.end); vpn < vma.end; ) {
    let end = vpn + 1
    while (end < vma.end && nextDifferentPte(to, from, end, end + 1) === end) end++
    const ranges = [to, from].map((mm) => [mm, mm.notifiers.start(event, vpn, end)] as const)
    let errno: Errno | undefined
    for (let page = vpn; page < end && errno === undefined; page++) errno = equalPage(to, vma, from, page)
    for (const [mm, range] of ranges) mm.notifiers.end(range)
    if (errno !== undefined) return errno
    vpn = nextDifferentPte(to, from, end, vma.end)
  }
  return undefined
}

function equalPage(to: MmStruct, vma: Vma, from: MmStruct, vpn: number): Errno | undefined {
  const { memory } = to
  const { frames, pageTables } = memory
  const old = getPte(to, vpn)
  const held = heldPage(memory, old)
  if (held !== 0) return fillPinned(to, from, vpn, held)
  const wanted = getPte(from, vpn)
  if (wanted !== EMPTY_PTE && !pageTables.reserve(to.pgd, vpn)) return 'ENOMEM'
  const foreign = pteNormal(wanted) && !mayShare(vma, ptePfn(wanted))
  if (foreign && frames.free === 0) return 'ENOMEM'
  if (old !== EMPTY_PTE) {
    setPte(to, vpn, EMPTY_PTE)
    zapPte(to, old)
  }
  if (wanted === EMPTY_PTE) return undefined
  prepareAnonVma(to, vma)
  return foreign ? copyPinnedPage(to, vma, vpn, ptePfn(wanted)) : copyPte(to, vma, from, vpn)
}

/** Is the way back from a page to a vma there, so that the vma may map it? */
function mayShare(vma: Vma, pfn: number): boolean {
  const { memory } = vma.mm
  if (!isPlainAnon(memory, pfn)) return true
  return vma.anonVma !== undefined && anonVmaOf(memory, pfn)?.vmas.has(vma) === true
}

/** Who holds a page, a device perhaps, goes on holding it: what was in it comes back into it. */
function fillPinned(to: MmStruct, from: MmStruct, vpn: number, pfn: number): Errno | undefined {
  const { bytes, frames } = to.memory
  let wanted = getPte(from, vpn)
  if (wanted !== EMPTY_PTE && !ptePresent(wanted)) {
    const errno = handleMmFault(from, vpn, 'unshare')
    if (errno !== undefined) return errno
    wanted = getPte(from, vpn)
  }
  if (pteNormal(wanted)) bytes.copy(pfn, ptePfn(wanted))
  else bytes.clear(pfn)
  frames.setFlag(pfn, FRAME_DIRTY)
  markSoftDirty(to, vpn)
  return undefined
}

/** Where an mm differs from a snapshot: mappings, and pages whose bytes do. Pages in swap are not looked at: they may. */
export function changedRanges(mm: MmStruct, snapshot: MmStruct): ChangedRange[] {
  const ranges: { address: number; length: number }[] = []
  const add = (start: number, end: number): void => {
    const last = ranges.at(-1)
    if (last !== undefined && last.address + last.length === addressOf(start))
      last.length += addressOf(end - start)
    else ranges.push({ address: addressOf(start), length: addressOf(end - start) })
  }
  for (const { start, end, vma } of sections(mm, snapshot)) {
    if (vma === undefined) add(start, end)
    else if (hasOwnPages(vma)) {
      for (let vpn = nextDifferentPte(mm, snapshot, start, end); vpn < end; ) {
        if (!isSameContent(vma, vpn, getPte(mm, vpn), getPte(snapshot, vpn))) add(vpn, vpn + 1)
        vpn = nextDifferentPte(mm, snapshot, vpn + 1, end)
      }
    }
  }
  return ranges
}

/** The address space in order, cut where either has a border: with the vma where both map the same. */
function sections(mm: MmStruct, snapshot: MmStruct): { start: number; end: number; vma: Vma | undefined }[] {
  const borders = new Set([...mm.vmas, ...snapshot.vmas].flatMap(({ start, end }) => [start, end]))
  const sorted = [...borders].sort((a, b) => a - b)
  return sorted.slice(0, -1).flatMap((start, i) => {
    const [ours, theirs] = [mm.vmas.at(start), snapshot.vmas.at(start)]
    if (ours === undefined && theirs === undefined) return []
    const same = ours !== undefined && theirs !== undefined && showsSame(ours, theirs, start)
    return [{ start, end: sorted[i + 1]!, vma: same ? ours : undefined }]
  })
}

function showsSame(ours: Vma, theirs: Vma, vpn: number): boolean {
  return (
    ours.shared === theirs.shared && (ours.shared === undefined || ours.indexOf(vpn) === theirs.indexOf(vpn))
  )
}

function isSameContent(vma: Vma, vpn: number, ours: number, theirs: number): boolean {
  const { core } = vma.mm.memory.arena
  const [one, other] = [pageBehind(vma, vpn, ours), pageBehind(vma, vpn, theirs)]
  if (one === undefined || other === undefined) return false
  return one === other || core.pagesIdentical(one, other) !== 0
}

/** The page that is read through a pte of a vma; undefined if it is in swap, lost, or of a file that has not been read there. */
function pageBehind(vma: Vma, vpn: number, pte: number): number | undefined {
  if (ptePresent(pte)) return ptePfn(pte)
  if (pte !== EMPTY_PTE) return undefined
  return vma.shared === undefined ? ZERO_PFN : vma.shared.pages.get(vma.indexOf(vpn))
}
