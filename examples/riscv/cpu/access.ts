// Loads and stores that the TLB has no answer for. Each gives a host address to load from or store to: of the page, or of the hart's
// scratch where the access goes to a device or over the border of a page; 0 if it must not be, and why has been noted.

import { loadRegister, storeRegister } from './devices'
import { isRam, toRead, toWrite } from './memory'
import { PENDING, PENDING_AT, PENDING_DEVICE, PENDING_SIZE, PENDING_SPLIT, SCRATCH } from './state'
import { FETCH, LOAD, REFUSED, refuseAccess, remember, remembered, STORE, translate } from './tlb'

/** The host address of the page that instructions at `pc` are in; 0 if it must not be fetched from. */
export function fetchPage(hart: usize, pc: u64): usize {
  const va = pc & ~4095
  const known = remembered(hart, va, FETCH)
  if (known != 0) return known
  // What is noted is where the instruction is, not where its page begins.
  const gpa = translate(hart, pc, FETCH)
  if (gpa == REFUSED) return 0
  const host = isRam(hart, gpa) ? toRead(gpa & ~4095) : 0
  if (host == 0) refuseAccess(hart, pc, FETCH)
  else remember(hart, va, gpa, FETCH)
  return host
}

export function slowLoad(hart: usize, va: u64, size: u32): usize {
  const before: u32 = 4096 - (u32(va) & 4095)
  if (before < size) return splitLoad(hart, va, before, size)
  const known = remembered(hart, va, LOAD)
  if (known != 0) return known
  const gpa = translate(hart, va, LOAD)
  if (gpa == REFUSED) return 0
  if (isRam(hart, gpa)) return ramAt(hart, va, gpa, LOAD)
  if (loadRegister(hart, gpa, size)) return hart + SCRATCH
  refuseAccess(hart, va, LOAD)
  return 0
}

/** If it is the scratch that comes back, `finishStore` has to follow the store. */
export function slowStore(hart: usize, va: u64, size: u32): usize {
  const before: u32 = 4096 - (u32(va) & 4095)
  if (before < size) return splitStore(hart, va, before, size)
  const known = remembered(hart, va, STORE)
  if (known != 0) return known
  const gpa = translate(hart, va, STORE)
  if (gpa == REFUSED) return 0
  if (isRam(hart, gpa)) return ramAt(hart, va, gpa, STORE)
  store<u32>(hart, PENDING_DEVICE, PENDING)
  store<u64>(hart, gpa, PENDING_AT)
  store<u32>(hart, size, PENDING_SIZE)
  store<u64>(hart, va, SCRATCH + 8)
  return hart + SCRATCH
}

/** Carries what was stored in the scratch to where it belongs. False if there is nobody: why has been noted. */
export function finishStore(hart: usize): bool {
  const size = load<u32>(hart, PENDING_SIZE)
  if (load<u32>(hart, PENDING) == PENDING_DEVICE) {
    if (storeRegister(hart, load<u64>(hart, PENDING_AT), size)) return true
    refuseAccess(hart, load<u64>(hart, SCRATCH + 8), STORE)
    return false
  }
  const first = load<u32>(hart, PENDING_AT)
  const before: u32 = 4096 - (first & 4095)
  memory.copy(first, hart + SCRATCH, before)
  memory.copy(load<u32>(hart, PENDING_AT + 4), hart + SCRATCH + before, size - before)
  return true
}

function ramAt(hart: usize, va: u64, gpa: u64, kind: i32): usize {
  const host = kind == LOAD ? toRead(gpa) : toWrite(gpa)
  if (host == 0) refuseAccess(hart, va, kind)
  else remember(hart, va, gpa, kind)
  return host
}

function splitLoad(hart: usize, va: u64, before: u32, size: u32): usize {
  if (!bothSides(hart, va, before, LOAD)) return 0
  memory.copy(hart + SCRATCH, load<u32>(hart, PENDING_AT), before)
  memory.copy(hart + SCRATCH + before, load<u32>(hart, PENDING_AT + 4), size - before)
  return hart + SCRATCH
}

function splitStore(hart: usize, va: u64, before: u32, size: u32): usize {
  if (!bothSides(hart, va, before, STORE)) return 0
  store<u32>(hart, PENDING_SPLIT, PENDING)
  store<u32>(hart, size, PENDING_SIZE)
  return hart + SCRATCH
}

/** Finds both pages before either is touched. A fault at the second may take the first away again: then once more. */
function bothSides(hart: usize, va: u64, before: u32, kind: i32): bool {
  while (true) {
    const first = sideAt(hart, va, kind)
    const second: usize = first == 0 ? 0 : sideAt(hart, va + before, kind)
    if (second == 0) return false
    if (sideAt(hart, va, kind) != first) continue
    store<u32>(hart, u32(first), PENDING_AT)
    store<u32>(hart, u32(second), PENDING_AT + 4)
    return true
  }
}

function sideAt(hart: usize, va: u64, kind: i32): usize {
  const gpa = translate(hart, va, kind)
  if (gpa == REFUSED) return 0
  if (isRam(hart, gpa)) return ramAt(hart, va, gpa, kind)
  refuseAccess(hart, va, kind)
  return 0
}
