// A guest's loads and stores, page by page: through the pte where it allows them, else through the fault path.

import { type Errno, PagefoldError } from '../../errors.ts'
import { allows, type FaultKind, handleMmFault } from '../fault/fault.ts'
import { addressOf, eachPage, hex, vpnOf } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { ptePfn } from '../page/pte.ts'
import { getPte, markSoftDirty } from '../page/ptes.ts'
import { reclaimSome } from '../reclaim/swap-out.ts'
import { refused } from './refused.ts'

/** Copies bytes of a guest into `into`, as much as that holds. Throws EFAULT, EIO, EHWPOISON, EAGAIN. */
export function readBytes(mm: MmStruct, address: number, into: Uint8Array): void {
  const { bytes } = mm.memory
  eachPage(address, into.length, (vpn, offset, at, count) => {
    bytes.read(access(mm, vpn, 'read'), offset, count, into, at)
  })
}

/** Writes bytes where a guest may, with `force` also where it may not. Pages before one that fails have been written. */
export function writeBytes(mm: MmStruct, address: number, from: Uint8Array, kind: 'write' | 'force'): void {
  const { bytes } = mm.memory
  eachPage(address, from.length, (vpn, offset, at, count) => {
    bytes.write(access(mm, vpn, kind), offset, count, from, at)
  })
}

/** The page at an address, for somebody who hears when it ends. Throws EPERM if nobody would, and what a fault throws. */
export function viewPage(mm: MmStruct, address: number, kind: 'read' | 'write'): Uint8Array {
  if (mm.notifiers.isEmpty) {
    const why = 'nobody would hear of its end: registerNotifier first'
    throw new PagefoldError('EPERM', `${mm.name}: a view of ${hex(address)}: ${why}`)
  }
  return mm.memory.bytes.view(access(mm, vpnOf(address), kind))
}

/** How often a page that somebody takes away again at once is asked for. */
const MAX_TRIES = 3

function access(mm: MmStruct, vpn: number, kind: FaultKind): number {
  const pfn = resolve(mm, vpn, kind)
  if (typeof pfn === 'number') return pfn
  throw refused(mm, pfn, `${kind} at ${hex(addressOf(vpn))}`)
}

/**
 * The frame behind a virtual page, after whatever faults it takes, or why it cannot be had. What it maps is looked at after them,
 * never before. Who is to write to it finds it marked.
 */
export function resolve(mm: MmStruct, vpn: number, kind: FaultKind): number | Errno {
  for (let tries = 0; tries <= MAX_TRIES; tries++) {
    const vma = mm.vmas.at(vpn)
    const pte = getPte(mm, vpn)
    if (vma !== undefined && allows(mm, vma, pte, kind)) {
      if (kind !== 'read') markSoftDirty(mm, vpn)
      return ptePfn(pte)
    }
    const errno = handleMmFault(mm, vpn, kind)
    if (errno === 'ENOMEM' && mm.memory.reclaims && reclaimSome(mm.memory)) continue
    if (errno !== undefined) return errno
  }
  return 'EAGAIN'
}
