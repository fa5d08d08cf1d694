// Shared mappings: pages that belong to an object, not to an mm. Forked mms see each other's writes; nothing here is
// ever copied on write or merged. Linux: shmem

import { FRAME_POISONED } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import type { SharedObject } from '../model/shared-object.ts'
import { VM_WRITE, type Vma } from '../model/vma.ts'
import { mkPte, pteMkdirty, pteMkwrite } from '../page/pte.ts'
import { setPte } from '../page/ptes.ts'
import { addRmap } from '../page/rmap.ts'

/** Maps the object's page, which is made if nobody touched it before. */
export function faultShared(mm: MmStruct, vma: Vma, vpn: number): Errno | undefined {
  const { frames } = mm.memory
  const object = vma.shared!
  const index = vma.indexOf(vpn)
  let pfn = object.pages.get(index)
  if (pfn === undefined) {
    pfn = frames.allocZeroed(vma.nid)
    if (pfn === 0) return 'ENOMEM'
    object.pages.set(index, pfn)
  }
  if (frames.hasFlag(pfn, FRAME_POISONED)) return 'EHWPOISON'
  frames.get(pfn)
  addRmap(mm.memory, pfn)
  const pte = mkPte(pfn)
  setPte(mm, vpn, vma.has(VM_WRITE) ? pteMkdirty(pteMkwrite(pte)) : pte)
  return undefined
}

/** A vma no longer maps the object: with the last one its pages go. */
export function releaseShared(memory: Memory, object: SharedObject): void {
  if (--object.users > 0) return
  for (const pfn of object.pages.values()) memory.frames.put(pfn)
  object.pages.clear()
}
