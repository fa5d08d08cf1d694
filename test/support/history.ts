// Histories: programs of memory operations by several processes, with full scans in between, and the counters after
// each. The same programs run on Linux (test/conformance), on pagefold (here) and on the model (test/model).

import {
  type Advice,
  Host,
  type HostOptions,
  type Mm,
  memorySwapStore,
  PagefoldError,
  type Pin,
  stillClock,
} from '../../src/index.ts'
import { contentBytes, PAGE } from './world.ts'

const SWAP_SLOTS = 4096
/** Region r lies at this address, whoever maps it. */
export const regionAddress = (r: number): number => 2 ** 36 + r * 2 ** 28

export type Operation =
  | ['spawn', number]
  | ['map', number, number, number]
  | ['mergeable' | 'unmergeable' | 'dontneed' | 'unmap' | 'pageout', number, number, number, number]
  | ['write', number, number, number, number]
  | ['poke', number, number, number, number, number]
  | ['read', number, number, number]
  | ['mprotect', number, number, number, number, number]
  | ['mremap', number, number, number, number, number, number]
  | ['merge_any', number, number]
  | ['pin' | 'dma_pin' | 'unpin', number, number, number]
  | ['fork', number, number]
  | ['exec', number]
  | ['exit', number]
  | ['knob', string, number]
  | ['run', number]
  | ['scan', number]

export interface Program {
  readonly knobs?: Readonly<Record<string, number>>
  readonly ops: readonly Operation[]
}

export const COUNTERS = [
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'ksm_zero_pages',
  'pages_scanned',
  'pages_skipped',
  'stable_node_chains',
  'stable_node_dups',
  'general_profit',
  'full_scans',
] as const

export type Row = Record<(typeof COUNTERS)[number], number> & {
  readonly op: number
  readonly error: string | null
  readonly mms: Readonly<Record<string, Readonly<Record<string, number | string>>>>
}

/** What a row says of each process. */
export const STATS = [
  'ksm_rmap_items',
  'ksm_zero_pages',
  'ksm_merging_pages',
  'ksm_process_profit',
  'ksm_merge_any',
  'ksm_mergeable',
] as const

/** What a program sets before it begins; pruning is always due, so that no clock has a say. */
export const KNOBS: Readonly<Record<string, number>> = {
  smart_scan: 0,
  use_zero_pages: 0,
  max_page_sharing: 256,
  merge_across_nodes: 1,
  stable_node_chains_prune_millisecs: 0,
}

/** Runs a program on a host of its own. `afterEach` sees the host after every operation, and what it failed with. */
export async function runHistory(
  program: Program,
  options: Partial<HostOptions> = {},
  afterEach?: (host: Host, processes: ReadonlyMap<number, Mm>, op: number, error: string | null) => void,
): Promise<Row[]> {
  const host = await Host.create({ frames: 4096, clock: stillClock, ...options })
  if (program.ops.some(([op]) => op === 'pageout')) host.swapOn(memorySwapStore(SWAP_SLOTS))
  const machine: Machine = { host, processes: new Map(), pins: new Map() }
  const rows: Row[] = []
  for (const [name, value] of Object.entries({ ...KNOBS, ...program.knobs }))
    host.ksm.set(name as never, value)
  for (const [i, operation] of program.ops.entries()) {
    let error: string | null = null
    try {
      perform(machine, operation)
    } catch (thrown) {
      if (!(thrown instanceof PagefoldError)) throw thrown
      error = thrown.code
    }
    if (error !== null || ['scan', 'run', 'knob'].includes(operation[0])) rows.push(rowOf(machine, i, error))
    if (operation[0] === 'run') host.ksm.set('run', 0)
    afterEach?.(host, machine.processes, i, error)
  }
  host.close()
  return rows
}

interface Machine {
  readonly host: Host
  readonly processes: Map<number, Mm>
  /** By process, region and page. */
  readonly pins: Map<string, Pin[]>
}

function rowOf({ host, processes }: Machine, op: number, error: string | null): Row {
  const counters = host.ksm.counters()
  const counted = Object.fromEntries(COUNTERS.map((name) => [name, counters[name]]))
  const mms = Object.fromEntries([...processes].map(([p, mm]) => [p, { ...mm.ksmStat() }]))
  return { op, error, ...(counted as Record<(typeof COUNTERS)[number], number>), mms }
}

