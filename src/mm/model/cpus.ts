// The virtual CPUs of one mm, and the window through which they see it: the array of leaves belongs to the engine, one for each mm
// that has CPUs. What they are promised stands in docs/hypervisor.md.
//
// A CPU on another thread loads a pte and then uses it, and in between the engine may change the pte. So what the engine
// takes away it gives to nobody else, and does not rely on, before a *grace period* has passed: each CPU of the mm that runs has come to a
// safe point since, or has parked. The master rule: clear the pte, wait, and only then drop the mapping. A CPU
// that does not come in time is waited for no longer: what cannot be taken back is held until it does.

import type { CpuRecord, CpuRecords } from '../../core/cpu-records.ts'
import type { LeafWindow } from '../page/page-table.ts'

/** The part of an mm that its CPUs see. */
export interface CpuWindow extends LeafWindow {
  /** Metadata pages that the array of leaves takes. */
  readonly pages: number
}

/** What nobody else may have yet, because a CPU may still be using it. */
export interface Held {
  /** Ptes that are no more; the frames they name are still counted as mapped by them. */
  readonly ptes?: readonly number[]
  /** Frames, a reference each. */
  readonly frames?: readonly number[]
  /** Lets go. */
  readonly drop: () => void
}

export class Cpus {
  /** Those attached. */
  readonly records = new Set<CpuRecord>()
  /** While there are any. */
  window: CpuWindow | undefined = undefined
  /** How many run on threads of their own. */
  threads = 0
  readonly #all: CpuRecords
  /** Grace periods that have not passed in time. */
  readonly #late = new Map<CpuRecord, number>()
  #held: Held[] = []

  constructor(all: CpuRecords) {
    this.#all = all
  }

  /**
   * Waits until no CPU uses a pte as it was before this call. False if one does not come in time: it may still.
   * Linux: flush_tlb_range(); synchronize_rcu()
   */
  synchronize(): boolean {
    if (this.threads === 0) return true
    const late = this.#late
    const wasLate = !this.isSettled
    for (const record of this.records) if (record.thread && !record.isParked) late.set(record, record.ask())
    const settled = this.#all.wait(late, wasLate)
    if (settled) this.#letGo()
    return settled
  }

  /** Lets `held` go when no CPU uses a pte as it was before this call: now, or later. */
  afterGrace(held: Held): void {
    if (this.synchronize()) held.drop()
    else this.#held.push(held)
  }

  /** Has every CPU come that was waited for? */
  get isSettled(): boolean {
    if (this.#late.size === 0) return true
    for (const [record, period] of this.#late) if (record.hasPassed(period)) this.#late.delete(record)
    if (this.#late.size > 0) return false
    this.#letGo()
    return true
  }

  /** Does one touch guest memory at this moment, perhaps? */
  get running(): boolean {
    if (this.threads === 0) return false
    for (const record of this.records) if (record.thread && !record.isParked) return true
    return !this.isSettled
  }

  /** What is held, for the audit. */
  get heldNow(): readonly Held[] {
    return this.#held
  }

  /** Leaves have been taken out of the window: nobody may use a pte's address from before. */
  forget(): void {
    for (const record of this.records) record.forget()
  }

  #letGo(): void {
    const held = this.#held
    this.#held = []
    for (const { drop } of held) drop()
  }
}

/** A CPU on a thread of its own, as it is served. */
export interface CpuThread {
  readonly record: CpuRecord
  readonly cpus: Cpus
  /** Answers a fault: 0 or the number of an error. */
  answer(offset: number, write: boolean): number
}

/** The CPUs of all mms that ask for faults by mailbox. */
export class CpuThreads {
  readonly #all: CpuRecords
  readonly #threads = new Set<CpuThread>()
  #heard = 0

  constructor(all: CpuRecords) {
    this.#all = all
  }

  get count(): number {
    return this.#threads.size
  }

  /** The one with this record, if it runs on a thread of its own. */
  of(record: CpuRecord): CpuThread | undefined {
    return [...this.#threads].find((thread) => thread.record === record)
  }

  add(thread: CpuThread): void {
    this.#threads.add(thread)
  }

  remove(thread: CpuThread): void {
    this.#threads.delete(thread)
    this.#all.ring()
  }

  /** Answers what has been asked for and returns how much that was. Throws what a userfault handler throws; that fault was answered with `unanswered`. */
  serve(unanswered: number): number {
    if (this.#threads.size === 0) return 0
    const { bell } = this.#all
    let served = 0
    if (bell !== this.#heard) {
      this.#heard = bell
      for (const thread of [...this.#threads]) if (serveOne(thread, unanswered)) served++
    }
    for (const { cpus } of this.#threads) void cpus.isSettled
    return served
  }

  /** The same; waits up to `ms` for the first. */
  serveWithin(ms: number, unanswered: number): number {
    const end = performance.now() + ms
    for (;;) {
      const { bell } = this.#all
      const served = this.serve(unanswered)
      const left = end - performance.now()
      if (served > 0 || left <= 0 || this.#threads.size === 0) return served
      this.#all.sleepUntilRung(bell, left)
    }
  }

  /** Resolves when there may be something to answer. */
  async untilAsked(): Promise<void> {
    const { bell } = this.#all
    if (bell === this.#heard) await this.#all.untilRung(bell)
  }

  /** Nobody will answer any more: those who wait are told so. */
  refuseAll(errno: number): void {
    for (const { record } of this.#threads) if (record.asked !== undefined) record.answer(errno)
  }
}

function serveOne({ record, answer }: CpuThread, unanswered: number): boolean {
  const { asked } = record
  if (asked === undefined) return false
  let errno = unanswered
  try {
    errno = answer(asked.offset, asked.write)
  } finally {
    record.answer(errno)
  }
  return true
}
