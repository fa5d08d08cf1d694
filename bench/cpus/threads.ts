// Virtual CPUs on threads of their own, for as long as a measurement takes: they come to a safe point again and again, or they do
// nothing but fault.

import { Worker } from 'node:worker_threads'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'

const PROGRAM = `
const { workerData, parentPort } = require('node:worker_threads')
const { door, shared, control, faults } = workerData
import(door).then(({ GuestMemory }) => {
  const memory = new GuestMemory(shared)
  const words = new Int32Array(control)
  memory.unpark()
  Atomics.store(words, 1, 1)
  Atomics.notify(words, 1)
  const times = []
  for (let i = 0; i < faults; i++) {
    const begin = performance.now()
    memory.fault(i * 4096, 1)
    times.push((performance.now() - begin) * 1000)
  }
  if (faults === 0) while (Atomics.load(words, 0) === 0) for (let i = 0; i < 100; i++) memory.safePoint()
  memory.park()
  Atomics.store(words, 2, 1)
  Atomics.notify(words, 2)
  parentPort.postMessage(times)
})`
const [STOP, STARTED, ENDED] = [0, 1, 2] as const

export class BenchCpu {
  private readonly words = new Int32Array(new SharedArrayBuffer(12))
  private readonly worker: Worker
  /** Microseconds that each fault took. */
  readonly times: Promise<number[]>

  /** `faults`: so many, each of another page; 0: safe points until it is stopped. */
  constructor(cpu: VirtualCpu, door: string, faults = 0) {
    const workerData = { door, shared: cpu.shared, control: this.words.buffer, faults }
    this.worker = new Worker(PROGRAM, { eval: true, workerData })
    this.times = new Promise((resolve, reject) => this.worker.once('message', resolve).once('error', reject))
  }

  /** Blocks until it runs. */
  untilStarted(): void {
    while (Atomics.load(this.words, STARTED) === 0) Atomics.wait(this.words, STARTED, 0, 100)
  }

  get ended(): boolean {
    return Atomics.load(this.words, ENDED) !== 0
  }

  /** Resolves when it has parked and its thread is done. */
  async stop(): Promise<void> {
    Atomics.store(this.words, STOP, 1)
    await this.times
    await this.worker.terminate()
  }
}
