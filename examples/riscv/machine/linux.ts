// Puts Linux into a machine as its boot protocol wants it (Documentation/arch/riscv/boot.rst): the kernel at 2 MiB, the initial file system and the
// device tree at the end of RAM.

import { RAM_BASE } from '../cpu/state.ts'
import { deviceTree } from './device-tree.ts'
import type { Machine } from './machine.ts'

const MAGIC = 0x05435352 // "RSC\x05"
const KERNEL = RAM_BASE + 0x200000
const EXECUTABLE = 0o100755
const MIB = 1 << 20

export interface LinuxFiles {
  /** Debian's vmlinux, an Image. */
  readonly kernel: Uint8Array
  /** The program that Linux starts as /init: static, without floating point. */
  readonly init: Uint8Array
  /** Words for the kernel's command line beside what the console needs. Those behind `--` are the init's. */
  readonly bootArguments?: string
}

/** Has a machine with firmware ready to boot. Throws Error for a kernel that is none. */
export function loadLinux(machine: Machine, { kernel, init, bootArguments = '' }: LinuxFiles): void {
  const { board } = machine
  const view = new DataView(kernel.buffer, kernel.byteOffset, kernel.byteLength)
  if (kernel.length < 64 || view.getUint32(0x38, true) !== MAGIC)
    throw new Error('not an Image of Linux for RISC-V')
  const end = RAM_BASE + board.ramBytes
  const archive = cpio([{ name: 'init', mode: EXECUTABLE, bytes: init }, ...DEVICES])
  const archiveAt = end - 2 * MIB
  const treeAt = end - MIB
  if (archive.length > MIB) throw new Error('the init is larger than a MiB')
  const needed = KERNEL + Number(view.getBigUint64(16, true))
  if (needed > archiveAt) throw new Error(`the kernel needs more RAM than ${board.ramBytes >>> 20} MiB`)
  board.write(KERNEL, kernel)
  board.write(archiveAt, archive)
  const tree = deviceTree({
    ramBytes: board.ramBytes,
    bootArguments: `console=ttyS0 earlycon=sbi ${bootArguments}`.trim(),
    initrd: { start: archiveAt, end: archiveAt + archive.length },
  })
  board.write(treeAt, tree)
  machine.start(KERNEL, treeAt)
}

interface Entry {
  readonly name: string
  readonly mode: number
  readonly bytes: Uint8Array
  readonly device?: readonly [major: number, minor: number]
}

const NONE = new Uint8Array(0)
/** The init writes to its console before there is anybody to make one. */
const DEVICES: readonly Entry[] = [
  { name: 'dev', mode: 0o40755, bytes: NONE },
  { name: 'dev/console', mode: 0o20600, bytes: NONE, device: [5, 1] },
]

/** An archive as the kernel unpacks it. Documentation/driver-api/early-userspace/buffer-format.rst */
function cpio(entries: readonly Entry[]): Uint8Array {
  const parts: Uint8Array[] = []
  let length = 0
  const push = (bytes: Uint8Array): void => {
    const padded = new Uint8Array(Math.ceil((length + bytes.length) / 4) * 4 - length)
    padded.set(bytes)
    parts.push(padded)
    length += padded.length
  }
  const last: Entry = { name: 'TRAILER!!!', mode: 0, bytes: NONE }
  for (const [i, { name, mode, bytes, device = [0, 0] }] of [...entries, last].entries()) {
    const fields = [i + 1, mode, 0, 0, 1, 0, bytes.length, 0, 0, ...device, name.length + 1, 0]
    const header = fields.map((field) => field.toString(16).padStart(8, '0')).join('')
    push(new TextEncoder().encode(`070701${header}${name}\0`))
    push(bytes)
  }
  const archive = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    archive.set(part, at)
    at += part.length
  }
  return archive
}
