// How close the core comes to the memory: its checksums beside merely adding pages up, its comparison beside the C
// library's, on as many pages of the same kind, more than any cache holds. The two take turns, so that a machine that
// slows down slows both, and processor time is measured, not what others take of it.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHECKSUM_NAMES, type ChecksumName, systemClock } from '../../src/index.ts'
import { Pages } from '../../src/lab/hash/pages.ts'
import { median } from '../../src/lab/index.ts'
import { buildC } from '../peers/native.ts'

/** 128 MiB: more than any cache here holds. */
const COLD_PAGES = 32_768
/** To see that nothing has rotted. */
const SMOKE_PAGES = 256

export interface MemoryResult {
  /** Nanoseconds a page, medians. */
  readonly sum: number
  /** Nanoseconds a pair. */
  readonly compare: { readonly native: number; readonly pagefold: number }
  readonly checksums: Readonly<Record<string, number>>
}

/** Medians of nine turns, or with `smoke` one on few pages. Throws if there is no C compiler. */
export async function memorySpeed(smoke: boolean): Promise<MemoryResult> {
  const [rounds, count] = smoke ? [1, SMOKE_PAGES] : [9, COLD_PAGES]
  const half = count / 2
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-memory-'))
  try {
    const native = buildC(dir, 'memory', [[]])
    if (native === undefined) throw new Error('no C compiler (cc) on this machine')
    const pages = await Pages.ofFamily('random', count, 1)
    const { arena } = pages
    arena.pages(arena.firstPfn + half, half).set(arena.pages(arena.firstPfn, half))
    const sums: number[] = []
    const native_compares: number[] = []
    const compares: number[] = []
    const hashes = new Map<ChecksumName, number[]>(CHECKSUM_NAMES.map((name) => [name, []]))
    for (let round = 0; round <= rounds; round++) {
      const { sum, compare } = runNative(native, count)
      const ours = comparePairs(pages)
      const times = CHECKSUM_NAMES.map((name) => [name, hashAll(pages, name)] as const)
      if (round === 0) continue // the compiler's
      sums.push(sum)
      native_compares.push(compare)
      compares.push(ours)
      for (const [name, ns] of times) hashes.get(name)!.push(ns)
    }
    return {
      sum: median(sums),
      compare: { native: median(native_compares), pagefold: median(compares) },
      checksums: Object.fromEntries([...hashes].map(([name, times]) => [name, median(times)])),
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** A process of its own, its last round: the first has page faults in it. */
function runNative(program: string, pages: number): { sum: number; compare: number } {
  const { status, stdout } = spawnSync(program, [String(pages), '3'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} failed`)
  return (JSON.parse(stdout) as { rounds: { sum: number; compare: number }[] }).rounds.at(-1)!
}

function comparePairs({ arena, count }: Pages): number {
  const half = count / 2
  const { core, firstPfn } = arena
  const start = systemClock.cpu()
  let different = 0
  for (let page = 0; page < half; page++)
    different |= core.comparePages(firstPfn + page, firstPfn + half + page)
  if (different !== 0) throw new Error('equal pages compare different')
  return ((systemClock.cpu() - start) * 1e6) / half
}

function hashAll(pages: Pages, checksum: ChecksumName): number {
  pages.use({ checksum })
  const hash = pages.hasher()
  const start = systemClock.cpu()
  let all = 0
  for (let page = 0; page < pages.count; page++) all ^= hash(page)
  if (all !== 0) throw new Error('pairs of equal pages have different checksums')
  return ((systemClock.cpu() - start) * 1e6) / pages.count
}
