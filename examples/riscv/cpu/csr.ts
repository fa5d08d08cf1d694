// Control and status registers: which there are, who may use them, what is kept of what is written.

import {
  FIRMWARE,
  HARTID,
  INSTRET,
  LINES,
  MCAUSE,
  MCOUNTEREN,
  MCOUNTINHIBIT,
  MEDELEG,
  MENVCFG,
  MEPC,
  MIDELEG,
  MIE,
  MIP,
  MISA,
  MSCRATCH,
  MSTATUS,
  MTVAL,
  MTVEC,
  PRIV,
  PRIV_M,
  PRIV_S,
  SATP,
  SCAUSE,
  SCOUNTEREN,
  SENVCFG,
  SEPC,
  SSCRATCH,
  STVAL,
  STVEC,
} from './state'
import { flush, updateContexts } from './tlb'
import { MIE_BIT, MPIE, MPP, MPRV, MXR, pending, SIE, SPIE, SPP, SUM, TSR, TVM, TW, time } from './traps'

const WIDTHS: u64 = (2 << 32) | (2 << 34)
const S_BITS: u64 = SIE | SPIE | SPP | SUM | MXR
const M_BITS: u64 = S_BITS | MIE_BIT | MPIE | MPP | MPRV | TVM | TW | TSR
const S_INTERRUPTS: u64 = (1 << 1) | (1 << 5) | (1 << 9)
const ALL_INTERRUPTS: u64 = S_INTERRUPTS | (1 << 3) | (1 << 7) | (1 << 11)
const DELEGABLE: u64 = 0xb3ff
const ALIGNED: u64 = ~1
const FIOM: u64 = 1
const RV64: u64 = 2 << 62
/** I, M, A, C, S, U */
export const EXTENSIONS: u64 = RV64 | (1 << 8) | (1 << 12) | 1 | (1 << 2) | (1 << 18) | (1 << 20)

/** May the instruction have this register, and write it if it is to? */
export function csrAllowed(hart: usize, csr: u32, write: bool): bool {
  const priv = load<u32>(hart, PRIV)
  if (priv < ((csr >>> 8) & 3) || (write && csr >>> 10 == 3)) return false
  if (csr >= 0xc00 && csr <= 0xc1f) return counterAllowed(hart, csr & 31, priv)
  if (csr == 0x180) return priv == PRIV_M || (load<u64>(hart, MSTATUS) & TVM) == 0
  return slotOf(csr) != 0 || isComputed(csr)
}

function counterAllowed(hart: usize, counter: u32, priv: u32): bool {
  if (priv < PRIV_M && ((load<u64>(hart, MCOUNTEREN) >> counter) & 1) == 0) return false
  return priv >= PRIV_S || ((load<u64>(hart, SCOUNTEREN) >> counter) & 1) != 0
}

/** Registers that read as they were written, but for bits that are masked. */
function slotOf(csr: u32): u32 {
  switch (csr) {
    case 0x105:
      return STVEC
    case 0x106:
      return SCOUNTEREN
    case 0x10a:
      return SENVCFG
    case 0x140:
      return SSCRATCH
    case 0x141:
      return SEPC
    case 0x142:
      return SCAUSE
    case 0x143:
      return STVAL
    case 0x180:
      return SATP
    case 0x302:
      return MEDELEG
    case 0x303:
      return MIDELEG
    case 0x304:
      return MIE
    case 0x305:
      return MTVEC
    case 0x306:
      return MCOUNTEREN
    case 0x30a:
      return MENVCFG
    case 0x320:
      return MCOUNTINHIBIT
    case 0x340:
      return MSCRATCH
    case 0x341:
      return MEPC
    case 0x342:
      return MCAUSE
    case 0x343:
      return MTVAL
    default:
      return 0
  }
}

