// The handshake of a CPU on another thread, operation by operation: which atomics, in which order, and what happens if the other side acts
// between two of them. GuestMemory runs here, on the engine's thread, and is looked at while it does; assembly/hypervisor/cpu.ts has to
// have the same steps, and its source is read.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import * as layout from '../../src/hypervisor/index.ts'
import { GuestMemory, type VirtualCpu } from '../../src/hypervisor/index.ts'
import type { Host, Mm } from '../../src/index.ts'
import { byteAt, makeHost, PAGE } from '../support/world.ts'

const RAM = 0x1000_0000
const MIB = 2 ** 20
const { CPU_ASKED, CPU_FAULT_ERRNO, CPU_FAULT_STATE, CPU_GENERATION, CPU_SEEN, CPU_STOP } = layout

/** The words that two threads use at once. */
const SHARED = ['CPU_SEEN', 'CPU_ASKED', 'CPU_STOP', 'CPU_GENERATION', 'CPU_FAULT_STATE'] as const

interface Scene {
  readonly host: Host
  readonly mm: Mm
  readonly cpu: VirtualCpu
  readonly memory: GuestMemory
  readonly words: Int32Array
  /** A field of the record, as the other side finds or leaves it. */
  get(field: number): number
  set(field: number, value: number): void
}

async function scene(): Promise<Scene> {
  const host = await makeHost({ graceTimeout: 20 })
  const mm = host.createMm({ name: 'guest' })
  mm.mmap(4 * PAGE, { address: RAM })
  mm.write(RAM, Uint8Array.of(7))
  const cpu = mm.attachCpu({ length: MIB, thread: true })
  const words = new Int32Array(cpu.shared.memory.buffer)
  const at = (field: number): number => (cpu.shared.record + field) / 4
  return {
    host,
    mm,
    cpu,
    memory: new GuestMemory(cpu.shared),
    words,
    get: (field) => words[at(field)]!,
    set: (field, value) => {
      words[at(field)] = value
    },
  }
}

const NAMES = ['load', 'store', 'add', 'wait', 'notify'] as const
type Operation = (typeof NAMES)[number]
const originals = Object.fromEntries(NAMES.map((name) => [name, Atomics[name]])) as Pick<
  typeof Atomics,
  Operation
>
afterEach(() => {
  Object.assign(Atomics, originals)
})

/**
 * What `act` does with atomics: the operation, the word, what is stored. Before each the `other` side may act. Nobody sleeps: whoever
 * waits is told of it and goes on.
 */
function traced({ cpu, words }: Scene, act: () => void, other: (step: string) => void = () => {}): string[] {
  const steps: string[] = []
  const nameOf = (index: number): string => {
    const byte = index * 4 - cpu.shared.record
    const known = Object.entries(layout).find(([name, at]) => name.startsWith('CPU_') && at === byte)
    return (
      known?.[0].slice(4) ??
      (index === words[(cpu.shared.record + layout.CPU_BELL) / 4]! / 4 ? 'BELL' : 'pte')
    )
  }
  for (const name of NAMES) {
    const original = originals[name] as (...all: unknown[]) => number
    const watched = (array: Int32Array, index: number, ...rest: number[]): unknown => {
      const step = `${name} ${nameOf(index)}${name === 'store' ? `=${rest[0]}` : ''}`
      steps.push(step)
      Object.assign(Atomics, originals)
      try {
        other(step)
      } finally {
        Object.assign(Atomics, all)
      }
      return name === 'wait' ? 'ok' : original(array, index, ...rest)
    }
    all[name] = watched
  }
  Object.assign(Atomics, all)
  try {
    act()
  } finally {
    Object.assign(Atomics, originals)
  }
  return steps
}
const all: Record<string, unknown> = {}

