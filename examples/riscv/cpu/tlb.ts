// From the guest's virtual addresses to its physical ones: Sv39, and a TLB of 256 entries each for fetching, loading and
// storing. An entry holds where the engine's pte stands, not where the page is. So it stays right whatever becomes of the page:
// merged, copied, swapped, moved. Only the guest's own changes of its page tables need a flush, as on hardware.
//
//   0 tag      virtual page | context; 0 is no entry
//   8 address  where the pte stands
//  16 bytes
//
// The context is what the walk's answer depends on beside the address: privilege, SUM, MXR; in bits 4 to 9 of the tag. Bits 0 to 2 are
// clear, so that a misaligned access compares unequal and takes the slow way without being asked for.

import { isRam, keep, pageToRead, pageToWrite, stale, toRead, toWrite } from './memory'
import {
  FETCH_CONTEXT,
  FETCH_TLB,
  LOAD_CONTEXT,
  LOAD_TLB,
  MSTATUS,
  PRIV,
  PRIV_M,
  PRIV_S,
  PRIV_U,
  SATP,
  STORE_TLB,
  TLB_BYTES,
} from './state'
import {
  FETCH_ACCESS,
  FETCH_PAGE,
  LOAD_ACCESS,
  LOAD_PAGE,
  MPP,
  MPRV,
  MXR,
  note,
  STORE_ACCESS,
  STORE_PAGE,
  SUM,
} from './traps'

export const FETCH: i32 = 0
export const LOAD: i32 = 1
export const STORE: i32 = 2

/** What `translate` returns when the access must not be: why has been noted. No physical address has all bits. */
export const REFUSED: u64 = ~0
/** What the walk says when the guest's page table leads out of RAM. */
const NO_TABLE: u64 = ~1

const V: u64 = 1
const R: u64 = 2
const W: u64 = 4
const X: u64 = 8
const U: u64 = 16
const A: u64 = 64
const D: u64 = 128
const TOO_MUCH: u64 = 0xffc0_0000_0000_0000 // what Sv39 reserves, and extensions that are not here

/** To be called whenever privilege, mstatus or satp has changed. */
export function updateContexts(hart: usize): void {
  const status = load<u64>(hart, MSTATUS)
  const priv = load<u32>(hart, PRIV)
  const data = (status & MPRV) != 0 ? u32((status & MPP) >> 11) : priv
  const bits = (u32((status & SUM) != 0) << 7) | (u32((status & MXR) != 0) << 8)
  store<u32>(hart, 16 | (priv << 5), FETCH_CONTEXT)
  store<u32>(hart, 16 | (data << 5) | bits, LOAD_CONTEXT)
}

export function flush(hart: usize): void {
  memory.fill(hart + FETCH_TLB, 0, 3 * TLB_BYTES)
}

/** Notes where the pte of a page stands that has just been accessed, and may be. */
export function remember(hart: usize, va: u64, gpa: u64, kind: i32): void {
  if (stale()) flush(hart)
  const tlb = hart + (kind == FETCH ? FETCH_TLB : kind == LOAD ? LOAD_TLB : STORE_TLB)
  const context = u64(load<u32>(hart + (kind == FETCH ? FETCH_CONTEXT : LOAD_CONTEXT)))
  const entry = tlb + ((u32(va >> 12) & 255) << 4)
  store<u64>(entry, (va & ~4095) | context)
  store<u32>(entry, keep(gpa), 8)
}

/** The host address by what is remembered, for an access that does not cross the border of a page; 0 if that says nothing. */
export function remembered(hart: usize, va: u64, kind: i32): usize {
  const tlb = hart + (kind == FETCH ? FETCH_TLB : kind == LOAD ? LOAD_TLB : STORE_TLB)
  const context = u64(load<u32>(hart + (kind == FETCH ? FETCH_CONTEXT : LOAD_CONTEXT)))
  const entry = tlb + ((u32(va >> 12) & 255) << 4)
  if (load<u64>(entry) != ((va & ~4095) | context)) return 0
  const kept = load<u32>(entry, 8)
  const page = kind == STORE ? pageToWrite(kept) : pageToRead(kept)
  return page == 0 ? 0 : page | (u32(va) & 4095)
}

/** The guest physical address, or REFUSED. */
export function translate(hart: usize, va: u64, kind: i32): u64 {
  const context = load<u32>(hart + (kind == FETCH ? FETCH_CONTEXT : LOAD_CONTEXT))
  const priv = (context >> 5) & 3
  const satp = load<u64>(hart, SATP)
  if (priv == PRIV_M || satp >> 60 == 0) return va
  const gpa = walk(hart, va, kind, priv, satp)
  if (stale()) flush(hart)
  if (gpa == NO_TABLE) return refuseAccess(hart, va, kind)
  if (gpa == REFUSED) note(hart, kind == FETCH ? FETCH_PAGE : kind == LOAD ? LOAD_PAGE : STORE_PAGE, va)
  return gpa
}

export function refuseAccess(hart: usize, va: u64, kind: i32): u64 {
  note(hart, kind == FETCH ? FETCH_ACCESS : kind == LOAD ? LOAD_ACCESS : STORE_ACCESS, va)
  return REFUSED
}

function walk(hart: usize, va: u64, kind: i32, priv: u32, satp: u64): u64 {
  if ((i64(va) << 25) >> 25 != i64(va)) return REFUSED
  let table = (satp & 0xfff_ffff_ffff) << 12
  for (let level = 2; level >= 0; level--) {
    const at = table + (((va >> u64(12 + 9 * level)) & 511) << 3)
    const host = isRam(hart, at) ? toRead(at) : 0
    if (host == 0) return NO_TABLE
    const pte = load<u64>(host)
    if ((pte & V) == 0 || (pte & TOO_MUCH) != 0 || (pte & (R | W)) == W) return REFUSED
    if ((pte & (R | X)) == 0) {
      if ((pte & (A | D | U)) != 0) return REFUSED
      table = (pte >> 10) << 12
      continue
    }
    if (!allowed(hart, pte, kind, priv)) return REFUSED
    const span: u64 = ((1 << u64(9 * level)) - 1) << 12
    const frame = (pte >> 10) << 12
    if ((frame & span) != 0) return REFUSED
    const marks = A | (kind == STORE ? D : 0)
    if ((pte & marks) != marks && !mark(at, pte, marks)) return REFUSED
    return frame | (va & (span | 4095))
  }
  return REFUSED
}

function allowed(hart: usize, pte: u64, kind: i32, priv: u32): bool {
  const status = load<u64>(hart, MSTATUS)
  if (priv == PRIV_U && (pte & U) == 0) return false
  if (priv == PRIV_S && (pte & U) != 0 && (kind == FETCH || (status & SUM) == 0)) return false
  if (kind == FETCH) return (pte & X) != 0
  if (kind == STORE) return (pte & W) != 0
  return (pte & R) != 0 || ((status & MXR) != 0 && (pte & X) != 0)
}

/** Writes that a page was accessed, or written, into the guest's own page table. */
function mark(at: u64, pte: u64, marks: u64): bool {
  const host = toWrite(at)
  if (host == 0) return false
  atomic.cmpxchg<u64>(host, pte, pte | marks)
  return true
}
