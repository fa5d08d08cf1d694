// What the arena holds for virtual CPUs: a record each, with a page for accidents and memory of the CPU's own behind it; for each mm
// that has CPUs the array of leaves that they look translations up in; and the table that is always empty. All of it is metadata
// pages, taken when the first CPU comes. assembly/hypervisor/layout.ts draws it; here is the engine's side.

import { PAGE_SIZE, TABLE_BYTES } from '../../assembly/abi.ts'
import {
  CPU_ASKED,
  CPU_BELL,
  CPU_EMPTY,
  CPU_FAULT_ERRNO,
  CPU_FAULT_KIND,
  CPU_FAULT_OFFSET,
  CPU_FAULT_STATE,
  CPU_GENERATION,
  CPU_LEAF_COUNT,
  CPU_LEAVES,
  CPU_NOWHERE,
  CPU_SCRATCH,
  CPU_SCRATCH_BYTES,
  CPU_SEEN,
  CPU_STOP,
  CPU_THREAD,
  CPU_VERSION,
  FAULT_ANSWERED,
  FAULT_ASKED,
  FAULT_WRITE,
  HYPERVISOR_VERSION,
} from '../../assembly/hypervisor/layout.ts'
import type { Arena } from './arena.ts'

/** The first grace period: 0 and 1 say something else in CPU_SEEN. */
const FIRST_PERIOD = 2

/** How often periods are looked at before the thread takes a nap between two looks, of so many ms. */
const SPINS = 2000
const NAP_MS = 0.05

type WaitAsync = (words: Int32Array, index: number, value: number) => { readonly value: unknown }

/** What a record is made for. */
export interface CpuPlan {
  /** The array of leaves, and how many there are. */
  readonly leaves: number
  readonly leafCount: number
  readonly scratchBytes: number
  readonly thread: boolean
}

/** What a CPU is made of, for whoever runs it: it can be posted to another thread. */
export interface SharedCpu {
  /** The arena, which has to be the memory of the CPU's core. */
  readonly memory: CoreMemory
  /** Where in it the CPU's record is. */
  readonly record: number
}

/** A WebAssembly.Memory, told without the types of a platform; it is shared. */
export interface CoreMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** What a core in WebAssembly imports. */
export interface CpuImports {
  readonly env: { readonly memory: CoreMemory }
  readonly pagefold: {
    /** Asks for a page: the CPU's record, an offset into the window, FAULT_READ or FAULT_WRITE. Returns 0 or the number of an error. */
    readonly fault: (record: number, offset: number, kind: number) => number
  }
}

/** What the arena's virtual CPUs have in common, and their records. */
export class CpuRecords {
  readonly #arena: Arena
  /** Blocks of pages given back, by how many pages they have. */
  readonly #freed = new Map<number, number[]>()
  /** The page with the empty table and the bell; 0 before the first CPU. */
  #common = 0
  #taken = 0
  /** How long a grace period may last, ms. */
  graceTimeout = 1000

  constructor(arena: Arena) {
    this.#arena = arena
  }

