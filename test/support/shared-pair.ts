// Machines and moves that the tests of the seed systems share: a machine whose ksmd holds still unless asked, guests
// with pages of known content, a pair of merged pages, and an actor at a race point.

import { expect } from 'vitest'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import { Host, type HostOptions, type KnobName, type Mm, PagefoldError, stillClock } from '../../src/index.ts'
import type { KsmState } from '../../src/ksm/state.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { contentBytes, PAGE } from './history.ts'

export { contentBytes, PAGE }

const KNOBS = { smart_scan: 0, stable_node_chains_prune_millisecs: 0, run: 1 }

/** A machine on which ksmd runs only inside `host.ksm.scan()`. */
export async function machine(options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await Host.create({ frames: 64, clock: stillClock, ...options })
  for (const [name, value] of Object.entries(KNOBS)) host.ksm.set(name as KnobName, value)
  return host
}

export function ksmOf(host: Host): KsmState {
  return host.ksm.state
}

/** Maps one page for each content and writes them; returns the address. */
export function mapPages(mm: Mm, contents: readonly number[], mergeable = true): number {
  const at = mm.mmap(contents.length * PAGE)
  contents.forEach((content, i) => {
    mm.write(at + i * PAGE, contentBytes(content))
  })
  if (mergeable) mm.madvise(at, contents.length * PAGE, 'MADV_MERGEABLE')
  return at
}

export function expectContent(mm: Mm, address: number, content: number): void {
  expect(mm.read(address, PAGE), `${mm.name} at ${address}`).toEqual(contentBytes(content))
}

/** The errno a call is refused with, or `done`. */
export function errnoOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof PagefoldError) return error.code
    throw error
  }
  return 'done'
}

/** Two guests whose pages `p` and `q` have become one frame `k`. */
export interface Pair {
  readonly host: Host
  readonly a: Mm
  readonly b: Mm
  readonly p: number
  readonly q: number
  readonly k: number
}

export const SHARED_CONTENT = 7

/** `a` is registered first and so scanned first; `k` is what was q's frame. */
export async function sharedPair(options: Partial<HostOptions> = {}): Promise<Pair> {
  const host = await machine(options)
  return sharePage(host)
}

/** The same on a machine that exists. */
export function sharePage(host: Host, content = SHARED_CONTENT): Pair {
  const a = host.createMm({ name: 'A' })
  const b = host.createMm({ name: 'B' })
  const p = mapPages(a, [content])
  const q = mapPages(b, [content])
  host.ksm.scan(2)
  const k = b.pfn(q)!
  expect(a.pfn(p), 'p and q share a frame').toBe(k)
  return { host, a, b, p, q, k }
}

/** The stable node of a merged page. */
export function nodeOf(host: Host, pfn: number): number {
  const node = StableNodes.ofMapping(host.memory.frames.mapping(pfn))
  expect(node, `frame ${pfn} has a stable node`).not.toBe(0)
  return node
}

export function counted(host: Host): { shared: number; sharing: number; items: number } {
  const { pages_shared, pages_sharing } = host.ksm.counters()
  return { shared: pages_shared, sharing: pages_sharing, items: host.memory.arena.objects().rmapItems }
}

/** Acts once at a race point, and never again. Returns how often the point was passed, read after the fact. */
export function once(host: Host, point: RacePoint, action: () => void): { passed: number } {
  const seen = { passed: 0 }
  host.memory.race = (here) => {
    if (here !== point || seen.passed++ > 0) return
    action()
  }
  return seen
}

/** Acts at every race point in turn, and lets nobody act inside the action. */
export function always(host: Host, action: (point: RacePoint) => void): void {
  let acting = false
  host.memory.race = (point) => {
    if (acting) return
    acting = true
    try {
      action(point)
    } finally {
      acting = false
    }
  }
}

/** Leaves exactly `left` frames free: what is freed next is handed out next. */
export function useUpFrames(host: Host, left = 0): Mm {
  const filler = host.createMm({ name: 'filler' })
  const pages = host.frames.free - left
  if (pages > 0) filler.write(filler.mmap(pages * PAGE), new Uint8Array(pages * PAGE).fill(0xee))
  expect(host.frames.free).toBe(left)
  return filler
}
