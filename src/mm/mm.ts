// One address space as a guest, or whoever runs one, holds it in its hands: the system calls. Addresses are bytes, 44
// bits wide; inside, everything is counted in virtual pages. Each call goes through the door (model/gate.ts), and its
// arguments are checked before anything changes.

import {
  expectBoolean,
  expectBytes,
  expectInteger,
  expectObject,
  expectOneOf,
  expectOptions,
  mistake,
  outside,
  PagefoldError,
} from '../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../inspect.ts'
import { readBytes, viewPage, writeBytes } from './calls/access.ts'
import { exitMm } from './calls/exit.ts'
import { forkMm } from './calls/fork.ts'
import { holdPages } from './calls/gup.ts'
import { type KsmStat, ksmStat } from './calls/ksm-stat.ts'
import { ADVICES, type Advice, madvise } from './calls/madvise.ts'
import type { ChangedRange } from './calls/make-equal.ts'
import { markWritten } from './calls/mark-written.ts'
import { mlock, munlock } from './calls/mlock.ts'
import { type MmapOptions, mmap } from './calls/mmap.ts'
import { mprotect } from './calls/mprotect.ts'
import { type MremapOptions, mremap } from './calls/mremap.ts'
import { oomReap } from './calls/oom.ts'
import type { Pin, PinOptions } from './calls/pin.ts'
import { disableMergeAny, enableMergeAny } from './calls/prctl.ts'
import { expectProt, type Prot } from './calls/prot.ts'
import { expectDone } from './calls/refused.ts'
import { type MappingStat, smaps } from './calls/smaps.ts'
import { unmapRange } from './calls/unmap.ts'
import { registerUserfault, userfaultWriteProtect } from './fault/userfault.ts'
import { MmHandle } from './handle.ts'
import { expectAddress, hex, pageRange, vpnOf } from './model/address.ts'
import type { UserfaultHandler } from './model/hooks.ts'
import { expectMmOptions, type MmOptions } from './model/mm-struct.ts'
import { ptePfn, ptePresent } from './page/pte.ts'
import { getPte } from './page/ptes.ts'
import { changedSince, restoreSnapshot, type Snapshot, takeSnapshot } from './snapshot.ts'
import { attach, type CpuOptions } from './vcpu/attach.ts'
import { VirtualCpu } from './vcpu/virtual-cpu.ts'
import type { Notifier } from './watch/notifier.ts'

/** What fits into one array. */
const MAX_READ_BYTES = 2 ** 32

/**
 * One address space, as a guest or whoever runs one holds it. Made by `host.createMm`, `host.loadImage` or `fork`,
 * ended by `exit`. Addresses and lengths are in bytes, addresses 44 bits wide. Once it has exited its calls throw
 * ESRCH; only `unregisterNotifier` still answers.
 */
export class Mm extends MmHandle {
  /**
   * Maps `length` bytes (rounded up to pages) of private anonymous memory; nothing is allocated until it is touched.
   * Returns the address. Throws RangeError; EEXIST if the range given is not free; ENOMEM if there is no room for one.
   */
  mmap(length: number, options: MmapOptions = {}): number {
    return this.enter(() => mmap(this, length, options))
  }

  /**
   * Unmaps a range; what is not mapped in it is no error. Frames nobody else maps are free at once. Throws EINVAL for a
   * length of 0.
   */
  munmap(address: number, length: number): void {
    this.enter(() => {
      const { start, end } = this.someRange(address, length, 'munmap')
      unmapRange(this, start, end)
    })
  }

  /**
   * Advises about a range; `Advice` has the advices. Throws ENOMEM if part of the range is not mapped (the rest has been done)
   * or memory ran out while unmerging; EINVAL where a part of another kind cannot be had that for (device memory thrown
   * away or swapped out, locked memory thrown away, a file's pages freed or wiped), those before have been done. Populating
   * stops at the first page that cannot be had: ENOMEM for a hole, EINVAL where that access is not allowed, and what a fault
   * throws.
   */
  madvise(address: number, length: number, advice: Advice): void {
    this.enter(() => {
      expectOneOf('advice', advice, ADVICES)
      const { start, end } = pageRange(address, length)
      expectDone(this, madvise(this, start, end, advice), `${advice} of ${hex(address)}+${length}`)
    })
  }

