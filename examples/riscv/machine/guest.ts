// A machine whose RAM is an mm of a host: what the guest writes are pages that ksmd merges, and a fork of it is a fork of the mm.

import { type Host, type Mm, PAGE_SIZE } from 'pagefold'
import type { VirtualCpu } from 'pagefold/hypervisor'
import { HART_BYTES, RAM_BASE } from '../cpu/state.ts'
import { type Board, type DeviceImports, setRam, startCpu } from './board.ts'
import { type Devices, Machine, type MachineState } from './machine.ts'

export interface GuestOptions {
  readonly name: string
  /** A multiple of a MiB. */
  readonly ramBytes: number
  /** Be the guest's SBI: it starts in S mode. */
  readonly firmware: boolean
  /** Will its CPU run on another thread? Then the machine here only loads and looks. Default: false. */
  readonly thread?: boolean
}

/** What a guest is saved as. */
export interface SavedGuest {
  readonly options: Omit<GuestOptions, 'thread'>
  readonly hart: Uint8Array
  readonly devices: Devices
  /** What it had printed. */
  readonly lines: readonly string[]
  /** Its RAM, as it was: bytes from an offset on. */
  readonly ram: (from: number, length: number) => Uint8Array
}

type Print = (byte: number) => void

const NEWLINE = 10
/** So much RAM is restored at a time. */
const PIECE = 1 << 20

export class Guest {
  readonly name: string
  readonly machine: Machine
  readonly mm: Mm
  /** What it has printed, in lines; the last has not ended. */
  readonly lines: string[] = ['']
  state: MachineState = 'running'
  private readonly module: WebAssembly.Module
  readonly options: GuestOptions
  /** The engine's side of its CPU. */
  readonly cpu: VirtualCpu

  /** `module`: cpu.wasm. `print`: takes what the guest prints in the place of `lines`. */
  static create(host: Host, module: WebAssembly.Module, options: GuestOptions, print?: Print): Guest {
    const { name, ramBytes } = options
    const mm = host.createMm({ name })
    mm.mmap(ramBytes, { address: RAM_BASE })
    mm.madvise(RAM_BASE, ramBytes, 'MADV_MERGEABLE')
    return new Guest(mm, module, options, print)
  }

  private constructor(mm: Mm, module: WebAssembly.Module, options: GuestOptions, print?: Print) {
    const { name, ramBytes, firmware, thread = false } = options
    this.name = name
    this.mm = mm
    this.module = module
    this.options = options
    this.cpu = mm.attachCpu({ address: RAM_BASE, length: ramBytes, scratch: HART_BYTES, thread })
    this.machine = new Machine((devices) => this.board(devices), {
      print: print ?? ((byte) => this.print(byte)),
      firmware,
    })
  }

  /** Executes about so many instructions. A guest that only waits for its timer has the time pass at once. */
  run(budget: number): MachineState {
    const end = this.machine.instructions + budget
    do {
      this.state = this.machine.run(end - this.machine.instructions)
      if (this.state === 'asleep' && !this.machine.wake()) return this.state
    } while (this.state === 'asleep' && this.machine.instructions < end)
    return this.state
  }

  /** The same guest once more, with the same memory: shared until one of them writes. */
  fork(name: string, thread = false): Guest {
    const copy = new Guest(this.mm.fork({ name }), this.module, { ...this.options, name, thread })
    this.machine.copyTo(copy.machine)
    copy.lines.splice(0, 1, ...this.lines)
    copy.state = this.state
    return copy
  }

  /**
   * All that it is: RAM, hart and devices, enough to go on anywhere. The RAM is that of a fork, so the guest runs on while it is written
   * somewhere; `release` ends that fork. One on another thread stands between two turns meanwhile, but only for this call, and its `devices`
   * are there (`Threads.whileHeld`).
   */
  save(devices = this.machine.devices()): { readonly state: SavedGuest; release(): void } {
    if (this.state === 'stopped') throw new Error(`${this.name} has stopped: there is nothing to go on with`)
    const mm = this.mm.fork({ name: `${this.name}, saved` })
    const { hart, hartAt } = this.machine.board
    const { name, ramBytes, firmware } = this.options
    const state = {
      options: { name, ramBytes, firmware },
      hart: new Uint8Array(hart.buffer, hartAt, HART_BYTES).slice(),
      devices,
      lines: [...this.lines],
      ram: (from: number, length: number) => mm.read(RAM_BASE + from, length),
    }
    return { state, release: () => mm.exit() }
  }

  /** A guest on any host that goes on where one was saved. Pages of zeros are left out. `thread`: its CPU will run on another. */
  static restore(host: Host, module: WebAssembly.Module, saved: SavedGuest, thread = false): Guest {
    const { options, hart, devices, lines, ram } = saved
    const guest = Guest.create(host, module, { ...options, thread })
    for (let from = 0; from < options.ramBytes; from += PIECE)
      for (const [at, page] of pagesInUse(ram(from, Math.min(PIECE, options.ramBytes - from))))
        guest.mm.write(RAM_BASE + from + at, page)
    guest.machine.setHart(hart)
    guest.machine.setDevices(devices)
    guest.lines.splice(0, 1, ...lines)
    return guest
  }

  /** Does its CPU run on another thread? */
  get isOnThread(): boolean {
    return this.options.thread ?? false
  }

  /** What a guest on another thread has printed since. */
  hear(printed: string): void {
    for (const character of printed) this.print(character.charCodeAt(0))
  }

  /** Ends it and gives its memory back. */
  exit(): void {
    this.cpu.detach()
    this.mm.exit()
  }

  private print(byte: number): void {
    if (byte === NEWLINE) this.lines.push('')
    else if (byte >= 32 || byte === 9) this.lines[this.lines.length - 1] += String.fromCharCode(byte)
  }

  private board(devices: DeviceImports): Board {
    const { mm, module, cpu } = this
    const { pagefold } = cpu.imports
    const { record } = cpu.shared
    const memory = cpu.shared.memory as WebAssembly.Memory
    const started = startCpu(module, memory, record, {
      env: { memory, ...devices },
      pagefold: { ...pagefold },
    })
    const { ramBytes } = this.options
    setRam(started.hart, ramBytes)
    return {
      ...started,
      ramBytes,
      read: (address, length) => mm.read(address, length),
      write: (address, bytes) => mm.write(address, bytes),
    }
  }
}

/** The pages of some memory that are not all zeros, and where in it they are. */
export function* pagesInUse(bytes: Uint8Array): Generator<[at: number, page: Uint8Array]> {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  for (let at = 0; at < bytes.length; at += PAGE_SIZE)
    if (words.subarray(at / 4, (at + PAGE_SIZE) / 4).some((word) => word !== 0))
      yield [at, bytes.subarray(at, at + PAGE_SIZE)]
}
