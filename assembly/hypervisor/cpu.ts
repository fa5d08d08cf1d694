// A virtual CPU's side of the contract, for cores in AssemblyScript: import it from `pagefold/assembly/hypervisor/cpu`. One instance is one
// CPU. The core's memory is the engine's arena (`importMemory`, `sharedMemory`); it must have no static data there (`runtime: stub`, no
// strings, no static arrays) and keeps what it needs in globals and in its scratch memory. docs/hypervisor.md has the rules, a
// program, and what they are for.
//
// It is compiled into cores of others, so it may have what the engine's own core must not: state in globals, and @inline.

import {
  CPU_ASKED,
  CPU_BELL,
  CPU_EMPTY,
  CPU_FAULT_ERRNO,
  CPU_FAULT_KIND,
  CPU_FAULT_OFFSET,
  CPU_FAULT_STATE,
  CPU_GENERATION,
  CPU_LEAF_COUNT,
  CPU_LEAVES,
  CPU_NOWHERE,
  CPU_SCRATCH,
  CPU_SCRATCH_BYTES,
  CPU_SEEN,
  CPU_STOP,
  CPU_THREAD,
  CPU_VERSION,
  EFAULT,
  FAULT_ASKED,
  FAULT_IDLE,
  FAULT_READ,
  FAULT_WRITE,
  HYPERVISOR_VERSION,
  LEAF_ENTRIES,
  LEAF_SHIFT,
  PAGE_SHIFT,
  READABLE,
  WRITABLE,
} from './layout'

/** Asks the engine on this very thread; of a CPU on another it is never called. */
@external('pagefold', 'fault')
declare function callEngine(record: u32, offset: u32, kind: u32): i32

const IN_PAGE: u32 = (1 << PAGE_SHIFT) - 1
/** How often the mailbox is looked at before the thread goes to sleep on it. */
const SPINS: u32 = 2000

let record: u32 = 0
let leaves: u32 = 0
let limit: u64 = 0
let empty: u32 = 0
let nowhere: u32 = 0
let threaded: bool = false
let generation: u32 = 0
/** Why the last translation could not be had; 0 if it could. */
let failure: i32 = 0

/** Takes a record over, as the engine names it. False if the engine has another version of the contract than this file. */
export function attach(at: u32): bool {
  if (load<u32>(at + CPU_VERSION) != HYPERVISOR_VERSION) return false
  record = at
  leaves = load<u32>(at + CPU_LEAVES)
  limit = <u64>load<u32>(at + CPU_LEAF_COUNT) << LEAF_SHIFT
  empty = load<u32>(at + CPU_EMPTY)
  nowhere = load<u32>(at + CPU_NOWHERE)
  threaded = load<u32>(at + CPU_THREAD) != 0
  generation = atomic.load<u32>(at + CPU_GENERATION)
  return true
}

/** Where the memory for the core's own use begins. */
export function scratch(): u32 {
  return load<u32>(record + CPU_SCRATCH)
}

export function scratchBytes(): u32 {
  return load<u32>(record + CPU_SCRATCH_BYTES)
}

/** The address of a pte that is always empty: for a cache of pte addresses to begin with. */
export function noPte(): u32 {
  return empty
}

/** The address of the pte for an offset into the window. It may be kept until `stale` says that it is void. */
@inline
export function pteAddress(offset: u64): u32 {
  const leaf = offset < limit ? load<u32>(leaves + ((<u32>offset >>> LEAF_SHIFT) << 2)) : empty
  return leaf + (((<u32>offset >>> PAGE_SHIFT) & (LEAF_ENTRIES - 1)) << 2)
}

/** The pte at such an address, to be loaded anew for every access. */
@inline
export function pteAt(address: u32): u32 {
  return load<u32>(address)
}

@inline
export function isReadable(pte: u32): bool {
  return (pte & READABLE) == READABLE
}

@inline
export function isWritable(pte: u32): bool {
  return (pte & WRITABLE) == WRITABLE
}

/** Where the byte at an offset lies, by a pte that is readable or writable. */
@inline
export function hostAddress(pte: u32, offset: u64): u32 {
  return (pte & ~IN_PAGE) | (<u32>offset & IN_PAGE)
}

/**
 * Where the byte at an offset can be read, after whatever faults it takes: the address is good for an access that does not cross the
 * border of the page, and until the next safe point or fault. If it cannot be had `failed` says why, and the address leads nowhere: to a page
 * for accidents, where nothing is and nobody looks.
 */
@inline
export function forRead(offset: u64): u32 {
  const pte = pteAt(pteAddress(offset))
  if (!isReadable(pte)) return afterFaults(offset, FAULT_READ, READABLE)
  failure = 0
  return hostAddress(pte, offset)
}

