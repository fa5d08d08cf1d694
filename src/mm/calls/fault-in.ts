// Faulting pages in before anybody touches them. Linux: faultin_page_range(), populate_vma_page_range()

import type { Errno } from '../../errors.ts'
import { allows, handleMmFault } from '../fault/fault.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_PFNMAP, VM_READ, VM_SHARED, VM_WRITE, type Vma } from '../model/vma.ts'
import { getPte } from '../page/ptes.ts'

/**
 * Touches every page of [start, end) as a read or a write would, without changing a byte. Stops with ENOMEM at a hole and
 * when no frame is left, EINVAL where that access is not allowed, and with what a fault says; pages before are in.
 * Linux: madvise_populate()
 */
export function populateRange(
  mm: MmStruct,
  start: number,
  end: number,
  kind: 'read' | 'write',
): Errno | undefined {
  for (let vpn = start; vpn < end; vpn++) {
    const vma = mm.vmas.at(vpn)
    if (vma === undefined) return 'ENOMEM'
    if (vma.has(VM_PFNMAP) || !vma.has(kind === 'read' ? VM_READ : VM_WRITE)) return 'EINVAL'
    if (allows(mm, vma, getPte(mm, vpn), kind)) continue
    const errno = handleMmFault(mm, vpn, kind)
    if (errno !== undefined) return errno
  }
  return undefined
}

/** How a locked page is faulted in: a private one that may be written to is made the mm's own at once. */
function lockedAccess(vma: Vma): 'read' | 'write' {
  return vma.has(VM_WRITE) && !vma.has(VM_SHARED) ? 'write' : 'read'
}

/** Faults in the pages of [start, end) that mlock has locked, device memory excepted. Linux: __mm_populate() */
export function populateLocked(mm: MmStruct, start: number, end: number): Errno | undefined {
  for (const vma of mm.vmas.within(start, end)) {
    if (vma.has(VM_PFNMAP)) continue
    const from = Math.max(start, vma.start)
    const errno = populateRange(mm, from, Math.min(end, vma.end), lockedAccess(vma))
    if (errno !== undefined) return errno
  }
  return undefined
}
