// The firmware: answers the supervisor's calls in place of a program in M mode. RISC-V Supervisor Binary Interface 2.0: base, time, IPI,
// remote fences, system reset and debug console, and of version 0.1 what consoles use.

import { FIRMWARE, LINES, PRIV, TIMECMP, X } from '../cpu/state.ts'
import type { Board } from './board.ts'

const BASE = 0x10
const TIME = 0x54494d45
const IPI = 0x735049
const RFENCE = 0x52464e43
const RESET = 0x53525354
const CONSOLE = 0x4442434e
const NOT_SUPPORTED = -2n
const VERSION = 2n << 24n
const SSIP = 1n << 1n

/** What an SBI call wants from the machine. */
export interface SbiMachine {
  readonly board: Board
  put(bytes: Uint8Array): void
  get(): number | undefined
  stop(reason: number): void
}

/** Answers the call that the hart's registers describe. */
export function sbiCall(machine: SbiMachine): void {
  const { hart } = machine.board
  const extension = Number(hart.getBigUint64(X + 8 * 17, true) & 0xffffffffn)
  const which = Number(hart.getBigUint64(X + 8 * 16, true) & 0xffffffffn)
  const argument = (i: number): bigint => hart.getBigUint64(X + 8 * (10 + i), true)
  if (extension < BASE) {
    hart.setBigInt64(X + 80, legacy(machine, extension, argument(0)), true)
    return
  }
  const answer = call(machine, extension, which, argument)
  hart.setBigInt64(X + 80, answer === undefined ? NOT_SUPPORTED : 0n, true)
  hart.setBigInt64(X + 88, answer ?? 0n, true)
}

type Argument = (i: number) => bigint

function call(machine: SbiMachine, extension: number, which: number, argument: Argument): bigint | undefined {
  switch (extension) {
    case BASE:
      return base(which, argument(0))
    case TIME:
      if (which === 0) setTimer(machine.board, argument(0))
      return which === 0 ? 0n : undefined
    case IPI:
      raiseSoftware(machine.board)
      return 0n
    case RFENCE:
      machine.board.cpu.flush(machine.board.hartAt)
      return 0n
    case RESET:
      machine.stop(Number(argument(1)))
      return 0n
    case CONSOLE:
      return debugConsole(machine, which, argument)
    default:
      return undefined
  }
}

function base(which: number, argument: bigint): bigint | undefined {
  const extensions = [BASE, TIME, IPI, RFENCE, RESET, CONSOLE]
  if (which === 0) return VERSION
  if (which === 3) return extensions.includes(Number(argument)) ? 1n : 0n
  return which <= 6 ? 0n : undefined
}

function debugConsole(machine: SbiMachine, which: number, argument: Argument): bigint | undefined {
  const { board } = machine
  const length = Number(argument(0))
  const address = Number(argument(1))
  if (which === 0) {
    machine.put(board.read(address, length))
    return BigInt(length)
  }
  if (which === 1) {
    const bytes: number[] = []
    while (bytes.length < length) {
      const byte = machine.get()
      if (byte === undefined) break
      bytes.push(byte)
    }
    board.write(address, Uint8Array.from(bytes))
    return BigInt(bytes.length)
  }
  if (which === 2) machine.put(Uint8Array.of(length))
  return which === 2 ? 0n : undefined
}

function legacy(machine: SbiMachine, extension: number, argument: bigint): bigint {
  switch (extension) {
    case 0:
      setTimer(machine.board, argument)
      return 0n
    case 1:
      machine.put(Uint8Array.of(Number(argument & 0xffn)))
      return 0n
    case 2:
      return BigInt(machine.get() ?? -1)
    case 8:
      machine.stop(0)
      return 0n
    default:
      return NOT_SUPPORTED
  }
}

function setTimer({ hart }: Board, due: bigint): void {
  hart.setBigUint64(TIMECMP, due, true)
}

function raiseSoftware({ hart }: Board): void {
  hart.setBigUint64(LINES, hart.getBigUint64(LINES, true) | SSIP, true)
}

/** Makes the machine the firmware of a hart, before it is reset. */
export function beFirmware({ hart }: Board): void {
  hart.setUint32(FIRMWARE, 1, true)
  hart.setUint32(PRIV, 1, true)
}
