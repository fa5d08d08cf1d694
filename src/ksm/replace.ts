// The two steps that make a merge race-free, each inside its own notifier range: write-protect a page so that its
// content holds still, and, after comparing, switch its pte to the equal page, but only if the pte is still as the
// first step left it.
//
// Linux: write_protect_page(), replace_page()

import {
  FRAME_DIRTY,
  FRAME_EXCLUSIVE,
  FRAME_PINNED,
  FRAME_SWAPCACHE,
  PAGE_SHIFT,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
  ZERO_PFN,
} from '../../assembly/abi.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import type { Vma } from '../mm/model/vma.ts'
import { makePte } from '../mm/page/pte.ts'
import { addRmap, pageAddressInVma, removeRmap } from '../mm/page/rmap.ts'

/**
 * Write-protects a page in one mm and returns its pte as it is then, or 0 if that cannot be: the page is not mapped
 * there, it is merged already, or somebody else holds a reference and could still change it.
 */
export function writeProtectPage(mm: MmStruct, vma: Vma, vpn: number, pfn: number): number {
  if (pageAddressInVma(mm.memory, pfn, vma) !== vpn) return 0
  const range = mm.notifiers.start('clear', vpn, vpn + 1)
  const pte = protect(mm, pfn, vpn)
  mm.notifiers.end(range)
  mm.memory.race?.('merge: after write-protect', mm)
  return pte
}

function protect(mm: MmStruct, pfn: number, vpn: number): number {
  const { frames, pageTables, race } = mm.memory
  const pte = pageTables.get(mm.pgd, vpn)
  if ((pte & PTE_PRESENT) === 0 || pte >>> PAGE_SHIFT !== pfn) return 0
  const flags = frames.flags(pfn)
  if ((pte & (PTE_WRITE | PTE_DIRTY)) === 0 && (flags & FRAME_EXCLUSIVE) === 0) return pte
  // The pte is empty while references are counted: nobody can take one through it.
  pageTables.set(mm.pgd, vpn, 0)
  race?.('merge: after flush', mm)
  const swapcache = (flags & FRAME_SWAPCACHE) === 0 ? 0 : 1
  const others = frames.refcount(pfn) - frames.mapcount(pfn) - 1 - swapcache
  if (others !== 0 || (flags & FRAME_PINNED) !== 0) {
    pageTables.set(mm.pgd, vpn, pte)
    return 0
  }
  frames.setFlags(pfn, (flags & ~FRAME_EXCLUSIVE) | ((pte & PTE_DIRTY) === 0 ? 0 : FRAME_DIRTY))
  const clean = makePte(pfn, pte & 0xfff & ~(PTE_WRITE | PTE_DIRTY))
  pageTables.set(mm.pgd, vpn, clean)
  return clean
}

/**
 * Makes the pte at `vpn` map `ksmPfn` instead of `pfn`. False, and nothing changed, if the pte is no longer `expected`.
 * The zero page gets a dirty pte: the mark of one that ksmd placed.
 */
export function replacePage(
  mm: MmStruct,
  vpn: number,
  pfn: number,
  ksmPfn: number,
  expected: number,
): boolean {
  const { memory } = mm
  const range = mm.notifiers.start('clear', vpn, vpn + 1)
  memory.race?.('merge: before pte compare', mm)
  const same = memory.pageTables.get(mm.pgd, vpn) === expected
  if (same) {
    // Empty before the new one is installed: no two ptes of a page are ever valid at once.
    memory.pageTables.set(mm.pgd, vpn, 0)
    // Writes that are to be reported still are.
    const kept = PTE_PRESENT | (expected & PTE_UFFD_WP)
    if (ksmPfn === ZERO_PFN) {
      memory.pageTables.set(mm.pgd, vpn, makePte(ZERO_PFN, kept | PTE_SPECIAL | PTE_DIRTY))
      memory.addKsmZeroPages(mm, 1)
    } else {
      memory.frames.get(ksmPfn)
      addRmap(memory, ksmPfn)
      memory.pageTables.set(mm.pgd, vpn, makePte(ksmPfn, kept))
    }
    removeRmap(memory, pfn)
  }
  mm.notifiers.end(range)
  return same
}
