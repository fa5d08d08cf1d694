// Userfault write protection: pages whose first write is reported to a handler, which decides when it may happen.
// Breaking a merge underneath is no write and reaches no handler. Linux: userfaultfd, UFFDIO_WRITEPROTECT

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_UFFD_WP, type Vma } from '../model/vma.ts'
import {
  isPoisonPte,
  isSwapPte,
  pteClearUffdWp,
  pteMkuffdWp,
  pteUffdWp,
  pteWrprotect,
} from '../page/pte.ts'
import { getPte, setPte, walkPageRange } from '../page/ptes.ts'

/** Protects the pages there are in [start, end), wherever they are at the moment, or lets them go. */
export function changeWriteProtection(mm: MmStruct, start: number, end: number, on: boolean): void {
  const range = mm.notifiers.start('protection', start, end)
  walkPageRange(mm, start, end, (vpn, pte) => {
    if (isPoisonPte(pte)) return
    // A swap entry has something else where the right to write would be.
    const kept = isSwapPte(pte) ? pte : pteWrprotect(pte)
    setPte(mm, vpn, on ? pteMkuffdWp(kept) : pteClearUffdWp(pte))
  })
  mm.notifiers.end(range)
}

/** Reports a write to a protected page. False if the handler has not let it go. */
export function handleUserfault(mm: MmStruct, vma: Vma, vpn: number): boolean {
  if (vma.has(VM_UFFD_WP)) mm.userfault?.onWriteProtect({ address: vpn * PAGE_SIZE })
  return !pteUffdWp(getPte(mm, vpn))
}
