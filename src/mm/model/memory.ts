// What all mms of a host share: the arena and its frames, the page tables, the anon_vmas, swap, and the ways out to those
// who watch (tracepoints, race points) or take part (the samepage merger, which this room knows only by its hooks).

import { COUNTER_KSM_SWPIN_COPY, COUNTER_KSM_ZERO_PAGES } from '../../../assembly/abi.ts'
import type { Arena } from '../../core/arena.ts'
import { CpuRecords } from '../../core/cpu-records.ts'
import { FrameBytes } from '../page/bytes.ts'
import { Frames } from '../page/frames.ts'
import { PageTables } from '../page/page-table.ts'
import { PinCounts } from '../page/pins.ts'
import { Swap } from '../reclaim/swap.ts'
import { type RacePoint, Tracepoints } from '../watch/tracepoints.ts'
import { AnonVmas } from './anon-vma.ts'
import type { CowPolicy } from './cow-policy.ts'
import { CpuThreads } from './cpus.ts'
import { Gate } from './gate.ts'
import { type KsmHooks, NO_KSM } from './hooks.ts'
import type { MmStruct } from './mm-struct.ts'
import type { ObjectPage, SharedObject } from './shared-object.ts'

/** Linux: PID_MAX_LIMIT is larger; an rmap item has 16 bits for it. */
const MAX_MMS = 65_535

export class Memory {
  readonly arena: Arena
  readonly gate = new Gate()
  readonly bytes: FrameBytes
  readonly frames: Frames
  readonly pageTables: PageTables
  readonly anonVmas: AnonVmas
  readonly swap: Swap
  readonly pins: PinCounts
  readonly cpus: CpuRecords
  /** Virtual CPUs on threads of their own. */
  readonly cpuThreads: CpuThreads
  readonly trace = new Tracepoints(this.gate)
  /** What went wrong without stopping anything, each with a description of the frame. Linux: WARN_ON + dump_page() */
  readonly warnings: string[] = []
  /** When a write may go to a page that was shared; see cow.ts. */
  cowPolicy: CowPolicy = 'anon_exclusive'
  /** Swap pages out when there is no frame left, rather than refuse one. */
  reclaims = false
  /** The frame that is looked at next for that. */
  reclaimHand: number
  /** Turn a merged page with one mapping back into an ordinary one instead of copying it; see cow.ts. */
  reuseKsm = false
  /** Where a test may act between two steps; `mm` is the one whose mmap lock or page table lock Linux holds there. */
  race: ((point: RacePoint, mm?: MmStruct) => void) | undefined
  /** Where a test may act when the notifiers of an mm have heard that a range begins, or that it has ended. */
  notified: ((step: 'start' | 'end', mm: MmStruct) => void) | undefined
  /** Files that are mapped, by what callers name them by: all who map one share its pages until they write. */
  readonly files = new Map<object, SharedObject>()
  /** The frames that objects hold. Linux: a page's `mapping` and `index` */
  readonly objectPages = new Map<number, ObjectPage>()
  /** Has any mapping ever been locked? Until then nobody need look for one. */
  mayBeLocked = false
  ksm: KsmHooks = NO_KSM
  /** Notifiers registered with any mm. */
  notifiers = 0
  private readonly mmById: (MmStruct | undefined)[] = [undefined]
  private readonly freeMmIds: number[] = []
  /** How many mms each domain has, exited ones that somebody still needs included. */
  private readonly domains = new Map<string, number>()

  constructor(arena: Arena, numaNodes: number) {
    this.arena = arena
    this.reclaimHand = arena.firstPfn
    this.bytes = new FrameBytes(arena)
    this.frames = new Frames(arena, this.bytes, numaNodes)
    this.anonVmas = new AnonVmas(() => this.frames.anonVmasNamed())
    this.pageTables = new PageTables(arena)
    this.swap = new Swap(arena, this.gate, this.bytes, this.frames)
    this.pins = new PinCounts(this.frames)
    this.cpus = new CpuRecords(arena)
    this.cpuThreads = new CpuThreads(this.cpus)
  }

  /**
   * Does anybody act while the engine is at work: a virtual CPU on another thread, a test at a race point? Whoever is merely called back
   * can only look (model/gate.ts), and write where it may without asking.
   */
  get isActedOn(): boolean {
    return this.race !== undefined || this.notified !== undefined || this.cpuThreads.count > 0
  }

  /** Can bytes change while the engine is at work, by whoever acts or is called back? */
  get callsBack(): boolean {
    return this.notifiers > 0 || this.trace.active || this.isActedOn
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
    this.domains.set(mm.domain, (this.domains.get(mm.domain) ?? 0) + 1)
    return id
  }

  /** Nobody needs an mm any more: its number is free, and with the last of a domain what was kept for that. */
  removeMm({ id, domain }: MmStruct): void {
    this.mmById[id] = undefined
    this.freeMmIds.push(id)
    this.domains.set(domain, this.domains.get(domain)! - 1)
    this.leaveDomain(domain)
  }

  /** If a domain has no mm, what was kept for it goes. */
  leaveDomain(domain: string): void {
    if ((this.domains.get(domain) ?? 0) > 0) return
    this.domains.delete(domain)
    this.ksm.domainGone(domain)
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
