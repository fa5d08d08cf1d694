// prctl: merging for a whole process. Linux: PR_SET_MEMORY_MERGE, ksm_enable_merge_any(), ksm_disable_merge_any()

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_MERGEABLE } from '../model/vma.ts'
import { isEligible } from './madvise.ts'

/** Makes every eligible range mergeable, now and later. */
export function enableMergeAny(mm: MmStruct): undefined {
  if (mm.mergeAny) return
  if (!mm.mergeable) mm.memory.ksm.enter(mm)
  mm.mergeAny = true
  for (const vma of mm.vmas) {
    if (vma.has(VM_MERGEABLE) || !isEligible(vma)) continue
    // Neighbours that are alike now stay two, as in Linux: a range across both is not one mapping.
    vma.flags |= VM_MERGEABLE
    mm.memory.ksm.registered(mm, vma.start, vma.end)
  }
}

/** Unmerges everything and makes nothing mergeable any more. On an error it all stays enabled. */
export function disableMergeAny(mm: MmStruct): Errno | undefined {
  if (!mm.mergeAny) return undefined
  for (const vma of mm.vmas) {
    if (!vma.has(VM_MERGEABLE)) continue
    const errno = mm.memory.ksm.unmerge(mm, vma, vma.start, vma.end)
    if (errno !== undefined) return errno
  }
  for (const vma of mm.vmas) vma.flags &= ~VM_MERGEABLE
  mm.mergeAny = false
  return undefined
}
