// The same images merged by the running kernel: each in its place in an arena, ksmd stepped one full scan at a time.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type Ksmd, physicalFrames, whileMergeable, withKsmd } from '../../bench/peers/ksmd.ts'
import { canonical } from '../../bench/peers/peer.ts'
import { Arena } from '../../src/core/arena.ts'
import type { Image } from '../../src/index.ts'
import { expectStrategy } from '../../src/options.ts'

/** The counters that are compared after every scan. */
export const COMPARED = [
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'ksm_zero_pages',
  'pages_skipped',
  'stable_node_chains',
  'stable_node_dups',
  'general_profit',
] as const

export type Counted = Record<(typeof COMPARED)[number], number>

export interface KernelRun {
  readonly after_each_scan: readonly Counted[]
  /** Who shares with whom at the end, page by page, each named by the first page of its group. */
  readonly places: readonly number[]
}

export interface KernelTask {
  readonly images: readonly Image[]
  readonly later?: readonly Image[]
  readonly scans: number
  readonly scansAfter?: number
  readonly knobs: Readonly<Record<string, number>>
}

export async function mergeInKernel({
  images,
  later,
  scans,
  scansAfter,
  knobs,
}: KernelTask): Promise<KernelRun> {
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const arena = await Arena.create({ frames: pages, mappings: pages, ...expectStrategy({}) })
  const memory = arena.pages(arena.firstPfn, pages)
  read(images, memory)
  const merge = async (ksmd: Ksmd): Promise<KernelRun> => {
    // The kernel never resets the one, and may have lost count of others' zero pages, which stay counted then.
    const skippedBefore = ksmd.counter('pages_skipped')
    const zerosBefore = ksmd.counter('ksm_zero_pages')
    const rows: Counted[] = []
    const scan = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await ksmd.fullScan()
        const row = Object.fromEntries(COMPARED.map((name) => [name, ksmd.counter(name)])) as Counted
        row.pages_skipped -= skippedBefore
        row.ksm_zero_pages -= zerosBefore
        row.general_profit -= zerosBefore * PAGE_SIZE
        rows.push(row)
      }
    }
    await scan(scans)
    if (later !== undefined) {
      writeDifferent(later, memory)
      await scan(scansAfter ?? 0)
    }
    return { after_each_scan: rows, places: [...canonical(physicalFrames(memory))] }
  }
  return withKsmd({ merge_across_nodes: 1, ...knobs }, (ksmd) => whileMergeable(memory, () => merge(ksmd)))
}

function read(images: readonly Image[], memory: Uint8Array): void {
  let at = 0
  for (const image of images) {
    image.read(0, image.pages, memory.subarray(at, at + image.pages * 4096))
    at += image.pages * 4096
  }
}

function writeDifferent(later: readonly Image[], memory: Uint8Array): void {
  const after = Buffer.alloc(memory.length)
  read(later, after)
  for (let at = 0; at < memory.length; at += 4096) {
    const page = after.subarray(at, at + 4096)
    if (!page.equals(memory.subarray(at, at + 4096))) memory.set(page, at)
  }
}
