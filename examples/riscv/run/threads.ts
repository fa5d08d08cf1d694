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

  /** `script`: what thread.ts is built into. */
  constructor(script: string, count: number) {
    this.workers = Array.from({ length: count }, () => {
      const worker = new Worker(script)
      worker.on('message', (news: News) => this.hear(news))
      worker.on('error', (error) => {
        throw error
      })
      return worker
    })
  }

  /** Has a guest made for it run on one of the threads from now on. */
  add(guest: Guest, module: WebAssembly.Module, firmware: boolean): void {
    const id = this.guests.push(guest) - 1
    const { record } = guest.cpu.shared
    const memory = guest.cpu.shared.memory as WebAssembly.Memory
    const { ramBytes } = guest.machine.board
    const devices = guest.machine.devices()
    const order: HandedOver = { id, memory, record, module, ramBytes, firmware, devices }
    this.workers[id % this.workers.length]!.postMessage(order)
  }

  /** Ends the threads; their guests run no more. */
  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }

  private hear({ id, printed, state, exitCode }: News): void {
    const guest = this.guests[id]!
    guest.state = state
    guest.hear(printed)
    if (exitCode !== undefined) guest.machine.stop(exitCode)
  }
}
