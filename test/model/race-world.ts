// One host with its guests, run through a program of operations while others act at its race points and allocations fail
// when the program says so. After every operation everything is checked against the shadow.

import { FRAME_LOCKED, FRAME_POISONED } from '../../assembly/abi.ts'
import {
  type Errno,
  Host,
  type HostOptions,
  PagefoldError,
  type SwapStore,
  stillClock,
} from '../../src/index.ts'
import type { MmStruct } from '../../src/mm/model/mm-struct.ts'
import { isKsm } from '../../src/mm/page/rmap.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { pageOf } from '../support/world.ts'
import { type Held, LOCKS, machineLockOf, mayTake, NO_PAGE_HELD } from './race-locks.ts'
import { OPERATIONS, type OperationName } from './race-operations.ts'
import { domainFaults, faultsMidway, faultsOf, type Guest, type HeldPin, pinFaults } from './shadow.ts'

/** An operation by name with its numbers; the first is the guest where there is one. */
export type Step = readonly [OperationName, ...number[]]

/** An operation that somebody else does at a race point, after so many points have passed. */
export interface Action {
  readonly after: number
  readonly step: Step
}

export interface RaceProgram {
  readonly options: Omit<HostOptions, 'clock'>
  readonly steps: readonly Step[]
  readonly actions: readonly Action[]
  /** Allocations that succeed before each that fails. */
  readonly failures: readonly number[]
}

export const SLOTS = 4
const SWAP_SLOTS = 24
/** An action's own race points can be raced too, but not theirs. */
const MAX_DEPTH = 2

/** Race points at which something happened, over all runs: none may stay untried. */
export const pointsTried = new Set<RacePoint>()

export class World {
  readonly host: Host
  readonly guests: (Guest | undefined)[] = new Array(SLOTS).fill(undefined)
  readonly pins: HeldPin[] = []
  readonly store: FailingStore = failingStore()
  swapping = false
  /** What is offline. */
  readonly offline: { start: number; end: number }[] = []
  /** Who is being forked at this moment. */
  forking: Guest | undefined
  /** Something outside the operation had a hand in it, so it may have been told to try again. */
  disturbed = false
  /** An allocation was made to fail, or metadata is scarce: ENOMEM is no surprise. */
  starved: boolean
  private named = 0
  private readonly actions: { after: number; readonly step: Step }[]
  private readonly failures: number[]
  private readonly held: Held[] = []
  private readonly points: RacePoint[] = []
  /** Operations that hold a lock of the whole machine. */
  private readonly machineLocks: ('mutex' | 'hotplug')[] = []
  private readonly scarce: boolean

  static async create(program: RaceProgram): Promise<World> {
    return new World(await Host.create({ ...program.options, clock: stillClock }), program)
  }

  private constructor(host: Host, program: RaceProgram) {
    this.host = host
    this.actions = program.actions.map((action) => ({ ...action }))
    this.failures = [...program.failures]
    this.scarce = program.options.mappings !== undefined
    this.starved = this.scarce
    host.ksm.set('run', 1)
    const memory = memoryOf(host)
    if (this.actions.length > 0) memory.race = (point, mm) => this.race(point, mm)
    if (this.failures.length > 0) memory.frames.failAlloc = () => this.failNext()
  }

  /** Names are told apart in what memoryFailure() reports. */
  freshName(): string {
    return `guest ${++this.named}`
  }

  get all(): Guest[] {
    return this.guests.filter((guest) => guest !== undefined)
  }

  /** Does a step, and checks everything. Throws with what is wrong. */
  step(step: Step): void {
    this.disturbed = false
    this.starved = this.scarce || this.host.frames.free < SLOTS
    this.perform(step)
    this.check()
  }