  /** Waits until grace periods have passed and drops those that have; true if none is left. `late`: does not wait, only looks. */
  wait(periods: Map<CpuRecord, number>, late: boolean): boolean {
    let deadline = 0
    for (let looks = 0; ; looks++) {
      for (const [record, period] of periods) if (record.hasPassed(period)) periods.delete(record)
      if (periods.size === 0) return true
      if (looks < SPINS) continue
      if (late) return false
      const now = performance.now()
      if (deadline === 0) deadline = now + this.graceTimeout
      else if (now > deadline) return false
      // Somebody else may need this processor to come to its safe point.
      if (this.#maySleep) this.#sleep()
    }
  }

  /** Waits until a CPU has parked; false if it has not in time. */
  waitUntilParked(record: CpuRecord): boolean {
    const deadline = performance.now() + this.graceTimeout
    for (let looks = 0; !record.isParked; looks++) {
      if (record.gone) return true
      if (looks < SPINS) continue
      if (performance.now() > deadline) return false
      if (this.#maySleep) this.#sleep()
    }
    return true
  }

  /** Sleeps until a CPU asks for a fault, if none has since `bell` was read, `ms` at most. */
  sleepUntilRung(bell: number, ms: number): void {
    if (ms > 0 && this.#common !== 0) Atomics.wait(this.#arena.i32, this.bellWord, bell, ms)
  }

  /** Resolves when a CPU asks for a fault, or some time later, where nobody can say. */
  untilRung(bell: number): Promise<unknown> {
    const waitAsync = (Atomics as unknown as { waitAsync?: WaitAsync }).waitAsync
    if (waitAsync === undefined) return new Promise((resolve) => setTimeout(resolve, 1))
    return Promise.resolve(waitAsync(this.#arena.i32, this.bellWord, bell).value)
  }

  /** Whoever waits for a fault to be asked for looks again. */
  ring(): void {
    if (this.#common === 0) return
    Atomics.add(this.#arena.i32, this.bellWord, 1)
    Atomics.notify(this.#arena.i32, this.bellWord)
  }

  /** A page's main thread may not. */
  #maySleep = true

  #sleep(): void {
    try {
      // Its own word, which nobody changes: CPUs that come to a safe point wake nobody up.
      Atomics.wait(this.#arena.i32, this.bellWord + 1, 0, NAP_MS)
    } catch {
      this.#maySleep = false
    }
  }

  /** Takes adjacent metadata pages, all zeros; 0 when there are none. */
  take(pages: number): number {
    const block = this.#freed.get(pages)?.pop() ?? this.#arena.core.takePages(pages)
    if (block !== 0) this.#taken += pages
    return block
  }

  /** Gives them back, for whoever wants as many next. */
  give(block: number, pages: number): void {
    this.#arena.u8.fill(0, block, block + pages * PAGE_SIZE)
    const known = this.#freed.get(pages)
    if (known === undefined) this.#freed.set(pages, [block])
    else known.push(block)
    this.#taken -= pages
  }

  /** Has what CPUs have in common in place. False when out of memory. */
  prepare(): boolean {
    if (this.#common === 0) this.#common = this.take(1)
    return this.#common !== 0
  }

  /** The table that is always empty. */
  get emptyTable(): number {
    return this.#common
  }

  /** Counts the faults asked for by mailbox, so that it changes with each. */
  get bell(): number {
    return this.#common === 0 ? 0 : Atomics.load(this.#arena.i32, this.bellWord)
  }

  /** Where in the arena's words the bell is. */
  get bellWord(): number {
    return (this.#common + TABLE_BYTES) >>> 2
  }

  /** Metadata in use, in bytes. */
  get bytes(): number {
    return this.#taken * PAGE_SIZE
  }

  /** Has anything been written to the table that is always empty? */
  isEmptyTableEmpty(): boolean {
    return (
      this.#common === 0 ||
      this.#arena.u8.subarray(this.#common, this.#common + TABLE_BYTES).every((byte) => byte === 0)
    )
  }

  /** Makes a record, parked; undefined when out of memory. */
  create(plan: CpuPlan): CpuRecord | undefined {
    const pages = 2 + Math.ceil(plan.scratchBytes / PAGE_SIZE)
    const at = this.take(pages)
    if (at === 0) return undefined
    const words = this.#arena.i32
    const set = (field: number, value: number): void => {
      words[(at + field) >>> 2] = value
    }
    set(CPU_ASKED, FIRST_PERIOD)
    set(CPU_LEAVES, plan.leaves)
    set(CPU_LEAF_COUNT, plan.leafCount)
    set(CPU_EMPTY, this.emptyTable)
    set(CPU_NOWHERE, at + PAGE_SIZE)
    set(CPU_SCRATCH, at + 2 * PAGE_SIZE)
    set(CPU_SCRATCH_BYTES, (pages - 2) * PAGE_SIZE)
    set(CPU_BELL, this.#common + TABLE_BYTES)
    set(CPU_THREAD, plan.thread ? 1 : 0)
    set(CPU_VERSION, HYPERVISOR_VERSION)
    return new CpuRecord(words, at, pages, plan.thread)
  }
}

/** One CPU's record, as the engine uses it. */
export class CpuRecord {
  readonly address: number
  readonly pages: number
  /** Does it run on a thread of its own? */
  readonly thread: boolean
  /** Whoever ran it is no more, wherever it was. */
  gone = false
  readonly #words: Int32Array
  readonly #word: number

  constructor(words: Int32Array, address: number, pages: number, thread: boolean) {
    this.#words = words
    this.address = address
    this.pages = pages
    this.thread = thread
    this.#word = address >>> 2
  }

  /** Does it touch no guest memory? */
  get isParked(): boolean {
    return this.#load(CPU_SEEN) === 0
  }

  /** Begins a grace period and returns its number. */
  ask(): number {
    const next = (this.#load(CPU_ASKED) + 1) | 0
    const period = next === 0 ? FIRST_PERIOD : next
    this.#store(CPU_ASKED, period)
    return period
  }

  /** Has that grace period passed? Whatever the CPU does from then on, it does by what stood in the ptes before it was asked. */
  hasPassed(period: number): boolean {
    const seen = this.#load(CPU_SEEN)
    return this.gone || seen === 0 || (seen !== 1 && ((seen - period) | 0) >= 0)
  }

  /** Leaves have gone: addresses of ptes are void. */
  forget(): void {
    this.#store(CPU_GENERATION, (this.#load(CPU_GENERATION) + 1) | 0)
  }

  /** Says whether the CPU is to stay parked, and wakes it up if it need no longer. */
  setStopped(stopped: boolean): void {
    this.#store(CPU_STOP, stopped ? 1 : 0)
    if (!stopped) Atomics.notify(this.#words, this.#word + CPU_STOP / 4)
  }

  get isStopped(): boolean {
    return this.#load(CPU_STOP) !== 0
  }

  /** The fault that it waits for the answer to, if it does. */
  get asked(): { readonly offset: number; readonly write: boolean } | undefined {
    if (this.#load(CPU_FAULT_STATE) !== FAULT_ASKED) return undefined
    return { offset: this.#load(CPU_FAULT_OFFSET) >>> 0, write: this.#load(CPU_FAULT_KIND) === FAULT_WRITE }
  }

  answer(errno: number): void {
    this.#words[this.#word + CPU_FAULT_ERRNO / 4] = errno
    this.#store(CPU_FAULT_STATE, FAULT_ANSWERED)
    Atomics.notify(this.#words, this.#word + CPU_FAULT_STATE / 4)
  }

  #load(field: number): number {
    return Atomics.load(this.#words, this.#word + field / 4)
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#words, this.#word + field / 4, value)
  }
}
