// The native peers: native.c, built with the machine's compiler. `native` takes XXH3 from the libxxhash of the machine,
// as most programs do; `native-inline` compiles it in with every instruction this very processor has, the best C can do.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MergeCounters } from '../../src/report/index.ts'
import { canonical, type Peer, type Task, type Trial } from './peer.ts'

const FLAGS = ['-O3', '-march=native', '-std=gnu11']

/** The library is present where its development package is not. */
export const LIBXXHASH = '-l:libxxhash.so.0'

/** Without the library native.c has a checksum of its own. */
export const LINKED = [['-DXXHASH_LINKED', LIBXXHASH], []]

export const native = nativePeer('native', LINKED)
export const nativeInline = nativePeer('native-inline', [['-DXXHASH_INLINE']])

/** Why nothing can be built here, or undefined if it can. */
export function compilerUnavailable(): string | undefined {
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc) on this machine'
}

/** Builds `native.c`, in the first of several ways that works. */
export function buildNative(dir: string, ways: readonly (readonly string[])[]): string | undefined {
  return buildC(dir, 'native', ways)
}

/** Builds one of the C files beside this one, in the first of several ways that works. */
export function buildC(
  dir: string,
  name: 'native' | 'memory' | 'hash' | 'sum',
  ways: readonly (readonly string[])[],
): string | undefined {
  const source = fileURLToPath(new URL(`../bench/peers/${name}.c`, import.meta.url))
  const program = join(dir, name)
  const works = ways.some((way) => spawnSync('cc', [...FLAGS, '-o', program, source, ...way]).status === 0)
  return works ? program : undefined
}

function nativePeer(name: string, ways: readonly (readonly string[])[]): Peer {
  return {
    name,

    unavailable() {
      const built = (dir: string) =>
        buildNative(dir, ways) === undefined ? 'cc does not build it: no xxhash.h?' : undefined
      return compilerUnavailable() ?? withScratch(built)
    },

    run: async (task: Task): Promise<Trial> =>
      withScratch((dir) => {
        const out = join(dir, 'places')
        const args = [String(task.maxPageSharing), out, ...task.images]
        const { status, stdout, signal } = spawnSync(buildNative(dir, ways)!, args, { encoding: 'utf8' })
        if (status !== 0) throw new Error(`${name} failed: ${signal ?? `exit ${status}`}`)
        const { converge_ns, converge_cpu_ns, rescan_ns, rescan_cpu_ns, ...counters } = JSON.parse(
          stdout,
        ) as Trial & MergeCounters
        const places = readFileSync(out)
        return {
          converge_ns,
          converge_cpu_ns,
          rescan_ns,
          rescan_cpu_ns,
          counters,
          places: canonical(new Uint32Array(places.buffer, places.byteOffset, task.pages)),
        }
      }, task.scratch),
  }
}

function withScratch<Result>(use: (dir: string) => Result, parent = tmpdir()): Result {
  const dir = mkdtempSync(join(parent, 'pagefold-native-'))
  try {
    return use(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}
