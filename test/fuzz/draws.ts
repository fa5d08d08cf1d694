// What calls are drawn from: guests, ranges of theirs that are often mapped and sometimes odd, contents of which there are few.

import type { Errno, Mm } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import type { Random } from '../support/random.ts'
import { contentBytes, PAGE } from '../support/world.ts'
import type { Guest, Page } from './shadow.ts'
import type { World } from './world.ts'

export const VPN_LIMIT = 2 ** 32
/** The beginning, the border of two page tables, somewhere, the end. */
const REGIONS = [0, 0x0f8, 0x5000, VPN_LIMIT - 16]
const REGION_PAGES = 16

const CONTENTS = [0, 1, 2, 3].map(contentBytes)
export const contentOf = (draw: Random): Uint8Array => CONTENTS[draw.below(CONTENTS.length)]!

export interface Range {
  readonly address: number
  readonly length: number
  /** Virtual pages. */
  readonly start: number
  readonly end: number
  /** Its address is not at the beginning of a page. */
  readonly unaligned: boolean
}

export function drawVpn(draw: Random): number {
  return REGIONS[draw.pick([0, 1, 1, 1, 2, 2, 3])]! + draw.below(draw.pick([4, 4, 10]))
}

/** A page of a guest's, most often one that is mapped. */
export function drawPlace(draw: Random, guest: Guest): number {
  if (guest.pages.size === 0 || draw.below(5) === 0) return drawVpn(draw)
  let left = draw.below(guest.pages.size)
  for (const vpn of guest.pages.keys()) if (left-- === 0) return vpn
  return drawVpn(draw)
}

/** A few pages; now and then none, a part of one, all there are, or one that begins in the middle of a page. */
export function drawRange(draw: Random, guest: Guest): Range {
  const start = drawPlace(draw, guest)
  const roll = draw.below(60)
  let length = (1 + draw.below(draw.pick([2, 6]))) * PAGE
  if (roll < 4) length = 0
  else if (roll < 8) length -= 1 + draw.below(PAGE - 1)
  else if (roll === 8) length = (VPN_LIMIT - start) * PAGE
  length = Math.min(length, (VPN_LIMIT - start) * PAGE)
  const unaligned = roll === 9
  const address = start * PAGE + (unaligned ? 1 + draw.below(PAGE - 1) : 0)
  if (unaligned) length = Math.max(0, length - PAGE)
  return { address, length, start, end: start + Math.ceil(length / PAGE), unaligned }
}

/** A part of a row of bytes, within one page: the page's number, where it lies in that, where in the row, and how long it is. */
export interface PagePart {
  readonly page: number
  readonly at: number
  readonly from: number
  readonly count: number
}

/** Bytes from `start` on, page by page. */
export function partsOf(start: number, length: number): PagePart[] {
  const parts: PagePart[] = []
  for (let from = 0; from < length; from += parts.at(-1)!.count) {
    const at = (start + from) % PAGE
    parts.push({
      page: Math.floor((start + from) / PAGE),
      at,
      from,
      count: Math.min(PAGE - at, length - from),
    })
  }
  return parts
}

/** Room for a new mapping: within a region. */
export function drawRoom(draw: Random): { readonly start: number; readonly pages: number } {
  const start = drawVpn(draw)
  const region = REGIONS.findLast((first) => first <= start)!
  return { start, pages: Math.min(1 + draw.below(8), region + REGION_PAGES - start) }
}

/** A guest, most often one that has pages. */
export function anyGuest(world: World, draw: Random): Guest | undefined {
  const { living } = world
  if (living.length === 0) return undefined
  const guest = draw.pick(living)
  return guest.pages.size > 0 || draw.below(6) === 0 ? guest : draw.pick(living)
}

/** A guest, or once in a while one that has exited: nothing can be asked of it. */
export function drawGuest(world: World, draw: Random): Guest | undefined {
  if (draw.below(50) === 0 && world.exited.length > 0) return draw.pick(world.exited)
  return anyGuest(world, draw)
}

/** The same for a call that is about pages: one that has none is of little use. */
export function drawOwner(world: World, draw: Random): Guest | undefined {
  const guest = drawGuest(world, draw)
  return guest !== undefined && !guest.gone && guest.pages.size === 0 && draw.below(30) > 0
    ? undefined
    : guest
}

/** What any call on a guest may be refused with beside what is its own. */
export const orGone = (guest: Guest, errnos: readonly Errno[]): readonly Errno[] =>
  guest.gone ? ['ESRCH'] : errnos

/** Nothing can be asked of one that has exited. */
export const isOver = (guest: Guest): { readonly impossible?: true } =>
  guest.gone ? { impossible: true } : {}

export type Access = 'read' | 'write' | 'force'

/** May a page be touched so? */
export function allowed(page: Page | undefined, access: Access): boolean {
  if (page === undefined || page.kind === 'device') return false
  if (page.kind === 'file' && page.shown.file[page.index] === undefined) return false
  if (access === 'force') return (page.prot & 2) !== 0 || page.kind !== 'shared'
  return (page.prot & (access === 'read' ? 1 : 2)) !== 0
}

/** What touching [start, end) may be refused with, and whether it must be. */
export function accessErrnos(
  world: World,
  guest: Guest,
  start: number,
  end: number,
  access: Access,
): { readonly errnos: readonly Errno[]; readonly impossible?: true } {
  if (guest.gone) return { errnos: ['ESRCH'], impossible: true }
  if (start >= end) return { errnos: [] }
  const errnos: Errno[] = []
  let possible = end - start <= 64
  let lost = false
  for (let vpn = start; vpn < end && possible; vpn++) {
    possible = allowed(guest.pages.get(vpn), access)
    lost ||= guest.pages.get(vpn)?.lost === true
  }
  if (!possible) errnos.push('EFAULT')
  if (lost || world.failures > 0) errnos.push('EHWPOISON')
  if (guest.reported && access !== 'read') errnos.push('EAGAIN', 'EFAULT', 'ENOMEM')
  // A single page that is not there cannot fail otherwise.
  if (possible || end - start > 1) {
    errnos.push('EIO')
    if (world.isShort || end - start > 1) errnos.push('ENOMEM')
  }
  return possible && !lost ? { errnos } : { errnos, impossible: true }
}

/** A frame of somebody's, most often. */
export function drawPfn(world: World, draw: Random): number {
  const { arena } = memoryOf(world.host)
  const guest = draw.below(8) === 0 ? undefined : anyGuest(world, draw)
  if (guest !== undefined && guest.pages.size > 0) {
    const pfn = mappedPfn(guest.mm, drawPlace(draw, guest))
    if (pfn !== undefined) return pfn
  }
  return arena.firstPfn + draw.below(arena.endPfn - arena.firstPfn)
}

function mappedPfn(mm: Mm, vpn: number): number | undefined {
  if (memoryOf(mm).gate.isBroken || mm.users === 0) return undefined
  const pfn = mm.pfn(vpn * PAGE)
  return pfn !== undefined && pfn >= memoryOf(mm).arena.firstPfn ? pfn : undefined
}
