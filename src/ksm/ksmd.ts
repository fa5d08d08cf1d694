// ksmd, as the rest of the host sees it: knobs, counters, and the scan, asked for or on its own. Three things say what may
// happen at a moment: the knob `run`, what ksmd is doing (`activity`, state.ts), and whether the host is broken (the gate).
//
//               scan, scanPages, a batch                  hotplug: memoryGoingOffline
//          +------------------------------ resting -----------------------------------+
//          v                                 ^  ^                                     v
//      scanning  ---- the batch has ended ---+  +--- Cancel-, memoryOffline ---- offlining
//
//                   resting                     scanning                   offlining
//   a scan          if run is 1, else EINVAL    EBUSY                      EBUSY; the daemon waits
//   run, max_page_sharing, merge_across_nodes
//                   yes; the last two only      EBUSY                      EBUSY; `run` reads with bit 2 set
//                   while nothing is merged
//   other knobs     yes                         yes, from the next page    yes
//   offline         yes                         EBUSY                      EBUSY
//   unmerging by madvise and mremap, faults, fork, exit, swap, migration: in every state
//
// `run` is 0 (stopped), 1 (merging), 2 (everything has been unmerged); writing 2 unmerges before it returns, and falls back
// to 0 if it cannot. Scanning begins and ends in `doScan` and nowhere else, offlining in hooks.ts. A broken host refuses all
// of this with EUCLEAN and is never mended; what it counts can still be read.
//
// Linux: ksm_do_scan(), the sysfs stores; KSM_RUN_OFFLINE and ksm_thread_mutex, for which Linux waits where this says EBUSY

import { COUNTER_PAGES_SCANNED, WINDOW_LENGTH } from '../../assembly/abi.ts'
import type { Arena } from '../core/arena.ts'
import type { Helpers } from '../core/helpers.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import { expectInteger, expectOneOf, PagefoldError } from '../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../inspect.ts'
import type { Memory } from '../mm/model/memory.ts'
import { Batch } from './batch.ts'
import { Daemon } from './daemon.ts'
import { Hooks } from './hooks.ts'
import { visitWindow } from './merge.ts'
import { fillWindow, HANDFUL } from './scan.ts'
import { maySettle, stopSettling } from './settled.ts'
import { markAgain } from './soft-dirty.ts'
import { noteDup } from './stable-node.ts'
import { type KsmOptions, KsmState } from './state.ts'
import { type Counters, readCounters } from './stats.ts'
import {
  type AdvisorMode,
  defaultTunables,
  KNOB_NAMES,
  type KnobName,
  KSM_RUN_MERGE,
  KSM_RUN_OFFLINE,
  KSM_RUN_UNMERGE,
  type NumericKnob,
  parseKnob,
  type Tunables,
} from './tunables.ts'
import { removeAllStableNodes, unmergeAndRemoveAllRmapItems } from './unmerge.ts'
import { unstableTreeForget } from './unstable.ts'

/** ksmd of one host, at `host.ksm`: its knobs, its counters, and the scan, asked for or on its own. */
export class Ksm {
  /** @internal */
  readonly state: KsmState
  /** @internal */
  readonly batch: Batch
  private readonly daemon: Daemon

  /** @internal */
  constructor(memory: Memory, options: KsmOptions, helpers: Helpers, core: Arena['core']) {
    const state = new KsmState(memory, options, core)
    this.state = state
    this.batch = new Batch(state, helpers)
    memory.ksm = new Hooks(state)
    memory.frames.keyLost = (mapping) => noteDup(state, StableNodes.ofMapping(mapping))
    const work = {
      shouldRun: () =>
        state.tunables.run === KSM_RUN_MERGE && !state.slots.isEmpty && state.activity === 'resting',
      scan: () => void this.enter(() => this.doScan(state.tunables.pages_to_scan)),
      sleepMs: () => state.tunables.sleep_millisecs,
    }
    this.daemon = new Daemon(work, options.clock)
    state.wake = () => this.daemon.wake()
  }

