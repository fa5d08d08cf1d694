// One address space as a guest, or whoever runs one, holds it in its hands: the system calls. Addresses are bytes, 44
// bits wide; inside, everything is counted in virtual pages. Arguments are checked here, before anything changes.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import {
  type Errno,
  expectBoolean,
  expectBytes,
  expectInteger,
  expectObject,
  expectOneOf,
  PagefoldError,
} from '../errors.ts'
import { exitMm } from './calls/exit.ts'
import { forkMm } from './calls/fork.ts'
import { Pin, type PinOptions, takePages } from './calls/gup.ts'
import { ADVICES, type Advice, isEligible, madvise } from './calls/madvise.ts'
import { mprotect } from './calls/mprotect.ts'
import { mremap } from './calls/mremap.ts'
import { oomReap } from './calls/oom.ts'
import { disableMergeAny, enableMergeAny } from './calls/prctl.ts'
import { expectProt, type Prot } from './calls/prot.ts'
import { unmapRange } from './calls/unmap.ts'
import { allows, type FaultKind, handleMmFault } from './fault/fault.ts'
import { changeWriteProtection } from './fault/userfault.ts'
import { ADDRESS_LIMIT, expectAddress, hex, pageAt, pageRange, VPN_LIMIT } from './model/address.ts'
import type { UserfaultHandler } from './model/hooks.ts'
import { expectMmOptions, LINUX_RMAP_ITEM_BYTES, type MmOptions, MmStruct } from './model/mm-struct.ts'
import { SharedObject } from './model/shared-object.ts'
import {
  VM_HUGETLB,
  VM_MERGEABLE,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_UFFD_WP,
  VM_WRITE,
  Vma,
} from './model/vma.ts'
import { mergeWithNeighbours, modifyFlags } from './model/vma-edit.ts'
import { ptePfn, ptePresent } from './page/pte.ts'
import { getPte } from './page/ptes.ts'

export interface MmapOptions {
  /** Where, in bytes; must be free. Default: behind the last mapping. */
  readonly address?: number
  /** Default: PROT_READ | PROT_WRITE. */
  readonly prot?: Prot
  /** Shared mappings are not copied on write and never merged. Default: false. */
  readonly shared?: boolean
  /** NUMA node its pages are wanted on. Default: 0. */
  readonly node?: number
  /** Huge pages, or device memory without pages of its own: both are never merged. Default: ordinary pages. */
  readonly kind?: 'ordinary' | 'hugetlb' | 'pfnmap'
}

export interface MremapOptions {
  /** Move the range if it cannot grow where it is. Default: true. */
  readonly mayMove?: boolean
  /** Move it here; what is mapped there goes. Linux: MREMAP_FIXED */
  readonly address?: number
}

/** What /proc/PID/ksm_stat says. */
export interface KsmStat {
  ksm_rmap_items: number
  ksm_zero_pages: number
  ksm_merging_pages: number
  ksm_process_profit: number
  ksm_merge_any: 'yes' | 'no'
  ksm_mergeable: 'yes' | 'no'
}

/** What fits into one array. */
const MAX_READ_BYTES = 2 ** 32

export class Mm extends MmStruct {
  /**
   * Maps `length` bytes (rounded up to pages) of private anonymous memory; nothing is allocated until it is touched.
   * Returns the address. Throws RangeError; EEXIST if the range given is not free; ENOMEM if there is no room for one.
   */
  mmap(length: number, options: MmapOptions = {}): number {
    this.expectAlive()
    const pages = Math.ceil(expectInteger('length', length, 1, ADDRESS_LIMIT) / PAGE_SIZE)
    const kind = expectOneOf('kind', options.kind ?? 'ordinary', ['ordinary', 'hugetlb', 'pfnmap'])
    const prot = expectProt(options.prot ?? VM_READ | VM_WRITE)
    const nid = expectInteger('node', options.node ?? 0, 0, this.memory.frames.numaNodes - 1)
    const shared = expectBoolean('shared', options.shared ?? false)
    const start = options.address === undefined ? this.vmas.findRoom(pages) : pageAt(options.address)
    if (start < 0) throw this.refused('ENOMEM', `no hole of ${pages} pages in the address space`)
    const end = start + pages
    if (end > VPN_LIMIT)
      throw new RangeError(`Expected the range to end below 2^44, got ${hex(end * PAGE_SIZE)}`)
    this.expectFree(start, end)
    const kindFlags = { ordinary: 0, hugetlb: VM_HUGETLB, pfnmap: VM_PFNMAP }[kind]
    const vma = new Vma(this, start, end, { flags: prot | kindFlags | (shared ? VM_SHARED : 0), nid })
    if (shared) vma.shared = new SharedObject()
    if (this.mergeAny && isEligible(vma)) {
      if (!this.mergeable) this.expectDone(this.memory.ksm.enter(this), 'mmap')
      vma.flags |= VM_MERGEABLE
    }
    this.vmas.insert(vma)
    mergeWithNeighbours(this, vma)
    return start * PAGE_SIZE
  }

