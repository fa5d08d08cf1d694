// The native peers: native.c, built with the machine's compiler. `native` takes XXH3 from the libxxhash of the machine,
// as most programs do; `native-inline` compiles it in with every instruction this very processor has, the best C can do.

import { Buffer } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MergeCounters } from '../../src/report/index.ts'
import { canonical, type Peer, type Task, type Trial } from './peer.ts'
import { type Turn, turnsOf } from './writer.ts'

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

/** As native.c prints it; the places are in a file. */
interface NativeTrial extends Omit<Trial, 'places' | 'written'> {
  readonly written: readonly {
    readonly scan_ns: number
    readonly scan_cpu_ns: number
    readonly after: MergeCounters
    readonly settled: MergeCounters
  }[]
}

/** Turns of the writer as native.c reads them. */
function tellTurns(turns: readonly Turn[]): Uint8Array {
  const words = turns.flatMap(({ pages, words }) => [Uint32Array.of(pages.length), pages, words])
  const all = [Uint32Array.of(turns.length), ...words]
  return Buffer.concat(
    all.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  )
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
        const [out, writes] = [join(dir, 'places'), join(dir, 'writes')]
        const turns = turnsOf(task.pages, task.written)
        writeFileSync(writes, tellTurns(turns))
        const args = [String(task.maxPageSharing), out, writes, ...task.images]
        const { status, stdout, signal } = spawnSync(buildNative(dir, ways)!, args, { encoding: 'utf8' })
        if (status !== 0) throw new Error(`${name} failed: ${signal ?? `exit ${status}`}`)
        const { written, ...trial } = JSON.parse(stdout) as NativeTrial
        const places = readFileSync(out)
        /** Where pages lay at one of the moments at which that was told. */
        const placesAt = (moment: number): Uint32Array =>
          canonical(new Uint32Array(places.buffer, places.byteOffset + moment * 4 * task.pages, task.pages))
        return {
          ...trial,
          places: placesAt(0),
          written: written.map(({ after, settled, ...spent }, i) => ({
            percent: turns[i]!.percent,
            written_with: turns[i]!.written_with,
            pages_written: turns[i]!.pages.length,
            ...spent,
            after: { counters: after, places: placesAt(2 * i + 1) },
            settled: { counters: settled, places: placesAt(2 * i + 2) },
          })),
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