  /**
   * Locks a range into memory: its pages are faulted in, those that may be written to as the mm's own, and are not
   * swapped out. They are merged all the same. Throws ENOMEM if part of it is not mapped or may not be touched, EAGAIN when no
   * frame is left; what lies before is locked. Children do not inherit it.
   */
  mlock(address: number, length: number): void {
    this.enter(() => {
      const { start, end } = pageRange(address, length)
      expectDone(this, mlock(this, start, end), `mlock of ${hex(address)}+${length}`)
    })
  }

  /** Takes that back. Throws ENOMEM if part of the range is not mapped; what lies before is unlocked. */
  munlock(address: number, length: number): void {
    this.enter(() => {
      const { start, end } = pageRange(address, length)
      expectDone(this, munlock(this, start, end), `munlock of ${hex(address)}+${length}`)
    })
  }

  /** Sets what a range may be used for. Throws ENOMEM if part of it is not mapped; what lies before has changed. */
  mprotect(address: number, length: number, prot: Prot): void {
    this.enter(() => {
      const { start, end } = pageRange(address, length)
      expectDone(this, mprotect(this, start, end, expectProt(prot)), `mprotect of ${hex(address)}+${length}`)
    })
  }

  /**
   * Resizes a mapping, or moves it; returns its address. A range that moves is unmerged first. One that only shrinks, or
   * only moves to an address, may be several mappings with holes between. Throws EFAULT if nothing is mapped where it
   * begins, and if it is to grow or to get another length elsewhere and what is kept is not one mapping; EINVAL for huge pages
   * that are to grow; ENOMEM if there is no room, or no memory to unmerge.
   */
  mremap(address: number, oldLength: number, newLength: number, options: MremapOptions = {}): number {
    return this.enter(() => mremap(this, address, oldLength, newLength, options))
  }

  /**
   * A child that shares every page until one of the two writes; it belongs to the same domain. Throws ENOMEM; nothing is
   * left of the child then, and the parent is as it was.
   */
  fork(options: MmOptions = {}): Mm {
    return this.enter(() => {
      const child = this.successor('fork', options)
      expectDone(this, forkMm(child, this), 'fork')
      return child
    })
  }

  /**
   * A new, empty address space in place of this one, which exits. Its domain, and whether every range is to be merged, are
   * inherited. Linux: execve()
   */
  replace(options: MmOptions = {}): Mm {
    return this.enter(() => {
      const fresh = this.successor('replace', options, this.name)
      fresh.mergeAny = this.mergeAny
      if (fresh.mergeAny) this.memory.ksm.enter(fresh)
      exitMm(this)
      return fresh
    })
  }

  /** Ends the mm: its frames are free at once where nobody else maps them; ksmd drops its own records later. */
  exit(): void {
    this.enter(() => exitMm(this))
  }

  /**
   * PR_SET_MEMORY_MERGE: 1 makes every eligible range mergeable, now and later, in children too; 0 unmerges everything.
   * PR_GET_MEMORY_MERGE: is it so? Returns 0, or 0 and 1 for GET. Throws EINVAL for spare arguments that are not 0,
   * ENOMEM if unmerging failed (it stays enabled then).
   */
  prctl(option: 'PR_SET_MEMORY_MERGE' | 'PR_GET_MEMORY_MERGE', ...args: number[]): number {
    return this.enter(() => {
      expectOneOf('option', option, ['PR_SET_MEMORY_MERGE', 'PR_GET_MEMORY_MERGE'])
      const [first = 0] = args
      const value = expectInteger('value', first, 0, Number.MAX_SAFE_INTEGER)
      const spare = option === 'PR_SET_MEMORY_MERGE' ? args.slice(1) : args
      if (spare.some((arg) => arg !== 0)) {
        throw new PagefoldError('EINVAL', `${this.name}: ${option} takes no further arguments, or zeros`)
      }
      if (option === 'PR_GET_MEMORY_MERGE') return this.mergeAny ? 1 : 0
      expectDone(this, value !== 0 ? enableMergeAny(this) : disableMergeAny(this), option)
      return 0
    })
  }

