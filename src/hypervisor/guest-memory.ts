// A virtual CPU's side of the contract in TypeScript: the same steps as assembly/hypervisor/cpu.ts, for cores in JavaScript, on the
// engine's thread or another. What each step is for stands there.

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
  CPU_SEEN,
  CPU_STOP,
  CPU_THREAD,
  CPU_VERSION,
  EFAULT,
  FAULT_ASKED,
  FAULT_IDLE,
  FAULT_READ,
  FAULT_WRITE,
  HYPERVISOR_VERSION,
  LEAF_ENTRIES,
  LEAF_SHIFT,
  PAGE_SHIFT,
  READABLE,
  WRITABLE,
} from '../../assembly/hypervisor/layout.ts'
import type { CpuImports, SharedCpu } from '../core/cpu-records.ts'
import { PagefoldError } from '../errors.ts'

const IN_PAGE = (1 << PAGE_SHIFT) - 1
const LEAF_BYTES = 1 << LEAF_SHIFT

/** The guest memory that a virtual CPU sees, for a core in JavaScript. One CPU, one of these. */
export class GuestMemory {
  /** The arena; `forRead` and `forWrite` give places in it. */
  readonly bytes: Uint8Array
  /** Why the last `forRead` or `forWrite` failed, the number of an error; 0 if it did not. */
  failed = 0
  private readonly words: Int32Array
  private readonly record: number
  private readonly leaves: number
  private readonly limit: number
  private readonly empty: number
  private readonly nowhere: number
  private readonly threaded: boolean
  private readonly callEngine: CpuImports['pagefold']['fault'] | undefined
  private generation: number

  /**
   * `shared`: the CPU's, as `mm.attachCpu` made it, posted perhaps; `imports`: `cpu.imports` of a CPU on the engine's own thread. Throws
   * EINVAL if the engine is of another version of the contract.
   */
  constructor({ memory, record }: SharedCpu, imports?: Pick<CpuImports, 'pagefold'>) {
    this.bytes = new Uint8Array(memory.buffer)
    this.words = new Int32Array(memory.buffer)
    this.record = record >>> 2
    const version = this.constant(CPU_VERSION)
    if (version !== HYPERVISOR_VERSION) {
      throw new PagefoldError('EINVAL', `the engine has contract ${version}, this code ${HYPERVISOR_VERSION}`)
    }
    this.leaves = this.constant(CPU_LEAVES)
    this.limit = this.constant(CPU_LEAF_COUNT) * LEAF_BYTES
    this.empty = this.constant(CPU_EMPTY)
    this.nowhere = this.constant(CPU_NOWHERE)
    this.threaded = this.constant(CPU_THREAD) !== 0
    this.callEngine = imports?.pagefold.fault
    this.generation = this.load(CPU_GENERATION)
  }

  /** Where in the arena the pte for an offset is, in bytes. It may be kept until `stale` says that it is void. */
  pteAddress(offset: number): number {
    const leaf =
      offset < this.limit ? this.words[(this.leaves >>> 2) + Math.floor(offset / LEAF_BYTES)]! : this.empty
    return leaf + ((offset >>> PAGE_SHIFT) & (LEAF_ENTRIES - 1)) * 4
  }

  /** The pte at such a place, to be loaded anew for every access. */
  pteAt(address: number): number {
    return Atomics.load(this.words, address >>> 2)
  }

  /** Where the byte at an offset lies, by a pte that is readable or writable. */
  hostAddress(pte: number, offset: number): number {
    return ((pte & ~IN_PAGE) | (offset & IN_PAGE)) >>> 0
  }

  /**
   * Where in `bytes` the byte at an offset can be read, after whatever faults it takes: up to the border of its page, and until the next safe
   * point or fault. If it cannot be had, `failed` says why, and the place is one where nothing is and nobody looks.
   */
  forRead(offset: number): number {
    return this.translate(offset, FAULT_READ, READABLE)
  }

  /** The same for writing. */
  forWrite(offset: number): number {
    return this.translate(offset, FAULT_WRITE, WRITABLE)
  }

  /** Copies guest memory into `into`; returns 0, or the number of the error that ended it. */
  read(offset: number, into: Uint8Array): number {
    return this.eachPage(offset, into.length, FAULT_READ, (at, from, count) =>
      into.set(this.bytes.subarray(at, at + count), from),
    )
  }

