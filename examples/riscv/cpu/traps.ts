// Exceptions and interrupts: who gets them, and the way there and back.

import {
  CAUSE,
  INSTRET,
  IRQ_MEI,
  IRQ_MSI,
  IRQ_MTI,
  IRQ_SEI,
  IRQ_SSI,
  IRQ_STI,
  LINES,
  MCAUSE,
  MEDELEG,
  MEPC,
  MIDELEG,
  MIE,
  MIP,
  MSTATUS,
  MTVAL,
  MTVEC,
  PC,
  PRIV,
  PRIV_M,
  PRIV_S,
  RESERVED,
  SCAUSE,
  SEPC,
  SKIPPED,
  STVAL,
  STVEC,
  TICK_SHIFT,
  TIMECMP,
  TVAL,
} from './state'
import { updateContexts } from './tlb'

export const SIE: u64 = 1 << 1
export const MIE_BIT: u64 = 1 << 3
export const SPIE: u64 = 1 << 5
export const MPIE: u64 = 1 << 7
export const SPP: u64 = 1 << 8
export const MPP: u64 = 3 << 11
export const MPRV: u64 = 1 << 17
export const SUM: u64 = 1 << 18
export const MXR: u64 = 1 << 19
export const TVM: u64 = 1 << 20
export const TW: u64 = 1 << 21
export const TSR: u64 = 1 << 22

export const FETCH_ACCESS: u64 = 1
export const ILLEGAL: u64 = 2
export const BREAKPOINT: u64 = 3
export const LOAD_MISALIGNED: u64 = 4
export const LOAD_ACCESS: u64 = 5
export const AMO_MISALIGNED: u64 = 6
export const STORE_ACCESS: u64 = 7
export const ECALL: u64 = 8
export const FETCH_PAGE: u64 = 12
export const LOAD_PAGE: u64 = 13
export const STORE_PAGE: u64 = 15

const INTERRUPT: u64 = 1 << 63
const NO_RESERVATION: u64 = 1

/** Notes what an access met; `trap` takes it from there. */
export function note(hart: usize, cause: u64, tval: u64): void {
  store<u64>(hart, cause, CAUSE)
  store<u64>(hart, tval, TVAL)
}

/** Takes the exception that was noted, of the instruction at `pc`. */
export function trap(hart: usize, pc: u64): void {
  const cause = load<u64>(hart, CAUSE)
  const toS = load<u32>(hart, PRIV) <= PRIV_S && ((load<u64>(hart, MEDELEG) >> cause) & 1) != 0
  enter(hart, toS, cause, load<u64>(hart, TVAL), pc)
}

function enter(hart: usize, toS: bool, cause: u64, tval: u64, pc: u64): void {
  const priv = u64(load<u32>(hart, PRIV))
  const status = load<u64>(hart, MSTATUS)
  let base: u64
  if (toS) {
    store<u64>(hart, cause, SCAUSE)
    store<u64>(hart, pc, SEPC)
    store<u64>(hart, tval, STVAL)
    const spie = (status & SIE) != 0 ? SPIE : 0
    store<u64>(hart, (status & ~(SIE | SPIE | SPP)) | spie | (priv << 8), MSTATUS)
    store<u32>(hart, PRIV_S, PRIV)
    base = load<u64>(hart, STVEC)
  } else {
    store<u64>(hart, cause, MCAUSE)
    store<u64>(hart, pc, MEPC)
    store<u64>(hart, tval, MTVAL)
    const mpie = (status & MIE_BIT) != 0 ? MPIE : 0
    store<u64>(hart, (status & ~(MIE_BIT | MPIE | MPP)) | mpie | (priv << 11), MSTATUS)
    store<u32>(hart, PRIV_M, PRIV)
    base = load<u64>(hart, MTVEC)
  }
  const vector = (base & 1) != 0 && (cause & INTERRUPT) != 0 ? (cause & 63) << 2 : 0
  store<u64>(hart, (base & ~3) + vector, PC)
  dropReservation(hart)
  updateContexts(hart)
}

export function dropReservation(hart: usize): void {
  store<u64>(hart, NO_RESERVATION, RESERVED)
}

export function mret(hart: usize): void {
  const status = load<u64>(hart, MSTATUS)
  const priv = (status & MPP) >> 11
  const mie = (status & MPIE) != 0 ? MIE_BIT : 0
  const mprv = priv == u64(PRIV_M) ? status & MPRV : 0
  store<u64>(hart, (status & ~(MIE_BIT | MPP | MPRV)) | mie | mprv | MPIE, MSTATUS)
  comeBack(hart, u32(priv), load<u64>(hart, MEPC))
}

export function sret(hart: usize): void {
  const status = load<u64>(hart, MSTATUS)
  const sie = (status & SPIE) != 0 ? SIE : 0
  store<u64>(hart, (status & ~(SIE | SPP | MPRV)) | sie | SPIE, MSTATUS)
  comeBack(hart, u32((status & SPP) >> 8), load<u64>(hart, SEPC))
}

function comeBack(hart: usize, priv: u32, pc: u64): void {
  store<u32>(hart, priv, PRIV)
  store<u64>(hart, pc, PC)
  dropReservation(hart)
  updateContexts(hart)
}

export function time(hart: usize): u64 {
  return (load<u64>(hart, INSTRET) >> TICK_SHIFT) + load<u64>(hart, SKIPPED)
}

/** Interrupts that are pending, enabled or not. */
export function pending(hart: usize): u64 {
  return load<u64>(hart, MIP) | load<u64>(hart, LINES)
}

/** Raises the timer's interrupt, or takes it back. `line`: whose it is, IRQ_STI or IRQ_MTI. */
export function updateTimer(hart: usize, line: u32): void {
  const bit: u64 = 1 << u64(line)
  const lines = load<u64>(hart, LINES)
  const due = time(hart) >= load<u64>(hart, TIMECMP)
  store<u64>(hart, due ? lines | bit : lines & ~bit, LINES)
}

/** Takes the most urgent interrupt that is pending and enabled, if there is one. */
export function takeInterrupt(hart: usize): void {
  const ready = pending(hart) & load<u64>(hart, MIE)
  if (ready == 0) return
  const priv = load<u32>(hart, PRIV)
  const status = load<u64>(hart, MSTATUS)
  const delegated = load<u64>(hart, MIDELEG)
  const mOn = priv < PRIV_M || (status & MIE_BIT) != 0
  const sOn = priv < PRIV_S || (priv == PRIV_S && (status & SIE) != 0)
  const forM = mOn ? ready & ~delegated : 0
  const forS = sOn ? ready & delegated : 0
  const chosen = forM != 0 ? forM : forS
  if (chosen != 0) enter(hart, forM == 0, INTERRUPT | mostUrgent(chosen), 0, load<u64>(hart, PC))
}

function mostUrgent(interrupts: u64): u64 {
  if ((interrupts & (1 << u64(IRQ_MEI))) != 0) return IRQ_MEI
  if ((interrupts & (1 << u64(IRQ_MSI))) != 0) return IRQ_MSI
  if ((interrupts & (1 << u64(IRQ_MTI))) != 0) return IRQ_MTI
  if ((interrupts & (1 << u64(IRQ_SEI))) != 0) return IRQ_SEI
  if ((interrupts & (1 << u64(IRQ_SSI))) != 0) return IRQ_SSI
  return IRQ_STI
}
