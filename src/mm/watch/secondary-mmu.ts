// A secondary MMU: keeps translations of an mm of its own, as a hypervisor's shadow page tables or a device's IOMMU do, and
// must never use a stale one. The first user of the notifiers, and a pattern for others.
//
// Linux: the retry protocol of mmu_interval_read_begin() and of KVM's mmu_invalidate_retry()

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { PagefoldError } from '../../errors.ts'
import { allows, handleMmFault } from '../fault/fault.ts'
import { hex } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { EMPTY_PTE, ptePfn, pteWritable } from '../page/pte.ts'
import { getPte } from '../page/ptes.ts'
import type { Notifier, NotifierRange } from './notifier.ts'

export interface Translation {
  readonly pfn: number
  readonly writable: boolean
}

/** How often a page that changes under the lookup is looked up again: the lookup's own fault is one such change. */
const MAX_TRIES = 3

export class SecondaryMmu implements Notifier {
  private readonly mm: MmStruct
  private readonly translations = new Map<number, Translation>()
  /** Ranges that have begun to change and not yet ended: a list, because they nest and overlap. */
  private readonly active: NotifierRange[] = []
  /** Counts changes: a translation looked up before one began must not be used after. */
  private sequence = 0

  /** Mirrors an mm until `close`. */
  constructor(mm: MmStruct) {
    this.mm = mm
    mm.registerNotifier(this)
  }

  /**
   * The frame behind an address, from the mirror or, faulting it in, from the page table. Throws EAGAIN while the page is
   * being changed: try again later. Throws what a fault throws.
   */
  translate(address: number, write = false): number {
    const vpn = Math.floor(address / PAGE_SIZE)
    const known = this.translations.get(vpn)
    if (known !== undefined && (known.writable || !write)) return known.pfn
    for (let tries = 0; tries < MAX_TRIES && !this.isMasked(vpn); tries++) {
      const before = this.sequence
      const pte = this.lookUp(vpn, write)
      // Otherwise the fault itself changed translations, or somebody did meanwhile: look at what is there now.
      if (pte !== 0 && this.sequence === before) return this.mirror(vpn, pte)
    }
    throw new PagefoldError('EAGAIN', `${this.mm.name}: ${hex(address)} is being changed`)
  }

  /** What the mirror says, without asking anybody; undefined if it knows nothing. */
  peek(address: number): Translation | undefined {
    return this.translations.get(Math.floor(address / PAGE_SIZE))
  }

  /** Is this address inside a range that is being changed? */
  isMasked(vpn: number): boolean {
    const at = vpn * PAGE_SIZE
    return this.active.some(({ start, end }) => at >= start && at < end)
  }

  /** Ranges that have begun and not ended. */
  get openRanges(): readonly NotifierRange[] {
    return this.active
  }

  invalidateRangeStart(range: NotifierRange): void {
    this.active.push(range)
    this.sequence++
    for (const vpn of this.translations.keys()) {
      if (vpn * PAGE_SIZE >= range.start && vpn * PAGE_SIZE < range.end) this.translations.delete(vpn)
    }
  }

  invalidateRangeEnd(range: NotifierRange): void {
    const at = this.active.findIndex(({ start, end }) => start === range.start && end === range.end)
    if (at < 0) throw new Error(`a range ${hex(range.start)}..${hex(range.end)} ended that never began`)
    this.active.splice(at, 1)
    this.sequence++
  }

  close(): void {
    this.mm.unregisterNotifier(this)
    this.translations.clear()
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
    if (pte !== 0) return pte
    const errno = handleMmFault(this.mm, vpn, kind)
    if (errno === undefined) return allowed()
    throw new PagefoldError(errno, `${this.mm.name}: ${kind} at ${hex(vpn * PAGE_SIZE)}`)
  }

  private mirror(vpn: number, pte: number): number {
    const translation = { pfn: ptePfn(pte), writable: pteWritable(pte) }
    this.translations.set(vpn, translation)
    return translation.pfn
  }
}