  /** Ends everything: every frame must come back, and every record go. */
  finish(): void {
    const { host } = this
    memoryOf(host).race = undefined
    memoryOf(host).frames.failAlloc = undefined
    this.store.failing = false
    for (const { start, end } of this.offline.splice(0)) host.online(start, end)
    for (const { pin } of this.pins.splice(0)) pin.release()
    for (const [slot] of this.guests.entries()) this.perform(['exit', slot])
    if (host.ksm.get('run') !== 1) host.ksm.set('run', 1)
    host.ksm.scan(2)
    host.ksm.set('run', 2)
    this.check()
    const { arena, frames, anonVmas, notifiers, swap } = memoryOf(host)
    let broken = 0
    for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++)
      if (frames.hasFlag(pfn, FRAME_POISONED)) broken++
    const left = {
      frames: host.frames.total - broken - host.frames.free,
      anonVmas: anonVmas.live,
      mms: [...memoryOf(host).mms()].length,
      notifiers,
      swapSlots: swap.usage.used,
      ...arena.objects(),
    }
    const leaks = Object.entries(left).filter(([, count]) => count !== 0)
    if (leaks.length > 0) throw new Error(`left behind: ${JSON.stringify(Object.fromEntries(leaks))}`)
  }

  /** Does an operation on host and shadow. Only what the operation itself finds wrong is thrown. */
  perform([name, ...args]: Step): void {
    const { lock, run } = OPERATIONS[name]
    const machineLock = machineLockOf(lock)
    if (machineLock !== undefined) this.machineLocks.push(machineLock)
    try {
      run(this, args)
    } finally {
      if (machineLock !== undefined) this.machineLocks.pop()
    }
  }

  /** Is there a reason for ENOMEM? */
  get isShort(): boolean {
    return this.starved || this.host.frames.free < SLOTS
  }

  /** The errno a call failed with, undefined if it did not; anything but a refusal is thrown on. */
  attempt(call: () => void): Errno | undefined {
    try {
      call()
      return undefined
    } catch (error) {
      if (!(error instanceof PagefoldError) || error.code === 'EUCLEAN') throw error
      return error.code
    }
  }

  check(): void {
    this.host.audit()
    const wrong = [
      ...this.all.flatMap((guest) => faultsOf(this.host, guest, this.store.peek)),
      ...this.all.flatMap((guest) => faultsMidway(this.host, guest)),
      ...domainFaults(this.host, this.all),
      ...pinFaults(this.host, this.pins),
      ...this.host.warnings(),
    ]
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
  }

  private failNext(): boolean {
    if (this.failures.length === 0 || this.failures[0]!-- > 0) return false
    this.failures.shift()
    this.starved = true
    return true
  }

  private race(point: RacePoint, mm: MmStruct | undefined): void {
    const next = this.actions[0]
    if (next === undefined || this.points.length === MAX_DEPTH) return
    if (next.after > 0) {
      next.after--
      return
    }
    const locked = this.lockAt(point, mm)
    this.points.push(point)
    if (locked !== undefined) this.held.push(locked)
    if (this.mayAct(next.step)) {
      this.actions.shift()
      this.disturbed = true
      pointsTried.add(point)
      this.checkMidway(point)
      this.perform(next.step)
      this.checkMidway(point)
    }
    if (locked !== undefined) this.held.pop()
    this.points.pop()
  }

  private lockAt(point: RacePoint, mm: MmStruct | undefined): Held | undefined {
    const mode = LOCKS[point]
    if (mode === 'none') return undefined
    if (mode !== 'cursor') return { mm: mm!, mode }
    const visited = ksmOf(this.host).cursor.slot.mm
    return visited === undefined ? undefined : { mm: visited, mode: 'read' }
  }

  private mayAct([name, slot]: Step): boolean {
    const { lock } = OPERATIONS[name]
    const machineLock = machineLockOf(lock)
    if (machineLock !== undefined && this.machineLocks.includes(machineLock)) return false
    if (machineLock === 'mutex' && this.mergedPageIsLocked()) return false
    if (lock.startsWith('folio') && !this.points.every((point) => NO_PAGE_HELD.has(point))) return false
    return mayTake(lock, this.guests[slot ?? 0]?.mm, this.held)
  }

  private mergedPageIsLocked(): boolean {
    const { arena, frames } = memoryOf(this.host)
    for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++) {
      if (frames.hasFlag(pfn, FRAME_LOCKED) && isKsm(memoryOf(this.host), pfn)) return true
    }
    return false
  }

  private checkMidway(point: RacePoint): void {
    const wrong = this.all.flatMap((guest) => faultsMidway(this.host, guest))
    if (wrong.length > 0) throw new Error(`at "${point}":\n${wrong.join('\n')}`)
  }
}

/** Runs a program from an empty host to an empty host. Throws with the step that went wrong, and how. */
export async function runRace(program: RaceProgram): Promise<void> {
  const world = await World.create(program)
  for (const [i, step] of program.steps.entries()) {
    try {
      world.step(step)
    } catch (cause) {
      throw new Error(`step ${i}, ${JSON.stringify(step)}:\n${(cause as Error).message}`, { cause })
    }
  }
  world.finish()
  world.host.close()
}

interface FailingStore extends SwapStore {
  failing: boolean
  readonly peek: (slot: number) => Uint8Array
}

/** A swap store that refuses to work while it is told to. */
function failingStore(): FailingStore {
  const pages = new Map<number, Uint8Array>()
  const expectSound = (): void => {
    if (store.failing) throw new Error('the store fails')
  }
  const store: FailingStore = {
    slots: SWAP_SLOTS,
    failing: false,
    peek: (slot) => pages.get(slot) ?? pageOf(0xee),
    read(slot, into) {
      expectSound()
      into.set(pages.get(slot)!)
    },
    write(slot, from) {
      expectSound()
      pages.set(slot, from.slice())
    },
  }
  return store
}
