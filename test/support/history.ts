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
  | ['batch', number]
  | ['resize', number, number, number, number, number]
  | ['move_resize', number, number, number, number, number, number, number]
  | ['lock' | 'unlock' | 'free', number, number, number, number]
  | ['populate', number, number, number, number, number]

export interface Program {
  readonly knobs?: Readonly<Record<string, number>>
  /** Are the tracepoints part of the rows? */
  readonly traced?: boolean
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
  /** The tracepoints that fired since the last row, where they are listened to. */
  readonly traced?: readonly string[]
  readonly mms: Readonly<Record<string, Readonly<Record<string, number | string>>>>
}

/** The tracepoints that are compared: those of ksmd at work. */
export const TRACED = [
  'ksm_start_scan',
  'ksm_stop_scan',
  'ksm_merge_one_page',
  'ksm_merge_with_ksm_page',
  'ksm_remove_ksm_page',
  'ksm_remove_rmap_item',
] as const

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
  const traced = program.traced === true ? listen(host) : undefined
  const machine: Machine = { host, processes: new Map(), pins: new Map(), traced, midScan: false }
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
    if (error !== null || ['scan', 'batch', 'run', 'knob'].includes(operation[0]))
      rows.push(rowOf(machine, i, error))
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
  /** What fired since the last row; undefined where nobody listens. */
  readonly traced: TracedEvent[] | undefined
  /** A full scan has begun and not ended. */
  midScan: boolean
}

/** An event with its fields. */
export type TracedEvent = Readonly<Record<string, unknown>> & { readonly name: string }

/**
 * The events of a row as they can be compared with a kernel's, where pages and mms have other names: each is called by the
 * order in which it came up. Pages anew in each full scan, and those that are gone apart from those that are there: a frame
 * that is given up is handed out again, sooner or later.
 */
export function tracedEvents(events: readonly TracedEvent[]): string[] {
  const names = { pfn: new Map<unknown, number>(), mm: new Map<unknown, number>() }
  const called = (field: string, value: unknown): string => {
    const known = names[field as keyof typeof names]
    if (known === undefined) return String(value)
    if (!known.has(value)) known.set(value, known.size)
    return `#${known.get(value)}`
  }
  return events.map((event) => {
    if (event.name === 'ksm_start_scan') names.pfn.clear()
    const page = event.name.startsWith('ksm_remove') ? `gone ${event.pfn}` : event.pfn
    const fields = ['seq', 'rmap_entries', 'err', 'pfn', 'mm'].filter((field) => event[field] !== undefined)
    return [
      event.name,
      ...fields.map((field) => `${field} ${called(field, field === 'pfn' ? page : event[field])}`),
    ].join(' ')
  })
}

/** Everything that fires. */
function listen(host: Host): TracedEvent[] {
  const traced: TracedEvent[] = []
  for (const name of TRACED) host.on(name, (event) => traced.push({ name, ...event }))
  return traced
}

function rowOf(machine: Machine, op: number, error: string | null): Row {
  const { host, processes } = machine
  const counters = host.ksm.counters()
  const counted = Object.fromEntries(COUNTERS.map((name) => [name, counters[name]]))
  const mms = Object.fromEntries([...processes].map(([p, mm]) => [p, { ...mm.ksmStat() }]))
  const traced = machine.traced === undefined ? {} : { traced: tracedEvents(machine.traced.splice(0)) }
  return { op, error, ...(counted as Record<(typeof COUNTERS)[number], number>), ...traced, mms }
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
    // Another mm, which a trace tells from the one before while ksmd still has that in view.
    const before = mmOf(machine, p)
    machine.processes.set(p, before.replace({ name: `${before.name}'` }))
  },
  exit(machine, p) {
    releasePins(machine, `${p} `)
    mmOf(machine, p).exit()
    machine.processes.delete(p)
  },
  run(machine, value) {
    machine.host.ksm.set('run', value)
    if (value === 2) machine.midScan = false
  },
  /** Until so many full scans have ended; one that is under way is the first of them. */
  scan(machine, count) {
    const { ksm } = machine.host
    ksm.set('run', 1)
    if (machine.midScan) ksm.scanPages(Number.MAX_SAFE_INTEGER)
    ksm.scan(machine.midScan ? count - 1 : count)
    ksm.set('run', 0)
    machine.midScan = false
  },
  batch(machine, pages) {
    const { ksm } = machine.host
    const { full_scans } = ksm.counters()
    ksm.set('run', 1)
    ksm.scanPages(pages)
    ksm.set('run', 0)
    machine.midScan = ksm.counters().full_scans === full_scans
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
  resize(machine, p, r, first, count, newCount) {
    const [from, to] = [count * PAGE, newCount * PAGE]
    mmOf(machine, p).mremap(pageAddress(r, first), from, to, { mayMove: false })
  },
  move_resize(machine, p, r, first, count, newCount, toRegion, toFirst) {
    const options = { address: pageAddress(toRegion, toFirst) }
    mmOf(machine, p).mremap(pageAddress(r, first), count * PAGE, newCount * PAGE, options)
  },
  lock: (machine, p, r, first, count) => mmOf(machine, p).mlock(pageAddress(r, first), count * PAGE),
  unlock: (machine, p, r, first, count) => mmOf(machine, p).munlock(pageAddress(r, first), count * PAGE),
  populate: (machine, p, r, first, count, write) =>
    mmOf(machine, p).madvise(
      pageAddress(r, first),
      count * PAGE,
      write === 0 ? 'MADV_POPULATE_READ' : 'MADV_POPULATE_WRITE',
    ),
  free: advise('MADV_FREE'),
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
