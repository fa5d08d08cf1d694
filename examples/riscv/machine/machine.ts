// A RISC-V machine of one hart: RAM and CPU from a board, devices where QEMU's `virt` has them, and the firmware. It runs so many instructions as it
// is told, on the caller's thread; its time is counted in instructions, so a run can be repeated to the bit.

import {
  ASLEEP,
  CALLED,
  HART_BYTES,
  INSTRET,
  IRQ_MEI,
  IRQ_SEI,
  LINES,
  RAM_BASE,
  STOPPED,
  WAITING,
  X,
} from '../cpu/state.ts'
import { type Board, type DeviceImports, setRam } from './board.ts'
import { Plic } from './plic.ts'
import { beFirmware, sbiCall } from './sbi.ts'
import { Uart } from './uart.ts'

export const FINISHER = 0x100000
export const PLIC = 0xc000000
export const PLIC_BYTES = 0x600000
export const UART = 0x10000000
export const UART_SOURCE = 10
const PASSED = 0x5555
const FAILED = 0x3333
const NONE = -1

/** What became of a machine after it was run. */
export type MachineState = 'running' | 'asleep' | 'stopped'

export interface MachineOptions {
  /** What the guest prints, a byte at a time. */
  readonly print: (byte: number) => void
  /** Be the guest's SBI: it starts in S mode. Default: false, it starts in M mode. */
  readonly firmware?: boolean
}

/** What a machine has beside RAM and its hart. */
export interface Devices {
  readonly uart: Uart['state']
  readonly plic: Plic['state']
  readonly typed: readonly number[]
}

/** Makes the board for a machine's devices. */
export type MakeBoard = (devices: DeviceImports) => Board

export class Machine {
  readonly board: Board
  private readonly options: MachineOptions
  private readonly uart: Uart
  private readonly plic = new Plic()
  private readonly typed: number[] = []
  private stopped: number | undefined

  constructor(makeBoard: MakeBoard, options: MachineOptions) {
    this.options = options
    this.uart = new Uart(options.print)
    this.board = makeBoard({
      deviceLoad: (_, address, size) => this.load(address >>> 0, size),
      deviceStore: (_, address, size, value) => this.store(address >>> 0, size, value >>> 0),
    })
  }

  /** Begins at `entry`, with the hart's number in a0 and `argument` (of Linux: where the device tree is) in a1. */
  start(entry: number, argument = 0): void {
    const { cpu, hart, hartAt } = this.board
    if (this.options.firmware) beFirmware(this.board)
    cpu.reset(hartAt, BigInt(entry))
    hart.setBigUint64(X + 8 * 11, BigInt(argument), true)
  }

  /** Executes about so many instructions, fewer if the guest falls asleep or stops. */
  run(budget: number): MachineState {
    const { cpu, hartAt } = this.board
    const end = this.instructions + budget
    while (this.stopped === undefined) {
      this.wire()
      const left = end - this.instructions
      if (left <= 0) return 'running'
      switch (cpu.run(hartAt, left)) {
        case ASLEEP:
          return 'asleep'
        case CALLED:
          sbiCall({
            board: this.board,
            put: (bytes) => bytes.forEach(this.options.print),
            get: () => this.typed.shift(),
            stop: (reason) => {
              this.stopped = reason
            },
          })
          break
        case STOPPED:
          this.stopped ??= 0
          break
        default:
      }
    }
    return 'stopped'
  }

  /** Of a guest that is asleep: lets time go by until its timer is due. False if it has set none. */
  wake(): boolean {
    const { cpu, hartAt } = this.board
    const ticks = cpu.ticksToTimer(hartAt)
    if (ticks > 1n << 62n) return false
    cpu.sleep(hartAt, ticks)
    return true
  }

  /** Types to the guest. */
  type(text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.typed.push(...bytes)
    this.uart.type(bytes)
    this.board.hart.setUint32(WAITING, 0, true)
  }

  /** Instructions executed since it was started. */
  get instructions(): number {
    return Number(this.board.hart.getBigUint64(INSTRET, true))
  }

  /** What the guest said when it stopped, 0 for well; undefined while it runs. */
  get exitCode(): number | undefined {
    return this.stopped
  }

  /** It has stopped, on whatever thread it ran. */
  stop(exitCode: number): void {
    this.stopped = exitCode
  }

  /** Puts another machine in the state of this one, but for its RAM. */
  copyTo(other: Machine): void {
    const { hart, hartAt } = this.board
    other.setHart(new Uint8Array(hart.buffer, hartAt, HART_BYTES))
    other.setDevices(this.devices())
    other.stopped = this.stopped
  }

  /** Puts the hart in the state of another, or of one saved. What that kept of page tables was its own. */
  setHart(bytes: Uint8Array): void {
    const { cpu, hart, hartAt, ramBytes } = this.board
    new Uint8Array(hart.buffer, hartAt, HART_BYTES).set(bytes)
    setRam(hart, ramBytes)
    cpu.flush(hartAt)
  }

  /** What its devices are in the middle of: plain data. */
  devices(): Devices {
    return structuredClone({ uart: this.uart.state, plic: this.plic.state, typed: this.typed })
  }

  setDevices({ uart, plic, typed }: Devices): void {
    Object.assign(this.uart.state, uart)
    Object.assign(this.plic.state, plic)
    this.typed.splice(0, this.typed.length, ...typed)
  }

  /** Carries what devices have to say to the hart. */
  private wire(): void {
    const { hart } = this.board
    this.plic.set(UART_SOURCE, this.uart.isInterrupting)
    const raised =
      (this.plic.interrupts(0) ? 1n << BigInt(IRQ_MEI) : 0n) |
      (this.plic.interrupts(1) ? 1n << BigInt(IRQ_SEI) : 0n)
    const ours = (1n << BigInt(IRQ_MEI)) | (1n << BigInt(IRQ_SEI))
    hart.setBigUint64(LINES, (hart.getBigUint64(LINES, true) & ~ours) | raised, true)
  }

  private load(address: number, size: number): number {
    if (address >= UART && address < UART + 8) return this.wired(this.uart.load(address - UART))
    if (address >= PLIC && address < PLIC + PLIC_BYTES && size === 4)
      return this.wired(this.plic.load(address - PLIC))
    return address === FINISHER ? 0 : NONE
  }

  private store(address: number, size: number, value: number): number {
    if (address >= UART && address < UART + 8) this.uart.store(address - UART, value & 0xff)
    else if (address >= PLIC && address < PLIC + PLIC_BYTES && size === 4)
      this.plic.store(address - PLIC, value)
    else if (address === FINISHER) return this.finish(value)
    else return NONE
    return this.wired(0)
  }

  private finish(value: number): number {
    if ((value & 0xffff) === PASSED) this.stopped = 0
    else if ((value & 0xffff) === FAILED) this.stopped = value >>> 16
    else return 0
    return 1
  }

  private wired(value: number): number {
    this.wire()
    return value
  }
}

export { RAM_BASE }
