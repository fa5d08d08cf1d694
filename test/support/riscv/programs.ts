// Programs for a bare RISC-V machine, generated from a seed: computing with everything RV64IMAC has, compressed and not; loads, stores and atomics,
// misaligned and over the border of a page; exceptions; and accesses through page tables of Sv39 with all kinds of entries. After
// each the machine prints what came of it, as bytes: registers, the exceptions, and memory. Two machines agree if they print the same.

import { type Random, random } from '../random.ts'
import { AMOS, Code } from './encode.ts'

const RAM = 0x80000000
const DATA = RAM + 0x100000
const DATA_PAGES = 4
/** Three page tables, the last of leaves. */
const TABLES = DATA + DATA_PAGES * 4096
/** Registers and exceptions. */
const AREA = RAM + 0x110000
const SAVED = 256
const COUNT = 272
const LOG = 512
const LOG_ENTRIES = 32
/** Initial registers of all programs. */
const POOL = RAM + 0x120000
const UART = 0x10000000
const MSCRATCH = 0x340
const MSTATUS = 0x300
const MEPC = 0x341
/** What a program prints. */
export const PRINTED = LOG + 32 * LOG_ENTRIES + (DATA_PAGES + 3) * 4096

export interface Generated {
  /** The machine's memory from 0x80000000 on. */
  readonly image: Uint8Array
  readonly programs: number
}

/** Makes an image with programs of so many steps each. */
export function generate(seed: number, programs: number, steps: number): Generated {
  const code = new Code()
  const chance = random(seed)
  const image = new Uint8Array(0x120000 + programs * 512)
  const view = new DataView(image.buffer)
  // A second hart rests: it is there so that QEMU's atomics are atomic, and their exceptions those of stores.
  code.csr(2, 1, 0xf14, 0)
  code.b(0, 1, 0, 12)
  code.word(0x10500073)
  code.jal(0, -4)
  code.address(1, AREA)
  code.csr(1, 0, MSCRATCH, 1)
  // Where physical memory is protected, all of it is open.
  code.addi(1, 0, -1)
  code.i(0x13, 5, 1, 1, 10)
  code.csr(1, 0, 0x3b0, 1)
  code.addi(1, 0, 0x1f)
  code.csr(1, 0, 0x3a0, 1)
  // The handler lies behind the jump over it.
  const handler = trapHandler()
  code.i(0x17, 0, 1, 0, 0)
  code.addi(1, 1, 16)
  code.csr(1, 0, 0x305, 1)
  code.jal(0, 4 + handler.bytes)
  code.append(handler)
  for (let i = 0; i < programs; i++) {
    for (let register = 0; register < 32; register++)
      view.setBigUint64(POOL - RAM + 512 * i + 8 * register, interesting(chance), true)
    code.append(clearData())
    const mapped = i % 3 === 2
    if (mapped) code.append(pageTables(chance))
    code.address(31, POOL + 512 * i)
    for (let register = 1; register < 32; register++) code.i(0x03, 3, register, 31, 8 * register)
    const kinds = mapped ? MAPPED : PLAIN
    if (mapped) prepareMapped(code, chance)
    for (let step = 0; step < steps; step++) chance.pick(kinds)(code, chance)
    if (mapped) code.csr(1, 0, MSTATUS, 28)
    code.append(report())
  }
  code.address(1, 0)
  code.u(0x37, 1, 0x100)
  code.u(0x37, 2, 0x5)
  code.addi(2, 2, 0x555)
  code.s(2, 1, 2, 0)
  code.jal(0, 0)
  if (code.bytes > 0x100000) throw new Error('too many programs for one image')
  image.set(code.out())
  return { image, programs }
}

