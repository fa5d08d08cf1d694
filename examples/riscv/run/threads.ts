// Guests on other threads: each thread runs some, the engine's own answers their faults and runs ksmd.

import { Worker } from 'node:worker_threads'
import type { Guest } from '../machine/guest.ts'
import type { Devices, MachineState } from '../machine/machine.ts'

/** What a thread is told: a guest that is to run there. */
export interface HandedOver {
  readonly id: number
  readonly memory: WebAssembly.Memory
  readonly record: number
  readonly module: WebAssembly.Module
  readonly ramBytes: number
  readonly firmware: boolean
  readonly devices: Devices
}

/** What it is told of a guest that runs there. */
export type Order = HandedOver | { readonly id: number; readonly held: boolean }

/** What it answers when a guest is to be held: its devices, if it has not stopped. */
export interface Standing {
  readonly id: number
  readonly devices: Devices | undefined
}

/** What it says now and then of a guest. */
export interface News {
  readonly id: number
  readonly printed: string
  readonly state: MachineState
  readonly exitCode: number | undefined
}

export class Threads {
  private readonly workers: readonly Worker[]
  private readonly guests: Guest[] = []
  /** Who waits for a guest to stand still, by its number. */
  private readonly waiting = new Map<number, (devices: Devices | undefined) => void>()

  /** `script`: what thread.ts is built into. */
  constructor(script: string, count: number) {
    this.workers = Array.from({ length: count }, () => {
      const worker = new Worker(script)
      worker.on('message', (said: News | Standing) => this.hear(said))
      worker.on('error', (error) => {
        throw error
      })
      return worker
    })
  }

  /** Has a guest made for it run on one of the threads from now on. */
  add(guest: Guest, module: WebAssembly.Module): void {
    const id = this.guests.push(guest) - 1
    const { record } = guest.cpu.shared
    const memory = guest.cpu.shared.memory as WebAssembly.Memory
    const { ramBytes, firmware } = guest.options
    this.tell(id, { id, memory, record, module, ramBytes, firmware, devices: guest.machine.devices() })
  }

  /** Calls `work` while a guest stands between two of its turns, with its devices; not if it has stopped. */
  async whileHeld<Result>(guest: Guest, work: (devices: Devices) => Result): Promise<Result | undefined> {
    const id = this.guests.indexOf(guest)
    const standing = new Promise<Devices | undefined>((resolve) => this.waiting.set(id, resolve))
    this.tell(id, { id, held: true })
    const devices = await standing
    if (devices === undefined) return undefined
    try {
      return work(devices)
    } finally {
      this.tell(id, { id, held: false })
    }
  }

  /** Ends the threads; their guests run no more. */
  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }

  private tell(id: number, order: Order): void {
    this.workers[id % this.workers.length]!.postMessage(order)
  }

  private hear(said: News | Standing): void {
    if ('devices' in said) {
      this.waiting.get(said.id)?.(said.devices)
      this.waiting.delete(said.id)
      return
    }
    const { id, printed, state, exitCode } = said
    const guest = this.guests[id]!
    guest.state = state
    guest.hear(printed)
    if (exitCode !== undefined) guest.machine.stop(exitCode)
  }
}