  /** Unmaps a range; what is not mapped in it is no error. Frames nobody else maps are free at once. */
  munmap(address: number, length: number): void {
    this.expectAlive()
    const { start, end } = pageRange(address, length)
    unmapRange(this, start, end)
  }

  /**
   * Advises about a range: MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTNEED, MADV_PAGEOUT. Throws ENOMEM if part of the
   * range is not mapped (the rest has been done) or memory ran out while unmerging; EAGAIN if the mm could not be
   * registered.
   */
  madvise(address: number, length: number, advice: Advice): void {
    this.expectAlive()
    expectOneOf('advice', advice, ADVICES)
    const { start, end } = pageRange(address, length)
    this.expectDone(madvise(this, start, end, advice), `${advice} of ${hex(address)}+${length}`)
  }

  /** Sets what a range may be used for. Throws ENOMEM if part of it is not mapped; what lies before has changed. */
  mprotect(address: number, length: number, prot: Prot): void {
    this.expectAlive()
    const { start, end } = pageRange(address, length)
    this.expectDone(mprotect(this, start, end, expectProt(prot)), `mprotect of ${hex(address)}+${length}`)
  }

  /**
   * Resizes a mapping, or moves it; returns its address. A range that moves is unmerged first. Throws EFAULT if it is
   * not one mapping (several, with holes between, can be moved to an address but not resized), ENOMEM if there is no room,
   * or no memory to unmerge.
   */
  mremap(address: number, oldLength: number, newLength: number, options: MremapOptions = {}): number {
    this.expectAlive()
    const old = pageRange(address, oldLength, { name: 'oldLength', min: 1 })
    const fresh = pageRange(address, newLength, { name: 'newLength', min: 1 })
    const pages = fresh.end - fresh.start
    const target = options.address === undefined ? undefined : pageAt(options.address)
    if (target !== undefined) {
      if (target < old.end && target + pages > old.start) {
        throw new RangeError('Expected the range at the new `address` not to overlap the old one')
      }
      if (target + pages > VPN_LIMIT)
        throw new RangeError('Expected the range at the new `address` to end below 2^44')
    }
    const moved = mremap(this, old, pages, target, options.mayMove !== false)
    if (typeof moved === 'number') return moved * PAGE_SIZE
    throw this.refused(moved, `mremap of ${hex(address)}+${oldLength}`)
  }

  /**
   * A child that shares every page until one of the two writes; it belongs to the same domain. Throws ENOMEM; nothing is
   * left of the child then, and the parent is as it was.
   */
  fork(options: MmOptions = {}): Mm {
    this.expectAlive()
    const child = this.successor(options)
    this.expectDone(forkMm(child, this), 'fork')
    return child
  }

  /**
   * A new, empty address space in place of this one, which exits. Its domain, and whether every range is to be merged, are
   * inherited. Linux: execve()
   */
  replace(options: MmOptions = {}): Mm {
    this.expectAlive()
    const fresh = this.successor({ name: this.name, ...options })
    fresh.mergeAny = this.mergeAny
    if (fresh.mergeAny) this.memory.ksm.enter(fresh)
    exitMm(this)
    return fresh
  }

  /** Ends the mm: its frames are free at once where nobody else maps them; ksmd drops its own records later. */
  exit(): void {
    this.expectAlive()
    exitMm(this)
  }

