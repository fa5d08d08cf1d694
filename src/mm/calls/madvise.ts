// madvise: what an mm wants done with a range. Linux: mm/madvise.c, ksm_madvise()

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_HUGETLB, VM_MERGEABLE, VM_PFNMAP, VM_SHARED, type Vma } from '../model/vma.ts'
import { modifyFlags } from '../model/vma-edit.ts'
import { pageOut } from '../reclaim/swap-out.ts'
import { zapPageRange } from './unmap.ts'

/** What `madvise` takes. */
export const ADVICES = ['MADV_MERGEABLE', 'MADV_UNMERGEABLE', 'MADV_DONTNEED', 'MADV_PAGEOUT'] as const
/**
 * What an mm wants done with a range: have its pages merged, or no longer (those that are get copies); throw them
 * away; swap them out.
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

function adviseVma(mm: MmStruct, vma: Vma, start: number, end: number, advice: Advice): Errno | undefined {
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
    case 'MADV_PAGEOUT':
      pageOut(mm, start, end)
      return undefined
  }
}

function makeMergeable(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined {
  if (vma.has(VM_MERGEABLE) || !isEligible(vma)) return undefined
  if (!mm.mergeable && mm.memory.ksm.enter(mm) !== undefined) return 'EAGAIN'
  modifyFlags(mm, start, end, vma.flags | VM_MERGEABLE)
  mm.memory.ksm.registered(mm, start, end)
  return undefined
}

function makeUnmergeable(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined {
  if (!vma.has(VM_MERGEABLE)) return undefined
  // A range that may no longer be merged must hold no merged page: if breaking fails it stays mergeable.
  const errno = vma.anonVma === undefined ? undefined : mm.memory.ksm.unmerge(mm, vma, start, end)
  if (errno !== undefined) return errno
  modifyFlags(mm, start, end, vma.flags & ~VM_MERGEABLE)
  return undefined
}
