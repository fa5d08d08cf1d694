// What a machine is built on: RAM, and a CPU that runs in it. On pagefold, where RAM is an mm's memory; or on one block of memory,
// to compare with.

import { HART_BYTES, RAM_BASE, RAM_END } from '../cpu/state.ts'

/** The CPU's side, as cpu/index.ts exports it. */
export interface CpuExports {
  attach(record: number): boolean
  scratch(): number
  reset(hart: number, pc: bigint): void
  run(hart: number, budget: number): number
  sleep(hart: number, ticks: bigint): void
  ticksToTimer(hart: number): bigint
  time(hart: number): bigint
  flush(hart: number): void
  expand(half: number): number
  read(hart: number, address: bigint, length: number): number
  write(hart: number, address: bigint, length: number): number
}

/** What the CPU asks the machine. */
export interface DeviceImports {
  /** A register of 1, 2 or 4 bytes; -1: there is none. */
  deviceLoad(hart: number, address: number, size: number): number
  /** -1: there is no such register; 1: the machine stops; 0. */
  deviceStore(hart: number, address: number, size: number, value: number): number
}

export interface Board {
  readonly cpu: CpuExports
  /** The hart's registers and whatever else cpu/state.ts draws. */
  readonly hart: DataView
  /** Where that lies in the CPU's memory. */
  readonly hartAt: number
  readonly ramBytes: number
  /** Reads guest physical memory, in RAM. */
  read(address: number, length: number): Uint8Array
  /** Writes guest physical memory, in RAM. */
  write(address: number, bytes: Uint8Array): void
}

/** Starts a core in its memory and finds its hart there. */
export function startCpu(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  record: number,
  imports: WebAssembly.Imports,
): { cpu: CpuExports; hart: DataView; hartAt: number } {
  const { exports } = new WebAssembly.Instance(module, imports)
  const cpu = exports as unknown as CpuExports
  if (!cpu.attach(record)) throw new Error('the CPU was compiled against another version of the contract')
  const hartAt = cpu.scratch() >>> 0
  return { cpu, hart: new DataView(memory.buffer, hartAt, HART_BYTES), hartAt }
}

/** Tells the CPU how much RAM there is. */
export function setRam(hart: DataView, ramBytes: number): void {
  hart.setBigUint64(RAM_END, BigInt(RAM_BASE) + BigInt(ramBytes), true)
}

/** RAM as one block. `module`: cpu-flat.wasm. */
export function flatBoard(module: WebAssembly.Module, ramBytes: number, devices: DeviceImports): Board {
  const before = 4096 + HART_BYTES
  const pages = Math.ceil((before + ramBytes) / 65536)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  const started = startCpu(module, memory, 0, { env: { memory, ...devices } })
  const ram = new Uint8Array(memory.buffer, before, ramBytes)
  setRam(started.hart, ramBytes)
  return {
    ...started,
    ramBytes,
    read: (address, length) => ram.slice(address - RAM_BASE, address - RAM_BASE + length),
    write: (address, bytes) => ram.set(bytes, address - RAM_BASE),
  }
}
