// Virtual CPUs come and go: the first of an mm has a window opened on it, the last closes it. An mm that has CPUs keeps its number even
// when it has exited, because they still ask for it.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { EAGAIN, EUCLEAN, LEAF_SHIFT } from '../../../assembly/hypervisor/layout.ts'
import type { CpuRecord } from '../../core/cpu-records.ts'
import {
  expectBoolean,
  expectInteger,
  expectOptions,
  mistake,
  PagefoldError,
  reportLater,
} from '../../errors.ts'
import { ADDRESS_LIMIT, addressOf, expectAddress, hex } from '../model/address.ts'
import type { CpuThread, CpuWindow } from '../model/cpus.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'

/** What a virtual CPU is made with. */
export interface CpuOptions {
  /**
   * Where the window begins that it sees of its mm, in bytes, a multiple of a MiB. All CPUs of an mm have one window. Default: that of
   * the others, else where the first mapping begins, rounded down.
   */
  readonly address?: number
  /** How long the window is, in bytes, at most 4 GiB; rounded up to MiB. Default: that of the others, else to the end of the last mapping. */
  readonly length?: number
  /** Bytes of memory in the arena for its own use, rounded up to pages. Default: 0. */
  readonly scratch?: number
  /** Does it run on a thread of its own? Default: false, on the engine's. */
  readonly thread?: boolean
}

const OPTIONS = { address: true, length: true, scratch: true, thread: true } as const
const LEAF_BYTES = 1 << LEAF_SHIFT
const MAX_LENGTH = 2 ** 32
const MAX_SCRATCH = 2 ** 30

/** Makes a record for one more CPU. Throws TypeError, RangeError; EEXIST if others have another window; ENOMEM. */
export function attach(
  mm: MmStruct,
  options: CpuOptions,
): { record: CpuRecord; address: number; length: number } {
  const { address, length, scratch = 0, thread = false } = expectOptions('attachCpu', options, OPTIONS)
  expectInteger('scratch', scratch, 0, MAX_SCRATCH)
  expectBoolean('thread', thread)
  const window = openWindow(mm, address, length)
  const { array, count, first } = window
  const record = mm.memory.cpus.create({
    leaves: array,
    leafCount: count,
    scratchBytes: scratch,
    thread,
  })
  if (record === undefined) {
    closeUnused(mm)
    throw noRoom(mm)
  }
  mm.cpus.records.add(record)
  mm.grab()
  return { record, address: first * LEAF_BYTES, length: count * LEAF_BYTES }
}

/** From now on the CPU asks by mailbox, and is waited for. */
export function addThread(mm: MmStruct, thread: CpuThread): void {
  const { cpuThreads, pageTables } = mm.memory
  mm.cpus.threads++
  cpuThreads.add(thread)
  pageTables.setWatched(true)
  if (cpuThreads.count === 1) void serveUntilGone(mm.memory)
}

function removeThread(mm: MmStruct, thread: CpuThread): void {
  const { cpuThreads, pageTables } = mm.memory
  thread.record.gone = true
  void mm.cpus.isSettled
  mm.cpus.threads--
  cpuThreads.remove(thread)
  pageTables.setWatched(cpuThreads.count > 0)
}

/** Answers faults whenever this thread has nothing else to do, as long as there is a CPU that may ask. */
async function serveUntilGone({ cpuThreads, gate }: Memory): Promise<void> {
  while (cpuThreads.count > 0) {
    await cpuThreads.untilAsked()
    try {
      gate.enter(() => cpuThreads.serve(EAGAIN))
    } catch (error) {
      if (gate.isOver) {
        cpuThreads.refuseAll(EUCLEAN)
        return
      }
      reportLater(error)
    }
  }
}

/** Lets a CPU go, which is parked for good or whose thread has ended; one that has gone is no error. */
export function detach(mm: MmStruct, record: CpuRecord): void {
  if (!mm.cpus.records.has(record)) return
  const thread = mm.memory.cpuThreads.of(record)
  if (thread !== undefined) removeThread(mm, thread)
  mm.cpus.records.delete(record)
  mm.memory.cpus.give(record.address, record.pages)
  closeUnused(mm)
  mm.drop()
}

/** The window of an mm's CPUs, opened if there is none. */
function openWindow(mm: MmStruct, address: number | undefined, length: number | undefined): CpuWindow {
  const known = mm.cpus.window
  const { first, count } = wantedWindow(mm, address, length)
  if (known !== undefined) {
    if (known.first === first && known.count === count) return known
    const window = `${hex(known.first * LEAF_BYTES)}+${hex(known.count * LEAF_BYTES)}`
    throw new PagefoldError('EEXIST', `${mm.name}: its CPUs see ${window}: one more has to see the same`)
  }
  const { cpus, pageTables } = mm.memory
  const pages = Math.ceil((count * 4) / PAGE_SIZE)
  const array = cpus.prepare() ? cpus.take(pages) : 0
  if (array === 0) throw noRoom(mm)
  const window = { array, first, count, pages, empty: cpus.emptyTable }
  mm.cpus.window = window
  pageTables.openWindow(mm.pgd, window, (free) => {
    mm.cpus.forget()
    mm.cpus.afterGrace({ drop: free })
  })
  return window
}

/** The first MiB of a window, and how many: as asked for, else as the other CPUs have it, else all that is mapped. */
function wantedWindow(
  mm: MmStruct,
  address: number | undefined,
  length: number | undefined,
): { first: number; count: number } {
  const known = mm.cpus.window
  const { start, end } = known === undefined ? mappedSpan(mm) : spanOf(known)
  const from = expectAddress(address ?? start)
  if (from % LEAF_BYTES !== 0)
    throw mistake(new RangeError(`Expected \`address\` to be a multiple of a MiB, got ${hex(from)}`))
  const most = Math.min(MAX_LENGTH, ADDRESS_LIMIT - from)
  const bytes = expectInteger('length', length ?? end - from, 1, most)
  return { first: from / LEAF_BYTES, count: Math.ceil(bytes / LEAF_BYTES) }
}

function spanOf({ first, count }: CpuWindow): { start: number; end: number } {
  return { start: first * LEAF_BYTES, end: (first + count) * LEAF_BYTES }
}

/** From the first mapping to the last, in bytes; no more than fits into a window. */
function mappedSpan(mm: MmStruct): { start: number; end: number } {
  const all = [...mm.vmas]
  const start = addressOf(all[0]?.start ?? 0)
  const begin = start - (start % LEAF_BYTES)
  return { start: begin, end: Math.min(begin + MAX_LENGTH, addressOf(all.at(-1)?.end ?? 0)) }
}

function closeUnused(mm: MmStruct): void {
  const { window, records } = mm.cpus
  if (window === undefined || records.size > 0) return
  // An mm that has exited has no page table any more.
  if (mm.users > 0) mm.memory.pageTables.closeWindow(mm.pgd)
  mm.memory.cpus.give(window.array, window.pages)
  mm.cpus.window = undefined
}

function noRoom(mm: MmStruct): PagefoldError {
  return new PagefoldError(
    'ENOMEM',
    `${mm.name}: no metadata left for a virtual CPU: create the host with more \`mappings\``,
  )
}
