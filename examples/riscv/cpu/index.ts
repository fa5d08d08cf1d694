// The CPU as the machine sees it. An instance has no state of its own: any number of harts can run in one, one after another.

import { expand } from './compressed'
import { resetCsrs } from './csr'
import { execute } from './execute'
import { attach, copyFromGuest, copyToGuest, park, safePoint, scratch, stale, unpark } from './memory'
import {
  ASLEEP,
  BUFFER,
  FIRMWARE,
  INSTRET,
  IRQ_MTI,
  IRQ_STI,
  MIE,
  PC,
  PRIV,
  PRIV_M,
  PRIV_S,
  RAM_BASE,
  RAN,
  SKIPPED,
  STOP,
  STOPPED,
  TICK_SHIFT,
  TIMECMP,
  WAITING,
} from './state'
import { flush, updateContexts } from './tlb'
import { dropReservation, pending, takeInterrupt, time, updateTimer } from './traps'

/** Most instructions between two looks at interrupts. */
const STRETCH: u64 = 1024

export { attach, expand, flush, scratch, time }

/** Sets up a hart in an empty page, to begin at `pc`. */
export function reset(hart: usize, pc: u64): void {
  store<u64>(hart, pc, PC)
  store<u64>(hart, ~0, TIMECMP)
  store<u32>(hart, load<u32>(hart, FIRMWARE) != 0 ? PRIV_S : PRIV_M, PRIV)
  resetCsrs(hart)
  dropReservation(hart)
  updateContexts(hart)
  flush(hart)
}

/** Copies bytes of RAM, at most a page, to the buffer. False if they cannot be had. */
export function read(hart: usize, address: u64, length: u32): bool {
  unpark()
  const errno = copyFromGuest(u32(hart + BUFFER), address - RAM_BASE, length)
  park()
  return errno == 0
}

/** Copies bytes of the buffer to RAM. */
export function write(hart: usize, address: u64, length: u32): bool {
  unpark()
  const errno = copyToGuest(address - RAM_BASE, u32(hart + BUFFER), length)
  park()
  return errno == 0
}

/** Executes about `budget` instructions. Returns why it came back: RAN, ASLEEP, CALLED, STOPPED. In between it is parked. */
export function run(hart: usize, budget: u32): u32 {
  unpark()
  const reason = runOn(hart, budget)
  park()
  return reason
}

function runOn(hart: usize, budget: u32): u32 {
  const timer = load<u32>(hart, FIRMWARE) != 0 ? IRQ_STI : IRQ_MTI
  const end = load<u64>(hart, INSTRET) + u64(budget)
  while (true) {
    safePoint()
    if (stale()) flush(hart)
    updateTimer(hart, timer)
    if (load<u32>(hart, WAITING) != 0) {
      if ((pending(hart) & load<u64>(hart, MIE)) == 0) return ASLEEP
      store<u32>(hart, 0, WAITING)
    }
    takeInterrupt(hart)
    const now = load<u64>(hart, INSTRET)
    if (now >= end) return RAN
    const reason = execute(hart, i32(min(min(end - now, STRETCH), untilTimer(hart))))
    if (load<u32>(hart, STOP) != 0) return STOPPED
    if (reason != RAN) return reason
  }
}

/** Lets time go by, asleep, to the tick at which the timer's interrupt is due. */
export function sleep(hart: usize, ticks: u64): void {
  store<u64>(hart, load<u64>(hart, SKIPPED) + ticks, SKIPPED)
}

/** Ticks to the timer's interrupt; 0: due. */
export function ticksToTimer(hart: usize): u64 {
  const due = load<u64>(hart, TIMECMP)
  const now = time(hart)
  return due > now ? due - now : 0
}

/** Instructions to the timer's interrupt, at least one: so that it comes at the same one in every run. */
function untilTimer(hart: usize): u64 {
  const ticks = ticksToTimer(hart)
  if (ticks == 0 || ticks > STRETCH) return STRETCH
  const into = load<u64>(hart, INSTRET) & ((1 << TICK_SHIFT) - 1)
  return (ticks << TICK_SHIFT) - into
}
