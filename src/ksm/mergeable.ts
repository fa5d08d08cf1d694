// Where merging is allowed at this moment.

import { StableNodes } from '../core/stable-nodes.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_MERGEABLE, type Vma } from '../mm/model/vma.ts'
import { pteNormal, ptePfn } from '../mm/page/pte.ts'
import { getPte } from '../mm/page/ptes.ts'
import { hasRoom } from './stable-node.ts'
import type { KsmState } from './state.ts'

/** The vma at `vpn` if its pages may be merged now. Linux: find_mergeable_vma() */
export function findMergeableVma(mm: MmStruct, vpn: number): Vma | undefined {
  if (mm.users === 0) return undefined
  const vma = mm.vmas.at(vpn)
  return vma?.has(VM_MERGEABLE) && vma.anonVma !== undefined ? vma : undefined
}

/** The frame of an mm's own at `vpn`, 0 if none is present; the zero page is nobody's own, nor is a file's. */
export function presentPage(mm: MmStruct, vpn: number): number {
  const pte = getPte(mm, vpn)
  if (!pteNormal(pte)) return 0
  const pfn = ptePfn(pte)
  return mm.memory.frames.isAnon(pfn) ? pfn : 0
}

/** The same for the page of an rmap item. */
export function presentPageOf({ memory, items }: KsmState, item: number): number {
  return presentPage(memory.mm(items.mm(item)), items.vpn(item))
}

/** May another page still share this merged page? Not if max_page_sharing others do. */
export function mayBeJoined(ksm: KsmState, pfn: number): boolean {
  const node = StableNodes.ofMapping(ksm.frames.mapping(pfn))
  return node !== 0 && hasRoom(ksm, node)
}