  /**
   * Writes a knob by its name under /sys/kernel/mm/ksm, with Linux's rules: EINVAL for a value it does not take, and for
   * pages_to_scan while the advisor chooses it; EBUSY for max_page_sharing and merge_across_nodes while pages are
   * merged; from run=2 ENOMEM, or EAGAIN while a page is being moved (run is 0 then). EBUSY too where Linux would
   * wait: inside a scan, or while memory is being taken offline.
   */
  set(name: KnobName, value: number | string | boolean): void {
    this.enter(() => {
      const knob = expectKnob(name)
      if (knob === 'advisor_mode') this.setAdvisorMode(parseKnob(knob, value))
      else this.setNumber(knob, parseKnob(knob, value))
    })
  }

  /** Reads a knob. While memory is being taken offline `run` has bit 2 set, as on Linux. */
  get<Name extends KnobName>(name: Name): Tunables[Name] {
    return this.look(() => this.readTunables()[expectKnob(name) as Name])
  }

  /** Every counter and knob, by its name under /sys/kernel/mm/ksm. */
  counters(): Counters & Tunables {
    return this.look(() => ({ ...readCounters(this.state.counters), ...this.readTunables() }))
  }

  /**
   * Has ksmd run on its own from now on: batches of pages_to_scan pages with sleep_millisecs between, whenever run is 1
   * and some mm is registered. Linux: ksm_scan_thread()
   */
  start(): void {
    this.enter(() => this.daemon.start())
  }

  /** Stops that after the batch under way. Rejects with what went wrong in a batch, if anything did. */
  stop(): Promise<void> {
    return this.daemon.stop()
  }

  /**
   * Does `count` complete full scans, now, on this thread; one that is under way is finished first and does not count.
   * Returns how many were completed: fewer than asked only if no mm is registered. Throws EINVAL unless run is 1, and
   * ENOMEM when the arena's metadata is used up.
   */
  scan(count = 1): number {
    return this.enter(() => {
      expectInteger('count', count, 0, Number.MAX_SAFE_INTEGER)
      this.expectRunning()
      const { state } = this
      if (state.cursor.slot !== state.slots.head && !this.finishFullScan()) return 0
      let done = 0
      while (done < count && this.finishFullScan()) done++
      return done
    })
  }

  /**
   * Does one batch: visits up to `count` pages, never beyond the end of a full scan. Returns how many it visited.
   * Linux: ksm_do_scan()
   */
  scanPages(count: number): number {
    return this.enter(() => {
      expectInteger('count', count, 0, Number.MAX_SAFE_INTEGER)
      this.expectRunning()
      return this.doScan(count)
    })
  }

  private doScan(pages: number): number {
    const { state, batch } = this
    const { window, helpers } = batch
    let scanned = 0
    state.activity = 'scanning'
    // Not while somebody may change pages between look and visit, and not for so few that waking up takes longer.
    batch.watched = state.memory.isActedOn
    batch.helped = helpers.count > 0 && !batch.watched && pages >= WINDOW_LENGTH
    if (batch.helped) helpers.wake()
    if (!maySettle(state, batch.watched)) stopSettling(state)
    try {
      while (scanned < pages) {
        const goesOn = fillWindow(batch, pages - scanned)
        const count = Math.min(window.length, HANDFUL)
        if (count > 0) visitWindow(batch, count)
        window.drop(count)
        state.counters[COUNTER_PAGES_SCANNED]! += count + batch.passed
        scanned += count + batch.passed
        if (batch.thrown !== undefined) throw batch.thrown.error
        if (!goesOn) break
      }
    } finally {
      batch.thrown = undefined
      if (batch.helped) helpers.sleep()
      abandonWindow(batch)
      state.activity = 'resting'
    }
    return scanned
  }

  /** Scans to the end of a full scan; false if there is nothing to scan. */
  private finishFullScan(): boolean {
    const { state } = this
    const before = state.seqnr
    this.doScan(Number.MAX_SAFE_INTEGER)
    if (state.seqnr !== before) return true
    if (state.slots.isEmpty) return false
    throw new PagefoldError('ENOMEM', 'no metadata left for rmap items: create the host with more `mappings`')
  }