  /**
   * Writes bytes as the guest would, through the fault path; with `force` also where the guest may not, as a debugger
   * does. Throws EFAULT outside writable mappings, ENOMEM when no frame is left, EIO or EHWPOISON when the page is lost;
   * pages before the one that failed have been written.
   */
  write(address: number, bytes: Uint8Array, options?: { readonly force?: boolean }): void {
    this.enter(() => {
      const { force = false } = options === undefined ? {} : expectOptions('write', options, { force: true })
      const kind = expectBoolean('force', force) ? 'force' : 'write'
      this.expectRange(address, expectBytes('bytes', bytes).length, 0)
      writeBytes(this, address, bytes, kind)
    })
  }

  /** Reads bytes as the guest would and returns a copy. Throws EFAULT outside readable mappings, EIO, EHWPOISON. */
  read(address: number, length: number): Uint8Array {
    return this.enter(() => {
      expectInteger('length', length, 0, MAX_READ_BYTES)
      this.expectRange(address, length, 0)
      const bytes = outside(() => new Uint8Array(length))
      readBytes(this, address, bytes)
      return bytes
    })
  }

  /** Reads as many bytes as `into` holds, into it: as `read`, without making an array. Throws what that throws; `into` may be half filled then. */
  readInto(address: number, into: Uint8Array): void {
    this.enter(() => {
      this.expectRange(address, expectBytes('into', into).length, 0)
      readBytes(this, address, into)
    })
  }

  /**
   * The page that `address` lies in, as it lies in the arena, after whatever faults it takes. It may be looked at, and with `write` written to, until
   * one of the mm's notifiers hears of it (`soft_dirty` only ends writing); so there must be one. A view for reading must not be
   * written to: others may have the page too. Throws EPERM if nobody would hear of it, and what a fault throws.
   */
  view(address: number, options: { readonly write?: boolean } = {}): Uint8Array {
    return this.enter(() => {
      expectAddress(address)
      const { write = false } = expectOptions('view', options, { write: true })
      return viewPage(this, address, expectBoolean('write', write) ? 'write' : 'read')
    })
  }

  /**
   * Tells of writes that went past this mm and its pins, through a translation kept or into memory that a device shares: their
   * pages are read again in the next scan, even under `changes: 'log'`. `written`: a length in bytes, rounded up to pages, or
   * a bitmap with a bit for each page from `address` on, lowest bit first. Pages that are not there are no error. Throws
   * RangeError, also for an address within a page. Linux: mark_page_dirty() of KVM
   */
  markWritten(address: number, written: number | Uint8Array): void {
    this.enter(() => markWritten(this, address, written))
  }

  /**
   * Holds on to a range so that somebody outside can read or write it; pages are faulted in, and for reading a shared
   * one is made the mm's own first. Until released they are neither merged nor moved. Throws what a fault throws.
   * Linux: pin_user_pages()
   */
  pin(address: number, length: number, options: PinOptions = {}): Pin {
    return this.enter(() => {
      const { write = false, longterm = false } = expectOptions('pin', options, {
        write: true,
        longterm: true,
      })
      return this.hold(
        address,
        length,
        expectBoolean('write', write),
        expectBoolean('longterm', longterm),
        true,
      )
    })
  }

  /** Takes plain references: the frames stay, but reading one does not unshare it. Linux: get_user_pages() */
  get(address: number, length: number, options: { readonly write?: boolean } = {}): Pin {
    return this.enter(() => {
      const { write = false } = expectOptions('get', options, { write: true })
      return this.hold(address, length, expectBoolean('write', write), false, false)
    })
  }

  /**
   * Has writes to protected pages of a range reported; holes in it do not matter. Throws EINVAL if nothing is mapped there or
   * it has device memory or a file's pages in it, and for a length of 0.
   */
  registerUserfault(address: number, length: number, handler: UserfaultHandler): void {
    this.enter(() => {
      expectObject('handler', handler, ['onWriteProtect'])
      const { start, end } = this.someRange(address, length, 'registerUserfault')
      registerUserfault(this, start, end, handler)
    })
  }

  /**
   * Protects the present pages of a range, or with `on` false lets them go. Throws ENOMEM if part of it is not mapped,
   * ENOENT if part of it is not registered, EINVAL for a length of 0. Linux: UFFDIO_WRITEPROTECT
   */
  userfaultWriteProtect(address: number, length: number, on: boolean): void {
    this.enter(() => {
      const { start, end } = this.someRange(address, length, 'userfaultWriteProtect')
      userfaultWriteProtect(this, start, end, expectBoolean('on', on))
    })
  }

