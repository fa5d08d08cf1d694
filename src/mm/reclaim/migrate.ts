// Migration: a page moves to another frame while its users wait. Its mappings become migration entries, its content and
// its identity go over, the entries become mappings again. An elevated reference count stops it: EAGAIN, everything as it
// was, and the next attempt may succeed.
//
// Linux: migrate_folio_move(), __folio_migrate_mapping(), folio_migrate_ksm()

import { FRAME_DIRTY, FRAME_LOCKED, FRAME_POISONED, FRAME_SWAPCACHE } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import { getAnonVma } from '../page/rmap.ts'
import { removeMigrationPtes, unmapToMigrate } from './unmap-page.ts'

/** Moves a page to a frame on NUMA node `nid`. Returns the new pfn, or ENOMEM, EAGAIN, EINVAL (no anonymous page), EHWPOISON. */
export function migratePage(memory: Memory, pfn: number, nid: number): number | Errno {
  const { frames, anonVmas } = memory
  if (!frames.isAnon(pfn)) return 'EINVAL'
  if (frames.hasFlag(pfn, FRAME_POISONED)) return 'EHWPOISON'
  if (frames.hasFlag(pfn, FRAME_LOCKED)) return 'EAGAIN'
  const fresh = frames.allocOn(nid)
  if (fresh === 0) return 'ENOMEM'
  frames.get(pfn) // isolated
  frames.setFlag(pfn, FRAME_LOCKED)
  frames.setFlag(fresh, FRAME_LOCKED)
  // For the whole move: an anon_vma whose last vma goes meanwhile must not be brought back to life at the end.
  const anonVma = getAnonVma(memory, pfn)
  const mapped = frames.mapcount(pfn) > 0

  const moved = unmapToMigrate(memory, pfn) && movePage(memory, pfn, fresh)
  if (mapped) removeMigrationPtes(memory, pfn, moved ? fresh : pfn)

  frames.clearFlag(pfn, FRAME_LOCKED)
  frames.clearFlag(fresh, FRAME_LOCKED)
  // Who had it swapped out may have gone meanwhile.
  const page = moved ? fresh : pfn
  if (frames.mapcount(page) === 0) memory.swap.tryToFree(page)
  if (anonVma !== undefined) anonVmas.put(anonVma)
  frames.put(pfn)
  frames.put(fresh) // if it was not taken into use, it is free again
  return moved ? fresh : 'EAGAIN'
}

/** Content and identity, for a page that nobody maps. False if somebody else holds it. */
function movePage(memory: Memory, pfn: number, fresh: number): boolean {
  const { frames, swap, race, bytes } = memory
  const cached = frames.hasFlag(pfn, FRAME_SWAPCACHE)
  const expected = cached ? 2 : 1
  if (frames.refcount(pfn) !== expected) return false
  bytes.copy(fresh, pfn)
  // Only a page in the swap cache can be found by others while it is unmapped.
  if (cached) frames.freeze(pfn, expected)
  race?.('migration: after freeze')
  frames.setMapping(fresh, frames.mapping(pfn))
  frames.setIndex(fresh, frames.index(pfn))
  if (frames.hasFlag(pfn, FRAME_DIRTY)) frames.setFlag(fresh, FRAME_DIRTY)
  if (frames.lazyFree.has(pfn)) frames.lazyFree.add(fresh)
  if (cached) {
    frames.get(fresh)
    swap.moveCache(pfn, fresh)
    frames.setFlag(fresh, FRAME_SWAPCACHE)
    frames.unfreeze(pfn, expected - 1)
  }
  // A stable node learns of the move before the old page stops looking like one in the swap cache: whoever peeps
  // through the keyhole meanwhile waits instead of taking the page for gone.
  memory.ksm.migrated(fresh, pfn)
  frames.clearFlag(pfn, FRAME_SWAPCACHE)
  race?.('migration: after swapcache flag clear')
  return true
}
