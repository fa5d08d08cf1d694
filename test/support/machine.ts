// A host as the kernel's own test suites set one up, and the few words those suites are written in: fill, merge, full
// scans, counters, frames.

import { Host, type HostOptions, type Mm, PagefoldError, stillClock } from '../../src/index.ts'

export const PAGE = 4096

/** A host whose results depend on no clock, with smart_scan off as every suite wants it. */
export async function boot(options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await Host.create({ frames: 4096, clock: stillClock, ...options })
  host.ksm.set('smart_scan', 0)
  return host
}

/** A page full of one byte. */
export function pageOf(byte: number): Uint8Array {
  return new Uint8Array(PAGE).fill(byte)
}

/** memset: every byte of a range. */
export function fill(mm: Mm, address: number, pages: number, byte: number): void {
  mm.write(address, new Uint8Array(pages * PAGE).fill(byte))
}

/** Maps a range and fills it. */
export function mapFilled(mm: Mm, pages: number, byte: number): number {
  const address = mm.mmap(pages * PAGE)
  fill(mm, address, pages, byte)
  return address
}

/** Maps, fills and registers a range. */
export function mapMergeable(mm: Mm, pages: number, byte: number): number {
  const address = mapFilled(mm, pages, byte)
  mm.madvise(address, pages * PAGE, 'MADV_MERGEABLE')
  return address
}

/** Does every byte of a range have this value? */
export function holds(mm: Mm, address: number, pages: number, byte: number): boolean {
  const wanted = Buffer.from(pageOf(byte))
  for (let page = 0; page < pages; page++) {
    if (!wanted.equals(mm.read(address + page * PAGE, PAGE))) return false
  }
  return true
}

/** run=1 and so many complete full scans. */
export function fullScans(host: Host, count: number): void {
  host.ksm.set('run', 1)
  host.ksm.scan(count)
}

/** shared, sharing, unshared, volatile. */
export function counted(host: Host): number[] {
  const { pages_shared, pages_sharing, pages_unshared, pages_volatile } = host.ksm.counters()
  return [pages_shared, pages_sharing, pages_unshared, pages_volatile]
}

/** The frame of each page of a range. */
export function framesOf(mm: Mm, address: number, pages: number): (number | undefined)[] {
  return Array.from({ length: pages }, (_, page) => mm.pfn(address + page * PAGE))
}

/** Do two present pages of a range have the same frame? */
export function hasDuplicates(mm: Mm, address: number, pages: number): boolean {
  const present = framesOf(mm, address, pages).filter((pfn) => pfn !== undefined)
  return new Set(present).size < present.length
}

/** The code of the PagefoldError that `action` throws; undefined if it throws nothing. Anything else is passed on. */
export function errnoOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    if (error instanceof PagefoldError) return error.code
    throw error
  }
  return undefined
}
