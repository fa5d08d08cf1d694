// Cold start: a whole `pagefold scan`, from the start of the process to its result, against the native peer's whole
// run on the same files. In turns, so that a machine that slows down slows both.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from '../../src/lab/index.ts'
import { buildNative, LINKED } from '../peers/native.ts'

/** Nothing is written between scans. */
const NO_WRITES = '/dev/null'
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))

export interface ColdResult {
  readonly pagefold_ms: number
  readonly native_ms: number
  /** Starting Node for nothing, which is the least that any program of its takes. */
  readonly node_ms: number
  readonly ratio: number
}

/** Medians of `runs` runs on raw images. Throws if there is no C compiler. */
export function coldStart(images: readonly string[], runs: number): ColdResult {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-cold-'))
  try {
    const native = buildNative(dir, LINKED)
    if (native === undefined) throw new Error('no C compiler (cc) on this machine')
    const ours: number[] = []
    const theirs: number[] = []
    const starts: number[] = []
    for (let run = 0; run <= runs; run++) {
      const our = timed(process.execPath, [MAIN, 'scan', '--json', '--scans', '2', ...images])
      const their = timed(native, ['256', join(dir, 'places'), NO_WRITES, ...images])
      const start = timed(process.execPath, ['-e', '0'])
      if (run === 0) continue // the first reads the files into the cache
      ours.push(our)
      theirs.push(their)
      starts.push(start)
    }
    const pagefold_ms = median(ours)
    const native_ms = median(theirs)
    const ratio = median(ours.map((ms, i) => ms / theirs[i]!))
    return { pagefold_ms, native_ms, node_ms: median(starts), ratio }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function timed(command: string, args: readonly string[]): number {
  const start = performance.now()
  const { status } = spawnSync(command, args, { stdio: 'ignore' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`)
  return performance.now() - start
}
