// The states a host and an mm can be in when somebody calls something, each made from scratch, and a picture of everything
// that a refused call must leave as it was.

import { PTE_PRESENT, PTE_SPECIAL } from '../../assembly/abi.ts'
import { type Host, type Mm, memorySwapStore, type Pin, type SwapStore } from '../../src/index.ts'
import { VPN_LIMIT } from '../../src/mm/model/address.ts'
import { memoryOf } from './inside.ts'
import { bootHost, fill, PAGE } from './world.ts'

export const PAGES = 8
/** Where the range lies that operations are tried on. */
export const AT = 2 ** 36

export interface Scene {
  readonly host: Host
  /** Whose range it is. */
  readonly mm: Mm
  /** Other mms alive, with the same content at the same place. */
  readonly others: Mm[]
  readonly store: SwapStore
  /** A frame with one of the range's pages, or one that had it. */
  readonly pfn: number
  readonly pins: Pin[]
  /** What every page of the range is full of. */
  readonly byte: number
}

export const STATES = [
  'empty',
  'fresh',
  'visited',
  'merged',
  'zero',
  'forked',
  'swapped',
  'cached',
  'merged and swapped',
  'merged and cached',
  'forked and swapped',
  'pinned',
  'exited',
  'orphaned',
  'closed',
] as const
export type State = (typeof STATES)[number]

/** Makes a host of 48 frames on two NUMA nodes with swap, and an mm in the given state. */
export async function makeScene(state: State): Promise<Scene> {
  const host = await bootHost({ frames: 48, numaNodes: 2 })
  const store = memorySwapStore(32)
  fillFirstDevice(host)
  host.swapOn(store)
  const byte = state === 'zero' || state === 'empty' ? 0 : 7
  if (state === 'zero') host.ksm.set('use_zero_pages', 1)
  const mm = host.createMm({ name: 'guest' })
  mm.mmap(PAGES * PAGE, { address: AT })
  mm.madvise(AT, PAGES * PAGE, 'MADV_MERGEABLE')
  host.ksm.set('run', 1)
  const scene: Scene = { host, mm, others: [], store, pins: [], byte, pfn: memoryOf(host).arena.firstPfn + 1 }
  if (state === 'empty') return scene
  fill(mm, AT, PAGES, byte)
  const pfn = mm.pfn(AT + PAGE)!
  return { ...scene, pfn: enter(scene, state) ?? pfn }
}

/** Swap of one slot, taken: what is swapped out later goes to the second device, whose number has to last. */
function fillFirstDevice(host: Host): void {
  host.swapOn(memorySwapStore(1))
  const sleeper = host.createMm({ name: 'sleeper' })
  const at = sleeper.mmap(PAGE)
  fill(sleeper, at, 1, 9)
  sleeper.madvise(at, PAGE, 'MADV_PAGEOUT')
}

/** Brings a filled range into a state; returns the frame its second page has then, if another. */
function enter({ host, mm, others, pins }: Scene, state: State): number | undefined {
  switch (state) {
    case 'visited':
      host.ksm.scan(1)
      return undefined
    case 'merged':
    case 'zero':
      host.ksm.scan(2)
      return state === 'zero' ? undefined : mm.pfn(AT)
    case 'forked':
      host.ksm.scan(2)
      others.push(mm.fork({ name: 'child' }))
      return mm.pfn(AT)
    case 'swapped':
      mm.madvise(AT, PAGES * PAGE, 'MADV_PAGEOUT')
      return undefined
    case 'cached': {
      // Somebody's reference keeps the pages in the swap cache; then it goes.
      const reference = mm.get(AT, PAGES * PAGE)
      mm.madvise(AT, PAGES * PAGE, 'MADV_PAGEOUT')
      reference.release()
      return undefined
    }
    case 'merged and swapped': {
      host.ksm.scan(2)
      const pfn = mm.pfn(AT)!
      host.reclaim(pfn)
      return pfn
    }
    case 'merged and cached': {
      // Held in the swap cache as a merged page, mapped once and swapped out seven times.
      host.ksm.scan(2)
      const pfn = mm.pfn(AT)!
      const reference = mm.get(AT, PAGE)
      host.reclaim(pfn)
      reference.release()
      mm.read(AT, 1)
      return pfn
    }
    case 'forked and swapped': {
      others.push(mm.fork({ name: 'child' }))
      const pfns = Array.from({ length: PAGES }, (_, page) => mm.pfn(AT + page * PAGE)!)
      for (const pfn of pfns) host.reclaim(pfn)
      // One page is back for one of the two, and in the cache for the other.
      mm.read(AT + PAGE, 1)
      return mm.pfn(AT + PAGE)
    }
    case 'pinned':
      host.ksm.scan(2)
      pins.push(mm.pin(AT, PAGES * PAGE))
      return mm.pfn(AT)
    case 'exited': {
      host.ksm.scan(2)
      const pfn = mm.pfn(AT)
      host.ksm.set('run', 0)
      mm.exit()
      host.ksm.set('run', 1)
      return pfn
    }
    case 'orphaned': {
      // The mm is gone, a device still holds its pages.
      const pin = mm.pin(AT, PAGES * PAGE)
      pins.push(pin)
      mm.exit()
      return pin.pfns[1]
    }
    case 'closed':
      host.ksm.scan(2)
      host.close()
      return undefined
    default:
      return undefined
  }
}

/** Everything there is, for comparing: counters, frames with their bytes, ranges, ptes, swap. */
export function picture(host: Host): object {
  const memory = memoryOf(host)
  const { arena, frames } = memory
  const pfns = Array.from({ length: arena.endPfn - arena.firstPfn }, (_, i) => arena.firstPfn + i)
  return {
    counters: host.ksm.counters(),
    vmstat: host.vmstat(),
    frames: pfns.map((pfn) => ({
      ...host.frame(pfn),
      bytes: frames.refcount(pfn) > 0 ? arena.checksum(pfn) : 0n,
    })),
    free: host.frames.free,
    total: host.frames.total,
    swap: memory.swap.usage,
    objects: { ...arena.objects(), pageTables: 'made on the way, may stay' },
    mms: [...memory.mms()].map((mm) => ({
      name: mm.name,
      users: mm.users,
      ksm: { ...mm.ksm },
      flags: [mm.mergeable, mm.mergeAny],
      vmas: [...mm.vmas].map(({ start, end, flags, nid }) => [start, end, flags, nid]),
      ptes: mm.users === 0 ? [] : ptesOf(host, mm),
    })),
  }
}

function ptesOf(host: Host, mm: { readonly pgd: number }): number[][] {
  const { pageTables } = memoryOf(host)
  const found: number[][] = []
  for (let vpn = pageTables.next(mm.pgd, 0, VPN_LIMIT); vpn < VPN_LIMIT; ) {
    const pte = pageTables.get(mm.pgd, vpn)
    found.push([vpn, (pte & (PTE_PRESENT | PTE_SPECIAL)) === 0 ? pte : pte & ~0xfff, pte & 0xfff])
    vpn = pageTables.next(mm.pgd, vpn + 1, VPN_LIMIT)
  }
  return found
}
