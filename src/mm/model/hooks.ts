// Who plugs into memory management, and what is asked of them: the merger, a visitor of mappings, a handler of userfaults.
// This room knows them only by what stands here.

import type { Errno } from '../../errors.ts'
import type { MmStruct } from './mm-struct.ts'
import type { Vma } from './vma.ts'

/** Sees one place that may map a page, whether or not it does. Returns false to end the walk. */
export type RmapVisitor = (mm: MmStruct, vma: Vma, vpn: number) => boolean

/** What mm asks of the merger (Linux: include/linux/ksm.h). */
export interface KsmHooks {
  /** Registers an mm for scanning. Linux: __ksm_enter() */
  enter(mm: MmStruct): void
  /** An mm is about to lose its mappings. Linux: ksm_exit() */
  exit(mm: MmStruct): void
  /** A child is complete. Linux: ksm_fork() */
  fork(child: MmStruct, parent: MmStruct): void
  /** The last mm of a domain is no more. */
  domainGone(domain: string): void
  /** [start, end) has become mergeable. */
  registered(mm: MmStruct, start: number, end: number): void
  /** Gives every merged page of [start, end) a private copy. Linux: break_ksm() */
  unmerge(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined
  /** Visits every place that may map a merged page. Linux: rmap_walk_ksm() */
  rmapWalk(pfn: number, visit: RmapVisitor): void
  /** May a merged page that comes from the swap cache be mapped as it is? Linux: in ksm_might_need_to_copy() */
  mayKeepMerged(pfn: number): boolean
  /** A page has moved; both frames bear its mapping. Linux: folio_migrate_ksm() */
  migrated(toPfn: number, fromPfn: number): void
  /** Linux: ksm_memory_callback() with MEM_GOING_OFFLINE (which may be refused), MEM_CANCEL_OFFLINE, MEM_OFFLINE */
  memoryGoingOffline(): Errno | undefined
  memoryCancelOffline(): void
  memoryOffline(start: number, end: number): void
  /** Moves users of a broken merged page to another page of the same content; returns how many. */
  recoverFromFailure(pfn: number): number
}

/** A host without a merger. */
export const NO_KSM: KsmHooks = {
  enter: () => {},
  exit: () => {},
  fork: () => {},
  domainGone: () => {},
  registered: () => {},
  unmerge: () => undefined,
  rmapWalk: () => {},
  mayKeepMerged: () => false,
  migrated: () => {},
  memoryGoingOffline: () => undefined,
  memoryCancelOffline: () => {},
  memoryOffline: () => {},
  recoverFromFailure: () => 0,
}

/** Who is told of writes to protected pages. Linux: UFFD_FEATURE_PAGEFAULT_FLAG_WP */
export interface UserfaultHandler {
  /**
   * A guest is about to write to a protected page. Take the protection away to let it. Nothing is half done: any call is
   * possible here, and the fault begins again afterwards.
   */
  onWriteProtect(fault: { readonly address: number }): void
}
