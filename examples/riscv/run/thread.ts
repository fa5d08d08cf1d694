// What runs on a thread: its guests, one slice after another. Between slices their CPUs are parked, and nobody waits for them.

import { parentPort } from 'node:worker_threads'
import { BUFFER, BUFFER_BYTES } from '../cpu/state.ts'
import { type Board, type DeviceImports, setRam, startCpu } from '../machine/board.ts'
import { Machine } from '../machine/machine.ts'
import type { HandedOver, News, Order, Standing } from './threads.ts'

const SLICE = 500_000
const NEWS_MS = 200

interface Running {
  readonly id: number
  readonly machine: Machine
  printed: string
  /** It has no turns for the time being. */
  held: boolean
}

const port = parentPort!
let guests: Running[] = []
let told = 0
let turning = false

port.on('message', (order: Order) => {
  if ('held' in order) hold(order)
  else start(order)
})

function start(order: HandedOver): void {
  const running: Running = {
    id: order.id,
    printed: '',
    held: false,
    machine: machineOf(order, (text) => {
      running.printed += text
    }),
  }
  guests.push(running)
  if (!turning) turn()
}

/** Messages come between turns: the guest's CPU is parked. */
function hold({ id, held }: { readonly id: number; readonly held: boolean }): void {
  const running = guests.find((one) => one.id === id)
  if (running !== undefined) running.held = held
  if (!held) return
  if (running !== undefined) tell(running, 'running')
  const standing: Standing = { id, devices: running?.machine.devices() }
  port.postMessage(standing)
}

function machineOf(order: HandedOver, print: (text: string) => void): Machine {
  const machine = new Machine((devices) => boardOf(order, devices), {
    firmware: order.firmware,
    print: (byte) => print(String.fromCharCode(byte)),
  })
  machine.setDevices(order.devices)
  return machine
}

/** Devices reach the guest's memory through its CPU: it alone may, on this thread. */
function boardOf({ memory, record, module, ramBytes }: HandedOver, devices: DeviceImports): Board {
  const never = (): number => {
    throw new Error('a CPU on a thread asks by its mailbox')
  }
  const started = startCpu(module, memory, record, {
    env: { memory, ...devices },
    pagefold: { fault: never },
  })
  const { cpu, hartAt } = started
  setRam(started.hart, ramBytes)
  const buffer = new Uint8Array(memory.buffer, hartAt + BUFFER, BUFFER_BYTES)
  const pieces = (length: number, work: (from: number, count: number) => number): void => {
    for (let from = 0; from < length; from += BUFFER_BYTES)
      if (work(from, Math.min(BUFFER_BYTES, length - from)) === 0)
        throw new Error('memory of a guest cannot be had')
  }
  return {
    ...started,
    ramBytes,
    read: (address, length) => {
      const bytes = new Uint8Array(length)
      pieces(length, (from, count) => {
        const had = cpu.read(hartAt, BigInt(address + from), count)
        bytes.set(buffer.subarray(0, count), from)
        return had
      })
      return bytes
    },
    write: (address, bytes) =>
      pieces(bytes.length, (from, count) => {
        buffer.set(bytes.subarray(from, from + count))
        return cpu.write(hartAt, BigInt(address + from), count)
      }),
  }
}

function turn(): void {
  for (const running of guests) {
    const { machine, held } = running
    if (held) continue
    let state = machine.run(SLICE)
    if (state === 'asleep' && machine.wake()) state = 'running'
    if (state === 'stopped') tell(running, 'stopped')
  }
  guests = guests.filter(({ machine }) => machine.exitCode === undefined)
  if (performance.now() - told > NEWS_MS) {
    told = performance.now()
    for (const running of guests) tell(running, 'running')
  }
  turning = guests.length > 0
  // Messages' turn.
  if (turning) setImmediate(turn)
}

function tell(running: Running, state: News['state']): void {
  const { id, printed, machine } = running
  const news: News = { id, printed, state, exitCode: machine.exitCode }
  port.postMessage(news)
  running.printed = ''
}
