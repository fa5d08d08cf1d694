// Page tables and shared objects against frame descriptors and swap.

import {
  COUNTER_KSM_ZERO_PAGES,
  FRAME_EXCLUSIVE,
  FRAME_LOCKED,
  FRAME_OFFLINE,
  FRAME_PINNED,
  FRAME_POISONED,
  FRAME_SWAPCACHE,
} from '../../assembly/abi.ts'
import { VPN_LIMIT } from '../mm/model/address.ts'
import type { Memory } from '../mm/model/memory.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_READ, VM_SHARED, VM_WRITE, type Vma } from '../mm/model/vma.ts'
import {
  isKsmZeroPte,
  isMigrationPte,
  isSwapPte,
  isZeroPte,
  pteNormal,
  ptePfn,
  ptePresent,
  pteRead,
  pteWrite,
  type SwapEntry,
  swapEntryOf,
} from '../mm/page/pte.ts'
import { walkPageRange } from '../mm/page/ptes.ts'
import { isKsm } from '../mm/page/rmap.ts'
import { add, type Complaints } from './complaints.ts'

/** What the page tables and the shared objects say, held against the frames and against swap. */
interface PteCount {
  /** Present ptes by frame. */
  readonly mappings: Map<number, number>
  /** Whose domain maps a frame. */
  readonly domains: Map<number, string>
  /** Swap ptes by slot. */
  readonly swapped: Map<string, number>
  /** References held for virtual CPUs that have not come, by frame. */
  readonly held: Map<number, number>
  /** Frames that belong to shared objects. */
  readonly shared: Set<number>
}

/** Page tables against frame descriptors and swap. */
export function auditPages(memory: Memory, complaints: Complaints): void {
  const count: PteCount = {
    held: new Map(),
    mappings: new Map(),
    domains: new Map(),
    swapped: new Map(),
    shared: new Set(),
  }
  let zeroPages = 0
  for (const mm of memory.mms()) zeroPages += auditMm(mm, count, complaints)
  complaints.equal('ksm_zero_pages', memory.arena.counters[COUNTER_KSM_ZERO_PAGES]!, zeroPages)
  auditSwap(memory, count, complaints)
  auditFrames(memory, count, complaints)
}

/** What is no more, and is held for virtual CPUs that have not come; returns how many zero pages ksmd placed are among it. */
function countHeld(mm: MmStruct, count: PteCount): number {
  let zeroPages = 0
  for (const { ptes = [], frames = [] } of mm.cpus.heldNow) {
    for (const pfn of frames) add(count.held, pfn)
    for (const pte of ptes) {
      if (pteNormal(pte)) add(count.mappings, ptePfn(pte))
      else if (isSwapPte(pte)) add(count.swapped, slotName(swapEntryOf(pte)))
      else if (isKsmZeroPte(pte)) zeroPages++
    }
  }
  return zeroPages
}

/** One mm's ptes; returns how many zero pages ksmd placed there. */
function auditMm(mm: MmStruct, count: PteCount, complaints: Complaints): number {
  let zeroPages = countHeld(mm, count)
  for (const object of new Set([...mm.vmas].map(({ shared }) => shared))) {
    for (const pfn of object?.pages.values() ?? []) count.shared.add(pfn)
  }
  if (mm.users > 0)
    walkPageRange(mm, 0, VPN_LIMIT, (vpn, pte) => {
      const where = (): string => `${mm.name}, page ${vpn}`
      const vma = mm.vmas.at(vpn)
      if (vma === undefined) complaints.unless(false, () => `${where()}: mapped outside every vma`)
      else if (pteNormal(pte)) auditPte(mm, vma, vpn, pte, complaints, where)
      complaints.unless(!isMigrationPte(pte), () => `${where()}: left in the middle of a migration`)
      complaints.unless(!isZeroPte(pte) || !pteWrite(pte), () => `${where()}: the zero page is writable`)
      if (ptePresent(pte) && vma !== undefined)
        complaints.unless(
          pteRead(pte) === vma.has(VM_READ),
          () => `${where()}: may be read in one of pte and range, and not in the other`,
        )
      if (isKsmZeroPte(pte)) zeroPages++
      if (isSwapPte(pte)) add(count.swapped, slotName(swapEntryOf(pte)))
      else if (pteNormal(pte)) {
        const pfn = ptePfn(pte)
        add(count.mappings, pfn)
        // A file is the same for all who map it, whatever their domain.
        if (!mm.memory.frames.isAnon(pfn)) return
        const domain = count.domains.get(pfn) ?? mm.domain
        count.domains.set(pfn, domain)
        complaints.unless(
          domain === mm.domain,
          () => `${where()}: frame ${pfn} belongs to domain "${domain}"`,
        )
      }
    })
  complaints.equal(`${mm.name}: ksm_zero_pages`, mm.ksm.zeroPages, zeroPages)
  return zeroPages
}