  /** Copies `bytes` to the guest; returns 0, or the number of the error that ended it. What lies before has been copied. */
  write(offset: number, bytes: Uint8Array): number {
    return this.eachPage(offset, bytes.length, FAULT_WRITE, (at, from, count) =>
      this.bytes.set(bytes.subarray(from, from + count), at),
    )
  }

  /**
   * Asks the engine to make a page accessible: `kind` is FAULT_READ or FAULT_WRITE. 0: try again. Else the number of an error. No place
   * in guest memory known from before is good afterwards.
   */
  fault(offset: number, kind: number): number {
    if (!(offset >= 0 && offset < this.limit)) return EFAULT
    if (!this.threaded) {
      if (this.callEngine === undefined)
        throw new PagefoldError('EINVAL', "a CPU on the engine's thread needs its `imports`")
      return this.callEngine(this.record * 4, offset, kind)
    }
    this.words[this.record + CPU_FAULT_OFFSET / 4] = offset
    this.words[this.record + CPU_FAULT_KIND / 4] = kind
    this.park()
    this.store(CPU_FAULT_STATE, FAULT_ASKED)
    const bell = this.constant(CPU_BELL) >>> 2
    Atomics.add(this.words, bell, 1)
    Atomics.notify(this.words, bell)
    const state = this.record + CPU_FAULT_STATE / 4
    while (Atomics.load(this.words, state) === FAULT_ASKED) Atomics.wait(this.words, state, FAULT_ASKED)
    const errno = this.words[this.record + CPU_FAULT_ERRNO / 4]!
    this.store(CPU_FAULT_STATE, FAULT_IDLE)
    this.unpark()
    return errno
  }

  /** To be called between instructions, often: nothing translated before is good any more. Stays while the engine wants the CPU stopped. */
  safePoint(): void {
    if (!this.threaded) return
    const asked = this.load(CPU_ASKED)
    if (asked !== this.constant(CPU_SEEN)) this.store(CPU_SEEN, asked)
    if (this.load(CPU_STOP) === 0) return
    this.park()
    this.unpark()
  }

  /** Have leaves gone since this was last asked? Then places of ptes kept from before are void. To be asked after safe points, faults and `unpark`. */
  stale(): boolean {
    const now = this.load(CPU_GENERATION)
    const changed = now !== this.generation
    this.generation = now
    return changed
  }

  /** From here on the CPU touches no guest memory, and nobody waits for it: before whatever may take its time. */
  park(): void {
    if (this.threaded) this.store(CPU_SEEN, 0)
  }

  /** The CPU runs again; not before the engine lets it. */
  unpark(): void {
    if (!this.threaded) return
    for (;;) {
      for (let stop = this.load(CPU_STOP); stop !== 0; stop = this.load(CPU_STOP))
        Atomics.wait(this.words, this.record + CPU_STOP / 4, stop)
      this.store(CPU_SEEN, 1)
      this.store(CPU_SEEN, this.load(CPU_ASKED))
      if (this.load(CPU_STOP) === 0) return
      this.park()
    }
  }

  private translate(offset: number, kind: number, wanted: number): number {
    for (;;) {
      const pte = this.pteAt(this.pteAddress(offset))
      if ((pte & wanted) === wanted) {
        this.failed = 0
        return this.hostAddress(pte, offset)
      }
      this.failed = this.fault(offset, kind)
      if (this.failed !== 0) return this.nowhere + (offset & IN_PAGE)
    }
  }

  private eachPage(
    offset: number,
    length: number,
    kind: number,
    visit: (at: number, from: number, count: number) => void,
  ): number {
    for (let from = 0; from < length; ) {
      const count = Math.min(length - from, IN_PAGE + 1 - ((offset + from) & IN_PAGE))
      const at = this.translate(offset + from, kind, kind === FAULT_WRITE ? WRITABLE : READABLE)
      if (this.failed !== 0) return this.failed
      visit(at, from, count)
      from += count
    }
    return 0
  }

  /** A field that only this side writes, or nobody. */
  private constant(field: number): number {
    return this.words[this.record + field / 4]!
  }

  private load(field: number): number {
    return Atomics.load(this.words, this.record + field / 4)
  }

  private store(field: number, value: number): void {
    Atomics.store(this.words, this.record + field / 4, value)
  }
}
