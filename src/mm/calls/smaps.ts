// smaps: what each mapping of an mm holds, counted from its ptes. Linux: fs/proc/task_mmu.c

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { addressOf } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import {
  VM_DONTCOPY,
  VM_HUGETLB,
  VM_LOCKED,
  VM_MERGEABLE,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_UFFD_WP,
  VM_WIPEONFORK,
  VM_WRITE,
  type Vma,
} from '../model/vma.ts'
import { isMigrationPte, isSwapPte, pteNormal, ptePfn } from '../page/pte.ts'
import { walkPageRange } from '../page/ptes.ts'
import { isKsm } from '../page/rmap.ts'

/** One mapping, as /proc/PID/smaps tells of it. All sizes in bytes. */
export interface MappingStat {
  readonly address: number
  readonly size: number
  /** Frames that it maps, file pages included; the zero page is not one. */
  readonly rss: number
  /** Of these, pages of its own and merged ones: not a file's, not a shared object's. */
  readonly anonymous: number
  /** Of these, merged ones. Zero pages that ksmd placed do not count. Linux: the line `KSM:` */
  readonly ksm: number
  /** Of the anonymous ones, those that MADV_FREE gave up and nobody has written to. */
  readonly lazyFree: number
  /** What is swapped out. */
  readonly swap: number
  /** What may be done with it, and is: Linux's two letters each, `rd wr sh mg lo dc wf uw pf ht`. Linux: `VmFlags` */
  readonly flags: readonly string[]
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [VM_READ, 'rd'],
  [VM_WRITE, 'wr'],
  [VM_SHARED, 'sh'],
  [VM_PFNMAP, 'pf'],
  [VM_LOCKED, 'lo'],
  [VM_DONTCOPY, 'dc'],
  [VM_HUGETLB, 'ht'],
  [VM_WIPEONFORK, 'wf'],
  [VM_MERGEABLE, 'mg'],
  [VM_UFFD_WP, 'uw'],
]

/** Every mapping of an mm, by address. Linux: show_smap() */
export function smaps(mm: MmStruct): MappingStat[] {
  return [...mm.vmas].map((vma) => mappingStat(mm, vma))
}

function mappingStat(mm: MmStruct, vma: Vma): MappingStat {
  const { memory } = mm
  const { frames } = memory
  const pages = { rss: 0, anonymous: 0, ksm: 0, lazyFree: 0, swap: 0 }
  walkPageRange(mm, vma.start, vma.end, (_, pte) => {
    if (isSwapPte(pte)) pages.swap++
    if (!pteNormal(pte) && !isMigrationPte(pte)) return
    const pfn = ptePfn(pte)
    pages.rss++
    if (!frames.isAnon(pfn)) return
    pages.anonymous++
    if (isKsm(memory, pfn)) pages.ksm++
    if (frames.lazyFree.has(pfn)) pages.lazyFree++
  })
  return {
    address: addressOf(vma.start),
    size: addressOf(vma.end - vma.start),
    rss: pages.rss * PAGE_SIZE,
    anonymous: pages.anonymous * PAGE_SIZE,
    ksm: pages.ksm * PAGE_SIZE,
    lazyFree: pages.lazyFree * PAGE_SIZE,
    swap: pages.swap * PAGE_SIZE,
    flags: FLAG_NAMES.filter(([flag]) => vma.has(flag)).map(([, name]) => name),
  }
}
