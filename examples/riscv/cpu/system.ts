// SYSTEM: environment calls, returns from traps, WFI, fences of address translation, and CSRs.

import { csrAllowed, csrRead, csrWrite } from './csr'
import { CALLED, FIRMWARE, MIE, MSTATUS, PC, PRIV, PRIV_M, PRIV_S, RAN, WAITING } from './state'
import { flush } from './tlb'
import { BREAKPOINT, ECALL, ILLEGAL, mret, note, pending, sret, TSR, TVM, TW, trap } from './traps'

/** Executes one at `pc`; afterwards the hart's page says where to go on. */
export function system(hart: usize, insn: u32, raw: u32, pc: u64, next: u64): u32 {
  if (((insn >>> 12) & 3) != 0) return csrInstruction(hart, insn, pc, next)
  const priv = load<u32>(hart, PRIV)
  const status = load<u64>(hart, MSTATUS)
  store<u64>(hart, next, PC)
  if (insn == 0x0000_0073) {
    if (priv == PRIV_S && load<u32>(hart, FIRMWARE) != 0) return CALLED
    return except(hart, ECALL + u64(priv), 0, pc)
  }
  if (insn == 0x0010_0073) return except(hart, BREAKPOINT, 0, pc)
  if (insn == 0x1020_0073 && priv >= PRIV_S && (priv == PRIV_M || (status & TSR) == 0)) {
    sret(hart)
    return RAN
  }
  if (insn == 0x3020_0073 && priv == PRIV_M) {
    mret(hart)
    return RAN
  }
  if (insn == 0x1050_0073 && priv >= PRIV_S && (priv == PRIV_M || (status & TW) == 0)) {
    store<u32>(hart, u32((pending(hart) & load<u64>(hart, MIE)) == 0), WAITING)
    return RAN
  }
  const fence = insn >>> 25 == 9 && (insn & 0x7fff) == 0x73
  if (fence && priv >= PRIV_S && (priv == PRIV_M || (status & TVM) == 0)) {
    flush(hart)
    return RAN
  }
  return except(hart, ILLEGAL, raw, pc)
}

export function except(hart: usize, cause: u64, tval: u64, pc: u64): u32 {
  note(hart, cause, tval)
  trap(hart, pc)
  return RAN
}

function csrInstruction(hart: usize, insn: u32, pc: u64, next: u64): u32 {
  const csr = insn >>> 20
  const kind = (insn >>> 12) & 3
  const source = (insn >>> 15) & 31
  const write = kind == 1 || source != 0
  if (((insn >>> 12) & 7) == 4 || !csrAllowed(hart, csr, write)) return except(hart, ILLEGAL, insn, pc)
  const operand = (insn & 0x4000) != 0 ? u64(source) : load<u64>(hart + (source << 3))
  const old = csrRead(hart, csr)
  if (write) csrWrite(hart, csr, kind == 1 ? operand : kind == 2 ? old | operand : old & ~operand)
  const rd = (insn >>> 7) & 31
  if (rd != 0) store<u64>(hart + (rd << 3), old)
  store<u64>(hart, next, PC)
  return RAN
}