  /**
   * Calls a notifier before and after translations of this mm change, until it is unregistered or the mm exits. Throws
   * TypeError, ESRCH.
   */
  registerNotifier(notifier: Notifier): void {
    this.enter(() => {
      expectObject('notifier', notifier)
      this.addNotifier(notifier)
    })
  }

  /** Doing it twice does nothing, nor does it after the mm has exited. */
  unregisterNotifier(notifier: Notifier): void {
    this.memory.gate.expectOutside()
    this.memory.gate.look(() => this.removeNotifier(notifier))
  }

  /**
   * A virtual CPU that sees a window of this mm and translates by itself (docs/hypervisor.md), until it is detached; the struct of the
   * mm lasts as long. Throws RangeError, EEXIST if CPUs of this mm see another window, ENOMEM, ESRCH.
   */
  attachCpu(options: CpuOptions = {}): VirtualCpu {
    return this.enter(() => {
      const { record, address, length } = attach(this, options)
      return new VirtualCpu(this, record, address, length)
    })
  }

  /**
   * This mm as it is now, to go back to; with an `earlier` snapshot of it, that one, which costs what has changed since. What a fork's child would not get is in
   * it, shared memory is not. Throws ENOMEM; EAGAIN if a virtual CPU does not come to a safe point (`earlier` is of no use then until it is taken again); EINVAL
   * for another mm's.
   */
  snapshot(earlier?: Snapshot): Snapshot {
    return this.enter(() => {
      return takeSnapshot(this, earlier, () => this.successor('snapshot', {}, `snapshot of ${this.name}`))
    })
  }

  /**
   * Makes this mm what it was: mappings, and pages that have changed since; its notifiers and virtual CPUs stay. Pinned pages stay where they are and get their
   * bytes back. Throws EBUSY while a virtual CPU runs: stop it first; EINVAL for another mm's snapshot; ENOMEM: what lies before has been restored.
   */
  restore(snapshot: Snapshot): void {
    this.enter(() => {
      restoreSnapshot(this, snapshot)
    })
  }

  /**
   * Where this mm differs from a snapshot of it, in order of address: pages whose bytes do (merged ones are compared), mappings that have come, gone or
   * show another file. Pages in swap are not looked at and count as different. Throws EINVAL for another mm's.
   */
  changedSince(snapshot: Snapshot): ChangedRange[] {
    return this.enter(() => changedSince(this, snapshot))
  }

  /** The frame behind an address, or undefined when none is present. Linux: /proc/PID/pagemap */
  pfn(address: number): number | undefined {
    const gate = this.expectAlive()
    try {
      const pte = getPte(this, vpnOf(expectAddress(address)))
      return ptePresent(pte) ? ptePfn(pte) : undefined
    } catch (error) {
      throw gate.caught(error)
    }
  }

  /** What /proc/PID/ksm_stat says. Throws ESRCH once the mm has exited: there is nothing in that file then. */
  ksmStat(): KsmStat {
    return this.memory.gate.look(() => {
      this.expectUsers()
      return ksmStat(this)
    })
  }

  /** What each mapping holds, by address; what /proc/PID/smaps says, its line `KSM:` among it. */
  smaps(): MappingStat[] {
    return this.expectAlive().look(() => smaps(this))
  }

  /**
   * Takes every private page away at once, without waiting for notifiers. Throws EAGAIN if one of them refuses; what lies
   * before that range is empty then. Linux: the OOM reaper
   */
  oomReap(): void {
    this.enter(() => expectDone(this, oomReap(this), 'oomReap'))
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { name, domain, users } = this
    return shown('Mm', () => (users === 0 ? { name, domain, exited: true } : { name, domain }), context)
  }

  /** An empty mm of the same domain: only a host makes mms of other domains. */
  private successor(call: string, options: MmOptions, defaultName?: string): Mm {
    const { domain = this.domain, name = defaultName } = expectMmOptions(call, options)
    if (domain === this.domain)
      return new Mm(this.memory, { domain, ...(name === undefined ? {} : { name }) })
    const inherited = `Expected \`domain\` to be the one of ${this.name}, or none: it is inherited`
    throw mistake(new RangeError(inherited))
  }

  private hold(address: number, length: number, write: boolean, longterm: boolean, pin: boolean): Pin {
    this.expectRange(address, length, 1)
    return holdPages(this, address, length, { write, longterm, pin })
  }
}
