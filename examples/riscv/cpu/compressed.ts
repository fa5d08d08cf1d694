// Instructions of 16 bits, turned into the ones of 32 that they stand for. RISC-V, "C" standard extension.

const ADDI: u32 = 0x13
const ADDIW: u32 = 0x1b
const LUI: u32 = 0x37
const LW: u32 = 0x2003
const LD: u32 = 0x3003
const SW: u32 = 0x2023
const SD: u32 = 0x3023
const SLLI: u32 = 0x1013
const SRLI: u32 = 0x5013
const SRAI: u32 = 0x4000_5013
const ANDI: u32 = 0x7013
const ADD: u32 = 0x33
const SUB: u32 = 0x4000_0033
const XOR: u32 = 0x4033
const OR: u32 = 0x6033
const AND: u32 = 0x7033
const SUBW: u32 = 0x4000_003b
const ADDW: u32 = 0x3b
const JAL: u32 = 0x6f
const JALR: u32 = 0x67
const BEQ: u32 = 0x63
const BNE: u32 = 0x1063
const EBREAK: u32 = 0x0010_0073

/** 0 if there is no such instruction. */
export function expand(c: u32): u32 {
  const funct3 = c >>> 13
  const quadrant = c & 3
  if (quadrant == 0) return expand0(c, funct3)
  if (quadrant == 1) return expand1(c, funct3)
  return expand2(c, funct3)
}

/** `length` bits of `c` from `from` on, at `to`. */
function bits(c: u32, from: u32, length: u32, to: u32): u32 {
  return ((c >>> from) & ((1 << length) - 1)) << to
}

/** Bit 12 and bits 2 to 6, a signed number of six bits. */
function immediate(c: u32): u32 {
  return u32(i32(bits(c, 12, 1, 31) | bits(c, 2, 5, 26)) >> 26)
}

function iType(opcode: u32, rd: u32, rs1: u32, imm: u32): u32 {
  return opcode | (rd << 7) | (rs1 << 15) | (imm << 20)
}

function rType(opcode: u32, rd: u32, rs1: u32, rs2: u32): u32 {
  return opcode | (rd << 7) | (rs1 << 15) | (rs2 << 20)
}

function sType(opcode: u32, rs1: u32, rs2: u32, imm: u32): u32 {
  return opcode | bits(imm, 0, 5, 7) | (rs1 << 15) | (rs2 << 20) | bits(imm, 5, 7, 25)
}

function bType(opcode: u32, rs1: u32, imm: u32): u32 {
  return (
    opcode |
    bits(imm, 11, 1, 7) |
    bits(imm, 1, 4, 8) |
    (rs1 << 15) |
    bits(imm, 5, 6, 25) |
    bits(imm, 12, 1, 31)
  )
}

function expand0(c: u32, funct3: u32): u32 {
  const rd = 8 + bits(c, 2, 3, 0)
  const rs1 = 8 + bits(c, 7, 3, 0)
  const word = bits(c, 10, 3, 3) | bits(c, 6, 1, 2) | bits(c, 5, 1, 6)
  const double = bits(c, 10, 3, 3) | bits(c, 5, 2, 6)
  if (funct3 == 0) {
    const imm = bits(c, 11, 2, 4) | bits(c, 7, 4, 6) | bits(c, 6, 1, 2) | bits(c, 5, 1, 3)
    return imm == 0 ? 0 : iType(ADDI, rd, 2, imm)
  }
  if (funct3 == 2) return iType(LW, rd, rs1, word)
  if (funct3 == 3) return iType(LD, rd, rs1, double)
  if (funct3 == 6) return sType(SW, rs1, rd, word)
  if (funct3 == 7) return sType(SD, rs1, rd, double)
  return 0
}

