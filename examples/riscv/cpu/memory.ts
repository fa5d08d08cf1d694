// Guest memory, by the engine's contract for virtual CPUs (pagefold's docs/hypervisor.md): the page table of the guest's mm is read where it
// stands, at every access. So what ksmd, a fork or the swap does to a page needs no telling. All that the CPU knows of pagefold
// is in this file; memory-flat.ts is the same for memory that is one block, to compare with.

import {
  attach,
  copyFromGuest,
  copyToGuest,
  failed,
  forRead,
  forWrite,
  hostAddress,
  isReadable,
  isWritable,
  park,
  pteAddress,
  pteAt,
  safePoint,
  scratch,
  stale,
  unpark,
} from '../../../assembly/hypervisor/cpu'
import { RAM_BASE, RAM_END } from './state'

export { attach, copyFromGuest, copyToGuest, park, safePoint, scratch, stale, unpark }

export function isRam(hart: usize, gpa: u64): bool {
  return gpa >= RAM_BASE && gpa < load<u64>(hart, RAM_END)
}

/** What the TLB keeps of a page in RAM: good until `stale` says otherwise. */
export function keep(gpa: u64): u32 {
  return pteAddress(gpa - RAM_BASE)
}

/** The host address of the page that was kept; 0 if it is not to be read at the moment. */
export function pageToRead(kept: u32): usize {
  const pte = pteAt(kept)
  return isReadable(pte) ? usize(hostAddress(pte, 0)) : 0
}

/** The same, to be written. */
export function pageToWrite(kept: u32): usize {
  const pte = pteAt(kept)
  return isWritable(pte) ? usize(hostAddress(pte, 0)) : 0
}

/** The host address of an address in RAM, after whatever faults it takes; 0 if there is no memory to be had. */
export function toRead(gpa: u64): usize {
  const host = forRead(gpa - RAM_BASE)
  return failed() == 0 ? usize(host) : 0
}

/** The same, to be written. */
export function toWrite(gpa: u64): usize {
  const host = forWrite(gpa - RAM_BASE)
  return failed() == 0 ? usize(host) : 0
}
