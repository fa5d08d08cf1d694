// Userfault write protection: pages whose first write is reported to a handler, which decides when it may happen.
// Breaking a merge underneath is no write and reaches no handler. Linux: userfaultfd, UFFDIO_WRITEPROTECT

import {
  PAGE_SIZE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SWAP,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../../../assembly/abi.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_UFFD_WP, type Vma } from '../model/vma.ts'
import { isSwapPte } from '../page/pte.ts'

/** Protects the pages there are in [start, end), wherever they are at the moment, or lets them go. */
export function changeWriteProtection(mm: MmStruct, start: number, end: number, on: boolean): void {
  const { pageTables } = mm.memory
  const range = mm.notifiers.start('protection', start, end)
  for (
    let vpn = pageTables.next(mm.pgd, start, end);
    vpn < end;
    vpn = pageTables.next(mm.pgd, vpn + 1, end)
  ) {
    const pte = pageTables.found
    if ((pte & (PTE_PRESENT | PTE_MIGRATION | PTE_SWAP)) === 0) continue
    // A swap entry has something else where the right to write would be.
    const kept = isSwapPte(pte) ? pte : pte & ~PTE_WRITE
    pageTables.set(mm.pgd, vpn, (on ? kept | PTE_UFFD_WP : pte & ~PTE_UFFD_WP) >>> 0)
  }
  mm.notifiers.end(range)
}

/** Reports a write to a protected page. False if the handler has not let it go. */
export function handleUserfault(mm: MmStruct, vma: Vma, vpn: number): boolean {
  if (vma.has(VM_UFFD_WP)) mm.userfault?.onWriteProtect({ address: vpn * PAGE_SIZE })
  return (mm.memory.pageTables.get(mm.pgd, vpn) & PTE_UFFD_WP) === 0
}
