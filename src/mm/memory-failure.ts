// Memory failure: the hardware reports an error in a frame. Its content is lost; who maps it is told, and later touches
// fail. A merged page has many users at once; if its content exists in another page of its chain they can be moved there
// instead, which Linux users ask for.
//
// Linux: memory_failure(), collect_procs_ksm()

import { MAPPING_KSM, PAGE_SIZE } from '../../assembly/abi.ts'
import type { Memory } from './memory.ts'
import { isKsm } from './rmap.ts'
import { unmapToPoison } from './unmap-page.ts'

/** What became of the users of a broken frame. */
export interface MemoryFailure {
  /** Who lost a page: name of the mm, and the address in bytes. Touching it fails with EHWPOISON from now on. */
  readonly told: readonly { readonly mm: string; readonly address: number }[]
  /** How many mappings were moved to another page with the same content. */
  readonly recovered: number
}

/** Marks a frame as broken: it is never handed out again. */
export function memoryFailure(memory: Memory, pfn: number, recover: boolean): MemoryFailure {
  const { frames } = memory
  const recovered = recover && isKsm(memory, pfn) ? memory.ksm.recoverFromFailure(pfn) : 0
  const inUse = frames.refcount(pfn) > 0
  // Held while it is taken apart, so that it does not go back to the free ones.
  if (inUse) frames.get(pfn)
  const told = inUse ? unmapToPoison(memory, pfn) : []
  // Swap may hold it for a while yet: nobody may find it by its content any more.
  if (isKsm(memory, pfn)) frames.setMapping(pfn, MAPPING_KSM)
  if (frames.mapcount(pfn) === 0) memory.swap.tryToFree(pfn)
  frames.poison(pfn)
  if (inUse) frames.put(pfn)
  return { told: told.map(({ mm, vpn }) => ({ mm: mm.name, address: vpn * PAGE_SIZE })), recovered }
}
