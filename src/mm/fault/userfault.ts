// Userfault write protection: pages whose first write is reported to a handler, which decides when it may happen.
// Breaking a merge underneath is no write and reaches no handler. Linux: userfaultfd, UFFDIO_WRITEPROTECT

import { outside, PagefoldError } from '../../errors.ts'
import { addressOf, hex } from '../model/address.ts'
import type { UserfaultHandler } from '../model/hooks.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_PFNMAP, VM_SHARED, VM_UFFD_WP, type Vma } from '../model/vma.ts'
import { modifyFlags } from '../model/vma-edit.ts'
import { isPoisonPte, isSwapPte, pteClearUffdWp, pteMkuffdWp, pteUffdWp, pteWrprotect } from '../page/pte.ts'
import { getPte, setPteProt, walkPageRange } from '../page/ptes.ts'

/**
 * Has writes to protected pages of [start, end) reported; holes in it do not matter. Throws EINVAL if nothing is mapped there, or
 * something whose pages cannot be protected so. Linux: userfaultfd_register()
 */
export function registerUserfault(mm: MmStruct, start: number, end: number, handler: UserfaultHandler): void {
  const vmas = mm.vmas.within(start, end)
  if (vmas.length === 0)
    throw new PagefoldError('EINVAL', `${mm.name}: nothing is mapped at ${hex(addressOf(start))}`)
  const unable = vmas.find((vma) => !canUserfault(vma))
  if (unable !== undefined) {
    const what = `${mm.name}: the mapping at ${hex(addressOf(unable.start))}`
    throw new PagefoldError('EINVAL', `${what} is a file's or a device's: writes to it cannot be reported`)
  }
  mm.userfault = handler
  for (const vma of vmas) {
    modifyFlags(mm, Math.max(start, vma.start), Math.min(end, vma.end), vma.flags | VM_UFFD_WP)
  }
}

/** Throws ENOMEM if part of [start, end) is not mapped, ENOENT if part of it is not registered. */
export function userfaultWriteProtect(mm: MmStruct, start: number, end: number, on: boolean): void {
  expectMapped(mm, start, end)
  if (mm.vmas.within(start, end).some((vma) => !vma.has(VM_UFFD_WP))) {
    throw new PagefoldError(
      'ENOENT',
      `${mm.name}: nobody would hear of writes there: registerUserfault first`,
    )
  }
  changeWriteProtection(mm, start, end, on)
}

/** Protects the pages there are in [start, end), wherever they are at the moment, or lets them go. */
function changeWriteProtection(mm: MmStruct, start: number, end: number, on: boolean): void {
  const range = mm.notifiers.start('protection', start, end)
  walkPageRange(mm, start, end, (vpn, pte) => {
    if (isPoisonPte(pte)) return
    // A swap entry has something else where the right to write would be.
    const kept = isSwapPte(pte) ? pte : pteWrprotect(pte)
    setPteProt(mm, vpn, on ? pteMkuffdWp(kept) : pteClearUffdWp(pte))
  })
  mm.cpus.synchronize()
  mm.notifiers.end(range)
}

/** Reports a write to a protected page. False if the handler has not let it go. */
export function handleUserfault(mm: MmStruct, vma: Vma, vpn: number): boolean {
  if (vma.has(VM_UFFD_WP)) outside(() => mm.userfault?.onWriteProtect({ address: addressOf(vpn) }))
  return !pteUffdWp(getPte(mm, vpn))
}

/** Anonymous, shared and huge pages; not device memory, nor a file's below a private mapping. Linux: vma_can_userfault() */
function canUserfault(vma: Vma): boolean {
  return !vma.has(VM_PFNMAP) && (vma.shared === undefined || vma.has(VM_SHARED))
}

function expectMapped(mm: MmStruct, start: number, end: number): void {
  let at = start
  for (const vma of mm.vmas.within(start, end)) at = vma.start <= at ? vma.end : at
  if (at < end) throw new PagefoldError('ENOMEM', `${mm.name}: nothing is mapped at ${hex(addressOf(at))}`)
}
