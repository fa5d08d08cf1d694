// Histories on the running kernel: kernel-worker.c, built with the machine's compiler, runs a program and prints what ksmd
// counted. Only one at a time (the lock is in bench/peers/ksmd.ts), and every knob is put back.

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { sysfsUnavailable, withKsmd } from '../../bench/peers/ksmd.ts'
import { KNOBS, type Program, type Row } from './history.ts'

const HISTORY_TIMEOUT_MS = 60_000
const SWAP_BYTES = 64 * 1024 * 1024
const ZSWAP = '/sys/module/zswap/parameters/enabled'
const PAGE_CLUSTER = '/proc/sys/vm/page-cluster'
const KERNEL_FILES = [ZSWAP, PAGE_CLUSTER]

/** Why no history can be run here, or undefined if one can. */
export function kernelUnavailable(): string | undefined {
  const why = sysfsUnavailable()
  if (why !== undefined) return why
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler (cc) on this machine'
  return undefined
}

/** As recordings name it. */
export function kernelName(): string {
  return `Linux ${release().split('-')[0]}`
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

/** Runs a program on the running kernel, with this swap file in use if it reclaims. Rows as runHistory returns them. */
export function runOnKernel(worker: string, program: Program, swapFile?: string): Promise<Row[]> {
  const input = program.ops.map((operation) => `${operation.join(' ')}\n`).join('')
  const run = (): Row[] => {
    const { status, signal, stdout, stderr } = spawnSync(worker, [], {
      input,
      encoding: 'utf8',
      timeout: HISTORY_TIMEOUT_MS,
      maxBuffer: 1 << 28,
    })
    if (status !== 0) throw new Error(`the kernel's history failed: ${signal ?? `exit ${status}`} ${stderr}`)
    const lines = stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Row)
  }
  const reclaims = program.ops.some(([op]) => op === 'pageout')
  return withKsmd({ ...KNOBS, ...program.knobs }, () => {
    if (!reclaims) return run()
    if (swapFile === undefined) throw new Error('the history reclaims pages, and there is no swap')
    return whileSwapping(swapFile, run)
  })
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
