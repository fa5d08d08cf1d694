// Pages that belong to an object, not to an mm. Shared mappings show them as they are: forked mms see each other's writes,
// and nothing is ever copied on write or merged. Private mappings of a file show them until they are written to; the
// copy is an anonymous page like any other, and only that can be merged. Linux: shmem, filemap_fault(), do_cow_fault()

import { FRAME_POISONED } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_READ, VM_WRITE, type Vma } from '../model/vma.ts'
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
    mm.memory.objectPages.set(pfn, { object, index })
  }
  if (frames.hasFlag(pfn, FRAME_POISONED)) return 'EHWPOISON'
  if (!frames.mayMap(pfn)) return 'ENOMEM'
  frames.get(pfn)
  addRmap(mm.memory, pfn)
  const pte = mkPte(pfn, vma.has(VM_READ))
  setPte(mm, vpn, vma.has(VM_WRITE) ? pteMkdirty(pteMkwrite(pte)) : pte)
  return undefined
}

/**
 * The file's page behind a virtual page of a private mapping, in a frame that the file holds; read in if nobody touched it
 * before. EFAULT behind the end of the file, ENOMEM, EIO if it cannot be read.
 */
export function pageOfFile(memory: Memory, vma: Vma, vpn: number): number | Errno {
  const { frames, bytes, gate } = memory
  const file = vma.shared!
  const index = vma.indexOf(vpn)
  const known = file.pages.get(index)
  if (known !== undefined) return known
  const source = file.source!
  try {
    if (index >= gate.call('file', () => source.pages)) return 'EFAULT'
  } catch {
    return 'EIO'
  }
  const pfn = frames.alloc(vma.nid)
  if (pfn === 0) return 'ENOMEM'
  try {
    bytes.fill(pfn, 1, (page) => gate.call('file', () => source.read(index, page)))
  } catch {
    frames.put(pfn)
    return 'EIO'
  }
  file.pages.set(index, pfn)
  memory.objectPages.set(pfn, { object: file, index })
  return pfn
}

/** Maps the file's own page, for reading. */
export function mapFilePage(mm: MmStruct, vpn: number, pfn: number): Errno | undefined {
  const { frames } = mm.memory
  if (!frames.mayMap(pfn)) return 'ENOMEM'
  frames.get(pfn)
  addRmap(mm.memory, pfn)
  setPte(mm, vpn, mkPte(pfn, true))
  return undefined
}

/** Takes a page away from its object: the frame is no longer its own. */
export function dropPage(memory: Memory, pfn: number): void {
  const { object, index } = memory.objectPages.get(pfn)!
  object.pages.delete(index)
  memory.objectPages.delete(pfn)
  memory.frames.put(pfn)
}

/** A vma no longer shows its object, if it has one: with the last one its pages go. */
export function releaseShared(memory: Memory, vma: Vma): void {
  const object = vma.shared
  if (object === undefined) return
  object.vmas.delete(vma)
  if (object.vmas.size > 0) return
  if (object.name !== undefined) memory.files.delete(object.name)
  for (const pfn of object.pages.values()) dropPage(memory, pfn)
}