/** Notes cause, value and place of an exception, and goes on behind the instruction. */
function trapHandler(): Code {
  const code = new Code()
  code.csr(1, 31, MSCRATCH, 31)
  code.s(3, 31, 30, SAVED)
  code.s(3, 31, 29, SAVED + 8)
  code.i(0x03, 3, 30, 31, COUNT)
  code.addi(29, 30, 1)
  code.s(3, 31, 29, COUNT)
  code.i(0x13, 7, 30, 30, LOG_ENTRIES - 1)
  code.i(0x13, 1, 30, 30, 5)
  code.r(0x33, 0, 0, 30, 30, 31)
  for (const [i, csr] of [0x342, 0x343, MEPC, MSTATUS].entries()) {
    code.csr(2, 29, csr, 0)
    code.s(3, 30, 29, LOG + 8 * i)
  }
  code.csr(2, 29, MEPC, 0)
  code.i(0x03, 5, 30, 29, 0)
  code.i(0x13, 7, 30, 30, 3)
  code.addi(30, 30, -3)
  code.addi(29, 29, 2)
  code.b(1, 30, 0, 8)
  code.addi(29, 29, 2)
  code.csr(1, 0, MEPC, 29)
  code.i(0x03, 3, 30, 31, SAVED)
  code.i(0x03, 3, 29, 31, SAVED + 8)
  code.csr(1, 31, MSCRATCH, 31)
  code.word(0x30200073)
  return code
}

/** Stores a double word of zeros from one address to another. */
function clear(from: number, bytes: number): Code {
  const code = new Code()
  code.address(1, from)
  code.address(2, from + bytes)
  code.s(3, 1, 0, 0)
  code.addi(1, 1, 8)
  code.b(6, 1, 2, -8)
  return code
}

function clearData(): Code {
  const code = clear(DATA, (DATA_PAGES + 3) * 4096)
  code.append(clear(AREA, LOG + 32 * LOG_ENTRIES))
  return code
}

/** Keeps the registers and prints everything. */
function report(): Code {
  const code = new Code()
  code.csr(1, 31, MSCRATCH, 31)
  for (let register = 1; register < 31; register++) code.s(3, 31, register, 8 * register)
  code.csr(1, 1, MSCRATCH, 31)
  code.s(3, 31, 1, 8 * 31)
  code.u(0x37, 3, UART >>> 12)
  for (const [from, bytes] of [
    [AREA, LOG + 32 * LOG_ENTRIES],
    [DATA, (DATA_PAGES + 3) * 4096],
  ] as const) {
    code.address(1, from)
    code.address(2, from + bytes)
    code.i(0x03, 4, 4, 1, 0)
    code.s(0, 3, 4, 0)
    code.addi(1, 1, 1)
    code.b(6, 1, 2, -12)
  }
  return code
}

type Step = (code: Code, chance: Random) => void

const register = (chance: Random): number => chance.below(32)
const small = (chance: Random): number => 8 + chance.below(8)
const immediate = (chance: Random): number => chance.below(4096) - 2048

function interesting(chance: Random): bigint {
  const bytes = new Uint8Array(8)
  chance.fill(bytes)
  const any = new DataView(bytes.buffer).getBigUint64(0, true)
  const edges = [0n, 1n, ~0n, 1n << 63n, (1n << 63n) - 1n, 1n << 31n, ~0n << 31n, 0xffffffffn]
  return BigInt.asUintN(64, chance.chance(0.4) ? chance.pick(edges) : any)
}

const OP: Step = (code, chance) => {
  const funct7 = chance.pick([0, 1, 1, 0x20])
  const funct3 = funct7 === 0x20 ? chance.pick([0, 5]) : chance.below(8)
  code.r(0x33, funct3, funct7, register(chance), register(chance), register(chance))
}

const OP32: Step = (code, chance) => {
  const funct7 = chance.pick([0, 1, 1, 0x20])
  const funct3 = chance.pick(funct7 === 0 ? [0, 1, 5] : funct7 === 1 ? [0, 4, 5, 6, 7] : [0, 5])
  code.r(0x3b, funct3, funct7, register(chance), register(chance), register(chance))
}

const OP_IMM: Step = (code, chance) => {
  const funct3 = chance.below(8)
  const shift = chance.below(64) | (funct3 === 5 && chance.chance(0.5) ? 0x400 : 0)
  const imm = (funct3 & 3) === 1 ? shift : immediate(chance)
  code.i(0x13, funct3, register(chance), register(chance), imm)
}