describe("a CPU's side", () => {
  it('echoes at a safe point what was asked, and nothing else', async () => {
    const made = await scene()
    const { memory, get, set } = made
    memory.unpark()
    expect(traced(made, () => memory.safePoint())).toEqual(['load ASKED', 'load STOP'])
    set(CPU_ASKED, 1000)
    expect(traced(made, () => memory.safePoint())).toEqual(['load ASKED', 'store SEEN=1000', 'load STOP'])
    // Asked again between the load and the store: that period has not passed.
    set(CPU_ASKED, 1001)
    traced(
      made,
      () => memory.safePoint(),
      (step) => {
        if (step === 'store SEEN=1001') set(CPU_ASKED, 1002)
      },
    )
    expect(get(CPU_SEEN)).toBe(1001)
  })

  it('leaves the park by saying so before it asks what it has to echo', async () => {
    const made = await scene()
    const { memory, set } = made
    set(CPU_ASKED, 77)
    expect(traced(made, () => memory.unpark())).toEqual([
      'load STOP',
      'store SEEN=1',
      'load ASKED',
      'store SEEN=77',
      'load STOP',
    ])
    expect(traced(made, () => memory.park())).toEqual(['store SEEN=0'])
  })

  it('does not run when it is stopped just as it leaves the park', async () => {
    const made = await scene()
    const { memory, get, set } = made
    let waited = 0
    traced(
      made,
      () => memory.unpark(),
      (step) => {
        if (step === 'store SEEN=1' && waited === 0) set(CPU_STOP, 1)
        if (step !== 'wait STOP') return
        expect(get(CPU_SEEN)).toBe(0)
        waited++
        set(CPU_STOP, 0)
      },
    )
    expect(waited).toBe(1)
    expect(get(CPU_SEEN)).toBe(get(CPU_ASKED))
  })

  it('parks at a safe point when it is to stop, and stays', async () => {
    const made = await scene()
    const { memory, get, set } = made
    memory.unpark()
    set(CPU_STOP, 1)
    let waited = 0
    traced(
      made,
      () => memory.safePoint(),
      (step) => {
        if (step !== 'wait STOP') return
        expect(get(CPU_SEEN)).toBe(0)
        if (++waited === 3) set(CPU_STOP, 0)
      },
    )
    expect(waited).toBe(3)
  })

  it('is parked before it asks for a fault, until it has the answer; nothing is an answer before the engine says so', async () => {
    const made = await scene()
    const { memory, get, set } = made
    memory.unpark()
    let errno = -1
    const steps = traced(
      made,
      () => {
        errno = memory.fault(PAGE, layout.FAULT_WRITE)
      },
      (step) => {
        if (step === 'store FAULT_STATE=1') set(CPU_FAULT_ERRNO, 99)
        if (step !== 'wait FAULT_STATE') return
        expect(get(CPU_SEEN)).toBe(0)
        set(CPU_FAULT_ERRNO, 12)
        set(CPU_FAULT_STATE, layout.FAULT_ANSWERED)
      },
    )
    expect(errno).toBe(12)
    expect(steps).toEqual([
      'store SEEN=0',
      'store FAULT_STATE=1',
      'add BELL',
      'notify BELL',
      'load FAULT_STATE',
      'wait FAULT_STATE',
      'load FAULT_STATE',
      'store FAULT_STATE=0',
      'load STOP',
      'store SEEN=1',
      'load ASKED',
      `store SEEN=${get(CPU_ASKED)}`,
      'load STOP',
    ])
  })

  it('loads a pte anew for every access, atomically', async () => {
    const made = await scene()
    const { memory } = made
    memory.unpark()
    const read = (): void => void memory.forRead(0)
    expect(traced(made, read)).toEqual(['load pte'])
    expect(traced(made, read)).toEqual(['load pte'])
    expect(traced(made, () => void memory.read(PAGE - 2, new Uint8Array(2)))).toEqual(['load pte'])
  })

  it('forgets places of ptes only when told, and is told by a generation', async () => {
    const made = await scene()
    const { memory, get, set } = made
    expect(traced(made, () => void memory.stale())).toEqual(['load GENERATION'])
    set(CPU_GENERATION, get(CPU_GENERATION) + 1)
    expect([memory.stale(), memory.stale()]).toEqual([true, false])
  })
})

