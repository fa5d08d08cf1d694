// The simulated machine: an arena with its frames, the mms on it, and a ksmd of its own. Thin: it makes the parts and
// delegates.

import { COUNTER_COW_KSM, COUNTER_KSM_SWPIN_COPY } from '../assembly/abi.ts'
import { EAGAIN, ESRCH } from '../assembly/hypervisor/layout.ts'
import { audit } from './audit/audit.ts'
import { Arena, type ArenaMetadata } from './core/arena.ts'
import { Helpers } from './core/helpers.ts'
import {
  type Errno,
  expectBoolean,
  expectInteger,
  expectObject,
  expectOptions,
  mistake,
  outside,
  PagefoldError,
} from './errors.ts'
import {
  expectHostOptions,
  expectLoadOptions,
  type HostOptions,
  type HostPolicy,
  type LoadOptions,
} from './host-options.ts'
import type { Image } from './image.ts'
import { INSPECT, type InspectArguments, live, shown } from './inspect.ts'
import { Ksm } from './ksm/ksmd.ts'
import { guardedCore } from './ksm/own-checksum.ts'
import { exitMm } from './mm/calls/exit.ts'
import { extentsOf, populateExtents } from './mm/calls/populate.ts'
import { Mm } from './mm/mm.ts'
import { Memory } from './mm/model/memory.ts'
import { expectMmOptions, type MmOptions } from './mm/model/mm-struct.ts'
import { describeFrame, type FrameInfo } from './mm/page/frame-info.ts'
import { offline, online } from './mm/reclaim/hotplug.ts'
import { type MemoryFailure, memoryFailure } from './mm/reclaim/memory-failure.ts'
import { migratePage } from './mm/reclaim/migrate.ts'
import { type ReclaimFailure, reclaimPage, swapOff } from './mm/reclaim/swap-out.ts'
import type { SwapStore } from './mm/reclaim/swap-store.ts'
import { detach } from './mm/vcpu/attach.ts'
import type { TraceEvents, TraceName } from './mm/watch/tracepoints.ts'
import { expectTried, type IndexName } from './options.ts'

/** Physical memory, in frames. */
export interface FrameCounts {
  /** Frames that nobody has. Those that are broken or offline are not among them. */
  readonly free: number
  /** Broken ones included, offline ones not. */
  readonly total: number
}

/** Metadata in use, in bytes: everything pagefold keeps beside the frames themselves. */
export interface MetadataStats extends ArenaMetadata {
  /** Records and scratch memory of virtual CPUs, and the arrays of leaves they look translations up in. */
  readonly virtualCpus: number
  /** The sum of the others. */
  readonly total: number
}

/**
 * A simulated machine: physical memory, the mms on it, and a ksmd. Made by `Host.create`, ended by `close`. A host in
 * which an invariant is broken, or whose core has trapped, refuses with EUCLEAN whatever would change it; what only
 * looks still answers.
 */
export class Host {
  /** Knobs, counters, and the scan. */
  readonly ksm: Ksm
  /** The order of the trees, as chosen when the host was made. */
  readonly index: IndexName
  /** The name of the page checksum, as chosen when the host was made. */
  readonly checksum: string
  /** The other choices that the host was made with, defaults filled in. */
  readonly policy: HostPolicy
  /** @internal */
  readonly memory: Memory
  private readonly counts: FrameCounts

  private constructor(memory: Memory, ksm: Ksm, policy: HostPolicy, index: IndexName, checksum: string) {
    this.memory = memory
    this.ksm = ksm
    this.policy = policy
    this.index = index
    this.checksum = checksum
    this.counts = live({
      free: () => this.look(() => this.memory.frames.free),
      total: () => this.look(() => this.memory.frames.total),
    })
  }

  /**
   * Makes a host. Its arena is reserved whole and never grows. Throws TypeError or RangeError for options it does not
   * take, ENOMEM if the address space for the arena cannot be had, EAGAIN if a worker does not start; for `wasm` ENOENT or EIO
   * if it cannot be fetched, EUCLEAN if it is another version's or no core at all; for a checksum of your own what tryChecksum does.
   */
  static create(options: HostOptions): Promise<Host> {
    return Host.withCore(options, ({ core }) => core)
  }

