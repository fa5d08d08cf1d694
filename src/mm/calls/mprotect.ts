// mprotect: what a guest may do with a range. Linux: mprotect_fixup(), change_protection()

import type { Errno } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_READ, VM_WRITE } from '../model/vma.ts'
import { modifyFlags } from '../model/vma-edit.ts'
import { isMigrationPte, ptePresent, pteSetRead, pteWrprotect } from '../page/pte.ts'
import { setPteProt, walkPageRange } from '../page/ptes.ts'

/**
 * Sets what [start, end) may be used for, VM_READ | VM_WRITE. ENOMEM if part of it is not mapped; what lies before the
 * hole has been changed.
 */
export function mprotect(mm: MmStruct, start: number, end: number, prot: number): Errno | undefined {
  let at = start
  for (const vma of mm.vmas.within(start, end)) {
    if (vma.start > at) return 'ENOMEM'
    const from = Math.max(vma.start, start)
    const to = Math.min(vma.end, end)
    const flags = (vma.flags & ~(VM_READ | VM_WRITE)) | prot
    if (flags !== vma.flags) {
      modifyFlags(mm, from, to, flags)
      // Pages that become writable are made so by their next fault: it knows which are shared.
      const range = mm.notifiers.start('protection', from, to)
      changeProtection(mm, from, to, prot)
      mm.cpus.synchronize()
      mm.notifiers.end(range)
    }
    at = to
  }
  return at < end ? 'ENOMEM' : undefined
}

function changeProtection(mm: MmStruct, start: number, end: number, prot: number): void {
  walkPageRange(mm, start, end, (vpn, pte) => {
    // In a swap pte that bit is part of the device's number.
    if (!ptePresent(pte) && !isMigrationPte(pte)) return
    const readable = pteSetRead(pte, (prot & VM_READ) !== 0)
    const changed = (prot & VM_WRITE) === 0 ? pteWrprotect(readable) : readable
    if (changed !== pte) setPteProt(mm, vpn, changed)
  })
}
