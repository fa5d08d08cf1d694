// Histories on the running kernel: kernel-worker.c, built with the machine's compiler, runs a program and prints what ksmd
// counted. Only one at a time (the lock is in bench/peers/ksmd.ts), and every knob is put back.

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotAlone, type Places, sysfsUnavailable, withKsmd } from '../../bench/peers/ksmd.ts'
import { compilerUnavailable } from '../../bench/peers/native.ts'
import { KNOBS, type Program, type Row, TRACED, tracedEvents } from './history.ts'

const HISTORY_TIMEOUT_MS = 60_000
/** What the worker exits with when ksmd did more than it was told to. */
const TOO_FAST = 4
/** And when somebody else has changed a knob meanwhile. */
const NOT_ALONE = 5
const MAX_TRIES = 5
const SWAP_BYTES = 64 * 1024 * 1024
const ZSWAP = '/sys/module/zswap/parameters/enabled'
const PAGE_CLUSTER = '/proc/sys/vm/page-cluster'
const KERNEL_FILES = [ZSWAP, PAGE_CLUSTER]
const MOUNTED = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing']

/** Why no history can be run here, or undefined if one can. */
export function kernelUnavailable(): string | undefined {
  return sysfsUnavailable() ?? compilerUnavailable()
}

/** As recordings name it. */
export function kernelName(): string {
  return `Linux ${release().split('-')[0]}`
}

/** Does a read of memory that nobody has written to find the zero page, as on Linux by default? */
export function readsZeroPage(worker: string): boolean {
  return spawnSync(worker, ['zero page']).status === 0
}

/** Builds the worker from its source and lends it. */
export async function withWorker<Result>(
  source: string,
  use: (worker: string) => Promise<Result>,
): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-worker-'))
  try {
    const worker = join(dir, 'kernel-worker')
    const { status, stderr } = spawnSync('cc', ['-O2', '-std=gnu11', '-o', worker, source], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`cc does not build ${source}: ${stderr}`)
    return await use(worker)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** What it takes to ask a kernel. */
export interface Kernel {
  /** The program that runs histories. */
  readonly worker: string
  /** For reclaim. */
  readonly swapFile?: string | undefined
  /** An instance of tracefs, for programs that are traced. */
  readonly tracing?: string | undefined
  /** Where ksmd is; of this machine, but for tests. */
  readonly places?: Places
}

/** Runs a program on the running kernel, with swap in use if it reclaims. Rows as runHistory returns them. */
export async function runOnKernel(kernel: Kernel, program: Program): Promise<Row[]> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const rows = await runOnce(kernel, program)
    // Woken again because it took so long to begin, ksmd has done two batches: no history that could be compared.
    if (rows !== 'too fast') return rows
  }
  throw new NotAlone(`it did more than it was told to, ${MAX_TRIES} times of ${MAX_TRIES}`)
}

function runOnce(
  { worker, swapFile, tracing, places }: Kernel,
  program: Program,
): Promise<Row[] | 'too fast'> {
  const input = program.ops.map((operation) => `${operation.join(' ')}\n`).join('')
  if (program.traced === true && tracing === undefined)
    return Promise.reject(new Error('the history is traced, and there is no tracefs'))
  const run = (): Row[] | 'too fast' => {
    if (tracing !== undefined) writeFileSync(join(tracing, 'trace'), '')
    const { PAGEFOLD_TRACING: _, PAGEFOLD_KSM: __, ...rest } = process.env
    const env = places === undefined ? rest : { ...rest, PAGEFOLD_KSM: places.sysfs }
    const { status, signal, stdout, stderr } = spawnSync(worker, [], {
      env: program.traced === true ? { ...env, PAGEFOLD_TRACING: tracing } : env,
      input,
      encoding: 'utf8',
      timeout: HISTORY_TIMEOUT_MS,
      maxBuffer: 1 << 28,
    })
    if (status === TOO_FAST) return 'too fast'
    if (status === NOT_ALONE) throw new NotAlone(stderr.trim())
    if (status !== 0) throw new Error(`the kernel's history failed: ${signal ?? `exit ${status}`} ${stderr}`)
    const lines = stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => withPlainEvents(JSON.parse(line) as Row))
  }
  const reclaims = program.ops.some(([op]) => op === 'pageout')
  return withKsmd<Row[] | 'too fast'>(
    { ...KNOBS, ...program.knobs },
    () => {
      if (!reclaims) return run()
      if (swapFile === undefined) throw new Error('the history reclaims pages, and there is no swap')
      return whileSwapping(swapFile, run)
    },
    places,
  )
}

