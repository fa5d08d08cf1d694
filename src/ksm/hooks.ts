// What memory management asks of the merger, and what it tells it: registration, fork and exit, unmerging, the way back
// from a merged page to its users, and frames that move or go away. mm knows this only as an interface (mm/model/memory.ts).
//
// Linux: include/linux/ksm.h

import { MAPPING_KSM } from '../../assembly/abi.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import type { Errno } from '../errors.ts'
import type { KsmHooks, RmapVisitor } from '../mm/model/hooks.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import type { Vma } from '../mm/model/vma.ts'
import { nextNormalPte } from '../mm/page/ptes.ts'
import { moveToAnotherDup, removeRange } from './hotplug.ts'
import { rmapWalkKsm } from './rmap-walk.ts'
import type { KsmState } from './state.ts'
import { KSM_RUN_UNMERGE } from './tunables.ts'
import { breakKsm, closeDomain } from './unmerge.ts'

export class Hooks implements KsmHooks {
  readonly #ksm: KsmState

  constructor(ksm: KsmState) {
    this.#ksm = ksm
  }

  /** Linux: __ksm_enter() */
  enter(mm: MmStruct): void {
    const { slots, cursor, tunables, memory } = this.#ksm
    const wasEmpty = slots.isEmpty
    // Behind the cursor, so that the mm is scanned last and has time to settle; but an unmerge under way must see it.
    slots.insertBefore(mm, tunables.run === KSM_RUN_UNMERGE ? slots.head : cursor.slot)
    mm.grab()
    mm.mergeable = true
    if (wasEmpty) this.#ksm.wake()
    if (memory.trace.active) memory.trace.emit('ksm_enter', { mm: mm.name })
  }

  /** Linux: __ksm_exit() */
  exit(mm: MmStruct): void {
    if (!mm.mergeable) return
    const { slots, cursor, memory } = this.#ksm
    const slot = slots.of(mm)!
    if (slot !== cursor.slot) {
      if (slot.rmapList === 0) {
        slots.remove(slot)
        mm.mergeable = false
        mm.drop()
      } else {
        slots.moveBehind(slot, cursor.slot)
      }
    }
    if (memory.trace.active) memory.trace.emit('ksm_exit', { mm: mm.name })
  }

  /** The child starts with accounts of its own: what it maps is counted when it is visited. Linux: ksm_fork() */
  fork(child: MmStruct, parent: MmStruct): void {
    if (parent.mergeable) this.enter(child)
  }

  domainGone(domain: string): void {
    closeDomain(this.#ksm, domain)
  }

  /**
   * Has the memory for the pages' items in place before the scan needs it: a scan that takes a page fault for every
   * 128 items is half as fast (measured).
   */
  registered(mm: MmStruct, start: number, end: number): void {
    const { slots, memory } = this.#ksm
    slots.expect(slots.of(mm)!, presentPages(mm, start, end))
    memory.arena.touchMetadata(slots.expected)
  }

  unmerge(mm: MmStruct, vma: Vma, start: number, end: number): Errno | undefined {
    const slot = this.#ksm.slots.of(mm)
    if (slot !== undefined) this.#ksm.slots.expect(slot, -presentPages(mm, start, end))
    return breakKsm(mm, vma, start, end)
  }

  rmapWalk(pfn: number, visit: RmapVisitor): void {
    rmapWalkKsm(this.#ksm, pfn, visit)
  }

  mayKeepMerged(pfn: number): boolean {
    const { frames, tunables } = this.#ksm
    return StableNodes.ofMapping(frames.mapping(pfn)) !== 0 && tunables.run !== KSM_RUN_UNMERGE
  }

  /** Linux: folio_migrate_ksm() */
  migrated(toPfn: number, fromPfn: number): void {
    const { frames, nodes, memory } = this.#ksm
    const node = StableNodes.ofMapping(frames.mapping(toPfn))
    if (node === 0) return
    nodes.setPfn(node, toPfn)
    memory.race?.('migration: after kpfn store')
    // Whoever peeped at the old page before must find no key there when they look again.
    frames.setMapping(fromPfn, MAPPING_KSM)
    memory.race?.('migration: after old mapping rewrite')
  }

  memoryGoingOffline(): Errno | undefined {
    // Linux would wait for ksmd to finish its batch; here that is further up the stack.
    if (this.#ksm.activity !== 'resting') return 'EBUSY'
    this.#ksm.activity = 'offlining'
    return undefined
  }

  memoryCancelOffline(): void {
    this.#ksm.activity = 'resting'
    this.#ksm.wake()
  }

  memoryOffline(start: number, end: number): void {
    removeRange(this.#ksm, start, end)
    this.memoryCancelOffline()
  }

  recoverFromFailure(pfn: number): number {
    return moveToAnotherDup(this.#ksm, pfn)
  }
}

/** How many pages of its own an mm has in [start, end). */
function presentPages(mm: MmStruct, start: number, end: number): number {
  let pages = 0
  for (let vpn = nextNormalPte(mm, start, end); vpn < end; vpn = nextNormalPte(mm, vpn + 1, end)) pages++
  return pages
}