  /**
   * PR_SET_MEMORY_MERGE: 1 makes every eligible range mergeable, now and later, in children too; 0 unmerges everything.
   * PR_GET_MEMORY_MERGE: is it so? Returns 0, or 0 and 1 for GET. Throws EINVAL for spare arguments that are not 0,
   * ENOMEM if unmerging failed (it stays enabled then).
   */
  prctl(option: 'PR_SET_MEMORY_MERGE' | 'PR_GET_MEMORY_MERGE', ...args: number[]): number {
    this.expectAlive()
    expectOneOf('option', option, ['PR_SET_MEMORY_MERGE', 'PR_GET_MEMORY_MERGE'])
    const value = expectInteger('value', args[0] ?? 0, 0, Number.MAX_SAFE_INTEGER)
    const spare = option === 'PR_SET_MEMORY_MERGE' ? args.slice(1) : args
    if (spare.some((arg) => arg !== 0)) {
      throw new PagefoldError('EINVAL', `${this.name}: ${option} takes no further arguments, or zeros`)
    }
    if (option === 'PR_GET_MEMORY_MERGE') return this.mergeAny ? 1 : 0
    this.expectDone(value !== 0 ? enableMergeAny(this) : disableMergeAny(this), option)
    return 0
  }

  /**
   * Writes bytes as the guest would, through the fault path; with `force` also where the guest may not, as a debugger
   * does. Throws EFAULT outside writable mappings, ENOMEM when no frame is left, EIO or EHWPOISON when the page is lost;
   * pages before the one that failed have been written.
   */
  write(address: number, bytes: Uint8Array, options: { readonly force?: boolean } = {}): void {
    this.expectAlive()
    expectBytes('bytes', bytes)
    const { u8 } = this.memory.arena
    const kind = options.force ? 'force' : 'write'
    this.eachPage(address, bytes.length, (vpn, offset, from, count) => {
      const pfn = this.access(vpn, kind)
      u8.set(bytes.subarray(from, from + count), pfn * PAGE_SIZE + offset)
    })
  }

  /** Reads bytes as the guest would and returns a copy. Throws EFAULT outside readable mappings, EIO, EHWPOISON. */
  read(address: number, length: number): Uint8Array {
    this.expectAlive()
    const { u8 } = this.memory.arena
    const bytes = new Uint8Array(expectInteger('length', length, 0, MAX_READ_BYTES))
    this.eachPage(address, length, (vpn, offset, from, count) => {
      const at = this.access(vpn, 'read') * PAGE_SIZE + offset
      bytes.set(u8.subarray(at, at + count), from)
    })
    return bytes
  }

  /**
   * Holds on to a range so that somebody outside can read or write it; pages are faulted in, and for reading a shared
   * one is made the mm's own first. Until released they are neither merged nor moved. Throws what a fault throws.
   * Linux: pin_user_pages()
   */
  pin(address: number, length: number, options: PinOptions = {}): Pin {
    return this.hold(address, length, options, true)
  }

  /** Takes plain references: the frames stay, but reading one does not unshare it. Linux: get_user_pages() */
  get(address: number, length: number, options: { readonly write?: boolean } = {}): Pin {
    return this.hold(address, length, { write: options.write === true }, false)
  }

  /** Has writes to protected pages of a range reported. Throws ENOMEM if part of it is not mapped. */
  registerUserfault(address: number, length: number, handler: UserfaultHandler): void {
    this.expectAlive()
    expectObject('handler', handler, ['onWriteProtect'])
    const { start, end } = pageRange(address, length)
    this.expectMapped(start, end)
    this.userfault = handler
    for (const vma of this.vmas.within(start, end)) {
      modifyFlags(this, Math.max(start, vma.start), Math.min(end, vma.end), vma.flags | VM_UFFD_WP)
    }
  }

  /**
   * Protects the present pages of a range, or with `on` false lets them go. Throws ENOMEM if part of it is not mapped,
   * ENOENT if part of it is not registered. Linux: UFFDIO_WRITEPROTECT
   */
  userfaultWriteProtect(address: number, length: number, on: boolean): void {
    this.expectAlive()
    const { start, end } = pageRange(address, length)
    this.expectMapped(start, end)
    if (this.vmas.within(start, end).some((vma) => !vma.has(VM_UFFD_WP))) {
      throw new PagefoldError(
        'ENOENT',
        `${this.name}: nobody would hear of writes there: registerUserfault first`,
      )
    }
    changeWriteProtection(this, start, end, on)
  }

  /** The frame behind an address, or undefined when none is present. Linux: /proc/PID/pagemap */
  pfn(address: number): number | undefined {
    this.expectAlive()
    const pte = getPte(this, Math.floor(expectAddress(address) / PAGE_SIZE))
    return ptePresent(pte) ? ptePfn(pte) : undefined
  }

