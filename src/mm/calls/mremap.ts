// mremap: a range shrinks, grows, or moves to another address with its pages. One that moves is unmerged first, because
// ksmd finds a merged page's mappings through the addresses it was merged at. Linux: move_vma(), move_page_tables()

import { type Errno, expectBoolean, expectOptions, mistake } from '../../errors.ts'
import { addressOf, hex, type PageRange, pageAt, pageRange, VPN_LIMIT } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { show } from '../model/shared-object.ts'
import { VM_HUGETLB, VM_LOCKED, VM_MERGEABLE, VM_PFNMAP, VM_UFFD_WP, Vma } from '../model/vma.ts'
import { mergeWithNeighbours, splitAt } from '../model/vma-edit.ts'
import { EMPTY_PTE } from '../page/pte.ts'
import { nextPte, setPte, walkPageRange } from '../page/ptes.ts'
import { populateLocked } from './fault-in.ts'
import { refused } from './refused.ts'
import { removeVma, unmapRange } from './unmap.ts'

/** Where `mremap` may put the range. */
export interface MremapOptions {
  /** Move the range if it cannot grow where it is. Default: true. */
  readonly mayMove?: boolean
  /** Move it here; what is mapped there goes. Linux: MREMAP_FIXED */
  readonly address?: number
}

const OPTIONS = { mayMove: true, address: true } as const

/** Resizes a range, or moves it, and returns where it is then, in bytes. Throws TypeError, RangeError, EFAULT, ENOMEM. */
export function mremap(
  mm: MmStruct,
  address: number,
  oldLength: number,
  newLength: number,
  options: MremapOptions,
): number {
  const old = pageRange(address, oldLength, { name: 'oldLength', min: 1 })
  const fresh = pageRange(address, newLength, { name: 'newLength', min: 1 })
  const pages = fresh.end - fresh.start
  const { address: to, mayMove = true } = expectOptions('mremap', options, OPTIONS)
  expectBoolean('mayMove', mayMove)
  const target = to === undefined ? undefined : expectTarget(old, pages, pageAt(to))
  const moved = remap(mm, old, pages, target, mayMove)
  if (typeof moved === 'number') {
    // What cannot be brought in stays out, as in Linux.
    if (mm.vmas.at(moved)?.has(VM_LOCKED)) populateLocked(mm, moved + old.end - old.start, moved + pages)
    return addressOf(moved)
  }
  throw refused(mm, moved, `mremap of ${hex(address)}+${oldLength}`)
}

function expectTarget(old: PageRange, pages: number, target: number): number {
  if (target < old.end && target + pages > old.start)
    throw mistake(new RangeError('Expected the range at the new `address` not to overlap the old one'))
  if (target + pages > VPN_LIMIT)
    throw mistake(new RangeError('Expected the range at the new `address` to end below 2^44'))
  return target
}

/**
 * Gives a range another length, and another place: `target`, or one that is found if it `mayMove` and cannot grow where
 * it is. Returns the virtual page it begins at. EFAULT if nothing is mapped where it begins, or what is kept of it is not
 * one mapping where it has to be: to grow, or to get another length at another place. EINVAL for huge pages that are to grow, ENOMEM if there is no room or no memory.
 * Linux: mremap_at(), mremap_to()
 */
function remap(
  mm: MmStruct,
  old: PageRange,
  pages: number,
  target: number | undefined,
  mayMove: boolean,
): number | Errno {
  if (target !== undefined && pages === old.end - old.start) return moveAll(mm, old, target)
  const end = old.start + pages
  const kept = Math.min(old.end, end)
  const first = mm.vmas.at(old.start)
  if (first === undefined) return 'EFAULT'
  if (end > old.end && first.has(VM_HUGETLB)) return 'EINVAL'
  const moves = target !== undefined || end > old.end
  if (moves && (first.end < kept || (end > old.end && first.has(VM_PFNMAP)))) return 'EFAULT'
  if (target !== undefined) unmapRange(mm, target, target + pages)
  unmapRange(mm, end, old.end)
  if (target === undefined) {
    if (end <= old.end || growInPlace(mm, first, old.end, end)) return old.start
    if (!mayMove) return 'ENOMEM'
  }
  const place = target ?? mm.vmas.findRoom(pages)
  if (place < 0) return 'ENOMEM'
  const errno = moveRange(mm, old.start, kept, place)
  if (errno !== undefined) return errno
  const behind = place + kept - old.start
  if (place + pages > behind) growInPlace(mm, mm.vmas.at(place)!, behind, place + pages)
  return place
}

/**
 * Moves every mapping in a range, with the holes between them: what lies at `target` goes, but not behind a hole. On an
 * error those before have moved. Linux: remap_move(), since 6.17
 */
function moveAll(mm: MmStruct, { start, end }: PageRange, target: number): number | Errno {
  const vmas = mm.vmas.within(start, end)
  if (vmas.length === 0 || vmas[0]!.start > start) return 'EFAULT'
  for (const [i, vma] of vmas.entries()) {
    const from = Math.max(vma.start, start)
    const to = Math.min(vma.end, end)
    if (vma.has(VM_HUGETLB | VM_UFFD_WP) && (i > 0 || to < end)) return 'EFAULT'
    const place = target + from - start
    unmapRange(mm, place, place + to - from)
    const errno = moveRange(mm, from, to, place)
    if (errno !== undefined) return errno
  }
  return target
}

function growInPlace(mm: MmStruct, vma: Vma, oldEnd: number, newEnd: number): boolean {
  if (mm.vmas.within(oldEnd, newEnd).length > 0) return false
  mm.vmas.setEnd(vma, newEnd)
  mergeWithNeighbours(mm, vma)
  return true
}

/**
 * Moves [start, end), which must be one mapping, to `target`, where nothing may be mapped. Returns ENOMEM if page tables
 * or, for unmerging, frames ran out: nothing has moved then.
 */
function moveRange(mm: MmStruct, start: number, end: number, target: number): Errno | undefined {
  const { memory } = mm
  const { pageTables } = memory
  const whole = mm.vmas.at(start)!
  if (whole.has(VM_MERGEABLE) && whole.anonVma !== undefined) {
    const errno = memory.ksm.unmerge(mm, whole, start, end)
    if (errno !== undefined) return errno
  }
  for (let vpn = nextPte(mm, start, end); vpn < end; vpn = nextPte(mm, vpn + 1, end)) {
    if (!pageTables.reserve(mm.pgd, target + vpn - start)) return 'ENOMEM'
  }
  splitAt(mm, start)
  splitAt(mm, end)
  const vma = mm.vmas.at(start)!
  // A page's index must still lead to it: it keeps counting from where its vma was mapped first.
  const pgoff = vma.anonVma === undefined && vma.shared === undefined ? target : vma.pgoff
  const moved = new Vma(mm, target, target + end - start, vma, pgoff)
  moved.anonVma = vma.anonVma
  memory.anonVmas.clone(moved, vma)
  show(moved, vma.shared)
  mm.vmas.insert(moved)
  const range = mm.notifiers.start('unmap', start, end)
  walkPageRange(mm, start, end, (vpn, pte) => {
    setPte(mm, vpn, EMPTY_PTE)
    setPte(mm, target + vpn - start, pte)
  })
  mm.cpus.synchronize()
  mm.notifiers.end(range)
  removeVma(mm, vma)
  pageTables.prune(mm.pgd, start, end)
  mergeWithNeighbours(mm, moved)
  return undefined
}
