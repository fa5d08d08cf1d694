// What ksmd has done for one mm. Linux: ksm_process_profit(), proc_pid_ksm_stat()

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { LINUX_RMAP_ITEM_BYTES, type MmStruct } from '../model/mm-struct.ts'
import { VM_MERGEABLE } from '../model/vma.ts'

/** What /proc/PID/ksm_stat says. */
export interface KsmStat {
  /** Pages of this mm that ksmd keeps in view. */
  ksm_rmap_items: number
  /** Pages that gave way to the zero page. */
  ksm_zero_pages: number
  /** Pages mapped to merged ones. Lazy: those that were written to count until ksmd comes by. */
  ksm_merging_pages: number
  /** Bytes saved by the two, less 64 for each rmap item, as Linux reckons. */
  ksm_process_profit: number
  /** Was PR_SET_MEMORY_MERGE asked for? */
  ksm_merge_any: 'yes' | 'no'
  /** Is any range of it mergeable? */
  ksm_mergeable: 'yes' | 'no'
}

/** The accounts as they are now. */
export function ksmStat(mm: MmStruct): KsmStat {
  const { rmapItems, mergingPages, zeroPages } = mm.ksm
  return {
    ksm_rmap_items: rmapItems,
    ksm_zero_pages: zeroPages,
    ksm_merging_pages: mergingPages,
    ksm_process_profit: (mergingPages + zeroPages) * PAGE_SIZE - rmapItems * LINUX_RMAP_ITEM_BYTES,
    ksm_merge_any: mm.mergeAny ? 'yes' : 'no',
    ksm_mergeable: [...mm.vmas].some((vma) => vma.has(VM_MERGEABLE)) ? 'yes' : 'no',
  }
}