const OP_IMM32: Step = (code, chance) => {
  const funct3 = chance.pick([0, 1, 5])
  const shift = chance.below(32) | (funct3 === 5 && chance.chance(0.5) ? 0x400 : 0)
  code.i(0x1b, funct3, register(chance), register(chance), funct3 === 0 ? immediate(chance) : shift)
}

const UPPER: Step = (code, chance) => {
  code.u(chance.pick([0x37, 0x17]), register(chance), chance.below(1 << 20))
}

/** Skips a few instructions, or not. */
const BRANCH: Step = (code, chance) => {
  const skipped = new Code()
  for (let i = chance.below(4); i >= 0; i--) chance.pick(COMPUTING)(skipped, chance)
  const to = 4 + skipped.bytes
  const kind = chance.below(8)
  if (kind < 6) code.b(chance.pick([0, 1, 4, 5, 6, 7]), register(chance), register(chance), to)
  else if (kind === 6) code.jal(register(chance), to)
  else {
    const base = 1 + chance.below(31)
    code.i(0x17, 0, base, 0, 0)
    code.i(0x67, 0, register(chance), base, 4 + to + chance.below(2))
  }
  code.append(skipped)
}

/** A place in the data, more often than chance would have it at the border of a page. */
function place(chance: Random): number {
  const border = 4096 * (1 + chance.below(DATA_PAGES - 1)) - 8 + chance.below(16)
  return chance.chance(0.3) ? border : 2048 + chance.below((DATA_PAGES - 1) * 4096)
}

const MEMORY: Step = (code, chance) => {
  const base = 1 + chance.below(31)
  const offset = immediate(chance)
  code.address(base, DATA + place(chance))
  if (chance.chance(0.5)) code.i(0x03, chance.below(7), register(chance), base, offset)
  else code.s(chance.below(4), base, register(chance), offset)
}

const ATOMIC: Step = (code, chance) => {
  const base = 1 + chance.below(31)
  const width = chance.pick([2, 3])
  // Not misaligned: QEMU (7.2) says nothing of an SC that fails anyway.
  code.address(base, DATA + (place(chance) & ~7))
  if (chance.chance(0.6)) {
    code.amo(chance.pick(AMOS), width, register(chance), base, register(chance))
    return
  }
  // Not to be spoilt by what LR reads: or SC would be to anywhere.
  const other = base === 1 ? 2 : 1
  code.amo(2, width, other, base, 0)
  if (chance.chance(0.3)) code.s(chance.pick([2, 3]), base, register(chance), chance.pick([0, 8]))
  code.amo(3, width, register(chance), base, register(chance))
}

const COMPRESSED: Step = (code, chance) => {
  const rd = register(chance)
  const rs2 = register(chance)
  const imm = (chance.below(2) << 12) | (chance.below(32) << 2)
  const kind = chance.below(13)
  if (kind === 0) code.half(1 | (rd << 7) | imm)
  else if (kind === 1) code.half(0x2001 | (rd << 7) | imm)
  else if (kind === 2) code.half(0x4001 | (rd << 7) | imm)
  else if (kind === 3) code.half(0x6001 | (rd << 7) | imm)
  else if (kind === 4) code.half(0x8001 | (chance.below(3) << 10) | ((small(chance) & 7) << 7) | imm)
  else if (kind === 5)
    code.half(0x8c01 | (chance.below(2) << 12) | (chance.below(1024) & 0x39c) | (chance.below(4) << 5))
  else if (kind === 6) code.half(2 | (rd << 7) | imm)
  else if (kind === 7 && rd !== 0 && rs2 !== 0) code.half(0x8002 | (rd << 7) | (rs2 << 2))
  else if (kind === 8 && rd !== 0 && rs2 !== 0) code.half(0x9002 | (rd << 7) | (rs2 << 2))
  else if (kind === 9) code.half(chance.below(2048) << 2)
  else if (kind === 10) compressedMemory(code, chance)
  else if (kind === 11) compressedJump(code, chance)
  else code.half(chance.pick([0x2000, 0x8000, 0xa000, 0x2002, 0xa002, 0]) | (chance.below(2048) << 2))
}

