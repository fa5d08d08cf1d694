// The world of a test, and the few words it is told in: a host on which time stands still and ksmd runs when it is told
// to, guests with pages of known content, what their pages hold, what ksmd counts, and what a refused call says. All of it
// is done through the public interface; what a test has to look at behind it is in inside.ts.

import { expect } from 'vitest'
import {
  Host,
  type HostOptions,
  type KnobName,
  type Mm,
  type MmapOptions,
  PagefoldError,
  stillClock,
} from '../../src/index.ts'

export const PAGE = 4096

/** Smart scan is off, every chain due for pruning, ksmd told to run: what comes out depends on the pages alone. */
const KNOBS: Partial<Record<KnobName, number>> = {
  smart_scan: 0,
  stable_node_chains_prune_millisecs: 0,
  run: 1,
}

/** A small host for one scene. */
export function makeHost(options: Partial<HostOptions> = {}): Promise<Host> {
  return hostWith(KNOBS, { frames: 64, ...options })
}

/** A host as the kernel's own test suites find a machine: ksmd stopped, the knobs as after a boot but for smart scan. */
export function bootHost(options: Partial<HostOptions> = {}): Promise<Host> {
  return hostWith({ smart_scan: 0 }, { frames: 4096, ...options })
}

async function hostWith(knobs: Partial<Record<KnobName, number>>, options: HostOptions): Promise<Host> {
  const host = await Host.create({ clock: stillClock, ...options })
  for (const [name, value] of Object.entries(knobs)) host.ksm.set(name as KnobName, value)
  return host
}

/** Content c: all zero for 0, else words of c with a last word of its own. */
export function contentBytes(c: number): Uint8Array {
  const words = new Uint32Array(PAGE / 4).fill(c)
  words[words.length - 1] = Math.imul(c, 2654435761) >>> 0
  return new Uint8Array(words.buffer)
}

/** A page full of one byte. */
export function pageOf(byte: number): Uint8Array {
  return new Uint8Array(PAGE).fill(byte)
}

/** An mm and where its pages lie. */
export interface Guest {
  readonly mm: Mm
  readonly at: number
}

/** How a range is mapped; it is registered with ksmd unless it says otherwise. */
export type RangeOptions = MmapOptions & { readonly mergeable?: boolean }

/** A guest with one range, page after page of the contents given; undefined leaves a page untouched. */
export function guest(
  host: Host,
  name: string,
  contents: readonly (number | undefined)[],
  options: RangeOptions & { readonly domain?: string } = {},
): Guest {
  const { domain, ...range } = options
  const mm = host.createMm({ name, ...(domain === undefined ? {} : { domain }) })
  return { mm, at: addRange(mm, contents, range) }
}

/** One more range of a guest, registered and then written. */
export function addRange(
  mm: Mm,
  contents: readonly (number | undefined)[],
  { mergeable = true, ...mapping }: RangeOptions = {},
): number {
  const at = mm.mmap(contents.length * PAGE, mapping)
  if (mergeable) mm.madvise(at, contents.length * PAGE, 'MADV_MERGEABLE')
  for (const [page, content] of contents.entries()) {
    if (content !== undefined) mm.write(at + page * PAGE, contentBytes(content))
  }
  return at
}

/** One more range, of pages full of one byte: written and then registered, as the kernel's own test suites do. */
export function addFilled(
  mm: Mm,
  pages: number,
  byte: number,
  { mergeable = true, ...mapping }: RangeOptions = {},
): number {
  const at = mm.mmap(pages * PAGE, mapping)
  fill(mm, at, pages, byte)
  if (mergeable) mm.madvise(at, pages * PAGE, 'MADV_MERGEABLE')
  return at
}

/** memset: every byte of so many pages. */
export function fill(mm: Mm, address: number, pages: number, byte: number): void {
  mm.write(address, new Uint8Array(pages * PAGE).fill(byte))
}

/** Leaves exactly `left` frames free: what is freed next is handed out next. */
export function useUpFrames(host: Host, left = 0): Mm {
  const filler = host.createMm({ name: 'filler' })
  const pages = host.frames.free - left
  if (pages > 0) addFilled(filler, pages, 0xee, { mergeable: false })
  expect(host.frames.free).toBe(left)
  return filler
}

/** Does every byte of so many pages have this value? */
export function holds(mm: Mm, address: number, pages: number, byte: number): boolean {
  const wanted = Buffer.from(pageOf(byte))
  for (let page = 0; page < pages; page++) {
    if (!wanted.equals(mm.read(address + page * PAGE, PAGE))) return false
  }
  return true
}

export function expectContent(mm: Mm, address: number, content: number): void {
  expect(mm.read(address, PAGE), `${mm.name} at ${address}`).toEqual(contentBytes(content))
}

/** The first byte of a page: with content c, c itself. */
export function byteAt(mm: Mm, address: number): number {
  return mm.read(address, 1)[0]!
}

export function pokeByte(mm: Mm, address: number, byte: number): void {
  mm.write(address, Uint8Array.of(byte))
}

/** The frame of each of so many pages. */
export function framesOf(mm: Mm, address: number, pages: number): (number | undefined)[] {
  return Array.from({ length: pages }, (_, page) => mm.pfn(address + page * PAGE))
}

/** Do two present pages of a range have the same frame? */
export function hasDuplicates(mm: Mm, address: number, pages: number): boolean {
  const present = framesOf(mm, address, pages).filter((pfn) => pfn !== undefined)
  return new Set(present).size < present.length
}

/** run=1 and so many complete full scans. */
export function fullScans(host: Host, count: number): void {
  host.ksm.set('run', 1)
  host.ksm.scan(count)
}

/** pages_shared, pages_sharing, pages_unshared, pages_volatile. */
export function counted(host: Host): number[] {
  const { pages_shared, pages_sharing, pages_unshared, pages_volatile } = host.ksm.counters()
  return [pages_shared, pages_sharing, pages_unshared, pages_volatile]
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