describe("the engine's side", () => {
  it('asks after the pte has changed, and both are atomic', async () => {
    const made = await scene()
    const { mm, memory, cpu } = made
    memory.unpark()
    const steps = traced(
      made,
      () => mm.mprotect(RAM, PAGE, 'PROT_READ'),
      // It comes at once.
      (step) => {
        if (step === 'load SEEN') memory.safePoint()
      },
    )
    const changed = steps.indexOf(steps.find((step) => step.startsWith('store pte'))!)
    const asked = steps.findIndex((step) => step.startsWith('store ASKED'))
    expect(changed).toBeGreaterThanOrEqual(0)
    expect(asked).toBeGreaterThan(changed)
    expect(steps.slice(asked + 1)).toContain('load SEEN')
    memory.park()
    cpu.detach()
  })

  it('has the number of an error in place before it says that it has answered', async () => {
    const made = await scene()
    const { host, memory, get, set } = made
    memory.park()
    set(layout.CPU_FAULT_OFFSET, MIB - PAGE)
    set(CPU_FAULT_STATE, layout.FAULT_ASKED)
    host.memory.cpus.ring()
    const seen: number[] = []
    traced(
      made,
      () => host.serveFaults(),
      (step) => {
        if (step === `store FAULT_STATE=${layout.FAULT_ANSWERED}`) seen.push(get(CPU_FAULT_ERRNO))
      },
    )
    expect(seen).toEqual([layout.EFAULT])
  })

  it('is answered by the event loop, also after a handler has thrown at one', async () => {
    const { host, mm, memory, get, set } = await scene()
    const thrown: unknown[] = []
    const later = globalThis.queueMicrotask
    globalThis.queueMicrotask = (task) => {
      try {
        task()
      } catch (error) {
        thrown.push(error)
      }
    }
    onTestFinished(() => {
      globalThis.queueMicrotask = later
    })
    mm.registerUserfault(RAM, PAGE, {
      onWriteProtect() {
        throw new Error('mine')
      },
    })
    mm.userfaultWriteProtect(RAM, PAGE, true)
    memory.park()
    const errnos: number[] = []
    for (const offset of [0, PAGE, 0, 2 * PAGE]) {
      set(layout.CPU_FAULT_OFFSET, offset)
      set(layout.CPU_FAULT_KIND, layout.FAULT_WRITE)
      set(CPU_FAULT_STATE, layout.FAULT_ASKED)
      host.memory.cpus.ring()
      for (let turns = 0; turns < 1000 && get(CPU_FAULT_STATE) === layout.FAULT_ASKED; turns++)
        await new Promise((resolve) => setTimeout(resolve, 1))
      errnos.push(get(CPU_FAULT_ERRNO))
    }
    expect(errnos).toEqual([layout.EAGAIN, 0, layout.EAGAIN, 0])
    expect(thrown.map(String)).toEqual(['Error: mine', 'Error: mine'])
  })

  it('is counted, and one that nobody asked for is not', async () => {
    const { host, mm, get, set } = await scene()
    mm.attachCpu({ length: MIB, thread: true })
    set(layout.CPU_FAULT_OFFSET, PAGE)
    set(CPU_FAULT_STATE, layout.FAULT_ASKED)
    host.memory.cpus.ring()
    expect(host.serveFaults()).toBe(1)
    expect(get(CPU_FAULT_STATE)).toBe(layout.FAULT_ANSWERED)
    host.memory.cpus.ring()
    expect(host.serveFaults()).toBe(0)
  })

  it.each([
    ['never is one that says that the CPU is parked, or has just left the park', -2, [-1, 2, 3]],
    ['wraps around', 2 ** 31 - 2, [2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 1]],
  ])('a period %s', async (_, before, periods) => {
    const { cpu, host, memory, get, set } = await scene()
    const { record } = host.memory.cpuThreads.of(recordOf(host, cpu))!
    set(CPU_ASKED, before)
    memory.unpark()
    for (const period of periods) {
      expect(record.ask()).toBe(period)
      expect(record.hasPassed(period)).toBe(false)
      set(CPU_SEEN, 1)
      expect(record.hasPassed(period)).toBe(false)
      set(CPU_SEEN, before)
      expect(record.hasPassed(period)).toBe(false)
      memory.safePoint()
      expect([get(CPU_SEEN), record.hasPassed(period)]).toEqual([period, true])
      const later = record.ask()
      memory.safePoint()
      expect([record.hasPassed(period), record.hasPassed(later)]).toEqual([true, true])
      set(CPU_ASKED, period)
      memory.safePoint()
      before = period
    }
    memory.park()
    expect(record.hasPassed(record.ask())).toBe(true)
  })

  it('answers a fault that needs a grace period of the CPU that asks, which is parked and not waited for', async () => {
    const made = await scene()
    const { host, mm, memory } = made
    const child = mm.fork()
    memory.unpark()
    traced(
      made,
      () => expect(memory.fault(0, layout.FAULT_WRITE)).toBe(0),
      (step) => {
        if (step === 'wait FAULT_STATE') host.serveFaults()
      },
    )
    expect(mm.cpus.isSettled).toBe(true)
    memory.bytes[memory.forWrite(0)] = 8
    memory.park()
    expect([byteAt(mm, RAM), byteAt(child, RAM)]).toEqual([8, 7])
    host.audit()
  })
})

