// Memory hot-remove: a range of frames is emptied and taken away; later it may come back. Pages in it are moved elsewhere
// first. If one cannot be moved the range stays, and whoever waited goes on.
//
// Linux: offline_pages(), online_pages()

import { FRAME_POISONED } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import type { Memory } from '../model/memory.ts'
import { migratePage } from './migrate.ts'

/** How often a page that somebody holds is tried again. */
const MAX_ATTEMPTS = 5

/**
 * Takes the frames [start, end) away. EINVAL if some are away already, EBUSY if a page in it cannot be moved or ksmd
 * is at work, ENOMEM if there is nowhere to move it to: the frames stay then.
 */
export function offline(memory: Memory, start: number, end: number): Errno | undefined {
  const { frames, ksm } = memory
  if (frames.overlapsOffline(start, end)) return 'EINVAL'
  const refused = ksm.memoryGoingOffline()
  if (refused !== undefined) return refused
  frames.isolate(start, end)
  for (let pfn = start; pfn < end; pfn++) {
    const errno = evacuate(memory, pfn)
    if (errno === undefined) continue
    frames.unisolate(start, end)
    ksm.memoryCancelOffline()
    return errno
  }
  frames.takeOffline(start, end)
  ksm.memoryOffline(start, end)
  return undefined
}

/** Gives frames back that were taken away. EINVAL if some of them are not offline. */
export function online(memory: Memory, start: number, end: number): Errno | undefined {
  return memory.frames.bringOnline(start, end) ? undefined : 'EINVAL'
}

function evacuate(memory: Memory, pfn: number): Errno | undefined {
  const { frames } = memory
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (frames.refcount(pfn) === 0) return undefined
    // Nobody can read a broken page; it needs no other place.
    if (frames.hasFlag(pfn, FRAME_POISONED) && frames.mapcount(pfn) === 0) return undefined
    const moved = migratePage(memory, pfn, frames.nid(pfn))
    if (moved === 'ENOMEM' && migrateAnywhere(memory, pfn)) return undefined
    if (moved === 'ENOMEM' || moved === 'EINVAL') return moved === 'EINVAL' ? 'EBUSY' : moved
  }
  return frames.refcount(pfn) === 0 ? undefined : 'EBUSY'
}

function migrateAnywhere(memory: Memory, pfn: number): boolean {
  for (let nid = 0; nid < memory.frames.numaNodes; nid++) {
    if (typeof migratePage(memory, pfn, nid) === 'number') return true
  }
  return false
}