function isComputed(csr: u32): bool {
  if (csr == 0x100 || csr == 0x104 || csr == 0x144) return true // sstatus, sie, sip
  if (csr == 0x300 || csr == 0x301 || csr == 0x344) return true // mstatus, misa, mip
  if (csr >= 0xf11 && csr <= 0xf15) return true // who the hart is
  if (csr == 0xb00 || csr == 0xb02) return true // mcycle, minstret
  if (csr >= 0xb03 && csr <= 0xb1f) return true // counters of nothing
  if (csr >= 0x3a0 && csr <= 0x3ef) return true // physical memory protection, of which there is none
  return csr >= 0x323 && csr <= 0x33f
}

export function csrRead(hart: usize, csr: u32): u64 {
  const slot = slotOf(csr)
  if (slot != 0) return load<u64>(hart + slot)
  switch (csr) {
    case 0x100:
      return (load<u64>(hart, MSTATUS) & S_BITS) | (2 << 32)
    case 0x104:
      return load<u64>(hart, MIE) & load<u64>(hart, MIDELEG)
    case 0x144:
      return pending(hart) & load<u64>(hart, MIDELEG)
    case 0x300:
      return load<u64>(hart, MSTATUS) | WIDTHS
    case 0x301:
      return load<u64>(hart, MISA)
    case 0x344:
      return pending(hart)
    case 0xb00:
    case 0xb02:
    case 0xc00:
    case 0xc02:
      return load<u64>(hart, INSTRET)
    case 0xc01:
      return time(hart)
    case 0xf14:
      return load<u32>(hart, HARTID)
    default:
      return 0
  }
}

export function csrWrite(hart: usize, csr: u32, value: u64): void {
  const slot = slotOf(csr)
  if (slot != 0) writeSlot(hart, slot, value)
  else if (csr == 0x100) writeStatus(hart, S_BITS, value)
  else if (csr == 0x300) writeStatus(hart, M_BITS, value)
  else if (csr == 0x104) merge(hart, MIE, load<u64>(hart, MIDELEG), value)
  else if (csr == 0x144) merge(hart, MIP, load<u64>(hart, MIDELEG) & 2, value)
  else if (csr == 0x344) merge(hart, MIP, S_INTERRUPTS, value)
}

function merge(hart: usize, slot: u32, mask: u64, value: u64): void {
  store<u64>(hart + slot, (load<u64>(hart + slot) & ~mask) | (value & mask))
}

function writeStatus(hart: usize, mask: u64, value: u64): void {
  // There is no mode 2.
  if ((value & MPP) == 2 << 11) mask &= ~MPP
  merge(hart, MSTATUS, mask, value)
  updateContexts(hart)
}

function writeSlot(hart: usize, slot: u32, value: u64): void {
  switch (slot) {
    case SATP: {
      const mode = value >> 60
      if (mode != 0 && mode != 8) return
      // Without ASIDs whatever was translated belongs to the old table.
      store<u64>(hart, value & 0xf000_0fff_ffff_ffff, SATP)
      flush(hart)
      return
    }
    case SEPC:
    case MEPC:
      value &= ALIGNED
      break
    case STVEC:
    case MTVEC:
      // Neither reserved kind of vector can be had.
      if ((value & 3) > 1) return
      break
    case MEDELEG:
      value &= DELEGABLE
      break
    case MIDELEG:
      value &= S_INTERRUPTS
      break
    case MIE:
      value &= ALL_INTERRUPTS
      break
    case MENVCFG:
    case SENVCFG:
      value &= FIOM
      break
    case MCOUNTEREN:
    case SCOUNTEREN:
    case MCOUNTINHIBIT:
      value &= 0xffffffff
      break
    default:
  }
  store<u64>(hart + slot, value)
}

/** A hart as it comes out of reset, in S mode with everything delegated if the machine is its firmware. */
export function resetCsrs(hart: usize): void {
  store<u64>(hart, EXTENSIONS, MISA)
  store<u64>(hart, 0, LINES)
  if (load<u32>(hart, FIRMWARE) != 0) {
    store<u64>(hart, DELEGABLE, MEDELEG)
    store<u64>(hart, S_INTERRUPTS, MIDELEG)
    store<u64>(hart, 7, MCOUNTEREN)
  }
}