function recordOf(host: Host, cpu: VirtualCpu) {
  for (const { cpus } of host.memory.mms())
    for (const record of cpus.records) if (record.address === cpu.shared.record) return record
  throw new Error('no such CPU')
}

describe('a core in AssemblyScript', () => {
  const source = readFileSync(resolve(import.meta.dirname, '../../assembly/hypervisor/cpu.ts'), 'utf8')

  /** What a function does with the record, in order. */
  function stepsOf(name: string): string[] {
    const [, body] = new RegExp(`^(?:export )?function ${name}\\(.*?\\{\\n(.*?)^\\}`, 'ms').exec(source)!
    const uses = body!.matchAll(
      /(atomic\.)?\b(load|store|wait|add|notify)(?:<\w+>)?\((?=record|bell)[^\n]*?(CPU_\w+|bell)|\b(park|unpark|rest)\(\)/g,
    )
    return [...uses].map(([, atomic, what, field, call]) => call ?? `${atomic ?? 'plain '}${what} ${field}`)
  }

  it('has the same steps', () => {
    expect(stepsOf('safePoint')).toEqual([
      'atomic.load CPU_ASKED',
      'plain load CPU_SEEN',
      'atomic.store CPU_SEEN',
      'atomic.load CPU_STOP',
      'rest',
    ])
    expect(stepsOf('rest')).toEqual(['park', 'unpark'])
    expect(stepsOf('park')).toEqual(['atomic.store CPU_SEEN'])
    expect(stepsOf('unpark')).toEqual([
      'atomic.load CPU_STOP',
      'atomic.wait CPU_STOP',
      'atomic.store CPU_SEEN',
      'atomic.store CPU_SEEN',
      'atomic.load CPU_ASKED',
      'atomic.load CPU_STOP',
      'park',
    ])
    expect(stepsOf('stale')).toEqual(['atomic.load CPU_GENERATION'])
    expect(stepsOf('fault')).toEqual([
      'plain store CPU_FAULT_OFFSET',
      'plain store CPU_FAULT_KIND',
      'park',
      'atomic.store CPU_FAULT_STATE',
      'plain load CPU_BELL',
      'atomic.add bell',
      'atomic.notify bell',
      'atomic.load CPU_FAULT_STATE',
      'atomic.load CPU_FAULT_STATE',
      'plain load CPU_FAULT_ERRNO',
      'atomic.store CPU_FAULT_STATE',
      'unpark',
    ])
    expect(source).toContain(
      'if (asked != load<u32>(record + CPU_SEEN)) atomic.store<u32>(record + CPU_SEEN, asked)',
    )
    expect(source).toMatch(
      /CPU_SEEN, 1\)\n {4}atomic\.store<u32>\(record \+ CPU_SEEN, atomic\.load<u32>\(record \+ CPU_ASKED\)\)/,
    )
  })

  it('touches what two threads use at once by atomics only, but for what it alone writes', () => {
    const plain = [...source.matchAll(/(?<!atomic\.)\b(load|store)<\w+>\([^\n]*?(CPU_\w+)/g)]
    const shared = plain.filter(([, , field]) => (SHARED as readonly string[]).includes(field!))
    expect(shared.map(([, what, field]) => `${what} ${field}`)).toEqual(['load CPU_SEEN'])
  })
})