  /** The same, and the scan calls these functions in place of the core's: a laboratory counts with them. @internal */
  static async withCore(options: HostOptions, coreFor: (arena: Arena) => Arena['core']): Promise<Host> {
    await expectTried(options?.checksum)
    const { frames, mappings, numaNodes, index, checksum, strategy, policy, skipping, clock, wasm } =
      expectHostOptions(options)
    const still = policy.guests === 'still'
    const arena = await Arena.create({ frames, mappings, ...strategy, still }, wasm)
    const memory = new Memory(arena, numaNodes)
    memory.cowPolicy = policy.cowPolicy
    memory.reuseKsm = policy.reuseKsm
    memory.reclaims = policy.reclaim
    memory.cpus.graceTimeout = policy.graceTimeout
    const helpers = new Helpers(arena, policy.workers)
    const core = guardedCore(coreFor(arena), arena.strategy, memory.gate)
    const ksm = new Ksm(memory, { ...policy, skipping, clock }, helpers, core)
    await helpers.start()
    return new Host(memory, ksm, policy, index, checksum)
  }

  /** Makes an empty address space. Throws ENOMEM, EAGAIN. */
  createMm(options: MmOptions = {}): Mm {
    return this.enter(() => {
      const { domain } = expectMmOptions('createMm', options)
      if (domain !== undefined) this.ksm.state.openDomain(domain)
      try {
        return new Mm(this.memory, options)
      } catch (error) {
        if (domain !== undefined) this.memory.leaveDomain(domain)
        throw error
      }
    })
  }

  /**
   * Makes an mm with a mapping that holds an image's pages, read straight into their frames, or with `holes` one for each stretch of them. It is not
   * mergeable yet. Throws TypeError, RangeError; ENOMEM when the image does not fit, and what reading it throws; the mm is gone then.
   */
  loadImage(image: Image, options: LoadOptions = {}): { mm: Mm; address: number } {
    return this.enter(() => {
      expectObject('image', image, ['read'])
      const { pages, source } = outside(() => ({ pages: image.pages, source: image.source }))
      expectInteger('pages', pages, 1, Number.MAX_SAFE_INTEGER)
      const { onProgress, address: where, holes, ...mmOptions } = expectLoadOptions(options)
      const { free } = this.memory.frames
      if (pages > free) {
        const room = `${pages} pages, but only ${free} frames are free`
        throw new PagefoldError('ENOMEM', `${source}: ${room}`)
      }
      const mm = this.createMm({ name: source, ...mmOptions })
      try {
        const { gate } = this.memory
        const placeOf = (page: number): number => gate.call('image', () => image.addressOf(page))
        const extents = extentsOf(mm, pages, where, holes ? placeOf : undefined)
        const address = populateExtents(mm, extents, (bytes, first, count) => {
          gate.call('image', () => image.read(first, count, bytes))
          gate.call('progress', () => onProgress?.(first + count))
        })
        return { mm, address }
      } catch (error) {
        mm.exit()
        throw error
      }
    })
  }

  /** Capacity, in frames: figures that are always of now. */
  get frames(): FrameCounts {
    return this.counts
  }

  /**
   * Answers the faults that virtual CPUs on other threads have asked for, and returns how many; waits up to `ms` for the first (0 by default, and not on
   * a page's main thread). They are answered without this call whenever this thread has nothing else to do, and between the pages
   * of a scan. Throws what a userfault handler throws: that CPU is told to try again.
   */
  serveFaults(ms = 0): number {
    return this.enter(() => {
      if (typeof ms !== 'number' || !(ms >= 0))
        throw mistake(new RangeError(`Expected \`ms\` to be a number of at least 0, got ${String(ms)}`))
      return this.memory.cpuThreads.serveWithin(ms, EAGAIN)
    })
  }

  /** What the descriptor of a frame says. Throws RangeError for a number that is no frame. */
  frame(pfn: number): FrameInfo {
    return this.look(() => {
      this.expectPfn(pfn)
      return describeFrame(this.memory.frames, pfn)
    })
  }