function expand1(c: u32, funct3: u32): u32 {
  const rd = bits(c, 7, 5, 0)
  const imm = immediate(c)
  if (funct3 == 0) return iType(ADDI, rd, rd, imm)
  if (funct3 == 1) return rd == 0 ? 0 : iType(ADDIW, rd, rd, imm)
  if (funct3 == 2) return iType(ADDI, rd, 0, imm)
  if (funct3 == 3) {
    if (imm == 0) return 0
    if (rd != 2) return LUI | (rd << 7) | (imm << 12)
    const sp = bits(c, 6, 1, 4) | bits(c, 5, 1, 6) | bits(c, 3, 2, 7) | bits(c, 2, 1, 5)
    return iType(ADDI, 2, 2, sp | (bits(c, 12, 1, 0) != 0 ? 0xfffffe00 : 0))
  }
  if (funct3 == 4) return arithmetic(c, 8 + bits(c, 7, 3, 0), imm)
  if (funct3 == 5) {
    const a = bits(c, 11, 1, 4) | bits(c, 9, 2, 8) | bits(c, 8, 1, 10) | bits(c, 7, 1, 6)
    const b = bits(c, 6, 1, 7) | bits(c, 3, 3, 1) | bits(c, 2, 1, 5)
    const to = a | b | (bits(c, 12, 1, 0) != 0 ? 0xfffff800 : 0)
    return JAL | (to & 0xff000) | bits(to, 11, 1, 20) | bits(to, 1, 10, 21) | bits(to, 20, 1, 31)
  }
  const near = bits(c, 10, 2, 3) | bits(c, 5, 2, 6) | bits(c, 3, 2, 1) | bits(c, 2, 1, 5)
  const to = near | (bits(c, 12, 1, 0) != 0 ? 0xffffff00 : 0)
  return bType(funct3 == 6 ? BEQ : BNE, 8 + bits(c, 7, 3, 0), to)
}

function arithmetic(c: u32, rd: u32, imm: u32): u32 {
  const kind = bits(c, 10, 2, 0)
  if (kind == 0) return iType(SRLI, rd, rd, imm & 63)
  if (kind == 1) return iType(SRAI, rd, rd, imm & 63)
  if (kind == 2) return iType(ANDI, rd, rd, imm)
  const rs2 = 8 + bits(c, 2, 3, 0)
  const which = bits(c, 12, 1, 2) | bits(c, 5, 2, 0)
  if (which == 0) return rType(SUB, rd, rd, rs2)
  if (which == 1) return rType(XOR, rd, rd, rs2)
  if (which == 2) return rType(OR, rd, rd, rs2)
  if (which == 3) return rType(AND, rd, rd, rs2)
  if (which == 4) return rType(SUBW, rd, rd, rs2)
  return which == 5 ? rType(ADDW, rd, rd, rs2) : 0
}

function expand2(c: u32, funct3: u32): u32 {
  const rd = bits(c, 7, 5, 0)
  const rs2 = bits(c, 2, 5, 0)
  if (funct3 == 0) return iType(SLLI, rd, rd, immediate(c) & 63)
  if (funct3 == 2) {
    return rd == 0 ? 0 : iType(LW, rd, 2, bits(c, 12, 1, 5) | bits(c, 4, 3, 2) | bits(c, 2, 2, 6))
  }
  if (funct3 == 3) {
    return rd == 0 ? 0 : iType(LD, rd, 2, bits(c, 12, 1, 5) | bits(c, 5, 2, 3) | bits(c, 2, 3, 6))
  }
  if (funct3 == 6) return sType(SW, 2, rs2, bits(c, 9, 4, 2) | bits(c, 7, 2, 6))
  if (funct3 == 7) return sType(SD, 2, rs2, bits(c, 10, 3, 3) | bits(c, 7, 3, 6))
  if (funct3 != 4) return 0
  if (bits(c, 12, 1, 0) == 0) {
    if (rs2 != 0) return rType(ADD, rd, 0, rs2)
    return rd == 0 ? 0 : iType(JALR, 0, rd, 0)
  }
  if (rs2 != 0) return rType(ADD, rd, rd, rs2)
  return rd == 0 ? EBREAK : iType(JALR, 1, rd, 0)
}
