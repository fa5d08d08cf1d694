// Guest memory as one block of the host's, as most emulators have it: what memory.ts is compared with. RAM begins a page behind the hart.

import { HART_BYTES, RAM_BASE, RAM_END } from './state'

let base: u32 = 0

export function attach(at: u32): bool {
  base = at + 4096 + HART_BYTES
  return true
}

export function scratch(): u32 {
  return base - HART_BYTES
}

export function safePoint(): void {}

export function park(): void {}

export function unpark(): void {}

export function copyFromGuest(to: u32, offset: u64, length: u32): i32 {
  memory.copy(to, base + u32(offset), length)
  return 0
}

export function copyToGuest(offset: u64, from: u32, length: u32): i32 {
  memory.copy(base + u32(offset), from, length)
  return 0
}

export function stale(): bool {
  return false
}

export function isRam(hart: usize, gpa: u64): bool {
  return gpa >= RAM_BASE && gpa < load<u64>(hart, RAM_END)
}

export function keep(gpa: u64): u32 {
  return base + (u32(gpa - RAM_BASE) & ~4095)
}

export function pageToRead(kept: u32): usize {
  return kept
}

export function pageToWrite(kept: u32): usize {
  return kept
}

export function toRead(gpa: u64): usize {
  return base + u32(gpa - RAM_BASE)
}

export function toWrite(gpa: u64): usize {
  return base + u32(gpa - RAM_BASE)
}
