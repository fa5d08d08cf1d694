// What `mm.attachCpu` gives: the engine's side of a virtual CPU, which finds and checks translations by itself, in the page tables
// (assembly/hypervisor/layout.ts), and asks here for what it may not do.

import {
  EAGAIN,
  EFAULT,
  EHWPOISON,
  EIO,
  ENOMEM,
  ESRCH,
  FAULT_READ,
} from '../../../assembly/hypervisor/layout.ts'
import type { CpuImports, CpuRecord, SharedCpu } from '../../core/cpu-records.ts'
import { type Errno, expectBoolean, expectInteger, mistake, PagefoldError } from '../../errors.ts'
import { INSPECT, type InspectArguments, shown } from '../../inspect.ts'
import { resolve } from '../calls/access.ts'
import { ADDRESS_LIMIT, vpnOf } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { addThread, detach } from './attach.ts'

/** A fault of a virtual CPU is answered by a number, as WebAssembly can take it. */
const NUMBERS: Partial<Record<Errno, number>> = { EAGAIN, EFAULT, EHWPOISON, EIO, ENOMEM, ESRCH }

/** A virtual CPU of an mm, made by `mm.attachCpu`, ended by `detach`. */
export class VirtualCpu {
  /** What the CPU is made with, to be given to its core. */
  readonly shared: SharedCpu
  /** Where its window begins, in bytes: its offsets count from there. */
  readonly address: number
  /** How long the window is, in bytes. */
  readonly length: number
  /** What a core in WebAssembly on this thread has to import: the arena, and where it asks for faults. */
  readonly imports: CpuImports
  private readonly mm: MmStruct
  private readonly record: CpuRecord
  private attached = true

  /** @internal */
  constructor(mm: MmStruct, record: CpuRecord, address: number, length: number) {
    this.mm = mm
    this.record = record
    this.address = address
    this.length = length
    const { memory } = mm.memory.arena
    this.shared = Object.freeze({ memory, record: record.address })
    const fault = (_: number, offset: number, kind: number): number =>
      this.fault(offset >>> 0, kind !== FAULT_READ)
    this.imports = Object.freeze({ env: { memory }, pagefold: { fault } })
    if (!record.thread) return
    const answer = (offset: number, write: boolean): number => answerFault(mm, address + offset, write)
    addThread(mm, { record, cpus: mm.cpus, answer })
  }

  /**
   * Makes the page at an offset into the window accessible for a CPU on this thread, which then tries again; what it must not take the answer
   * for is an address. Returns 0, or Linux's number of what it cannot be had for: EFAULT, ENOMEM, EIO, EHWPOISON, EAGAIN, ESRCH.
   * Throws EDEADLK inside a callback, EUCLEAN, what a userfault handler throws, and ESRCH if that has detached the CPU. Linux: handle_mm_fault()
   */
  fault(offset: number, write: boolean): number {
    return this.enter(() => {
      expectInteger('offset', offset, 0, ADDRESS_LIMIT - 1)
      const errno = answerFault(this.mm, this.address + offset, expectBoolean('write', write))
      // Its record is somebody else's by now: no number may bring its core back there.
      if (!this.attached)
        throw new PagefoldError('ESRCH', `${this.mm.name}: a handler detached the virtual CPU`)
      return errno
    })
  }

  /**
   * Has a CPU on another thread park at its next safe point and stay there, and waits until it has; on this thread there is nothing to do. Throws
   * EAGAIN if it does not come within the host's `graceTimeout`: it is to park all the same.
   */
  stop(): void {
    this.enter(() => {
      this.record.setStopped(true)
      if (this.mm.memory.cpus.waitUntilParked(this.record)) return
      throw new PagefoldError('EAGAIN', `${this.mm.name}: a virtual CPU does not come to a safe point`)
    })
  }

  /** Lets it go on. */
  resume(): void {
    this.enter(() => this.record.setStopped(false))
  }

  /** Does it touch no guest memory at this moment? Always true of a CPU on this thread. */
  get isParked(): boolean {
    return this.mm.memory.gate.look(() => !this.attached || this.record.isParked)
  }

  /**
   * The CPU is no more; its record, its scratch memory and its place in the window are somebody else's. One on another thread must have parked
   * for good, or its thread must have ended (a worker's `exit` event; `terminate` alone does not say so): nobody waits for it any more. Doing
   * it twice does nothing.
   */
  detach(): void {
    const { gate } = this.mm.memory
    gate.expectOutside()
    gate.look(() => {
      if (!this.attached) return
      this.attached = false
      detach(this.mm, this.record)
    })
  }

  private enter<Result>(work: () => Result): Result {
    return this.mm.memory.gate.enter(() => {
      if (!this.attached) throw mistake(new RangeError('the virtual CPU has been detached'))
      return work()
    })
  }

  /** What console.log shows. @internal */
  [INSPECT](...context: InspectArguments): string {
    const { mm, address, length, attached } = this
    return shown('VirtualCpu', () => ({ mm: mm.name, address, length, attached }), context)
  }
}

/** The answer to a fault at an address of an mm. */
function answerFault(mm: MmStruct, address: number, write: boolean): number {
  if (mm.users === 0) return ESRCH
  if (address >= ADDRESS_LIMIT) return EFAULT
  const page = resolve(mm, vpnOf(address), write ? 'write' : 'read')
  if (typeof page === 'number') return 0
  const number = NUMBERS[page]
  if (number === undefined) throw new PagefoldError(page, `${mm.name}: a fault of a virtual CPU`)
  return number
}
