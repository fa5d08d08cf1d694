// Histories: programs of memory operations by several processes, with full scans in between, and the counters after
// each. The same programs run on Linux (test/conformance), on pagefold (here) and on the model (test/model).

import { Host, type HostOptions, type Mm, PagefoldError, type Pin, stillClock } from '../../src/index.ts'

export const PAGE = 4096
/** Region r lies at this address, whoever maps it. */
export const regionAddress = (r: number): number => 2 ** 36 + r * 2 ** 28

export type Operation =
  | ['spawn', number]
  | ['map', number, number, number]
  | ['mergeable' | 'unmergeable' | 'dontneed' | 'unmap', number, number, number, number]
  | ['write', number, number, number, number]
  | ['poke', number, number, number, number, number]
  | ['read', number, number, number]
  | ['mprotect', number, number, number, number, number]
  | ['merge_any', number, number]
  | ['pin' | 'unpin', number, number, number]
  | ['fork', number, number]
  | ['exit', number]
  | ['knob', string, number]
  | ['run', number]
  | ['scan', number]

export interface Program {
  readonly knobs?: Readonly<Record<string, number>>
  readonly ops: readonly Operation[]
}

const COUNTERS = [
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'ksm_zero_pages',
  'pages_skipped',
  'stable_node_chains',
  'stable_node_dups',
  'general_profit',
  'full_scans',
] as const

export type Row = Record<(typeof COUNTERS)[number], number> & {
  readonly op: number
  readonly error: string | null
  readonly mms: Readonly<Record<string, Readonly<Record<string, number>>>>
}

const STATS = ['ksm_rmap_items', 'ksm_zero_pages', 'ksm_merging_pages', 'ksm_process_profit'] as const

/** What a program sets before it begins; pruning is always due, so that no clock has a say. */
export const KNOBS = {
  smart_scan: 0,
  use_zero_pages: 0,
  max_page_sharing: 256,
  merge_across_nodes: 1,
  stable_node_chains_prune_millisecs: 0,
}

/** Content c: all zero for 0, else words of c with a last word of its own. */
export function contentBytes(c: number): Uint8Array {
  const words = new Uint32Array(PAGE / 4).fill(c)
  words[words.length - 1] = Math.imul(c, 2654435761) >>> 0
  return new Uint8Array(words.buffer)
}

/** Runs a program on a host of its own. `afterEach` sees the host after every operation, and what it failed with. */
export async function runHistory(
  program: Program,
  options: Partial<HostOptions> = {},
  afterEach?: (host: Host, processes: ReadonlyMap<number, Mm>, op: number, error: string | null) => void,
): Promise<Row[]> {
  const host = await Host.create({ frames: 4096, clock: stillClock, ...options })
  const processes = new Map<number, Mm>()
  const pins = new Map<string, Pin[]>()
  const rows: Row[] = []
  for (const [name, value] of Object.entries({ ...KNOBS, ...program.knobs }))
    host.ksm.set(name as never, value)
  const record = (op: number, error: string | null): void => {
    const counters = host.ksm.counters()
    rows.push({
      op,
      error,
      ...(Object.fromEntries(COUNTERS.map((name) => [name, counters[name]])) as Record<
        (typeof COUNTERS)[number],
        number
      >),
      mms: Object.fromEntries(
        [...processes]
          .sort(([a], [b]) => a - b)
          .map(([p, mm]) => {
            const stat = mm.ksmStat()
            return [p, Object.fromEntries(STATS.map((name) => [name, stat[name]]))]
          }),
      ),
    })
  }
  for (const [i, operation] of program.ops.entries()) {
    let error: string | null = null
    try {
      perform(host, processes, pins, operation)
    } catch (thrown) {
      if (!(thrown instanceof PagefoldError)) throw thrown
      error = thrown.code
    }
    if (error !== null || ['scan', 'run', 'knob'].includes(operation[0])) record(i, error)
    if (operation[0] === 'run') host.ksm.set('run', 0)
    afterEach?.(host, processes, i, error)
  }
  host.close()
  return rows
}

function perform(
  host: Host,
  processes: Map<number, Mm>,
  pins: Map<string, Pin[]>,
  operation: Operation,
): void {
  const [op] = operation
  switch (op) {
    case 'spawn':
      processes.set(operation[1], host.createMm({ name: `p${operation[1]}` }))
      return
    case 'fork': {
      const [, p, q] = operation
      processes.set(q, processes.get(p)!.fork({ name: `p${q}` }))
      return
    }
    case 'exit':
      processes.get(operation[1])!.exit()
      processes.delete(operation[1])
      return
    case 'knob':
      host.ksm.set(operation[1] as never, operation[2])
      return
    case 'run':
      host.ksm.set('run', operation[1])
      return
    case 'scan':
      host.ksm.set('run', 1)
      host.ksm.scan(operation[1])
      host.ksm.set('run', 0)
      return
    case 'map':
      processes.get(operation[1])!.mmap(operation[3] * PAGE, { address: regionAddress(operation[2]) })
      return
    case 'write':
      processes.get(operation[1])!.write(pageAddress(operation[2], operation[3]), contentBytes(operation[4]))
      return
    case 'poke':
      processes
        .get(operation[1])!
        .write(pageAddress(operation[2], operation[3]) + operation[4], Uint8Array.of(operation[5]))
      return
    case 'read':
      processes.get(operation[1])!.read(pageAddress(operation[2], operation[3]), 1)
      return
    case 'mprotect': {
      const [, p, r, first, count, prot] = operation
      processes.get(p)!.mprotect(pageAddress(r, first), count * PAGE, prot)
      return
    }
    case 'merge_any':
      processes.get(operation[1])!.prctl('PR_SET_MEMORY_MERGE', operation[2])
      return
    case 'pin': {
      const [, p, r, page] = operation
      const name = `${p} ${r} ${page}`
      const pin = processes.get(p)!.get(pageAddress(r, page), PAGE)
      pins.set(name, [...(pins.get(name) ?? []), pin])
      return
    }
    case 'unpin': {
      const [, p, r, page] = operation
      const name = `${p} ${r} ${page}`
      for (const pin of pins.get(name) ?? []) pin.release()
      pins.delete(name)
      return
    }
    default:
      advise(processes.get(operation[1])!, operation)
  }
}

function advise(
  mm: Mm,
  [op, , r, first, count]: Extract<
    Operation,
    ['mergeable' | 'unmergeable' | 'dontneed' | 'unmap', ...unknown[]]
  >,
): void {
  const address = pageAddress(r, first)
  if (op === 'mergeable') mm.madvise(address, count * PAGE, 'MADV_MERGEABLE')
  else if (op === 'unmergeable') mm.madvise(address, count * PAGE, 'MADV_UNMERGEABLE')
  else if (op === 'dontneed') mm.madvise(address, count * PAGE, 'MADV_DONTNEED')
  else mm.munmap(address, count * PAGE)
}

function pageAddress(r: number, page: number): number {
  return regionAddress(r) + page * PAGE
}