  private setNumber(knob: NumericKnob, number: number): void {
    const { tunables } = this.state
    if (knob === 'pages_to_scan' && tunables.advisor_mode !== 'none') {
      throw new PagefoldError(
        'EINVAL',
        "pages_to_scan is the advisor's to choose: set advisor_mode to none first",
      )
    }
    if (tunables[knob] === number) return
    if (knob === 'run') this.setRun(number)
    else if (knob === 'max_page_sharing' || knob === 'merge_across_nodes') this.setWhenUnmerged(knob, number)
    else tunables[knob] = number
    if (knob === 'sleep_millisecs') this.daemon.cutSleepShort()
  }

  /** Linux: set_advisor_defaults() */
  private setAdvisorMode(mode: AdvisorMode): void {
    const { tunables, advisor } = this.state
    if (tunables.advisor_mode === mode) return
    tunables.advisor_mode = mode
    advisor.reset()
    tunables.pages_to_scan =
      mode === 'none' ? defaultTunables().pages_to_scan : tunables.advisor_min_pages_to_scan
  }

  private readTunables(): Tunables {
    const { tunables, activity } = this.state
    return { ...tunables, run: tunables.run | (activity === 'offlining' ? KSM_RUN_OFFLINE : 0) }
  }

  private setRun(run: number): void {
    this.expectAtRest(`run=${run}`)
    const { tunables } = this.state
    tunables.run = run
    if (run === KSM_RUN_MERGE) this.daemon.wake()
    if (run !== KSM_RUN_UNMERGE) return
    const errno = unmergeAndRemoveAllRmapItems(this.state)
    if (errno === undefined) return
    tunables.run = 0
    const why =
      errno === 'ENOMEM' ? 'no frame left to give every merged page a copy' : 'a page is being moved'
    throw new PagefoldError(errno, `run=2: ${why}; some are still merged`)
  }

  private setWhenUnmerged(knob: 'max_page_sharing' | 'merge_across_nodes', value: number): void {
    this.expectAtRest(knob)
    const merged = readCounters(this.state.counters).pages_shared
    if (merged > 0 || !removeAllStableNodes(this.state)) {
      throw new PagefoldError(
        'EBUSY',
        `${knob} cannot change while pages are merged (${merged}): write run=2 first`,
      )
    }
    this.state.tunables[knob] = value
  }

  /** Linux would wait for ksmd, or for the memory to be gone; here both are further up the stack. */
  private expectAtRest(what: string): void {
    const { activity } = this.state
    if (activity === 'resting') return
    const why = activity === 'scanning' ? 'inside a scan' : 'while memory is being taken offline'
    throw new PagefoldError('EBUSY', `${what} is not possible ${why}: do it afterwards`)
  }

  private look<Result>(work: () => Result): Result {
    return this.state.memory.gate.look(work)
  }

  private enter<Result>(work: () => Result): Result {
    return this.state.memory.gate.enter(work)
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    return shown('Ksm', () => this.counters(), context)
  }

  private expectRunning(): void {
    this.expectAtRest('a scan')
    if (this.state.tunables.run === KSM_RUN_MERGE) return
    throw new PagefoldError(
      'EINVAL',
      `ksmd does not scan while run is ${this.state.tunables.run}: set run to 1 first`,
    )
  }
}

/**
 * Takes back what has not been visited, which happens if something went wrong: helpers are to leave it alone, and what they
 * have read of it is forgotten. If it was only code of an embedder's, scanning goes on behind these pages: they are passed over, and
 * so are those that were to be visited after all.
 */
function abandonWindow({ window, ksm }: Batch): void {
  ksm.core.takeBack(window.position(0), window.length)
  const left = ksm.unsettled.splice(0)
  for (let i = 0; i < window.length; i++) left.push(window.item(window.position(i)))
  for (const item of left) {
    markAgain(ksm, item)
    unstableTreeForget(ksm, item)
  }
  window.drop(window.length)
}

function expectKnob(name: string): KnobName {
  return expectOneOf('name', name, KNOB_NAMES)
}