  /**
   * Moves a page to another frame on NUMA node `node` and returns its number. Every mm that maps it maps the new one.
   * Throws EINVAL if the frame is nobody's anonymous page, EAGAIN while somebody holds it, ENOMEM if the node is full,
   * EHWPOISON if the frame is broken.
   * Linux: migrate_pages()
   */
  migrate(pfn: number, to: { readonly node: number }): number {
    return this.enter(() => {
      this.expectPfn(pfn)
      expectObject('to', to)
      const { node } = expectOptions('migrate', to, { node: true })
      const nid = expectInteger('node', node, 0, this.memory.frames.numaNodes - 1)
      const moved = migratePage(this.memory, pfn, nid)
      if (typeof moved === 'number') return moved
      throw new PagefoldError(moved, `frame ${pfn} cannot be moved to node ${nid}: ${CANNOT_MOVE[moved]}`)
    })
  }

  /**
   * Empties the frames [start, end) and takes them away. Throws EINVAL if some are away already, EBUSY if a page in them
   * is held by somebody, and inside a scan, ENOMEM if there is nowhere to move one to; all stay then. Linux: offline_pages()
   */
  offline(start: number, end: number): void {
    this.enter(() => {
      this.expectRange(start, end)
      const errno = offline(this.memory, start, end)
      if (errno !== undefined) {
        const why = errno === 'EINVAL' ? 'some are offline' : 'a page cannot be moved now'
        throw new PagefoldError(errno, `frames ${start}..${end} stay: ${why}`)
      }
    })
  }

  /** Gives back frames that were taken away. Throws EINVAL unless exactly this range was. Linux: online_pages() */
  online(start: number, end: number): void {
    this.enter(() => {
      this.expectRange(start, end)
      if (online(this.memory, start, end) === undefined) return
      throw new PagefoldError('EINVAL', `frames ${start}..${end} are not a range that was taken offline`)
    })
  }

  /** Puts a store to use for swap. Throws EPERM if there are eight already, EBUSY if this one is in use; RangeError. */
  swapOn(store: SwapStore): void {
    this.enter(() => {
      const { swap } = this.memory
      if (swap.find(store) !== undefined)
        throw new PagefoldError('EBUSY', 'swapOn: the store is in use already')
      swap.add(store)
    })
  }

  /**
   * Brings back everything a store holds and closes it. Throws EINVAL if it is not in use; ENOMEM or EIO if a page
   * could not be brought back, EAGAIN if an mm that is just exiting has some there: it stays in use then.
   */
  swapOff(store: SwapStore): void {
    this.enter(() => {
      const device = this.memory.swap.find(store)
      // Linux too has a second swapoff find nothing while the first is at work.
      if (device === undefined || !this.memory.swap.isWritable(device)) {
        throw new PagefoldError('EINVAL', 'swapOff: the store is not in use')
      }
      const errno = swapOff(this.memory, device)
      if (errno !== undefined) throw new PagefoldError(errno, 'swapOff: a page could not be brought back')
    })
  }

  /**
   * Tries to free a frame by swapping its page out, from every mm that maps it. Returns why it could not, undefined if
   * the frame is free now. Linux: shrink_folio_list()
   */
  reclaim(pfn: number): ReclaimFailure | undefined {
    return this.enter(() => {
      this.expectPfn(pfn)
      if (this.memory.frames.isAnon(pfn)) return reclaimPage(this.memory, pfn)
      throw new PagefoldError('EINVAL', `frame ${pfn} is nobody's anonymous page`)
    })
  }

  /**
   * The hardware reports an error in a frame: it is never used again, and whoever maps it, without exception, is listed and
   * finds EHWPOISON there. Not listed, because they do not map it: who has the page swapped out (EHWPOISON when it is
   * touched, unless swap has the content), who shares its object and has not touched it (likewise), and whoever holds
   * pins. With `recover` users of a merged page are moved to another page of the same content if there is one. Throws EAGAIN while the
   * page is being moved or merged. Linux: memory_failure()
   */
  memoryFailure(pfn: number, options: { readonly recover?: boolean } = {}): MemoryFailure {
    return this.enter(() => {
      this.expectPfn(pfn)
      const { recover = false } = expectOptions('memoryFailure', options, { recover: true })
      const failure = memoryFailure(this.memory, pfn, expectBoolean('recover', recover))
      if (failure !== 'EAGAIN') return failure
      throw new PagefoldError('EAGAIN', `frame ${pfn} is being moved or merged: report it again afterwards`)
    })
  }

