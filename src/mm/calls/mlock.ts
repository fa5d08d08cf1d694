// mlock: pages that are to stay in memory. They are neither swapped out nor thrown away, and merged all the same.
// Linux: mm/mlock.c

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_HUGETLB, VM_LOCKED, VM_PFNMAP } from '../model/vma.ts'
import { modifyFlags } from '../model/vma-edit.ts'
import { populateLocked } from './fault-in.ts'

/**
 * Locks [start, end) and faults its pages in. ENOMEM for a hole (what lies before is locked), and where a page may not be
 * touched; EAGAIN when no frame is left; what else a fault says. It stays locked then. Linux: do_mlock()
 */
export function mlock(mm: MmStruct, start: number, end: number): Errno | undefined {
  mm.memory.mayBeLocked = true
  const hole = setLocked(mm, start, end, true)
  if (hole !== undefined) return hole
  const errno = populateLocked(mm, start, end)
  if (errno === 'ENOMEM') return 'EAGAIN'
  return errno === 'EINVAL' || errno === 'EFAULT' ? 'ENOMEM' : errno
}

/** Takes that back. ENOMEM for a hole; what lies before is unlocked. */
export function munlock(mm: MmStruct, start: number, end: number): Errno | undefined {
  return setLocked(mm, start, end, false)
}

/** Linux: apply_vma_lock_flags() */
function setLocked(mm: MmStruct, start: number, end: number, on: boolean): Errno | undefined {
  let at = start
  for (const vma of mm.vmas.within(start, end)) {
    if (vma.start > at) return 'ENOMEM'
    const to = Math.min(vma.end, end)
    const flags = on ? vma.flags | VM_LOCKED : vma.flags & ~VM_LOCKED
    // Those have no pages that could be swapped out.
    const concerned = !vma.has(VM_HUGETLB | VM_PFNMAP)
    if (concerned && flags !== vma.flags) modifyFlags(mm, at, to, flags)
    at = to
  }
  return at < end ? 'ENOMEM' : undefined
}