  /** What /proc/PID/ksm_stat says. */
  ksmStat(): KsmStat {
    const { rmapItems, mergingPages, zeroPages } = this.ksm
    return {
      ksm_rmap_items: rmapItems,
      ksm_zero_pages: zeroPages,
      ksm_merging_pages: mergingPages,
      ksm_process_profit: (mergingPages + zeroPages) * PAGE_SIZE - rmapItems * LINUX_RMAP_ITEM_BYTES,
      ksm_merge_any: this.mergeAny ? 'yes' : 'no',
      ksm_mergeable: [...this.vmas].some((vma) => vma.has(VM_MERGEABLE)) ? 'yes' : 'no',
    }
  }

  /**
   * Takes every private page away at once, without waiting for notifiers. Throws EAGAIN if one of them refuses; what lies
   * before that range is empty then. Linux: the OOM reaper
   */
  oomReap(): void {
    this.expectAlive()
    this.expectDone(oomReap(this), 'oomReap')
  }

  /** An empty mm of the same domain: only a host makes mms of other domains. */
  private successor({ domain = this.domain, ...options }: MmOptions): Mm {
    expectMmOptions({ ...options, domain })
    if (domain === this.domain) return new Mm(this.memory, { ...options, domain })
    throw new RangeError(`Expected \`domain\` to be the one of ${this.name}, or none: it is inherited`)
  }

  /** The frame behind a virtual page, after whatever faults it takes. */
  private access(vpn: number, kind: FaultKind): number {
    const vma = this.vmas.at(vpn)
    const pte = getPte(this, vpn)
    if (vma !== undefined && allows(this, vma, pte, kind)) return ptePfn(pte)
    const errno = handleMmFault(this, vpn, kind)
    if (errno !== undefined)
      throw new PagefoldError(errno, `${this.name}: ${kind} at ${hex(vpn * PAGE_SIZE)}: ${WHY[errno]}`)
    return ptePfn(getPte(this, vpn))
  }

  private hold(address: number, length: number, options: PinOptions, pin: boolean): Pin {
    this.expectAlive()
    expectAddress(address)
    expectInteger('length', length, 1, ADDRESS_LIMIT - address)
    const start = Math.floor(address / PAGE_SIZE)
    const end = Math.ceil((address + length) / PAGE_SIZE)
    const pfns = takePages(this, start, end, options.write === true, pin)
    if (typeof pfns === 'string')
      throw new PagefoldError(pfns, `${this.name}: cannot hold ${hex(address)}+${length}: ${WHY[pfns]}`)
    return new Pin(this.memory, pfns, address % PAGE_SIZE, pin, options)
  }

  private eachPage(
    address: number,
    length: number,
    visit: (vpn: number, offset: number, from: number, count: number) => void,
  ): void {
    expectAddress(address)
    expectInteger('length', length, 0, ADDRESS_LIMIT - address)
    for (let from = 0; from < length; ) {
      const at = address + from
      const offset = at % PAGE_SIZE
      const count = Math.min(PAGE_SIZE - offset, length - from)
      visit(Math.floor(at / PAGE_SIZE), offset, from, count)
      from += count
    }
  }

  private expectAlive(): void {
    this.memory.expectSound()
    if (this.users === 0) throw new PagefoldError('ESRCH', `${this.name} has exited`)
  }

  private expectFree(start: number, end: number): void {
    const [taken] = this.vmas.within(start, end)
    if (taken === undefined) return
    const at = `${hex(taken.start * PAGE_SIZE)}..${hex(taken.end * PAGE_SIZE)}`
    throw new PagefoldError('EEXIST', `${this.name}: ${at} is mapped already; munmap it first`)
  }

  private expectMapped(start: number, end: number): void {
    let at = start
    for (const vma of this.vmas.within(start, end)) at = vma.start <= at ? vma.end : at
    if (at < end)
      throw new PagefoldError('ENOMEM', `${this.name}: nothing is mapped at ${hex(at * PAGE_SIZE)}`)
  }

  private expectDone(errno: Errno | undefined, what: string): void {
    if (errno !== undefined) throw this.refused(errno, what)
  }

  private refused(errno: Errno, what: string): PagefoldError {
    return new PagefoldError(errno, `${this.name}: ${what}: ${WHY[errno] ?? 'refused'}`)
  }
}

/** What an errno means where a guest meets it. */
const WHY: Partial<Record<Errno, string>> = {
  EFAULT: 'nothing mapped there that allows it',
  ENOMEM: 'no free frame, no metadata left, or a hole in the range',
  EAGAIN: 'somebody holds it at this moment; try again',
  EIO: 'swap could not be read',
  EHWPOISON: 'its frame is broken',
}
