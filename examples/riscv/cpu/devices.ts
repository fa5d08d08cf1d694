// What is not RAM: the CLINT, which is the hart's own clock, here; everything else the machine answers.

import { deviceLoad, deviceStore } from './env'
import { IRQ_MSI, LINES, SCRATCH, STOP, TIMECMP } from './state'
import { time } from './traps'

const CLINT: u64 = 0x2000000
const MSIP: u64 = CLINT
const MTIMECMP: u64 = CLINT + 0x4000
const MTIME: u64 = CLINT + 0xbff8

/** Puts what a register says into the scratch. */
export function loadRegister(hart: usize, gpa: u64, size: u32): bool {
  let value: u64
  if ((gpa & ~7) == MTIMECMP) value = load<u64>(hart, TIMECMP) >> ((gpa & 7) << 3)
  else if ((gpa & ~7) == MTIME) value = time(hart) >> ((gpa & 7) << 3)
  else if (gpa == MSIP) value = (load<u64>(hart, LINES) >> u64(IRQ_MSI)) & 1
  else {
    if (size > 4 || gpa >> 32 != 0) return false
    const answer = deviceLoad(hart, u32(gpa), size)
    if (answer < 0) return false
    value = u64(answer)
  }
  store<u64>(hart, value, SCRATCH)
  return true
}

/** Stores what is in the scratch into a register. */
export function storeRegister(hart: usize, gpa: u64, size: u32): bool {
  const value = load<u64>(hart, SCRATCH)
  if (gpa == MTIMECMP && size == 8) {
    store<u64>(hart, value, TIMECMP)
    return true
  }
  if ((gpa & ~7) == MTIMECMP && size == 4) {
    store<u32>(hart + u32(gpa & 7), u32(value), TIMECMP)
    return true
  }
  if (gpa == MSIP) {
    const lines = load<u64>(hart, LINES)
    const bit: u64 = 1 << u64(IRQ_MSI)
    store<u64>(hart, (value & 1) != 0 ? lines | bit : lines & ~bit, LINES)
    return true
  }
  if (size > 4 || gpa >> 32 != 0) return false
  const mask: u32 = size == 4 ? 0xffffffff : (1 << (size << 3)) - 1
  const answer = deviceStore(hart, u32(gpa), size, u32(value) & mask)
  if (answer > 0) store<u32>(hart, 1, STOP)
  return answer >= 0
}
