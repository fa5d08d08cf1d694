// madvise: what an mm wants done with a range. Linux: mm/madvise.c, ksm_madvise()

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import {
  VM_DONTCOPY,
  VM_HUGETLB,
  VM_LOCKED,
  VM_MERGEABLE,
  VM_PFNMAP,
  VM_SHARED,
  VM_WIPEONFORK,
  type Vma,
} from '../model/vma.ts'
import { modifyFlags } from '../model/vma-edit.ts'
import { freeLazily } from '../reclaim/lazy-free.ts'
import { pageOut } from '../reclaim/swap-out.ts'
import { populateRange } from './fault-in.ts'
import { zapPageRange } from './unmap.ts'

/** What `madvise` takes. */
export const ADVICES = [
  'MADV_MERGEABLE',
  'MADV_UNMERGEABLE',
  'MADV_DONTNEED',
  'MADV_PAGEOUT',
  'MADV_FREE',
  'MADV_COLD',
  'MADV_DONTFORK',
  'MADV_DOFORK',
  'MADV_WIPEONFORK',
  'MADV_KEEPONFORK',
  'MADV_POPULATE_READ',
  'MADV_POPULATE_WRITE',
] as const
/**
 * What an mm wants done with a range: have its pages merged, or no longer (those that are get copies); throw them
 * away, at once (DONTNEED) or when frames are reclaimed and nobody has written to them by then (FREE); swap them out, or
 * be the first to be (COLD; here nothing is swapped out unasked, so it does nothing). DONTFORK: a child does not get the range; WIPEONFORK:
 * it gets it empty; DOFORK and KEEPONFORK take that back. POPULATE_READ, POPULATE_WRITE: fault its pages in, as reading or writing would.
 */
export type Advice = (typeof ADVICES)[number]

/** May its pages ever be merged? Linux: vma_ksm_compatible() */
export function isEligible(vma: Vma): boolean {
  return !vma.has(VM_SHARED | VM_PFNMAP | VM_HUGETLB)
}

/**
 * Advises about [start, end). The parts that are mapped are done in order; a hole is reported as ENOMEM after the
 * rest, a failure stops.
 */
export function madvise(mm: MmStruct, start: number, end: number, advice: Advice): Errno | undefined {
  if (advice === 'MADV_POPULATE_READ') return populateRange(mm, start, end, 'read')
  if (advice === 'MADV_POPULATE_WRITE') return populateRange(mm, start, end, 'write')
  let hole = false
  let at = start
  for (const vma of mm.vmas.within(start, end)) {
    if (vma.start > at) hole = true
    const from = Math.max(vma.start, start)
    const to = Math.min(vma.end, end)
    const errno = adviseVma(mm, vma, from, to, advice)
    if (errno !== undefined) return errno
    at = to
  }
  return hole || at < end ? 'ENOMEM' : undefined
}

function adviseVma(
  mm: MmStruct,
  vma: Vma,
  start: number,
  end: number,
  advice: Exclude<Advice, `MADV_POPULATE_${string}`>,
): Errno | undefined {
  if (isRefused(vma, advice)) return 'EINVAL'
  const { flags } = vma
  switch (advice) {
    case 'MADV_MERGEABLE':
      return makeMergeable(mm, vma, start, end)
    case 'MADV_UNMERGEABLE':
      return makeUnmergeable(mm, vma, start, end)
    case 'MADV_DONTNEED': {
      const range = mm.notifiers.start('clear', start, end)
      zapPageRange(mm, start, end)
      mm.notifiers.end(range)
      return undefined
    }
    case 'MADV_FREE':
      freeLazily(mm, start, end)
      return undefined
    case 'MADV_PAGEOUT':
      pageOut(mm, start, end)
      return undefined
    case 'MADV_COLD':
      return undefined
    case 'MADV_DONTFORK':
      return changeFlags(mm, vma, start, end, flags | VM_DONTCOPY)
    case 'MADV_DOFORK':
      return changeFlags(mm, vma, start, end, flags & ~VM_DONTCOPY)
    case 'MADV_WIPEONFORK':
      return changeFlags(mm, vma, start, end, flags | VM_WIPEONFORK)
    case 'MADV_KEEPONFORK':
      return changeFlags(mm, vma, start, end, flags & ~VM_WIPEONFORK)
  }
}

/** Not everything can be done with everything. Linux: madvise_dontneed_free_valid_vma(), can_madv_lru_vma() */
function isRefused(vma: Vma, advice: Advice): boolean {
  const ofObject = vma.shared !== undefined || vma.has(VM_SHARED | VM_HUGETLB | VM_PFNMAP)
  switch (advice) {
    case 'MADV_DONTNEED':
      return vma.has(VM_PFNMAP) || (vma.has(VM_LOCKED) && !vma.has(VM_HUGETLB))
    case 'MADV_FREE':
      return ofObject || vma.has(VM_LOCKED)
    case 'MADV_PAGEOUT':
    case 'MADV_COLD':
      return vma.has(VM_LOCKED | VM_PFNMAP | VM_HUGETLB)
    case 'MADV_DOFORK':
      return vma.has(VM_PFNMAP)
    case 'MADV_WIPEONFORK':
      return ofObject
    default:
      return false
  }
}

function changeFlags(mm: MmStruct, vma: Vma, start: number, end: number, flags: number): undefined {
  if (flags !== vma.flags) modifyFlags(mm, start, end, flags)
}

function makeMergeable(mm: MmStruct, vma: Vma, start: number, end: number): undefined {
  if (vma.has(VM_MERGEABLE) || !isEligible(vma)) return
  if (!mm.mergeable) mm.memory.ksm.enter(mm)
  modifyFlags(mm, start, end, vma.flags | VM_MERGEABLE)
  mm.memory.ksm.registered(mm, start, end)
}

function makeUnmergeable(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined {
  if (!vma.has(VM_MERGEABLE)) return undefined
  // A range that may no longer be merged must hold no merged page: if breaking fails it stays mergeable.
  const errno = mm.memory.ksm.unmerge(mm, vma, start, end)
  if (errno !== undefined) return errno
  modifyFlags(mm, start, end, vma.flags & ~VM_MERGEABLE)
  return undefined
}
