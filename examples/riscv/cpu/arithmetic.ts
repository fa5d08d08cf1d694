// What the instructions on registers compute: RV64I and M.

/** OP. `which`: funct3, and 8 for M; `other`: the bit that tells sub from add and sra from srl. */
export function operate(which: u32, other: bool, a: u64, b: u64): u64 {
  switch (which) {
    case 0:
      return other ? a - b : a + b
    case 1:
      return a << (b & 63)
    case 2:
      return u64(i64(a) < i64(b))
    case 3:
      return u64(a < b)
    case 4:
      return a ^ b
    case 5:
      return other ? u64(i64(a) >> i64(b & 63)) : a >> (b & 63)
    case 6:
      return a | b
    case 7:
      return a & b
    case 8:
      return a * b
    case 9:
      return mulhu(a, b) - (i64(a) < 0 ? b : 0) - (i64(b) < 0 ? a : 0)
    case 10:
      return mulhu(a, b) - (i64(a) < 0 ? b : 0)
    case 11:
      return mulhu(a, b)
    case 12:
      return b == 0 ? ~0 : i64(b) == -1 ? 0 - a : u64(i64(a) / i64(b))
    case 13:
      return b == 0 ? ~0 : a / b
    case 14:
      return b == 0 ? a : i64(b) == -1 ? 0 : u64(i64(a) % i64(b))
    default:
      return b == 0 ? a : a % b
  }
}

/** OP-32: the same on the low halves, the result extended by its sign. */
export function operate32(which: u32, other: bool, a: u32, b: u32): u64 {
  switch (which) {
    case 0:
      return extend(other ? a - b : a + b)
    case 1:
      return extend(a << (b & 31))
    case 5:
      return other ? extend(u32(i32(a) >> i32(b & 31))) : extend(a >>> (b & 31))
    case 8:
      return extend(a * b)
    case 12:
      return b == 0 ? ~0 : i32(b) == -1 ? extend(0 - a) : extend(u32(i32(a) / i32(b)))
    case 13:
      return b == 0 ? ~0 : extend(a / b)
    case 14:
      return b == 0 ? extend(a) : i32(b) == -1 ? 0 : extend(u32(i32(a) % i32(b)))
    default:
      return b == 0 ? extend(a) : extend(a % b)
  }
}

export function isOperation(which: u32, funct7: u32): bool {
  return funct7 == 0 || funct7 == 1 || (funct7 == 0x20 && (which == 0 || which == 5))
}

export function isOperation32(which: u32, funct7: u32): bool {
  if (funct7 == 0) return which == 0 || which == 1 || which == 5
  if (funct7 == 0x20) return which == 0 || which == 5
  return funct7 == 1 && (which == 0 || which >= 4)
}

/** OP-IMM-32 other than an addition. */
export function isShift32(which: u32, funct7: u32): bool {
  return which == 5 ? (funct7 & ~0x20) == 0 : which == 1 && funct7 == 0
}

function extend(a: u32): u64 {
  return u64(i64(i32(a)))
}

/** The upper half of a product of 128 bits. */
function mulhu(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff
  const bLow = b & 0xffffffff
  const aHigh = a >> 32
  const bHigh = b >> 32
  const middle = aHigh * bLow + ((aLow * bLow) >> 32)
  return aHigh * bHigh + (middle >> 32) + ((aLow * bHigh + (middle & 0xffffffff)) >> 32)
}
