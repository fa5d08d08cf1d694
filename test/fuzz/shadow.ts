// The fuzzer's shadow of a guest: for every page what it must read, and what decides that: its kind, its protection, its object, what was
// advised about it. Changed only by what the host says was done. Nothing here asks how merging works.

import { FRAME_NOT_UPTODATE, PTE_PRESENT, PTE_SPECIAL } from '../../assembly/abi.ts'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'
import type { Host, Mm, Notifier, NotifierRange, SecondaryMmu } from '../../src/index.ts'
import { isPoisonPte, isSwapPte, ptePfn, swapEntryOf } from '../../src/mm/page/pte.ts'
import { memoryOf } from '../support/inside.ts'
import { PAGE } from '../support/world.ts'

export const ZEROS = new Uint8Array(PAGE)

/** What is read somewhere. Private pages have one each, shared ones one for all who map the same, and a pin keeps its page's. */
export interface Cell {
  bytes: Uint8Array
  /** What may be read instead: the page was given up by MADV_FREE, and nobody has looked yet whether it is gone. */
  alt?: Uint8Array | undefined
}

export type Kind = 'anon' | 'huge' | 'device' | 'shared' | 'file'

/** What a mapping of kind `shared` or `file` shows. */
export interface Shown {
  /** Of a shared object, by place. */
  readonly cells: Map<number, Cell>
  /** Of a file: its bytes, a page each. */
  readonly file: readonly Uint8Array[]
}

export interface Page {
  cell: Cell
  readonly kind: Kind
  readonly shown: Shown
  /** Its place in what is shown. */
  readonly index: number
  /** 1: may be read, 2: may be written. */
  prot: number
  /** Its frame broke and this guest was told. */
  lost: boolean
  locked: boolean
  dontFork: boolean
  wipeOnFork: boolean
}

export const NOTHING_SHOWN: Shown = { cells: new Map(), file: [] }

/** A page as mmap makes it. */
export function freshPage(kind: Kind, prot: number, shown: Shown, index: number): Page {
  const flags = { lost: false, locked: false, dontFork: false, wipeOnFork: false }
  return { cell: freshCell(kind, shown, index), kind, shown, index, prot, ...flags }
}

/** What is read before anybody has written. */
export function freshCell(kind: Kind, { cells, file }: Shown, index: number): Cell {
  if (kind === 'file') return { bytes: file[index] ?? ZEROS }
  if (kind !== 'shared') return { bytes: ZEROS }
  const cell = cells.get(index) ?? { bytes: ZEROS }
  cells.set(index, cell)
  return cell
}

/** One process: its mm, and what it must read by virtual page. */
export class Guest {
  readonly mm: Mm
  readonly pages = new Map<number, Page>()
  mmu: SecondaryMmu | undefined
  /** It may go on asking when the mm has exited. */
  cpu: VirtualCpu | undefined
  /** It has exited. */
  gone = false
  /** Has a handler of userfaults, so that EAGAIN is no surprise. */
  reported = false
  /** Pages that were registered for it last. */
  watched: readonly number[] = []
  private readonly open: NotifierRange[] = []

  constructor(mm: Mm) {
    this.mm = mm
  }

  /** A notifier that keeps accounts of what has begun, and has `called` called. */
  notifier(called: () => void, refuses: () => boolean): Notifier {
    return {
      invalidateRangeStart: (range) => {
        if (!range.blockable && refuses()) return 'EAGAIN'
        this.open.push(range)
        called()
        return undefined
      },
      invalidateRangeEnd: (range) => {
        const at = this.open.findIndex(
          ({ event, start, end }) => event === range.event && start === range.start && end === range.end,
        )
        if (at < 0) throw new Error(`${range.event} ${range.start}..${range.end} ended and never began`)
        this.open.splice(at, 1)
        called()
      },
    }
  }

  /** Ranges that have begun and not ended. */
  get openRanges(): number {
    return this.open.length
  }

  /** Its pages in [start, end), by address. */
  within(start: number, end: number): [number, Page][] {
    if (end - start > this.pages.size) {
      return [...this.pages].filter(([vpn]) => vpn >= start && vpn < end).sort(([a], [b]) => a - b)
    }
    const found: [number, Page][] = []
    for (let vpn = start; vpn < end; vpn++) {
      const page = this.pages.get(vpn)
      if (page !== undefined) found.push([vpn, page])
    }
    return found
  }

  drop(start: number, end: number): void {
    for (const [vpn] of this.within(start, end)) this.pages.delete(vpn)
  }
}

/** Its content is thrown away: what is private reads as it did at first. */
export function zap(page: Page): void {
  if (page.kind === 'shared' || page.kind === 'device') return
  page.cell = freshCell(page.kind, page.shown, page.index)
  page.lost = false
}

/** A page of a child's. */
export function inherited(page: Page): Page {
  if (page.wipeOnFork)
    return { ...page, cell: freshCell(page.kind, page.shown, page.index), lost: false, locked: false }
  const { cell } = page
  return { ...page, cell: page.kind === 'shared' ? cell : { ...cell }, locked: false }
}

/** Bytes put somewhere into a page. */
export function patch(cell: Cell, offset: number, bytes: Uint8Array): void {
  const patched = (old: Uint8Array): Uint8Array => {
    if (bytes.length === PAGE) return bytes
    const changed = old.slice()
    changed.set(bytes, offset)
    return changed
  }
  cell.bytes = patched(cell.bytes)
  if (cell.alt !== undefined) cell.alt = patched(cell.alt)
}

export const isSame = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0

/** Is this what a page must hold? What turns out to have been given up is so from now on. */
export function holds(page: Page, bytes: Uint8Array): boolean {
  if (isSame(page.cell.bytes, bytes)) return true
  if (page.cell.alt === undefined || !isSame(page.cell.alt, bytes)) return false
  // Whoever holds the old page does not get the new one.
  page.cell = { bytes: page.cell.alt }
  return true
}

/**
 * What stands behind a virtual page, looked at without touching anything: its frame (0: none) and its bytes; `broken` where a
 * mark says that the page is lost.
 */
export function behind(
  host: Host,
  mm: Mm,
  vpn: number,
  page: Page,
  fromSwap: (device: number, slot: number) => Uint8Array,
): { readonly pfn: number; readonly bytes: Uint8Array } | 'broken' {
  const { pageTables, arena, frames, swap } = memoryOf(host)
  const at = (pfn: number): { pfn: number; bytes: Uint8Array } => ({ pfn, bytes: arena.page(pfn) })
  const pte = pageTables.get(mm.pgd, vpn)
  if ((pte & PTE_PRESENT) !== 0) return (pte & PTE_SPECIAL) !== 0 ? { pfn: 0, bytes: ZEROS } : at(ptePfn(pte))
  if (isPoisonPte(pte)) return 'broken'
  if (isSwapPte(pte)) {
    const entry = swapEntryOf(pte)
    const cached = swap.cachedPage(entry)
    if (cached !== 0 && !frames.hasFlag(cached, FRAME_NOT_UPTODATE)) return at(cached)
    return { pfn: 0, bytes: fromSwap(entry.device, entry.slot) }
  }
  const vma = mm.vmas.at(vpn)
  const known = vma?.shared?.pages.get(vma.indexOf(vpn))
  if (known !== undefined) return at(known)
  return { pfn: 0, bytes: page.kind === 'file' ? (page.shown.file[page.index] ?? ZEROS) : ZEROS }
}