function perform(machine: Machine, [op, ...args]: Operation): void {
  if (op === 'knob') machine.host.ksm.set(args[0] as never, args[1]!)
  else ACTIONS[op](machine, ...(args as number[]))
}

const ACTIONS: Record<Exclude<Operation[0], 'knob'>, (machine: Machine, ...args: number[]) => void> = {
  spawn: ({ host, processes }, p) => processes.set(p, host.createMm({ name: `p${p}` })),
  fork: (machine, p, q) => machine.processes.set(q, mmOf(machine, p).fork({ name: `p${q}` })),
  exec(machine, p) {
    releasePins(machine, `${p} `)
    machine.processes.set(p, mmOf(machine, p).replace())
  },
  exit(machine, p) {
    releasePins(machine, `${p} `)
    mmOf(machine, p).exit()
    machine.processes.delete(p)
  },
  run: ({ host }, value) => host.ksm.set('run', value),
  scan({ host }, count) {
    host.ksm.set('run', 1)
    host.ksm.scan(count)
    host.ksm.set('run', 0)
  },
  map: (machine, p, r, count) => mmOf(machine, p).mmap(count * PAGE, { address: regionAddress(r) }),
  unmap: (machine, p, r, first, count) => mmOf(machine, p).munmap(pageAddress(r, first), count * PAGE),
  write: (machine, p, r, page, content) =>
    mmOf(machine, p).write(pageAddress(r, page), contentBytes(content)),
  poke: (machine, p, r, page, offset, byte) =>
    mmOf(machine, p).write(pageAddress(r, page) + offset, Uint8Array.of(byte)),
  read: (machine, p, r, page) => mmOf(machine, p).read(pageAddress(r, page), 1),
  mprotect: (machine, p, r, first, count, prot) =>
    mmOf(machine, p).mprotect(pageAddress(r, first), count * PAGE, prot),
  mremap(machine, p, r, first, count, toRegion, toFirst) {
    const address = pageAddress(toRegion, toFirst)
    mmOf(machine, p).mremap(pageAddress(r, first), count * PAGE, count * PAGE, { address })
  },
  merge_any: (machine, p, value) => mmOf(machine, p).prctl('PR_SET_MEMORY_MERGE', value),
  // A plain reference, as vmsplice takes one.
  pin: (machine, p, r, page) =>
    addPin(machine, `${p} ${r} ${page}`, mmOf(machine, p).get(pageAddress(r, page), PAGE)),
  // A promise that a device may write there, as io_uring needs for its buffers.
  dma_pin: (machine, p, r, page) =>
    addPin(
      machine,
      `${p} ${r} ${page}`,
      mmOf(machine, p).pin(pageAddress(r, page), PAGE, { write: true, longterm: true }),
    ),
  unpin: (machine, p, r, page) => releasePins(machine, `${p} ${r} ${page}`),
  mergeable: advise('MADV_MERGEABLE'),
  unmergeable: advise('MADV_UNMERGEABLE'),
  dontneed: advise('MADV_DONTNEED'),
  pageout: advise('MADV_PAGEOUT'),
}

function advise(advice: Advice) {
  return (machine: Machine, p: number, r: number, first: number, count: number): void =>
    mmOf(machine, p).madvise(pageAddress(r, first), count * PAGE, advice)
}

function addPin({ pins }: Machine, place: string, pin: Pin): void {
  pins.set(place, [...(pins.get(place) ?? []), pin])
}

/** Lets go of what is held at a place, or with `p ` of all that a process holds. */
function releasePins({ pins }: Machine, place: string): void {
  for (const [name, held] of [...pins]) {
    if (name !== place && !(place.endsWith(' ') && name.startsWith(place))) continue
    for (const pin of held) pin.release()
    pins.delete(name)
  }
}

function mmOf({ processes }: Machine, p: number): Mm {
  const mm = processes.get(p)
  if (mm === undefined) throw new RangeError(`there is no process ${p}`)
  return mm
}

function pageAddress(r: number, page: number): number {
  return regionAddress(r) + page * PAGE
}
