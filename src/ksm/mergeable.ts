// Where merging is allowed at this moment.

import { PAGE_SHIFT, PTE_PRESENT, PTE_SPECIAL } from '../../assembly/abi.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import { VM_MERGEABLE, type Vma } from '../mm/model/vma.ts'
import { hasRoom } from './stable-node.ts'
import type { KsmState } from './state.ts'

/** The vma at `vpn` if its pages may be merged now. Linux: find_mergeable_vma() */
export function findMergeableVma(mm: MmStruct, vpn: number): Vma | undefined {
  if (mm.users === 0) return undefined
  const vma = mm.vmas.at(vpn)
  return vma?.has(VM_MERGEABLE) && vma.anonVma !== undefined ? vma : undefined
}

/** The frame of an mm's own at `vpn`, 0 if none is present; the zero page is nobody's own. */
export function presentPage(mm: MmStruct, vpn: number): number {
  const pte = mm.memory.pageTables.get(mm.pgd, vpn)
  return (pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT ? pte >>> PAGE_SHIFT : 0
}

/** May another page still share this merged page? Not if max_page_sharing others do. */
export function mayBeJoined(ksm: KsmState, pfn: number): boolean {
  const node = StableNodes.ofMapping(ksm.frames.mapping(pfn))
  return node !== 0 && hasRoom(ksm, node)
}
