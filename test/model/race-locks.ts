// What may happen at a race point, and what may not: the locks Linux holds there would keep the other actor waiting. An
// action that has to wait is no race, so it is left out.
//
//   mmap lock, read    held over a merge step, by a fault, by swapoff: no munmap, mremap, fork, exit, madvise that changes
//                      vmas, of that mm; its faults go on, and so do MADV_DONTNEED and MADV_PAGEOUT, which take it for
//                      reading too
//   mmap lock, write   held by fork over the parent: nothing of that mm at all but what needs no kernel
//   page table lock    held while a pte is empty between two values (flush, then set) and over the reuse of a page: no
//                      fault of that mm either, nor ksmd, who may come upon any page
//   folio lock         migration, swap-in and merging hold it: most others try it and give up (that is in the code under
//                      test). memory_failure() waits for it, so it is left out wherever a page is held; and ksmd does for
//                      a merged page whose item it drops, so there is no scan while one is locked
//   ksm_thread_mutex   held over every scan and every write of run, max_page_sharing, merge_across_nodes, and over the
//                      move of a broken page's users to another: none of these inside another. Knobs that Linux writes without it are left out too: they change nothing but when
//   device_hotplug_lock  offline and online, each alone
//
// No lock stops what needs no kernel: a guest that writes through a pte that is writable at this moment, or a virtual CPU
// through its own translation.

import type { MmStruct } from '../../src/mm/model/mm-struct.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'

/** What is held of an mm: its mmap lock, or a page table lock on top of that. */
export type Mode = 'read' | 'write' | 'pte'

export interface Held {
  readonly mm: MmStruct
  readonly mode: Mode
}

/** What an operation has to take: of its mm, of every mm, or of nobody. */
export type Need =
  | 'nothing'
  | 'read'
  | 'write'
  | 'read all'
  | 'folio'
  | 'mutex'
  | 'folio and mutex'
  | 'hotplug'

/** Locks of the whole machine that an operation holds from beginning to end. */
export function machineLockOf(need: Need): 'mutex' | 'hotplug' | undefined {
  if (need === 'hotplug') return 'hotplug'
  return need === 'mutex' || need === 'folio and mutex' ? 'mutex' : undefined
}

/** `cursor`: the mm that ksmd is visiting, for reading; sometimes it is not held there, which cannot be told apart. */
export const LOCKS: Record<RacePoint, Mode | 'cursor' | 'none'> = {
  'keyhole: after first check': 'cursor',
  'keyhole: after get': 'cursor',
  'keyhole: after second check': 'cursor',
  'keyhole: after lock': 'cursor',
  'merge: after flush': 'pte',
  'merge: after write-protect': 'read',
  'merge: before compare': 'read',
  'merge: after compare': 'read',
  'merge: before pte compare': 'read',
  'merge: between the two halves': 'none',
  'merge: before stable insert': 'none',
  'merge: before append': 'none',
  'cow: after flush': 'pte',
  'reuse: before freeze': 'pte',
  'reuse: after freeze': 'pte',
  'fork: before vma': 'write',
  'fork: before page': 'write',
  'fork: after end': 'write',
  'swap-in: after lock': 'read',
  'swap-in: after add_rmap': 'pte',
  'swap-in: after swap_free': 'pte',
  'swap-in: after unlock': 'read',
  'migration: after freeze': 'none',
  'migration: after kpfn store': 'none',
  'migration: after old mapping rewrite': 'none',
  'migration: after swapcache flag clear': 'none',
  'exit: before ksm_exit': 'none',
  'exit: after ksm_exit': 'none',
  'exit: after teardown': 'none',
  'scan: between cursor and merge': 'none',
  'scan: before checksum': 'none',
  'scan: between pages': 'none',
  'scan: between mms': 'none',
  'scan: after unstable reset': 'none',
}

/** Where nobody holds a page in the middle of something. */
export const NO_PAGE_HELD: ReadonlySet<RacePoint> = new Set([
  'scan: between pages',
  'scan: between mms',
  'scan: after unstable reset',
  'exit: before ksm_exit',
  'exit: after ksm_exit',
  'exit: after teardown',
])

/** Could the operation go on, or would it have to wait for one of those locks? */
export function mayTake(need: Need, mm: MmStruct | undefined, held: readonly Held[]): boolean {
  switch (need) {
    case 'nothing':
    case 'folio':
      return true
    case 'read':
      return !held.some((lock) => lock.mm === mm && lock.mode !== 'read')
    case 'write':
      return !held.some((lock) => lock.mm === mm)
    case 'read all':
    case 'mutex':
    case 'folio and mutex':
    case 'hotplug':
      return !held.some((lock) => lock.mode !== 'read')
  }
}