/** An event as the kernel prints it: names, pointers and numbers, `seq 0 rmap size 2`. */
function withPlainEvents(row: Row): Row {
  if (row.traced === undefined) return row
  const events = row.traced.map((line) => {
    const [name, rest] = line.split(/: ?/, 2) as [string, string]
    const field = (label: string): string | undefined => new RegExp(`${label} (\\S+)`).exec(rest)?.[1]
    const fields = { seq: field('seq'), rmap_entries: field('size'), err: field('error') }
    return { name, ...fields, pfn: field('pfn'), mm: field('mm') }
  })
  return { ...row, traced: tracedEvents(events) }
}

/** Lends an instance of tracefs in which ksmd's tracepoints are on; undefined if this machine has none. */
export async function withTracing<Result>(
  use: (tracing: string | undefined) => Promise<Result>,
): Promise<Result> {
  const mounted = MOUNTED.find((path) => existsSync(join(path, 'instances')))
  const own = mounted === undefined ? mkdtempSync(join(tmpdir(), 'pagefold-tracefs-')) : undefined
  if (own !== undefined && spawnSync('mount', ['-t', 'tracefs', 'nodev', own]).status !== 0) {
    rmSync(own, { recursive: true })
    return use(undefined)
  }
  const instance = join(mounted ?? own!, 'instances', `pagefold-${process.pid}`)
  try {
    mkdirSync(instance)
    try {
      for (const name of TRACED) writeFileSync(join(instance, 'events/ksm', name, 'enable'), '1')
      return await use(instance)
    } finally {
      rmdirSync(instance)
    }
  } finally {
    if (own !== undefined) {
      spawnSync('umount', [own])
      rmSync(own, { recursive: true })
    }
  }
}

/** Makes a small swap file and lends it; undefined if this machine cannot use one, or has swap of its own. */
export async function withSwapFile<Result>(
  use: (swapFile: string | undefined) => Promise<Result>,
): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-swap-'))
  const file = join(dir, 'swap')
  try {
    writeZeros(file, SWAP_BYTES)
    const usable = KERNEL_FILES.every((path) => existsSync(path)) && noSwapYet() && succeeds('mkswap', file)
    return await use(usable ? file : undefined)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/**
 * Compressed in memory (zswap) and without readahead a page is out at once and comes back alone: on its way to a disk it
 * would stay in the swap cache, for as long as that takes.
 */
function whileSwapping<Result>(file: string, use: () => Result): Result {
  const before = KERNEL_FILES.map((path) => [path, readFileSync(path, 'utf8')] as const)
  try {
    writeFileSync(ZSWAP, 'Y')
    writeFileSync(PAGE_CLUSTER, '0')
    if (!succeeds('swapon', file)) throw new Error(`swapon ${file} failed`)
    try {
      return use()
    } finally {
      succeeds('swapoff', file)
    }
  } finally {
    for (const [path, value] of before) writeFileSync(path, value)
  }
}

/** Other swap would be used before or beside ours. */
function noSwapYet(): boolean {
  return readFileSync('/proc/swaps', 'utf8').trim().split('\n').length === 1
}

/** Really written: a file with holes is no swap. */
function writeZeros(path: string, bytes: number): void {
  const fd = openSync(path, 'w', 0o600)
  const block = Buffer.alloc(1 << 20)
  for (let done = 0; done < bytes; done += block.length) writeSync(fd, block)
  closeSync(fd)
}

function succeeds(command: string, file: string): boolean {
  return spawnSync(command, [file]).status === 0
}
