// Guests for the measurements of growth: a host with room, and pages whose content is told by a number.

import { Host, type HostOptions, type Mm, PAGE_SIZE } from '../../src/index.ts'

/** A host on which n pages have room, whatever is done to them. */
export function hostOf(n: number, options: Partial<HostOptions> = {}): Promise<Host> {
  return Host.create({ frames: 2 * n + 64, mappings: 6 * n + 4096, ...options })
}

/** Ready to scan: no smart scan, run=1. */
export async function scanningHost(n: number, options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await hostOf(n, options)
  host.ksm.set('smart_scan', 0)
  host.ksm.set('run', 1)
  return host
}

/** A guest with one mergeable mapping of n pages, page i holding `content(i)`; returns where it begins. */
export function guestOf(host: Host, n: number, content: (page: number) => number): { mm: Mm; at: number } {
  const mm = host.createMm()
  const at = mm.mmap(n * PAGE_SIZE)
  writePages(mm, at, n, content)
  mm.madvise(at, n * PAGE_SIZE, 'MADV_MERGEABLE')
  return { mm, at }
}

const word = new Uint32Array(1)
const bytes = new Uint8Array(word.buffer)

/** Writes a number into each page. */
export function writePages(mm: Mm, at: number, n: number, content: (page: number) => number): void {
  for (let page = 0; page < n; page++) {
    word[0] = content(page)
    mm.write(at + page * PAGE_SIZE, bytes)
  }
}

/** n mappings that cannot be joined: with a hole behind each, or of alternating protection. */
export function mapMany(mm: Mm, n: number, holes: boolean): number {
  const base = 2 ** 32
  const step = holes ? 2 : 1
  for (let i = 0; i < n; i++) {
    const prot = holes || i % 2 === 0 ? 'PROT_READ|PROT_WRITE' : 'PROT_READ'
    mm.mmap(PAGE_SIZE, { address: base + i * step * PAGE_SIZE, prot })
  }
  return base
}

/** 0 to n - 1 in an order that jumps about, always the same. */
export function shuffled(n: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i)
  let state = 12_345
  for (let i = n - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    const j = state % (i + 1)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
