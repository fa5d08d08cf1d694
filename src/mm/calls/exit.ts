// The end of an address space. Linux: mmput(), exit_mmap()

import { VPN_LIMIT } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { removeVma } from './unmap.ts'

/** Takes everything away from an mm. The struct lives on while the scanner still has items of it. */
export function exitMm(mm: MmStruct): void {
  const { memory } = mm
  mm.users = 0
  memory.race?.('exit: before ksm_exit')
  memory.ksm.exit(mm)
  memory.race?.('exit: after ksm_exit')
  const range = mm.notifiers.start('release', 0, VPN_LIMIT)
  for (const vma of [...mm.vmas]) removeVma(mm, vma)
  mm.notifiers.end(range)
  mm.dropNotifiers()
  memory.pageTables.prune(mm.pgd, 0, VPN_LIMIT)
  memory.pageTables.closeWindow(mm.pgd)
  memory.pageTables.destroy(mm.pgd)
  mm.pgd = 0
  memory.race?.('exit: after teardown')
  mm.drop()
}
