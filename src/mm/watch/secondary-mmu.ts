// A secondary MMU: keeps translations of an mm of its own, as a hypervisor's shadow page tables or a device's IOMMU do, and
// must never use a stale one. The first user of the notifiers, and a pattern for others.
//
// Linux: the retry protocol of mmu_interval_read_begin() and of KVM's mmu_invalidate_retry()

import { TABLE_ENTRIES, TABLE_SHIFT } from '../../../assembly/abi.ts'
import { expectInteger, expectObject, mistake, outside, PagefoldError } from '../../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../../inspect.ts'
import { allows, handleMmFault } from '../fault/fault.ts'
import type { Mm } from '../mm.ts'
import { ADDRESS_LIMIT, addressOf, expectAddress, hex, VPN_LIMIT, vpnOf } from '../model/address.ts'
import { EMPTY_PTE, ptePfn, pteWritable } from '../page/pte.ts'
import { getPte, isSoftDirty, markSoftDirty } from '../page/ptes.ts'
import type { Notifier, NotifierRange } from './notifier.ts'

/** What a mirror knows of a virtual page: the frame behind it, and whether it may be written there. */
export interface Translation {
  readonly pfn: number
  readonly writable: boolean
}

/** What a word of the mirror says beside the frame. */
const [READABLE, WRITABLE, PFN_SHIFT] = [1, 2, 2]

/** How often a page that changes under the lookup is looked up again: the lookup's own fault is one such change. */
const MAX_TRIES = 3

/**
 * A mirror of an mm's translations that is never stale: what a hypervisor's shadow page tables or a device's IOMMU
 * are. A pattern for writing your own. Linux: KVM's mmu_invalidate_retry()
 */
export class SecondaryMmu implements Notifier {
  private readonly mm: Mm
  /** By place of a table of ptes, a word for each page of it: its frame and what may be done there, 0 where nothing is known. */
  private readonly leaves = new Map<number, number[]>()
  /** Ranges that have begun to change and not yet ended: a list, because they nest and overlap. */
  private readonly active: NotifierRange[] = []
  /** Counts changes: a translation looked up before one began must not be used after. */
  private sequence = 0

  /** Mirrors an mm until `close`. Throws TypeError, ESRCH. */
  constructor(mm: Mm) {
    expectObject('mm', mm, ['registerNotifier'])
    this.mm = mm
    mm.registerNotifier(this)
  }

  /**
   * The frame behind an address, from the mirror or, faulting it in, from the page table. Throws EAGAIN while the page is
   * being changed: try again later. Throws what a fault throws.
   */
  translate(address: number, write = false): number {
    const { gate } = this.mm.memory
    gate.expectSound()
    try {
      const vpn = vpnOf(expectAddress(address))
      const known = this.known(vpn)
      if ((known & (write ? WRITABLE : READABLE)) !== 0) return known >>> PFN_SHIFT
      gate.expectFree()
      return this.faultIn(vpn, write)
    } catch (error) {
      throw gate.caught(error)
    }
  }

  /** What the mirror says, without asking anybody; undefined if it knows nothing. */
  peek(address: number): Translation | undefined {
    return this.look(() => {
      const known = this.known(vpnOf(expectAddress(address)))
      return known === 0 ? undefined : { pfn: known >>> PFN_SHIFT, writable: (known & WRITABLE) !== 0 }
    })
  }

  /** Is this virtual page inside a range that is being changed? Throws TypeError, RangeError. */
  isMasked(vpn: number): boolean {
    return this.look(() => {
      const at = addressOf(expectInteger('vpn', vpn, 0, VPN_LIMIT - 1))
      return this.active.some(({ start, end }) => at >= start && at < end)
    })
  }

  /** Ranges that have begun and not ended. */
  get openRanges(): readonly NotifierRange[] {
    return this.look(() => [...this.active])
  }

  /** Called by the mm: forgets the range. Throws TypeError, RangeError. */
  invalidateRangeStart(given: NotifierRange): void {
    try {
      const range = expectRange(given)
      this.active.push(range)
      this.sequence++
      this.forget(vpnOf(range.start), vpnOf(range.end))
    } catch (error) {
      throw this.mm.memory.gate.caught(error)
    }
  }

  /** Called by the mm: from here on the range may be looked up again. Throws TypeError; RangeError if it has not begun. */
  invalidateRangeEnd(given: NotifierRange): void {
    try {
      const { active } = this
      const range = expectRange(given)
      let at = active.length - 1
      while (at >= 0 && (active[at]!.start !== range.start || active[at]!.end !== range.end)) at--
      if (at < 0)
        throw mistake(
          new RangeError(`Expected a range that has begun, got ${hex(range.start)}..${hex(range.end)}`),
        )
      const last = active.pop()!
      if (at < active.length) active[at] = last
      this.sequence++
    } catch (error) {
      throw this.mm.memory.gate.caught(error)
    }
  }

