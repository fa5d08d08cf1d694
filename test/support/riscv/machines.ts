// The two machines that run generated programs: ours and QEMU's.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PC, RAM_BASE } from '../../../examples/riscv/cpu/state.ts'
import type { Machine } from '../../../examples/riscv/machine/machine.ts'

const QEMU = 'qemu-system-riscv64'
/** RV64IMAC and nothing else. */
const OFF = ['f', 'd', 'v', 'h', 'zba', 'zbb', 'zbc', 'zbs']
const SLICE = 200_000
const SLICES = 1000

/** Why QEMU cannot be asked, or undefined if it can. */
export const qemuUnavailable =
  spawnSync(QEMU, ['--version']).status === 0 ? undefined : `${QEMU} is not installed`

/** What QEMU prints when it runs an image from 0x80000000 on. */
export function onQemu(image: Uint8Array): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'pagefold-riscv-'))
  try {
    const program = join(folder, 'image.bin')
    const printed = join(folder, 'printed')
    writeFileSync(program, image)
    const args = [
      '-M',
      'virt',
      '-m',
      '64',
      '-smp',
      '2',
      '-accel',
      'tcg,thread=multi',
      '-display',
      'none',
      '-monitor',
      'none',
      '-bios',
      program,
    ]
    const cpu = `rv64,${OFF.map((name) => `${name}=false`).join(',')}`
    const { status, stderr } = spawnSync(QEMU, [...args, '-cpu', cpu, '-serial', `file:${printed}`], {
      encoding: 'utf8',
      timeout: 120_000,
    })
    if (status !== 0) throw new Error(`${QEMU}: ${stderr}`)
    return readFileSync(printed)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What a machine of ours prints. `make`: with that to print with; `between`: called now and then while it runs. */
export function onOurs(
  image: Uint8Array,
  make: (print: (byte: number) => void) => Machine,
  between: () => void = () => {},
): Uint8Array {
  const printed: number[] = []
  const machine = make((byte) => printed.push(byte))
  machine.board.write(RAM_BASE, image)
  machine.start(RAM_BASE)
  for (let i = 0; i < SLICES; i++) {
    if (machine.run(SLICE) === 'stopped') return Uint8Array.from(printed)
    between()
  }
  const pc = machine.board.hart.getBigUint64(PC, true)
  throw new Error(`the program does not end: it is at ${pc.toString(16)}`)
}
