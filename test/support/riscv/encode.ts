// Instructions of RISC-V, put together: as much of an assembler as generated programs need.

export const AMOS = [0, 1, 4, 8, 12, 16, 20, 24, 28] as const

export class Code {
  private readonly halves: number[] = []

  get bytes(): number {
    return 2 * this.halves.length
  }

  half(c: number): void {
    this.halves.push(c & 0xffff)
  }

  word(insn: number): void {
    this.halves.push(insn & 0xffff, insn >>> 16)
  }

  append(other: Code): void {
    this.halves.push(...other.halves)
  }

  r(opcode: number, funct3: number, funct7: number, rd: number, rs1: number, rs2: number): void {
    this.word(opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | (funct7 << 25))
  }

  i(opcode: number, funct3: number, rd: number, rs1: number, imm: number): void {
    this.word(opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (imm << 20))
  }

  s(funct3: number, rs1: number, rs2: number, imm: number): void {
    const low = (imm & 31) << 7
    this.word(0x23 | low | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | ((imm >> 5) << 25))
  }

  b(funct3: number, rs1: number, rs2: number, to: number): void {
    const low = (((to >> 11) & 1) << 7) | (((to >> 1) & 15) << 8)
    const high = (((to >> 5) & 63) << 25) | (((to >> 12) & 1) << 31)
    this.word(0x63 | low | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | high)
  }

  u(opcode: number, rd: number, upper: number): void {
    this.word(opcode | (rd << 7) | (upper << 12))
  }

  jal(rd: number, to: number): void {
    const low = (to & 0xff000) | (((to >> 11) & 1) << 20)
    const high = (((to >> 1) & 0x3ff) << 21) | (((to >> 20) & 1) << 31)
    this.word(0x6f | (rd << 7) | low | high)
  }

  addi(rd: number, rs1: number, imm: number): void {
    this.i(0x13, 0, rd, rs1, imm)
  }

  /** csrrw, csrrs, csrrc: 1, 2, 3. */
  csr(kind: number, rd: number, csr: number, rs1: number): void {
    this.i(0x73, kind, rd, rs1, csr)
  }

  /** An address in the upper half of 4 GiB, whose lui alone would come out negative. */
  address(rd: number, address: number): void {
    this.u(0x37, rd, Math.floor(address / 8192))
    this.i(0x13, 1, rd, rd, 1)
    for (let rest = address % 8192; rest > 0; rest -= 2047) this.addi(rd, rd, Math.min(rest, 2047))
  }

  amo(which: number, width: number, rd: number, rs1: number, rs2: number): void {
    this.r(0x2f, width, which << 2, rd, rs1, rs2)
  }

  out(): Uint8Array {
    return new Uint8Array(Uint16Array.from(this.halves).buffer)
  }
}
