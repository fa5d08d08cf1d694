// The OOM reaper: takes the private pages of an mm at once, without waiting for anybody. The one caller of non-blocking
// notifier ranges. Linux: __oom_reap_task_mm()

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_HUGETLB, VM_PFNMAP, VM_SHARED } from '../model/vma.ts'
import { zapPageRange } from './unmap.ts'

/** Empties every private range. EAGAIN if a notifier could not let go at once; what lies before has been emptied. */
export function oomReap(mm: MmStruct): Errno | undefined {
  // Nobody is waited for: so nothing is begun.
  if (mm.cpus.running) return 'EAGAIN'
  for (const vma of mm.vmas) {
    if (vma.has(VM_SHARED | VM_PFNMAP | VM_HUGETLB)) continue
    const range = mm.notifiers.startNonblock('clear', vma.start, vma.end)
    if (range === 'EAGAIN') return 'EAGAIN'
    zapPageRange(mm, vma.start, vma.end)
    mm.notifiers.end(range)
  }
  return undefined
}
