// get_user_pages: holding on to a guest's pages, for a device or a debugger. A pin (FOLL_PIN) promises that what is read
// or written through it is what the guest sees; so pinning for reading first makes a shared page the mm's own. A plain
// reference (FOLL_GET) promises only that the frame stays.
//
// Linux: mm/gup.c

import { FRAME_EXCLUSIVE } from '../../../assembly/abi.ts'
import type { Errno } from '../../errors.ts'
import { allows, type FaultKind, handleMmFault } from '../fault/fault.ts'
import { addressOf, hex, vpnOf } from '../model/address.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { VM_SHARED } from '../model/vma.ts'
import { pteNormal, ptePfn } from '../page/pte.ts'
import { getPte, markSoftDirty } from '../page/ptes.ts'
import { type HoldOptions, Pin } from './pin.ts'
import { refused } from './refused.ts'

/** How often one page may fault before it is given up: a page being moved is asked for again. */
const MAX_TRIES = 3

/** Holds the pages of a range. Throws what a fault throws; nothing is held then. */
export function holdPages(mm: MmStruct, address: number, length: number, options: HoldOptions): Pin {
  const end = vpnOf(address + length - 1) + 1
  const pfns = takePages(mm, vpnOf(address), end, options)
  if (typeof pfns === 'string') throw refused(mm, pfns, `cannot hold ${hex(address)}+${length}`)
  return new Pin(mm.memory, pfns, address - addressOf(vpnOf(address)), options)
}

/**
 * Takes references on the pages of [start, end), faulting them in. All or nothing: on an error those taken are let go.
 * Linux: pin_user_pages(), get_user_pages()
 */
export function takePages(mm: MmStruct, start: number, end: number, options: HoldOptions): number[] | Errno {
  const pfns: number[] = []
  let complete = false
  try {
    for (let vpn = start; vpn < end; vpn++) {
      const pfn = takePage(mm, vpn, options)
      if (typeof pfn !== 'number') return pfn
      pfns.push(pfn)
    }
    complete = true
    return pfns
  } finally {
    // A userfault handler that throws ends it too.
    if (!complete) for (const taken of pfns) mm.memory.pins.remove(taken, options.pin)
  }
}

function takePage(mm: MmStruct, vpn: number, { write, pin, longterm }: HoldOptions): number | Errno {
  const { pins } = mm.memory
  const kind: FaultKind = write ? 'write' : 'read'
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const vma = mm.vmas.at(vpn)
    if (vma === undefined) return 'EFAULT'
    const pte = getPte(mm, vpn)
    const accessible = allows(mm, vma, pte, kind)
    if (accessible && (!pin || write || vma.has(VM_SHARED) || isOwn(mm.memory, pte, longterm))) {
      const pfn = ptePfn(pte)
      if (!mm.memory.frames.mayGet(pfn)) return 'ENOMEM'
      // It may write until it lets go. Linux: folio_mark_dirty() at the end, but then ksmd may have looked already.
      if (write) markSoftDirty(mm, vpn)
      pins.add(pfn, pin)
      return pfn
    }
    const errno = handleMmFault(mm, vpn, accessible ? 'unshare' : kind)
    if (errno !== undefined && errno !== 'EAGAIN') return errno
  }
  return 'EAGAIN'
}

/**
 * Is the page nobody else's, so that what is read through it stays what the guest sees? A file's page may be read for
 * a short while all the same. Linux: gup_must_unshare()
 */
function isOwn(memory: Memory, pte: number, longterm: boolean): boolean {
  const pfn = ptePfn(pte)
  if (pteNormal(pte) && !memory.frames.isAnon(pfn)) return !longterm
  // Neither a merged page nor the zero page ever is.
  return memory.frames.hasFlag(pfn, FRAME_EXCLUSIVE)
}
