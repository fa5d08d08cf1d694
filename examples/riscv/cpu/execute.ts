// Instructions, one after another, until something wants a look from outside: a trap, a system instruction, a device, or
// the end of what was to be executed.

import { fetchPage, finishStore, slowLoad, slowStore } from './access'
import { amo32, amo64, isAmo, loadWord } from './amo'
import { isOperation, isOperation32, isShift32, operate, operate32 } from './arithmetic'
import { expand } from './compressed'
import { pageToRead, pageToWrite } from './memory'
import {
  EXPANDED,
  EXPANDED_SLOTS,
  INSTRET,
  LOAD_CONTEXT,
  LOAD_TLB,
  PC,
  RAN,
  RESERVED,
  RESERVED_VALUE,
  SCRATCH,
  STORE_TLB,
} from './state'
import { except, system } from './system'
import { AMO_MISALIGNED, dropReservation, ILLEGAL, LOAD_MISALIGNED, note, trap } from './traps'

const NOWHERE: u64 = 1
const PAGE: u64 = ~4095

/** Executes at most `count` instructions. Returns RAN, or CALLED. */
export function execute(hart: usize, count: i32): u32 {
  const context = u64(load<u32>(hart, LOAD_CONTEXT))
  const loads = hart + LOAD_TLB
  const stores = hart + STORE_TLB
  let pc = load<u64>(hart, PC)
  // The page that instructions come from is looked up once; a fault of the hart's own may move it, and has it looked up anew.
  let page = NOWHERE
  let code: usize = 0
  let left = count
  while (left > 0) {
    store<u64>(hart, 0)
    left--
    if ((pc & PAGE) != page) {
      code = fetchPage(hart, pc)
      if (code == 0) return trapped(hart, pc, count - left)
      page = pc & PAGE
    }
    let insn: u32 = load<u16>(code + (u32(pc) & 4095))
    let raw = insn
    let next = pc + 2
    if ((insn & 3) == 3) {
      next = pc + 4
      if ((u32(pc) & 4095) != 4094) {
        raw = insn = load<u32>(code + (u32(pc) & 4095))
      } else {
        const rest = fetchPage(hart, pc + 2)
        if (rest == 0) return trapped(hart, pc, count - left)
        // Fetching the second page may have taken the first away, but its half is read; it is looked up anew.
        page = NOWHERE
        raw = insn |= u32(load<u16>(rest)) << 16
      }
    } else {
      const slot = hart + EXPANDED + ((insn & (EXPANDED_SLOTS - 1)) << 3)
      if (load<u32>(slot) != insn) {
        store<u32>(slot, insn)
        store<u32>(slot, expand(insn), 4)
      }
      insn = load<u32>(slot, 4)
      if (insn == 0) return refused(hart, raw, pc, count - left)
    }
    const rd = hart + ((insn >>> 4) & 0xf8)
    const a = load<u64>(hart + ((insn >>> 12) & 0xf8))
    const funct3 = (insn >>> 12) & 7
    switch ((insn >>> 2) & 31) {
      case 0: {
        const va = a + u64(i64(i32(insn) >> 20))
        const size: u32 = 1 << (funct3 & 3)
        const entry = loads + ((u32(va >> 12) & 255) << 4)
        let host: usize = 0
        if (load<u64>(entry) == ((va & (PAGE | u64(size - 1))) | context)) {
          host = pageToRead(load<u32>(entry, 8))
          if (host != 0) host |= u32(va) & 4095
        }
        if (funct3 == 7) return refused(hart, raw, pc, count - left)
        if (host == 0) {
          host = slowLoad(hart, va, size)
          if (host == 0) return trapped(hart, pc, count - left)
          page = NOWHERE
        }
        switch (funct3) {
          case 0:
            store<u64>(rd, u64(i64(load<i8>(host))))
            break
          case 1:
            store<u64>(rd, u64(i64(load<i16>(host))))
            break
          case 2:
            store<u64>(rd, u64(i64(load<i32>(host))))
            break
          case 3:
            store<u64>(rd, load<u64>(host))
            break
          case 4:
            store<u64>(rd, u64(load<u8>(host)))
            break
          case 5:
            store<u64>(rd, u64(load<u16>(host)))
            break
          default:
            store<u64>(rd, u64(load<u32>(host)))
        }
        break
      }
      case 3:
        if (funct3 > 1) return refused(hart, raw, pc, count - left)
        // FENCE.I: the page of instructions is looked up anew.
        page = NOWHERE
        break
      case 4:
      case 12: {
        let b = u64(i64(i32(insn) >> 20))
        let which = funct3
        let other = false
        if ((insn & 0x20) != 0) {
          const funct7 = insn >>> 25
          if (!isOperation(funct3, funct7)) return refused(hart, raw, pc, count - left)
          b = load<u64>(hart + ((insn >>> 17) & 0xf8))
          which |= (funct7 & 1) << 3
          other = funct7 == 0x20
        } else if ((funct3 & 3) == 1) {
          const funct6 = insn >>> 26
          if (funct6 != 0 && (funct6 != 16 || funct3 == 1)) return refused(hart, raw, pc, count - left)
          other = funct6 != 0
        }
        store<u64>(rd, operate(which, other, a, b))
        break
      }
      case 5:
        store<u64>(rd, pc + u64(i64(i32(insn & 0xfffff000))))
        break
      case 6:
      case 14: {
        const funct7 = insn >>> 25
        let b = u32(i32(insn) >> 20)
        let which = funct3
        let other = false
        if ((insn & 0x20) != 0) {
          if (!isOperation32(funct3, funct7)) return refused(hart, raw, pc, count - left)
          b = u32(load<u64>(hart + ((insn >>> 17) & 0xf8)))
          which |= (funct7 & 1) << 3
          other = funct7 == 0x20
        } else if (funct3 != 0) {
          if (!isShift32(funct3, funct7)) return refused(hart, raw, pc, count - left)
          other = funct7 != 0
        }
        store<u64>(rd, operate32(which, other, u32(a), b))
        break
      }
      case 8: {
        const va = a + u64(i64(((i32(insn) >> 25) << 5) | i32((insn >>> 7) & 31)))
        const size: u32 = 1 << (funct3 & 3)
        const entry = stores + ((u32(va >> 12) & 255) << 4)
        let host: usize = 0
        if (load<u64>(entry) == ((va & (PAGE | u64(size - 1))) | context)) {
          host = pageToWrite(load<u32>(entry, 8))
          if (host != 0) host |= u32(va) & 4095
        }
        if (funct3 > 3) return refused(hart, raw, pc, count - left)
        if (host == 0) {
          host = slowStore(hart, va, size)
          if (host == 0) return trapped(hart, pc, count - left)
          page = NOWHERE
        }
        const b = load<u64>(hart + ((insn >>> 17) & 0xf8))
        if (funct3 == 0) store<u8>(host, u8(b))
        else if (funct3 == 1) store<u16>(host, u16(b))
        else if (funct3 == 2) store<u32>(host, u32(b))
        else store<u64>(host, b)
        if (host == hart + SCRATCH) {
          if (!finishStore(hart)) return trapped(hart, pc, count - left)
          // A device may have something to say.
          return leave(hart, next, count - left)
        }
        break
      }
      case 11: {
        if (!isAmo(insn)) return refused(hart, raw, pc, count - left)
        const which = insn >>> 27
        const size: u32 = 1 << funct3
        if ((u32(a) & (size - 1)) != 0) {
          return except(
            hart,
            which == 2 ? LOAD_MISALIGNED : AMO_MISALIGNED,
            a,
            retire(hart, pc, count - left),
          )
        }
        const b = load<u64>(hart + ((insn >>> 17) & 0xf8))
        const host = which == 2 ? slowLoad(hart, a, size) : slowStore(hart, a, size)
        page = NOWHERE
        if (host == 0) return trapped(hart, pc, count - left)
        if (host == hart + SCRATCH) {
          note(hart, which == 2 ? 5 : 7, a)
          return trapped(hart, pc, count - left)
        }
        if (which == 2) {
          const value = funct3 == 3 ? atomic.load<u64>(host) : loadWord(host)
          store<u64>(hart, a, RESERVED)
          store<u64>(hart, value, RESERVED_VALUE)
          store<u64>(rd, value)
        } else if (which == 3) {
          const value = load<u64>(hart, RESERVED_VALUE)
          let done = load<u64>(hart, RESERVED) == a
          if (done) {
            done =
              funct3 == 3
                ? atomic.cmpxchg<u64>(host, value, b) == value
                : atomic.cmpxchg<u32>(host, u32(value), u32(b)) == u32(value)
          }
          dropReservation(hart)
          store<u64>(rd, u64(!done))
        } else {
          store<u64>(rd, funct3 == 3 ? amo64(which, host, b) : amo32(which, host, u32(b)))
        }
        break
      }
      case 13:
        store<u64>(rd, u64(i64(i32(insn & 0xfffff000))))
        break
      case 24: {
        const b = load<u64>(hart + ((insn >>> 17) & 0xf8))
        let taken = false
        switch (funct3) {
          case 0:
            taken = a == b
            break
          case 1:
            taken = a != b
            break
          case 4:
            taken = i64(a) < i64(b)
            break
          case 5:
            taken = i64(a) >= i64(b)
            break
          case 6:
            taken = a < b
            break
          case 7:
            taken = a >= b
            break
          default:
            return refused(hart, raw, pc, count - left)
        }
        if (taken) next = pc + u64(i64(branchOffset(insn)))
        break
      }
      case 25:
        if (funct3 != 0) return refused(hart, raw, pc, count - left)
        store<u64>(rd, next)
        next = (a + u64(i64(i32(insn) >> 20))) & ~1
        break
      case 27:
        store<u64>(rd, next)
        next = pc + u64(i64(jumpOffset(insn)))
        break
      case 28:
        retire(hart, pc, count - left)
        return system(hart, insn, raw, pc, next)
      default:
        return refused(hart, raw, pc, count - left)
    }
    pc = next
  }
  return leave(hart, pc, count)
}

function branchOffset(insn: u32): i32 {
  const low = ((insn << 4) & 0x800) | ((insn >>> 20) & 0x7e0) | ((insn >>> 7) & 0x1e)
  return ((i32(insn) >> 31) << 12) | i32(low)
}

function jumpOffset(insn: u32): i32 {
  const low = (insn & 0xff000) | ((insn >>> 9) & 0x800) | ((insn >>> 20) & 0x7fe)
  return ((i32(insn) >> 31) << 20) | i32(low)
}

/** Counts what was executed; returns `pc`. */
function retire(hart: usize, pc: u64, executed: i32): u64 {
  store<u64>(hart, load<u64>(hart, INSTRET) + u64(executed), INSTRET)
  return pc
}

function leave(hart: usize, pc: u64, executed: i32): u32 {
  store<u64>(hart, retire(hart, pc, executed), PC)
  return RAN
}

function trapped(hart: usize, pc: u64, executed: i32): u32 {
  trap(hart, retire(hart, pc, executed))
  return RAN
}

function refused(hart: usize, raw: u32, pc: u64, executed: i32): u32 {
  return except(hart, ILLEGAL, raw, retire(hart, pc, executed))
}