function compressedMemory(code: Code, chance: Random): void {
  const stack = chance.chance(0.5)
  const base = stack ? 2 : small(chance)
  code.address(base, DATA + place(chance))
  const funct3 = chance.pick([2, 3, 6, 7]) << 13
  if (stack)
    code.half(2 | funct3 | (register(chance) << 7) | (chance.below(64) << 7) | (chance.below(32) << 2))
  else
    code.half(
      funct3 | ((base & 7) << 7) | (chance.below(8) << 10) | (chance.below(4) << 5) | (chance.below(8) << 2),
    )
}

/** c.beqz and c.bnez over one instruction, c.j, c.jalr. */
function compressedJump(code: Code, chance: Random): void {
  const kind = chance.below(4)
  if (kind < 2) code.half((kind === 0 ? 0xc001 : 0xe001) | ((small(chance) & 7) << 7) | (3 << 3))
  else if (kind === 2) code.half(0xa001 | (3 << 3))
  else {
    const base = 1 + chance.below(31)
    code.i(0x17, 0, base, 0, 0)
    code.addi(base, base, 14)
    code.half((chance.chance(0.5) ? 0x9002 : 0x8002) | (base << 7))
  }
  OP_IMM(code, chance)
}

/** Registers that keep what is written to them, as far as both machines have them. (QEMU 7.2 lets sepc be odd.) */
const CSRS = [0x140, 0x142, 0x143, 0x100, MSTATUS, 0x304, 0x104, 0x105, 0x106, 0x306, 0x302]
/** Of the registers with rights those bits that turn nothing on. */
const HARMLESS = 0xc0100

const CSR: Step = (code, chance) => {
  const csr = chance.pick(CSRS)
  const rd = register(chance)
  if (csr === 0x302 || csr === 0x304 || csr === 0x104 || chance.chance(0.3)) {
    code.csr(2, rd, csr, 0)
    return
  }
  if (csr !== 0x100 && csr !== MSTATUS) {
    const kind = chance.pick([1, 2, 3, 5, 6, 7])
    // Neither reserved kind of trap vector; 32 bits of what enables counters.
    if (csr === 0x105 || csr === 0x106 || csr === 0x306) code.csr(kind | 4, rd, csr, chance.below(8) * 4)
    else code.csr(kind, rd, csr, register(chance))
    return
  }
  const mask = 1 + chance.below(31)
  code.u(0x37, mask, HARMLESS >>> 12)
  if (chance.chance(0.5)) code.addi(mask, mask, HARMLESS & 0xfff)
  code.csr(chance.pick([2, 3]), rd === mask ? 0 : rd, csr, mask)
}

const EXCEPTION: Step = (code, chance) => {
  const kind = chance.below(7)
  if (kind === 0) code.word(0x00000073)
  else if (kind === 1) code.word(0x00100073)
  else if (kind === 2) code.half(0x9002)
  else if (kind === 3)
    code.word(chance.pick([0x07, 0x27, 0x43, 0x53, 0x57, 0x6b, 0x7b, 0x7f]) | (chance.below(1 << 25) << 7))
  else if (kind === 4)
    code.r(
      0x33,
      chance.below(8),
      chance.pick([2, 3, 0x40, 0x7f]),
      register(chance),
      register(chance),
      register(chance),
    )
  else if (kind === 5) code.i(0x03, 7, register(chance), register(chance), immediate(chance))
  else code.csr(1, register(chance), chance.pick([0x5ff, 0x8c0, 0x9c0, 0xbff, 0xf14]), 1 + chance.below(31))
}

const COMPUTING = [OP, OP, OP32, OP_IMM, OP_IMM32, UPPER, CSR, EXCEPTION] as const
const PLAIN: readonly Step[] = [
  ...COMPUTING,
  MEMORY,
  MEMORY,
  ATOMIC,
  COMPRESSED,
  COMPRESSED,
  COMPRESSED,
  BRANCH,
  BRANCH,
]

