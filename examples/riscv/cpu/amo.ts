// Atomic memory operations, by the host's own: harts on other threads see them whole. LR and SC go by address and value: SC
// stores if the place still holds what LR read.

/** Does it at `host` and returns what was there. `which`: funct5, one that isAmo knows. */
export function amo64(which: u32, host: usize, b: u64): u64 {
  switch (which) {
    case 0:
      return atomic.add<u64>(host, b)
    case 1:
      return atomic.xchg<u64>(host, b)
    case 4:
      return atomic.xor<u64>(host, b)
    case 8:
      return atomic.or<u64>(host, b)
    case 12:
      return atomic.and<u64>(host, b)
    default:
  }
  while (true) {
    const old = atomic.load<u64>(host)
    const keep =
      which == 16 ? i64(old) < i64(b) : which == 20 ? i64(old) > i64(b) : which == 24 ? old < b : old > b
    if (atomic.cmpxchg<u64>(host, old, keep ? old : b) == old) return old
  }
}

/** The same of 32 bits, extended by the sign. */
export function amo32(which: u32, host: usize, b: u32): u64 {
  return u64(i64(i32(word(which, host, b))))
}

function word(which: u32, host: usize, b: u32): u32 {
  switch (which) {
    case 0:
      return atomic.add<u32>(host, b)
    case 1:
      return atomic.xchg<u32>(host, b)
    case 4:
      return atomic.xor<u32>(host, b)
    case 8:
      return atomic.or<u32>(host, b)
    case 12:
      return atomic.and<u32>(host, b)
    default:
  }
  while (true) {
    const old = atomic.load<u32>(host)
    const keep =
      which == 16 ? i32(old) < i32(b) : which == 20 ? i32(old) > i32(b) : which == 24 ? old < b : old > b
    if (atomic.cmpxchg<u32>(host, old, keep ? old : b) == old) return old
  }
}

/** LR of 32 bits, extended by the sign. (As `i64(atomic.load<i32>)` asc 0.28.20 compiles it without.) */
export function loadWord(host: usize): u64 {
  return (atomic.load<u32>(host) ^ 0x8000_0000) - u64(0x8000_0000)
}

/** LR, SC and the operations; `insn` of 32 or 64 bits. */
export function isAmo(insn: u32): bool {
  const width = (insn >>> 12) & 7
  if (width != 2 && width != 3) return false
  const which = insn >>> 27
  if (which == 2) return ((insn >>> 20) & 31) == 0
  return which <= 1 || which == 3 || which == 4 || (which & 3) == 0
}
