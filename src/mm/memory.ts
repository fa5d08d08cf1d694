// What all mms of a host share: the arena and its frames, the page tables, the anon_vmas, swap, and the ways out to those
// who watch (tracepoints, race points) or take part (the samepage merger, which this room knows only by its hooks).

import { COUNTER_KSM_SWPIN_COPY, COUNTER_KSM_ZERO_PAGES } from '../../assembly/abi.ts'
import type { Arena } from '../core/arena.ts'
import type { Errno } from '../errors.ts'
import { AnonVmas } from './anon-vma.ts'
import type { CowPolicy } from './cow.ts'
import { Frames } from './frames.ts'
import { PinCounts } from './gup.ts'
import type { MmStruct } from './mm-struct.ts'
import { PageTables } from './page-table.ts'
import type { RmapVisitor } from './rmap.ts'
import { Swap } from './swap.ts'
import { type RacePoint, Tracepoints } from './tracepoints.ts'
import type { Vma } from './vma.ts'

/** Linux: PID_MAX_LIMIT is larger; an rmap item has 16 bits for it. */
const MAX_MMS = 65_535

/** What mm asks of the merger (Linux: include/linux/ksm.h). */
export interface KsmHooks {
  /** Pages of this domain may be merged from now on. Throws ENOMEM. */
  openDomain(domain: string): void
  /** Registers an mm for scanning. Linux: __ksm_enter() */
  enter(mm: MmStruct): Errno | undefined
  /** An mm is about to lose its mappings. Linux: ksm_exit() */
  exit(mm: MmStruct): void
  /** A child is complete. Linux: ksm_fork() */
  fork(child: MmStruct, parent: MmStruct): void
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
  /** Linux: ksm_memory_callback() with MEM_GOING_OFFLINE, MEM_CANCEL_OFFLINE, MEM_OFFLINE */
  memoryGoingOffline(): void
  memoryCancelOffline(): void
  memoryOffline(start: number, end: number): void
  /** Moves users of a broken merged page to another page of the same content; returns how many. */
  recoverFromFailure(pfn: number): number
}

export class Memory {
  readonly arena: Arena
  readonly frames: Frames
  readonly pageTables: PageTables
  readonly anonVmas = new AnonVmas()
  readonly swap: Swap
  readonly pins: PinCounts
  readonly trace = new Tracepoints()
  /** What went wrong without stopping anything, each with a description of the frame. Linux: WARN_ON + dump_page() */
  readonly warnings: string[] = []
  /** When a write may go to a page that was shared; see cow.ts. */
  cowPolicy: CowPolicy = 'anon_exclusive'
  /** Turn a merged page with one mapping back into an ordinary one instead of copying it; see cow.ts. */
  reuseKsm = false
  /** Where a test may act between two steps; `mm` is the one whose mmap lock or page table lock Linux holds there. */
  race: ((point: RacePoint, mm?: MmStruct) => void) | undefined
  ksm: KsmHooks = NO_KSM
  /** Notifiers registered with any mm. */
  notifiers = 0
  private readonly mmById: (MmStruct | undefined)[] = [undefined]
  private readonly freeMmIds: number[] = []

  constructor(arena: Arena, numaNodes: number) {
    this.arena = arena
    this.frames = new Frames(arena, numaNodes)
    this.pageTables = new PageTables(arena)
    this.swap = new Swap(arena, this.frames)
    this.pins = new PinCounts(this)
  }

  /** Does anybody outside get to act while the engine is at work? */
  get callsBack(): boolean {
    return this.notifiers > 0 || this.trace.active || this.race !== undefined
  }

  /** The mm of an id somebody still holds (Linux: mmgrab). */
  mm(id: number): MmStruct {
    return this.mmById[id]!
  }

  /** Every mm somebody still holds, exited or not. */
  *mms(): IterableIterator<MmStruct> {
    for (const mm of this.mmById) if (mm !== undefined) yield mm
  }

  /** Finds a number for a new mm; 0 when there are too many. */
  addMm(mm: MmStruct): number {
    const id = this.freeMmIds.pop() ?? this.mmById.length
    if (id > MAX_MMS) return 0
    this.mmById[id] = mm
    return id
  }

  removeMm(id: number): void {
    this.mmById[id] = undefined
    this.freeMmIds.push(id)
  }

  /** Counts zero pages placed by ksmd, at once and for both sides. Linux: ksm_map_zero_page() */
  addKsmZeroPages(mm: MmStruct, change: number): void {
    mm.ksm.zeroPages += change
    this.arena.counters[COUNTER_KSM_ZERO_PAGES]! += change
  }

  /** Linux: count_vm_event(KSM_SWPIN_COPY) */
  countSwapinCopy(): void {
    this.arena.counters[COUNTER_KSM_SWPIN_COPY]!++
  }

  /** Notes something that should not be, with what the frame looks like. Always false, for the caller to return. */
  warn(pfn: number, what: string): false {
    const { frames } = this
    const state = `refcount ${frames.refcount(pfn)}, mapcount ${frames.mapcount(pfn)}`
    const mapping = `mapping 0x${frames.mapping(pfn).toString(16)}, index 0x${frames.index(pfn).toString(16)}`
    this.warnings.push(
      `${what}: frame ${pfn}, ${state}, ${mapping}, flags 0x${frames.flags(pfn).toString(16)}`,
    )
    return false
  }
}

const NO_KSM: KsmHooks = {
  openDomain: () => {},
  enter: () => undefined,
  exit: () => {},
  fork: () => {},
  registered: () => {},
  unmerge: () => undefined,
  rmapWalk: () => {},
  mayKeepMerged: () => false,
  migrated: () => {},
  memoryGoingOffline: () => {},
  memoryCancelOffline: () => {},
  memoryOffline: () => {},
  recoverFromFailure: () => 0,
}