/** Where the window of mapped pages begins. */
const WINDOW = 0x40000000
const WINDOW_PAGES = 32

/** Page tables with entries of all kinds, valid and not. */
function pageTables(chance: Random): Code {
  const code = new Code()
  const store = (at: number, entry: bigint): void => {
    // Put together in halves.
    code.address(1, at)
    for (const [shift, offset] of [
      [0n, 0],
      [32n, 4],
    ] as const) {
      const word = Number((entry >> shift) & 0xffffffffn)
      const low = (word << 20) >> 20
      code.u(0x37, 2, ((word - low) >>> 12) & 0xfffff)
      code.addi(2, 2, low)
      code.s(2, 1, 2, offset)
    }
  }
  const pte = (at: number, flags: number): bigint => (BigInt(at >>> 12) << 10n) | BigInt(flags)
  store(TABLES + 8 * (WINDOW / 2 ** 30), pte(TABLES + 4096, 1))
  store(TABLES + 4096, pte(TABLES + 8192, 1))
  // A page of 2 MiB, aligned or not: the data lies in the middle of it.
  store(TABLES + 4096 + 8, pte(RAM + (chance.chance(0.5) ? 0 : 4096), chance.below(256)))
  store(TABLES + 4096 + 16, pte(TABLES + 8192, chance.pick([1, 0, 0x41, 0x81, 0x11])))
  for (let page = 0; page < WINDOW_PAGES; page++) {
    const usual = chance.chance(0.6) ? 0x0f | (chance.below(16) << 4) : chance.below(256)
    const reserved = chance.chance(0.05) ? 1n << BigInt(54 + chance.below(10)) : 0n
    store(TABLES + 8192 + 8 * page, pte(DATA + 4096 * chance.below(DATA_PAGES), usual) | reserved)
  }
  code.address(1, TABLES)
  code.i(0x13, 5, 1, 1, 12)
  code.addi(2, 0, 8)
  code.i(0x13, 1, 2, 2, 60)
  code.r(0x33, 6, 0, 1, 1, 2)
  code.csr(1, 0, 0x180, 1)
  code.word(0x12000073)
  return code
}

/** x28: mstatus as it is; x29: with MPRV, so that loads and stores are those of another mode. */
function prepareMapped(code: Code, chance: Random): void {
  code.csr(2, 28, MSTATUS, 0)
  const mode = chance.below(2)
  const bits = 0x20000 | (chance.below(4) << 18) | (mode << 11)
  code.u(0x37, 29, bits >>> 12)
  if (mode === 1) {
    // 0x800 is a negative immediate.
    code.addi(30, 0, 1)
    code.i(0x13, 1, 30, 30, 11)
    code.r(0x33, 6, 0, 29, 29, 30)
  }
}

const notKept = (chance: Random): number => 1 + chance.below(27)

const MAPPED_ACCESS: Step = (code, chance) => {
  const base = notKept(chance)
  const page = chance.chance(0.9) ? chance.below(WINDOW_PAGES) : chance.pick([768, 769, 1024, 1025, 262143])
  const offset = chance.chance(0.3) ? 4088 + chance.below(8) : chance.below(4088)
  code.u(0x37, base, WINDOW / 4096 + page)
  const kind = chance.below(5)
  const from = kind === 4 ? offset & ~7 : offset
  for (let rest = from; rest > 0; rest -= 2047) code.addi(base, base, Math.min(rest, 2047))
  const value = notKept(chance)
  code.csr(1, 0, MSTATUS, 29)
  if (kind < 2) code.i(0x03, chance.below(7), value, base, 0)
  else if (kind < 4) code.s(chance.below(4), base, value, 0)
  else code.amo(chance.pick(AMOS), 2, value, base, notKept(chance))
  code.csr(1, 0, MSTATUS, 28)
}

const MAPPED: readonly Step[] = [MAPPED_ACCESS]
