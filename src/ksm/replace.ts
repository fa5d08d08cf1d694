// The two steps that make a merge race-free, each inside its own notifier range: write-protect a page so that its
// content holds still, and, after comparing, switch its pte to the equal page, but only if the pte is still as the
// first step left it.
//
// Linux: write_protect_page(), replace_page()

import { FRAME_DIRTY, FRAME_EXCLUSIVE, FRAME_PINNED, FRAME_SWAPCACHE, ZERO_PFN } from '../../assembly/abi.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import type { Vma } from '../mm/model/vma.ts'
import {
  EMPTY_PTE,
  KSM_ZERO_PTE,
  mkPte,
  pteDirty,
  pteKeepUffdWp,
  pteMkclean,
  ptePfn,
  ptePresent,
  pteRead,
  pteSetRead,
  pteWrite,
  pteWrprotect,
} from '../mm/page/pte.ts'
import { getPte, setPte } from '../mm/page/ptes.ts'
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
  const { frames, race } = mm.memory
  const pte = getPte(mm, vpn)
  if (!ptePresent(pte) || ptePfn(pte) !== pfn) return 0
  const flags = frames.flags(pfn)
  if (!pteWrite(pte) && !pteDirty(pte) && (flags & FRAME_EXCLUSIVE) === 0) return pte
  // The pte is empty while references are counted: nobody can take one through it.
  setPte(mm, vpn, EMPTY_PTE)
  race?.('merge: after flush', mm)
  const swapcache = (flags & FRAME_SWAPCACHE) === 0 ? 0 : 1
  const others = frames.refcount(pfn) - frames.mapcount(pfn) - 1 - swapcache
  if (others !== 0 || (flags & FRAME_PINNED) !== 0) {
    setPte(mm, vpn, pte)
    return 0
  }
  frames.setFlags(pfn, (flags & ~FRAME_EXCLUSIVE) | (pteDirty(pte) ? FRAME_DIRTY : 0))
  const clean = pteMkclean(pteWrprotect(pte))
  setPte(mm, vpn, clean)
  if (mm.cpus.synchronize()) return clean
  // Somebody may still be writing to it.
  frames.setFlags(pfn, flags)
  setPte(mm, vpn, pte)
  return 0
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
  const same = getPte(mm, vpn) === expected
  if (same) {
    // Empty before the new one is installed: no two ptes of a page are ever valid at once.
    setPte(mm, vpn, EMPTY_PTE)
    if (ksmPfn === ZERO_PFN) {
      setPte(mm, vpn, sameAccess(KSM_ZERO_PTE, expected))
      memory.addKsmZeroPages(mm, 1)
    } else {
      memory.frames.get(ksmPfn)
      addRmap(memory, ksmPfn)
      memory.frames.keep(ksmPfn)
      setPte(mm, vpn, sameAccess(mkPte(ksmPfn, true), expected))
    }
    mm.cpus.afterGrace({ ptes: [expected], drop: () => removeRmap(memory, pfn) })
  }
  mm.notifiers.end(range)
  return same
}

/** `pte`, read where the one in whose place it comes is; and writes that were to be reported still are. */
function sameAccess(pte: number, old: number): number {
  return pteSetRead(pteKeepUffdWp(pte, old), pteRead(old))
}