  /**
   * Events counted as in /proc/vmstat. `cow_ksm`: merged pages copied because somebody wrote to them; `ksm_swpin_copy`:
   * pages copied on their way back from swap.
   */
  vmstat(): { cow_ksm: number; ksm_swpin_copy: number } {
    return this.look(() => {
      const { counters } = this.memory.arena
      return { cow_ksm: counters[COUNTER_COW_KSM]!, ksm_swpin_copy: counters[COUNTER_KSM_SWPIN_COPY]! }
    })
  }

  /** What should not have happened, and stopped nothing: each with a description of the frame. Linux: WARN_ON */
  warnings(): readonly string[] {
    return this.look(() => this.memory.warnings)
  }

  /** Metadata in use, by kind. */
  metadata(): MetadataStats {
    return this.look(() => {
      const parts = { ...this.memory.arena.metadata(), virtualCpus: this.memory.cpus.bytes }
      return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) }
    })
  }

  /**
   * Calls `listener` at one of the kernel's tracepoints, where only calls that look are possible (docs/callbacks.md). Listening
   * costs time; without a listener nothing is made.
   */
  on<Name extends TraceName>(name: Name, listener: (event: TraceEvents[Name]) => void): this {
    this.look(() => this.memory.trace.on(name, listener))
    return this
  }

  /** Stops calling `listener` at that tracepoint; one that was not called is no error. */
  off<Name extends TraceName>(name: Name, listener: (event: TraceEvents[Name]) => void): this {
    this.look(() => this.memory.trace.off(name, listener))
    return this
  }

  /** Recounts everything from the structures and throws EUCLEAN with what is wrong. Slow. */
  audit(): void {
    // In the middle of something not everything fits.
    this.memory.gate.expectOutside()
    this.look(() => {
      const complaints = audit(this.memory, this.ksm.state)
      if (complaints.length === 0) return
      const list = complaints.join('\n  ')
      throw new PagefoldError('EUCLEAN', `${complaints.length} invariants do not hold:\n  ${list}`)
    })
  }

  /**
   * Stops ksmd, ends every mm, lets go of virtual CPUs (their threads are to have ended, or to have parked for good), and closes the swap stores. Every call but those that only look (counters, knobs, frames, the
   * audit, listeners) is refused from then on, with EINVAL, by an mm with ESRCH; a pin can be released, and whatever is closed may be closed
   * again. The arena goes when nothing refers to the host any more.
   */
  close(): void {
    this.memory.gate.expectOutside()
    if (!this.memory.gate.shutForGood()) return
    this.ksm.stop().catch(() => {})
    this.ksm.batch.helpers.close()
    // What is broken is left as it is: nobody can tell what would be freed.
    if (this.memory.gate.isBroken) return
    this.look(() => {
      for (const mm of [...this.memory.mms()]) if (mm.users > 0) exitMm(mm)
      this.memory.cpuThreads.refuseAll(ESRCH)
      for (const mm of [...this.memory.mms()]) for (const record of [...mm.cpus.records]) detach(mm, record)
      this.memory.swap.close()
    })
  }

  private expectPfn(pfn: number, name = 'pfn'): void {
    const { firstPfn, endPfn } = this.memory.arena
    expectInteger(name, pfn, firstPfn, endPfn - 1)
  }

  private expectRange(start: number, end: number): void {
    this.expectPfn(start, 'start')
    expectInteger('end', end, start + 1, this.memory.arena.endPfn)
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { index, checksum, policy, counts } = this
    const mms = [...this.memory.mms()].map(({ name }) => name)
    return shown('Host', () => ({ frames: counts, mms, index, checksum, policy }), context)
  }

  /** What every call goes through that changes something. */
  private enter<Result>(work: () => Result): Result {
    return this.memory.gate.enter(work)
  }

  /** What every call goes through that only looks: a closed host still answers. */
  private look<Result>(work: () => Result): Result {
    return this.memory.gate.look(work)
  }
}

const CANNOT_MOVE: Partial<Record<Errno, string>> = {
  EINVAL: "it is nobody's anonymous page",
  EAGAIN: 'somebody holds it; try again',
  EHWPOISON: 'the frame is broken, and what was in it lost',
  ENOMEM: 'the node has no free frame',
}