  /** Forgets everything and is told of nothing any more. */
  close(): void {
    this.mm.memory.gate.expectOutside()
    this.look(() => {
      this.mm.unregisterNotifier(this)
      this.leaves.clear()
    })
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { mm, leaves, active } = this
    const counted = (): number =>
      [...leaves.values()].reduce((sum, leaf) => sum + leaf.filter((known) => known !== 0).length, 0)
    return shown(
      'SecondaryMmu',
      () => ({ mm: mm.name, translations: counted(), masked: active.length }),
      context,
    )
  }

  /** What it knows of a virtual page, 0 if nothing. */
  private known(vpn: number): number {
    return this.leaves.get(vpn >>> TABLE_SHIFT)?.[vpn % TABLE_ENTRIES] ?? 0
  }

  /** Drops the translations of [start, end), virtual pages: by going through the fewer of its tables and all there are. */
  private forget(start: number, end: number): void {
    const [first, last] = [start >>> TABLE_SHIFT, (end - 1) >>> TABLE_SHIFT]
    if (last - first < this.leaves.size) for (let at = first; at <= last; at++) this.forgetIn(at, start, end)
    else for (const at of this.leaves.keys()) this.forgetIn(at, start, end)
  }

  private forgetIn(at: number, start: number, end: number): void {
    const base = at * TABLE_ENTRIES
    const leaf = this.leaves.get(at)
    if (leaf === undefined) return
    if (start <= base && end >= base + TABLE_ENTRIES) this.leaves.delete(at)
    // Most ranges are of one page: `fill` takes longer.
    else for (let i = Math.max(start - base, 0); i < Math.min(end - base, TABLE_ENTRIES); i++) leaf[i] = 0
  }

  /** The frame behind a virtual page that the mirror does not know, or not for this access. */
  private faultIn(vpn: number, write: boolean): number {
    for (let tries = 0; tries < MAX_TRIES && !this.isMasked(vpn); tries++) {
      const before = this.sequence
      const pte = this.lookUp(vpn, write)
      // Otherwise the fault itself changed translations, or somebody did meanwhile: look at what is there now.
      if (pte !== EMPTY_PTE && this.sequence === before) return this.mirror(vpn, pte, write)
    }
    throw new PagefoldError('EAGAIN', `${this.mm.name}: ${hex(addressOf(vpn))} is being changed`)
  }

  /** The pte that allows the access, faulted in if need be; 0 if somebody has changed it again meanwhile. */
  private lookUp(vpn: number, write: boolean): number {
    const kind = write ? 'write' : 'read'
    const allowed = (): number => {
      const vma = this.mm.vmas.at(vpn)
      const pte = vma === undefined ? EMPTY_PTE : getPte(this.mm, vpn)
      return vma !== undefined && allows(this.mm, vma, pte, kind) ? pte : 0
    }
    const pte = allowed()
    if (pte !== EMPTY_PTE) return pte
    const errno = handleMmFault(this.mm, vpn, kind)
    if (errno === undefined) return allowed()
    throw new PagefoldError(errno, `${this.mm.name}: ${kind} at ${hex(addressOf(vpn))}`)
  }

  /** Whoever may write through a translation does not say when: so it is for writing only while the page is soft-dirty. */
  private mirror(vpn: number, pte: number, write: boolean): number {
    const { mm } = this
    if (write) markSoftDirty(mm, vpn)
    const pfn = ptePfn(pte)
    const writable = pteWritable(pte) && isSoftDirty(mm, vpn)
    const place = vpn >>> TABLE_SHIFT
    const leaf = this.leaves.get(place) ?? new Array<number>(TABLE_ENTRIES).fill(0)
    this.leaves.set(place, leaf)
    leaf[vpn % TABLE_ENTRIES] = (pfn << PFN_SHIFT) | (writable ? WRITABLE : 0) | READABLE
    return pfn
  }

  private look<Result>(work: () => Result): Result {
    return this.mm.memory.gate.look(work)
  }
}

/** Returns a copy of what a range says now. Throws TypeError, RangeError. */
function expectRange(given: NotifierRange): NotifierRange {
  expectObject('range', given)
  // Name by name: `...given` takes several times as long.
  const range = outside(() => {
    const { event, start, end, blockable } = given
    return { event, start, end, blockable }
  })
  expectInteger('start', range.start, 0, ADDRESS_LIMIT)
  expectInteger('end', range.end, range.start, ADDRESS_LIMIT)
  return range
}
