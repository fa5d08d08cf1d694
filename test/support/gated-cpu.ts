// A virtual CPU on a thread of its own that stops between a pte and its use, until the engine asks for a grace period or the test says that
// the engine's call is over. What it did by then, and what it read, can be asked for.

import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'

/** A step, the offset it is about, and the byte that is written or the kind of a fault. */
export type Step =
  | readonly ['load' | 'keep' | 'read', offset: number]
  | readonly ['write' | 'fault', offset: number, byte: number]
  | readonly ['load kept' | 'note pte' | 'until asked' | 'until over' | 'acted' | 'safe point']

const [DONE, OVER, VALUE, ACTED] = [0, 1, 2, 3] as const
const PROGRAM = join(import.meta.dirname, 'gated-cpu.mjs')

export class GatedCpu {
  private readonly words = new Int32Array(new SharedArrayBuffer(16))
  private readonly worker: Worker
  private readonly ended: Promise<unknown>

  constructor(cpu: VirtualCpu, steps: readonly Step[]) {
    this.worker = new Worker(PROGRAM, {
      workerData: { shared: cpu.shared, control: this.words.buffer, steps },
    })
    this.ended = new Promise((resolve, reject) => this.worker.once('exit', resolve).once('error', reject))
    this.ended.catch(() => {})
  }

  /** Blocks until it has done so many steps. */
  untilDone(steps: number): void {
    for (let done = this.done(); done >= 0 && done < steps; done = this.done())
      if (Atomics.wait(this.words, DONE, done, 20_000) === 'timed-out') throw new Error(`stuck after ${done}`)
  }

  /** Has it done what it was to do before the engine goes on? */
  get acted(): boolean {
    return Atomics.load(this.words, ACTED) !== 0
  }

  /** What it read last. */
  get value(): number {
    return Atomics.load(this.words, VALUE)
  }

  /** The engine's call is over: whoever waited goes on. Blocks until the CPU has done everything and parked. */
  finish(): void {
    Atomics.store(this.words, OVER, 1)
    for (let done = this.done(); done >= 0; done = this.done())
      if (Atomics.wait(this.words, DONE, done, 20_000) === 'timed-out') throw new Error(`stuck after ${done}`)
  }

  /** Resolves when its thread has ended. */
  async end(): Promise<void> {
    await this.ended
  }

  /** Ends it wherever it is. */
  async kill(): Promise<void> {
    await this.worker.terminate()
  }

  private done(): number {
    return Atomics.load(this.words, DONE)
  }
}
