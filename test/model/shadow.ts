// The shadow of a host: for every guest a plain map of what it must read, changed only by what succeeded. Holds the host
// against it: bytes, protection, domains, secondary MMUs, notifiers, pins. Nothing here asks how merging works.

import {
  FRAME_NOT_UPTODATE,
  FRAME_POISONED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../../assembly/abi.ts'
import { type Host, type Mm, type NotifierRange, type Pin, SecondaryMmu } from '../../src/index.ts'
import { VM_READ, VM_WRITE } from '../../src/mm/model/vma.ts'
import { isSwapPte, ptePfn, swapEntryOf } from '../../src/mm/page/pte.ts'
import { memoryOf } from '../support/inside.ts'
import { errnoOf, PAGE } from '../support/world.ts'

/** What is read somewhere. Private pages have one each, shared ones one for all who map the same. */
export interface Cell {
  bytes: Uint8Array
}

/** The pages of a shared mapping, by their place in it. */
export type SharedCells = Map<number, Cell>

export interface Page {
  cell: Cell
  readable: boolean
  writable: boolean
  /** Its frame broke and this guest was told. */
  lost: boolean
  readonly shared: { readonly cells: SharedCells; readonly index: number } | undefined
}

export const ZEROS = new Uint8Array(PAGE)
export const zeroCell = (): Cell => ({ bytes: ZEROS })

/** One process: its mm, and what it must read by virtual page. */
export class Guest {
  readonly mm: Mm
  readonly pages = new Map<number, Page>()
  mmu: SecondaryMmu | undefined
  private starts = 0
  private ends = 0
  /** Says no to the next range that cannot wait. */
  refuses = false

  constructor(mm: Mm) {
    this.mm = mm
    mm.registerNotifier({
      invalidateRangeStart: (range) => this.onStart(range),
      invalidateRangeEnd: () => {
        this.ends++
      },
    })
  }

  openMmu(): void {
    this.mmu ??= new SecondaryMmu(this.mm)
  }

  closeMmu(): void {
    this.mmu?.close()
    this.mmu = undefined
  }

  /** Every private page in [start, end) reads as zeros again. */
  zap(start: number, end: number): void {
    for (const [vpn, page] of this.pages) {
      if (vpn < start || vpn >= end || page.shared !== undefined) continue
      page.cell = zeroCell()
      page.lost = false
    }
  }

  /** Ranges that have begun and not ended. */
  get openRanges(): number {
    return this.starts - this.ends
  }

  private onStart(range: NotifierRange): 'EAGAIN' | undefined {
    if (!range.blockable && this.refuses) return 'EAGAIN'
    this.starts++
    return undefined
  }
}

/** A pin, and what must be read through it where that is known, page by page, whatever becomes of the mapping. */
export interface HeldPin {
  readonly guest: Guest
  readonly pin: Pin
  readonly cells: readonly (Cell | undefined)[]
  readonly write: boolean
}

/** Reads what stands behind a virtual page without touching anything: undefined if it can be read only from swap. */
export function peek(host: Host, mm: Mm, vpn: number, fromSwap: (slot: number) => Uint8Array): Uint8Array {
  const { pageTables, arena, frames, swap } = memoryOf(host)
  const pte = pageTables.get(mm.pgd, vpn)
  if ((pte & PTE_PRESENT) !== 0) return (pte & PTE_SPECIAL) !== 0 ? ZEROS : arena.page(ptePfn(pte))
  const vma = mm.vmas.at(vpn)
  const sharedPfn = vma?.shared?.pages.get(vma.indexOf(vpn))
  if (sharedPfn !== undefined) return arena.page(sharedPfn)
  if (!isSwapPte(pte)) return ZEROS
  const entry = swapEntryOf(pte)
  const cached = swap.cachedPage(entry)
  if (cached !== 0 && !frames.hasFlag(cached, FRAME_NOT_UPTODATE)) return arena.page(cached)
  return fromSwap(entry.slot)
}

/** Is the page's frame broken, though nobody could be told? */
export function isPoisoned(host: Host, mm: Mm, vpn: number): boolean {
  const { pageTables, frames, swap } = memoryOf(host)
  const pte = pageTables.get(mm.pgd, vpn)
  if ((pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) return frames.hasFlag(ptePfn(pte), FRAME_POISONED)
  if (!isSwapPte(pte)) return false
  const cached = swap.cachedPage(swapEntryOf(pte))
  return cached !== 0 && frames.hasFlag(cached, FRAME_POISONED)
}

/** What is wrong with a guest at rest, one line each. */
export function faultsOf(host: Host, guest: Guest, fromSwap: (slot: number) => Uint8Array): string[] {
  const { mm, pages } = guest
  const { pageTables } = memoryOf(host)
  const wrong: string[] = []
  let mapped = 0
  for (const vma of mm.vmas) mapped += vma.end - vma.start
  if (mapped !== pages.size) wrong.push(`${mm.name}: ${mapped} pages mapped, should be ${pages.size}`)
  for (const [vpn, page] of pages) {
    const where = `${mm.name}, page ${vpn}`
    const vma = mm.vmas.at(vpn)
    const access = (page.readable ? VM_READ : 0) | (page.writable ? VM_WRITE : 0)
    if (vma === undefined || (vma.flags & (VM_READ | VM_WRITE)) !== access) wrong.push(`${where}: protection`)
    const pte = pageTables.get(mm.pgd, vpn)
    if ((pte & PTE_UFFD_WP) !== 0 && (pte & PTE_PRESENT) !== 0 && (pte & PTE_WRITE) !== 0) {
      wrong.push(`${where}: writable though writes are to be reported`)
    }
    if (!page.lost && Buffer.compare(peek(host, mm, vpn, fromSwap), page.cell.bytes) !== 0) {
      wrong.push(`${where}: not the bytes that were written`)
    }
  }
  if (guest.openRanges !== 0) wrong.push(`${mm.name}: ${guest.openRanges} ranges began and did not end`)
  if ((guest.mmu?.openRanges.length ?? 0) !== 0) wrong.push(`${mm.name}: the secondary MMU has open ranges`)
  return wrong
}

/** What may never be wrong, not even in the middle of something: mapped bytes, and a secondary MMU's translations. */
export function faultsMidway(host: Host, guest: Guest): string[] {
  const { mm, mmu } = guest
  const { pageTables, arena } = memoryOf(host)
  const wrong: string[] = []
  for (const [vpn, page] of guest.pages) {
    const where = `${mm.name}, page ${vpn}`
    const pte = pageTables.get(mm.pgd, vpn)
    const present = (pte & PTE_PRESENT) !== 0
    if (present && !page.lost) {
      const bytes = (pte & PTE_SPECIAL) !== 0 ? ZEROS : arena.page(ptePfn(pte))
      if (Buffer.compare(bytes, page.cell.bytes) !== 0)
        wrong.push(`${where}: not the bytes that were written`)
    }
    const known = mmu?.peek(vpn * PAGE)
    if (known === undefined) continue
    if (!present || known.pfn !== ptePfn(pte))
      wrong.push(`${where}: the secondary MMU maps frame ${known.pfn}`)
    else if (known.writable && (pte & PTE_WRITE) === 0) wrong.push(`${where}: the secondary MMU may write`)
  }
  return wrong
}

/** Frames that guests of different domains map, and zero pages placed where domains forbid it. */
export function domainFaults(host: Host, guests: readonly Guest[]): string[] {
  const { pageTables } = memoryOf(host)
  const owners = new Map<number, string>()
  const wrong: string[] = []
  for (const { mm, pages } of guests) {
    for (const [vpn, page] of pages) {
      const pte = pageTables.get(mm.pgd, vpn)
      if ((pte & PTE_PRESENT) === 0 || page.shared !== undefined) continue
      if ((pte & PTE_SPECIAL) !== 0) {
        const allowed = mm.domain === '' || host.policy.zeroPagesAcrossDomains
        if ((pte & PTE_DIRTY) !== 0 && !allowed)
          wrong.push(`${mm.name}, page ${vpn}: a zero page of all domains`)
        continue
      }
      const owner = owners.get(ptePfn(pte))
      if (owner !== undefined && owner !== mm.domain) {
        wrong.push(`${mm.name}, page ${vpn}: a frame of domain "${owner}" in domain "${mm.domain}"`)
      }
      owners.set(ptePfn(pte), mm.domain)
    }
  }
  return wrong
}

/** What is read through pins must be what the guest sees, or saw last before it gave the page up; nothing from a broken frame. */
export function pinFaults(host: Host, pins: readonly HeldPin[]): string[] {
  return pins.flatMap(({ guest, pin, cells }) =>
    cells.flatMap((cell, i) => {
      const read = (): Uint8Array => pin.read(i * PAGE, PAGE)
      const right = memoryOf(host).frames.hasFlag(pin.pfns[i]!, FRAME_POISONED)
        ? errnoOf(read) === 'EHWPOISON'
        : cell === undefined || Buffer.compare(read(), cell.bytes) === 0
      return right ? [] : [`${guest.mm.name}: page ${i} of a pin is not what the guest sees`]
    }),
  )
}
