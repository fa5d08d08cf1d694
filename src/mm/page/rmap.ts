// The tie between a frame and the ptes that map it: counts, and the way back from a frame to its mappings.

import {
  FRAME_EXCLUSIVE,
  FRAME_SWAPCACHE,
  MAPPING_ANON,
  MAPPING_KSM,
  MAPPING_TAG,
} from '../../../assembly/abi.ts'
import type { AnonVma } from '../model/anon-vma.ts'
import type { RmapVisitor } from '../model/hooks.ts'
import type { Memory } from '../model/memory.ts'
import type { Vma } from '../model/vma.ts'

/** An ordinary anonymous page: not merged. */
export function isPlainAnon(memory: Memory, pfn: number): boolean {
  return (memory.frames.mapping(pfn) & MAPPING_TAG) === MAPPING_ANON
}

/** A merged page, in a stable tree or not. Linux: folio_test_ksm() */
export function isKsm(memory: Memory, pfn: number): boolean {
  return (memory.frames.mapping(pfn) & MAPPING_TAG) === MAPPING_KSM
}

/**
 * The anon_vma of an ordinary anonymous page; undefined of any other, and of one that outlived its mappings in the swap
 * cache or in somebody's hands, and its anon_vma too. Linux: folio_get_anon_vma()
 */
export function anonVmaOf(memory: Memory, pfn: number): AnonVma | undefined {
  return isPlainAnon(memory, pfn) ? memory.anonVmas.find(memory.frames.mapping(pfn) >>> 2) : undefined
}

/**
 * The same with a reference, to keep beyond the page's mappings. Undefined too of a page that nobody maps: its anon_vma
 * may be gone, and must not be brought back. Linux: folio_get_anon_vma()
 */
export function getAnonVma(memory: Memory, pfn: number): AnonVma | undefined {
  const anonVma = memory.frames.mapcount(pfn) === 0 ? undefined : anonVmaOf(memory, pfn)
  if (anonVma !== undefined) memory.anonVmas.get(anonVma)
  return anonVma
}

/** A fresh page is mapped for the first time, by this vma alone. Linux: folio_add_new_anon_rmap() */
export function addNewAnonRmap(memory: Memory, pfn: number, vma: Vma, vpn: number): void {
  const { frames } = memory
  frames.setMapping(pfn, anonMapping(vma.anonVma!.id))
  frames.setIndex(pfn, vma.indexOf(vpn))
  frames.addMapcount(pfn, 1)
  frames.setFlag(pfn, FRAME_EXCLUSIVE)
}

/**
 * A page that came from swap and has no owner yet is mapped. Others may still have it swapped out, so unless it is
 * exclusive it belongs to the whole forest. Linux: __folio_set_anon() in folio_add_anon_rmap_pte()
 */
export function addAnonRmap(memory: Memory, pfn: number, vma: Vma, vpn: number, exclusive: boolean): void {
  const { frames } = memory
  if (!frames.isAnon(pfn)) {
    const anonVma = vma.anonVma!
    frames.setMapping(pfn, anonMapping(exclusive ? anonVma.id : anonVma.root.id))
    frames.setIndex(pfn, vma.indexOf(vpn))
  }
  frames.addMapcount(pfn, 1)
  if (exclusive) frames.setFlag(pfn, FRAME_EXCLUSIVE)
}

/** One pte more maps the page. */
export function addRmap(memory: Memory, pfn: number): void {
  memory.frames.addMapcount(pfn, 1)
}

/**
 * One pte less maps the page; the reference that pte held goes too, and with the last mapping the page's place in
 * swap if nobody has it swapped out. Linux: folio_remove_rmap_pte(), free_swap_cache(), folio_put()
 */
export function removeRmap(memory: Memory, pfn: number): void {
  const { frames } = memory
  frames.addMapcount(pfn, -1)
  if (frames.hasFlag(pfn, FRAME_SWAPCACHE) && frames.mapcount(pfn) === 0) memory.swap.tryToFree(pfn)
  frames.put(pfn)
}

export function anonMapping(anonVmaId: number): number {
  return (anonVmaId << 2) | MAPPING_ANON
}

/**
 * The virtual page at which a vma would map an ordinary anonymous page, or -1 if it cannot. A merged page has no
 * anon_vma to ask: -1. Linux: page_address_in_vma()
 */
export function pageAddressInVma(memory: Memory, pfn: number, vma: Vma): number {
  const anonVma = anonVmaOf(memory, pfn)
  if (anonVma === undefined || anonVma.root !== vma.anonVma?.root) return -1
  return vma.vpnOf(memory.frames.index(pfn))
}

/**
 * Visits every place that may map a page, merged or not. Somebody must map it, or hold a reference on its anon_vma.
 * Linux: rmap_walk()
 */
export function rmapWalk(memory: Memory, pfn: number, visit: RmapVisitor): void {
  if (isKsm(memory, pfn)) {
    memory.ksm.rmapWalk(pfn, visit)
    return
  }
  const anonVma = anonVmaOf(memory, pfn)
  if (anonVma === undefined) {
    walkShared(memory, pfn, visit)
    return
  }
  const index = memory.frames.index(pfn)
  // A copy: a visitor may fork or unmap. (Linux keeps them out until the walk is over.)
  for (const vma of [...anonVma.vmas]) {
    const vpn = vma.vpnOf(index)
    if (vpn >= 0 && anonVma.vmas.has(vma) && !visit(vma.mm, vma, vpn)) return
  }
}

/** Linux: rmap_walk_file() */
function walkShared(memory: Memory, pfn: number, visit: RmapVisitor): void {
  const place = memory.objectPages.get(pfn)
  if (place === undefined) return
  for (const vma of [...place.object.vmas]) {
    const vpn = vma.vpnOf(place.index)
    if (vpn >= 0 && !visit(vma.mm, vma, vpn)) return
  }
}