/** A pte that maps a frame. */
function auditPte(
  mm: MmStruct,
  vma: Vma,
  vpn: number,
  pte: number,
  complaints: Complaints,
  where: () => string,
): void {
  const { memory } = mm
  const { frames } = memory
  const pfn = ptePfn(pte)
  if (vma.has(VM_SHARED)) {
    complaints.unless(
      vma.shared?.pages.get(vma.indexOf(vpn)) === pfn,
      () => `${where()}: frame ${pfn} does not belong to the shared object`,
    )
    return
  }
  const writable = pteWrite(pte)
  if (vma.shared?.pages.get(vma.indexOf(vpn)) === pfn) {
    complaints.unless(!writable, () => `${where()}: frame ${pfn} of a file is writable`)
    return
  }
  complaints.unless(frames.isAnon(pfn), () => `${where()}: frame ${pfn} is nobody's anonymous page`)
  complaints.unless(!writable || vma.has(VM_WRITE), () => `${where()}: writable, but the range is not`)
  complaints.unless(
    !writable || frames.mapcount(pfn) === 1,
    () => `${where()}: frame ${pfn} is writable here and mapped ${frames.mapcount(pfn)} times`,
  )
  if (!isKsm(memory, pfn)) return
  complaints.unless(!writable, () => `${where()}: merged frame ${pfn} is writable`)
  complaints.unless(
    !frames.hasFlag(pfn, FRAME_EXCLUSIVE),
    () => `${where()}: merged frame ${pfn} is marked exclusive`,
  )
}

function auditSwap(memory: Memory, count: PteCount, complaints: Complaints): void {
  const { swap, frames } = memory
  let used = 0
  for (const { entry, count: found, cached } of swap.usedSlots()) {
    used++
    const name = slotName(entry)
    complaints.equal(`swap slot ${name}: ptes`, found, count.swapped.get(name) ?? 0)
    count.swapped.delete(name)
    if (cached === 0) continue
    complaints.unless(
      frames.hasFlag(cached, FRAME_SWAPCACHE),
      () => `swap slot ${name}: frame ${cached} is not its own`,
    )
    complaints.unless(
      found > 0 || frames.mapcount(cached) > 0,
      () => `swap slot ${name}: nobody but the cache has frame ${cached}`,
    )
    complaints.equal(`swap slot ${name}: what frame ${cached} says`, swap.entryOf(cached).slot, entry.slot)
  }
  complaints.equal('swap slots in use', swap.usage.used, used)
  for (const name of count.swapped.keys())
    complaints.unless(false, () => `a pte names the free swap slot ${name}`)
}

function auditFrames(memory: Memory, count: PteCount, complaints: Complaints): void {
  const { arena, frames, pins } = memory
  let free = 0
  for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++) {
    const mapped = count.mappings.get(pfn) ?? 0
    const cached = frames.hasFlag(pfn, FRAME_SWAPCACHE) ? 1 : 0
    const references =
      (count.held.get(pfn) ?? 0) + mapped + cached + (count.shared.has(pfn) ? 1 : 0) + pins.of(pfn)
    complaints.equal(`frame ${pfn}: mapcount`, frames.mapcount(pfn), mapped)
    complaints.equal(`frame ${pfn}: refcount`, frames.refcount(pfn), references)
    complaints.unless(!frames.hasFlag(pfn, FRAME_LOCKED), () => `frame ${pfn}: left locked`)
    complaints.equal(
      `frame ${pfn}: is pinned`,
      Number(frames.hasFlag(pfn, FRAME_PINNED)),
      Number(pins.isPinned(pfn)),
    )
    if (frames.refcount(pfn) > 0) continue
    if (!frames.hasFlag(pfn, FRAME_OFFLINE | FRAME_POISONED)) free++
    complaints.equal(`free frame ${pfn}: mapping`, frames.mapping(pfn), 0)
  }
  complaints.equal('free frames', frames.free, free)
}

function slotName({ device, slot }: SwapEntry): string {
  return `${device}:${slot}`
}