/** The same for writing. */
@inline
export function forWrite(offset: u64): u32 {
  const pte = pteAt(pteAddress(offset))
  if (!isWritable(pte)) return afterFaults(offset, FAULT_WRITE, WRITABLE)
  failure = 0
  return hostAddress(pte, offset)
}

/** Why the last `forRead` or `forWrite` failed, the number of an error; 0 if it did not. */
@inline
export function failed(): i32 {
  return failure
}

function afterFaults(offset: u64, kind: u32, wanted: u32): u32 {
  let pte: u32
  do {
    failure = fault(offset, kind)
    if (failure != 0) return nowhere | (<u32>offset & IN_PAGE)
    pte = pteAt(pteAddress(offset))
  } while ((pte & wanted) != wanted)
  return hostAddress(pte, offset)
}

/** Copies guest memory to the core's own; 0, or the number of the error that ended it. */
export function copyFromGuest(to: u32, offset: u64, length: u32): i32 {
  while (length > 0) {
    const count = min(length, IN_PAGE + 1 - (<u32>offset & IN_PAGE))
    const from = forRead(offset)
    if (failure != 0) return failure
    memory.copy(to, from, count)
    to += count
    offset += count
    length -= count
  }
  return 0
}

/** Copies the core's own memory to the guest; 0, or the number of the error that ended it. What lies before has been copied. */
export function copyToGuest(offset: u64, from: u32, length: u32): i32 {
  while (length > 0) {
    const count = min(length, IN_PAGE + 1 - (<u32>offset & IN_PAGE))
    const to = forWrite(offset)
    if (failure != 0) return failure
    memory.copy(to, from, count)
    from += count
    offset += count
    length -= count
  }
  return 0
}

/**
 * Asks the engine to make a page accessible. 0: try again, from the offset on. Else the number of an error. Afterwards no address
 * of guest memory is good any more, and addresses of ptes only if `stale` says so.
 */
export function fault(offset: u64, kind: u32): i32 {
  if (offset >= limit) return EFAULT
  if (!threaded) return callEngine(record, <u32>offset, kind)
  store<u32>(record + CPU_FAULT_OFFSET, <u32>offset)
  store<u32>(record + CPU_FAULT_KIND, kind)
  park()
  atomic.store<i32>(record, FAULT_ASKED, CPU_FAULT_STATE)
  const bell = load<u32>(record + CPU_BELL)
  atomic.add<i32>(bell, 1)
  atomic.notify(bell, -1)
  for (let spins: u32 = 0; spins < SPINS && atomic.load<i32>(record, CPU_FAULT_STATE) == FAULT_ASKED; ) spins++
  while (atomic.load<i32>(record, CPU_FAULT_STATE) == FAULT_ASKED) sleepOnMailbox()
  const errno = load<i32>(record, CPU_FAULT_ERRNO)
  atomic.store<i32>(record, FAULT_IDLE, CPU_FAULT_STATE)
  unpark()
  return errno
}

/** V8 of Node 20 forgets a local that is the address of a wait (Liftoff): so there is none. */
function sleepOnMailbox(): void {
  atomic.wait<i32>(record + CPU_FAULT_STATE, FAULT_ASKED, -1)
}

/**
 * To be called between instructions, often: nothing that was translated before is good any more. Stays here while the engine wants
 * the CPU stopped. A CPU on the engine's own thread has nothing to do here.
 */
@inline
export function safePoint(): void {
  if (!threaded) return
  const asked = atomic.load<u32>(record + CPU_ASKED)
  if (asked != load<u32>(record + CPU_SEEN)) atomic.store<u32>(record + CPU_SEEN, asked)
  if (atomic.load<u32>(record + CPU_STOP) != 0) rest()
}

function rest(): void {
  park()
  unpark()
}

/** Have leaves gone since this was last asked? Then addresses of ptes kept from before are void. To be asked after each safe point and fault, and on leaving the park. */
@inline
export function stale(): bool {
  const now = atomic.load<u32>(record + CPU_GENERATION)
  const changed = now != generation
  generation = now
  return changed
}

/** From here on the CPU touches no guest memory, and nobody waits for it: before whatever may take its time. */
export function park(): void {
  if (!threaded) return
  atomic.store<u32>(record + CPU_SEEN, 0)
}

/** The CPU runs again; not before the engine lets it. */
export function unpark(): void {
  if (!threaded) return
  for (;;) {
    for (;;) {
      const stop = atomic.load<i32>(record + CPU_STOP)
      if (stop == 0) break
      atomic.wait<i32>(record + CPU_STOP, stop, -1)
    }
    // First this, and then what has been asked: the other way round an old pte could be used.
    atomic.store<u32>(record + CPU_SEEN, 1)
    atomic.store<u32>(record + CPU_SEEN, atomic.load<u32>(record + CPU_ASKED))
    if (atomic.load<i32>(record + CPU_STOP) == 0) return
    park()
  }
}
