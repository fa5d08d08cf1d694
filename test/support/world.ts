// A small host set up for one scene: time stands still, smart scan is off, ksmd runs when it is told to, and guests have
// a few pages of known content.

import {
  Host,
  type HostOptions,
  type Mm,
  type MmapOptions,
  PagefoldError,
  stillClock,
} from '../../src/index.ts'
import { contentBytes, PAGE } from './history.ts'

export { contentBytes, PAGE }

/** An mm and where its pages lie. */
export interface Guest {
  readonly mm: Mm
  readonly at: number
}

export async function stage(options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await Host.create({ frames: 64, clock: stillClock, ...options })
  host.ksm.set('smart_scan', 0)
  host.ksm.set('stable_node_chains_prune_millisecs', 0)
  host.ksm.set('run', 1)
  return host
}

/** A guest with one mergeable range, page after page of the contents given; undefined leaves a page untouched. */
export function guest(
  host: Host,
  name: string,
  contents: readonly (number | undefined)[],
  options: MmapOptions & { readonly domain?: string; readonly mergeable?: boolean } = {},
): Guest {
  const { domain, mergeable = true, ...mapping } = options
  const mm = host.createMm({ name, ...(domain === undefined ? {} : { domain }) })
  return { mm, at: addRange(mm, contents, mapping, mergeable) }
}

/** One more range of a guest. */
export function addRange(
  mm: Mm,
  contents: readonly (number | undefined)[],
  options: MmapOptions = {},
  mergeable = true,
): number {
  const at = mm.mmap(contents.length * PAGE, options)
  if (mergeable) mm.madvise(at, contents.length * PAGE, 'MADV_MERGEABLE')
  for (const [page, content] of contents.entries()) {
    if (content !== undefined) mm.write(at + page * PAGE, contentBytes(content))
  }
  return at
}

/** The errno of what an action throws. */
export function errnoOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof PagefoldError) return error.code
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The first byte of a page: with content c, c itself. */
export function byteAt(mm: Mm, address: number): number {
  return mm.read(address, 1)[0]!
}

export function pokeByte(mm: Mm, address: number, byte: number): void {
  mm.write(address, Uint8Array.of(byte))
}

/** pages_shared / pages_sharing / pages_unshared / pages_volatile, as the vectors write them. */
export function vector(host: Host): string {
  const { pages_shared, pages_sharing, pages_unshared, pages_volatile } = host.ksm.counters()
  return `${pages_shared}/${pages_sharing}/${pages_unshared}/${pages_volatile}`
}

/** The virtual page number of an address. */
export function vpnOf(address: number): number {
  return Math.floor(address / PAGE)
}

/** The pte of an address, as it is in the page table. */
export function pteOf(mm: Mm, address: number): number {
  return mm.memory.pageTables.get(mm.pgd, vpnOf(address))
}
