// Tracepoints: who wants to know what happened, by the kernel's names and fields (include/trace/events/ksm.h).

import { expectOneOf, mistake, reportLater } from '../../errors.ts'
import type { Gate } from '../model/gate.ts'
import { Listeners } from './listeners.ts'

/** The fields of each event. An mm is given by its name, an rmap item by its address in the arena. */
export interface TraceEvents {
  /** A full scan begins: its number, and how many rmap items there are. */
  ksm_start_scan: { seq: number; rmap_entries: number }
  /** A full scan has ended. */
  ksm_stop_scan: { seq: number; rmap_entries: number }
  /** An mm is registered for scanning. */
  ksm_enter: { mm: string }
  /** An mm leaves, and with it what ksmd knew of its pages. */
  ksm_exit: { mm: string }
  /** Zero-page merges only, and `pfn` is the zero page's, as in Linux. */
  ksm_merge_one_page: { pfn: number; rmap_item: number; mm: string; err: number }
  /** ksm_page is 0 when a page was made the first of its content; `pfn` is that of the page that is kept. */
  ksm_merge_with_ksm_page: { ksm_page: number; pfn: number; rmap_item: number; mm: string; err: number }
  /** The page of a stable node is gone, and the node with it. */
  ksm_remove_ksm_page: { pfn: number }
  /** A page's item leaves such a node. */
  ksm_remove_rmap_item: { pfn: number; rmap_item: number; mm: string }
  /** The advisor has chosen after a full scan; `scan_time` is in seconds. */
  ksm_advisor: { scan_time: number; pages_to_scan: number; cpu_percent: number }
}

/** The places where another actor could run: a test may act there. Design: each is one hook call, nothing by default. */
export type RacePoint =
  | 'keyhole: after first check'
  | 'keyhole: after get'
  | 'keyhole: after second check'
  | 'keyhole: after lock'
  | 'merge: after flush'
  | 'merge: after write-protect'
  | 'merge: before compare'
  | 'merge: after compare'
  | 'merge: before pte compare'
  | 'merge: between the two halves'
  | 'merge: before stable insert'
  | 'merge: before append'
  | 'cow: after flush'
  | 'reuse: before freeze'
  | 'reuse: after freeze'
  | 'fork: before vma'
  | 'fork: before page'
  | 'fork: after end'
  | 'swap-in: after lock'
  | 'swap-in: after add_rmap'
  | 'swap-in: after swap_free'
  | 'swap-in: after unlock'
  | 'migration: after freeze'
  | 'migration: after kpfn store'
  | 'migration: after old mapping rewrite'
  | 'migration: after swapcache flag clear'
  | 'exit: before ksm_exit'
  | 'exit: after ksm_exit'
  | 'exit: after teardown'
  | 'scan: between cursor and merge'
  | 'scan: before checksum'
  | 'scan: between pages'
  | 'scan: between mms'
  | 'scan: after unstable reset'

/** The name of one of the kernel's tracepoints. */
export type TraceName = keyof TraceEvents

export const TRACE_NAMES = [
  'ksm_start_scan',
  'ksm_stop_scan',
  'ksm_enter',
  'ksm_exit',
  'ksm_merge_one_page',
  'ksm_merge_with_ksm_page',
  'ksm_remove_ksm_page',
  'ksm_remove_rmap_item',
  'ksm_advisor',
] as const satisfies readonly TraceName[]

export class Tracepoints {
  readonly #gate: Gate
  /** False while nobody listens: then callers need not make an event at all. */
  active = false
  readonly #listeners = new Map<TraceName, Listeners<(event: never) => void>>()

  constructor(gate: Gate) {
    this.#gate = gate
  }

  on<Name extends TraceName>(name: Name, listener: (event: TraceEvents[Name]) => void): void {
    expectOneOf('name', name, TRACE_NAMES)
    if (typeof listener !== 'function') throw mistake(new TypeError('Expected `listener` to be a function'))
    const listeners = this.#listeners.get(name) ?? new Listeners()
    listeners.add(listener)
    this.#listeners.set(name, listeners)
    this.active = true
  }

  off<Name extends TraceName>(name: Name, listener: (event: TraceEvents[Name]) => void): void {
    expectOneOf('name', name, TRACE_NAMES)
    const listeners = this.#listeners.get(name)
    if (!listeners?.removeAll(listener)) return
    if (listeners.isEmpty) this.#listeners.delete(name)
    this.active = this.#listeners.size > 0
  }

  emit<Name extends TraceName>(name: Name, event: TraceEvents[Name]): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined) return
    for (const listener of listeners.all()) {
      try {
        this.#gate.call('tracepoint', () => (listener as (event: TraceEvents[Name]) => void)(event))
      } catch (error) {
        reportLater(error)
      }
    }
  }
}
