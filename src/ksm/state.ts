// Everything the samepage merger keeps: what in Linux are the static variables of mm/ksm.c. One per host, no globals.
// The functions of this room take it as their first argument.

import { COUNTER_FULL_SCANS, INDEX_HASH, RMAP_UNSTABLE, ZERO_PFN } from '../../assembly/abi.ts'
import type { Arena } from '../core/arena.ts'
import { RmapItems } from '../core/rmap-items.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import { PagefoldError } from '../errors.ts'
import type { Memory } from '../mm/model/memory.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import type { Frames } from '../mm/page/frames.ts'
import { Advisor } from './advisor.ts'
import { type Clock, soundClock } from './clock.ts'
import { DupOrder } from './dup-order.ts'
import { type MmSlot, MmSlots, ScanCursor } from './mm-slot.ts'
import type { ScanPolicy } from './policy.ts'
import type { ChangesPolicy, SmartScanPolicy } from './tunables.ts'
import { defaultTunables, type Tunables } from './tunables.ts'

/** The trees of one security domain: blocks of root slots, one a NUMA node. With merge_across_nodes only the first is used. */
export interface Trees {
  readonly stable: readonly number[]
  readonly unstable: readonly number[]
}

/** What is decided when a host is made. */
export interface KsmOptions {
  readonly clock: Clock
  /** What smart_scan=1 means. */
  readonly skipping: SmartScanPolicy | ScanPolicy
  /** Whether a page that nobody has written is read again in every scan, as Linux does. */
  readonly changes: ChangesPolicy
  /** May pages of zeros of every domain be replaced by the one zero page? */
  readonly zeroPagesAcrossDomains: boolean
}

/** `offlining`: memory is about to be taken away. Linux: KSM_RUN_OFFLINE */
export type Activity = 'resting' | 'scanning' | 'offlining'

export class KsmState {
  readonly memory: Memory
  readonly frames: Frames
  readonly items: RmapItems
  readonly nodes: StableNodes
  /** The core's functions, or what stands in for them. */
  readonly core: Arena['core']
  /** By COUNTER_*. Every counter has one writer, named where it is written. */
  readonly counters: Float64Array
  readonly options: KsmOptions
  readonly clock: Clock
  readonly tunables: Tunables = defaultTunables()
  readonly advisor = new Advisor()
  readonly slots = new MmSlots()
  readonly cursor = new ScanCursor(this.slots)
  readonly ordersByChecksum: boolean
  /** Trees are ordered by a checksum so good that a tie almost surely means equal contents. */
  readonly trustsTies: boolean
  /** Pages are searched for at their first visit too. */
  readonly guestsAreStill: boolean
  /** Pages that nobody has written are not read again (soft-dirty.ts). */
  readonly logsChanges: boolean
  /** The dups of chains that are worth a look. */
  readonly dups = new DupOrder()
  /** Stable nodes whose page has moved to another NUMA node, to be placed in the tree there. */
  readonly migrateNodes = new Set<number>()
  /** The low 32 bits of the zero page's checksum. */
  readonly zeroChecksum: number
  /** Pages that need no visit are passed over, and the unstable trees last from scan to scan (settled.ts). */
  settles = false
  /** Items whose pages the cursor passed over and that are to be visited after all, in the order of their addresses. */
  readonly unsettled: number[] = []
  /** What ksmd, or somebody it has to wait for, is doing; ksmd.ts has the picture. */
  activity: Activity = 'resting'
  /** Something to scan has turned up: rouses a sleeping ksmd. */
  wake: () => void = () => {}
  /** Completed full scans since the last unmerge (Linux: ksm_scan.seqnr). */
  #scans = 0
  /** The trees of mms without a domain, which is all of them unless asked otherwise. */
  readonly #commonTrees: Trees
  readonly #treesByDomain = new Map<string, Trees>()

  constructor(memory: Memory, options: KsmOptions, core: Arena['core']) {
    const { arena, frames } = memory
    this.memory = memory
    this.frames = frames
    this.core = core
    this.counters = arena.counters
    this.options = options
    this.clock = soundClock(options.clock, memory.gate)
    const { index, tiesAreEqual, still = false } = arena.strategy
    this.ordersByChecksum = index === INDEX_HASH
    this.trustsTies = this.ordersByChecksum && tiesAreEqual
    this.guestsAreStill = still
    this.logsChanges = options.changes === 'log'
    this.items = new RmapItems(arena)
    this.nodes = new StableNodes(arena)
    this.#commonTrees = makeTrees(memory)
    this.#treesByDomain.set('', this.#commonTrees)
    this.zeroChecksum = Number(arena.checksum(ZERO_PFN) & 0xffff_ffffn)
  }

  get seqnr(): number {
    return this.#scans
  }

  setSeqnr(seqnr: number): void {
    this.#scans = seqnr
    this.counters[COUNTER_FULL_SCANS] = seqnr
  }

  /** Which tree of a domain a frame belongs to. Linux: get_kpfn_nid() */
  treeNid(pfn: number): number {
    return this.tunables.merge_across_nodes ? 0 : this.frames.nid(pfn)
  }

  /** The trees that an mm's pages are searched for in. */
  treesOf(mm: MmStruct): Trees {
    return mm.domain === '' ? this.#commonTrees : this.#treesByDomain.get(mm.domain)!
  }

  /** Makes sure that a domain has trees. Throws ENOMEM. */
  openDomain(domain: string): void {
    if (!this.#treesByDomain.has(domain)) this.#treesByDomain.set(domain, makeTrees(this.memory))
  }

  /** The trees of a domain, if it has any. */
  treesOfDomain(domain: string): Trees | undefined {
    return this.#treesByDomain.get(domain)
  }

  /** Gives back the trees of a domain, which must be empty and have no mm. */
  closeDomain(domain: string): void {
    const { stable, unstable } = this.#treesByDomain.get(domain)!
    this.#treesByDomain.delete(domain)
    for (const roots of [...stable, ...unstable]) this.memory.arena.freeRoots(roots)
  }

  /** Every unstable item, with the slot it belongs to. */
  *unstableItems(): IterableIterator<{ readonly slot: MmSlot; readonly item: number }> {
    const { items } = this
    for (const slot of this.slots) {
      for (let item = slot.rmapList; item !== 0; item = items.next(item))
        if (items.state(item) === RMAP_UNSTABLE) yield { slot, item }
    }
  }

  /** The trees of every domain. */
  allTrees(): Iterable<Trees> {
    return this.#treesByDomain.values()
  }
}

function makeTrees({ arena, frames }: Memory): Trees {
  const all = Array.from({ length: 2 * frames.numaNodes }, () => arena.allocRoots())
  if (all.includes(0)) {
    for (const roots of all) if (roots !== 0) arena.freeRoots(roots)
    throw new PagefoldError(
      'ENOMEM',
      'no metadata left for tree roots: create the host with more `mappings` or fewer domains',
    )
  }
  return { stable: all.slice(0, frames.numaNodes), unstable: all.slice(frames.numaNodes) }
}
