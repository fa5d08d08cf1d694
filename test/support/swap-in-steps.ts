// The steps of a swap-in taken apart, so that two faults can be mixed in every order: what the page lock allows happens
// at once, the rest is tried in all orders. Built from the same primitives as src/mm/fault/swap-in.ts, whose own order is the
// first of ORDERS; the others are the mistakes that order avoids.

import { FRAME_LOCKED, FRAME_SWAPCACHE, PTE_DIRTY, PTE_WRITE } from '../../assembly/abi.ts'
import type { Host, Mm } from '../../src/index.ts'
import { canShareSwapPage } from '../../src/mm/fault/cow.ts'
import { mkPte, type SwapEntry, swapEntryOf } from '../../src/mm/page/pte.ts'
import { addAnonRmap } from '../../src/mm/page/rmap.ts'
import { memoryOf, pteOf, vpnOf } from './inside.ts'
import { byteAt, pokeByte } from './world.ts'

export type Step = 'lock' | 'ask' | 'add_rmap' | 'swap_free' | 'unlock' | 'write'

export const ORDERS = {
  right: ['lock', 'ask', 'add_rmap', 'swap_free', 'unlock'],
  'swap_free before ask': ['lock', 'swap_free', 'ask', 'add_rmap', 'unlock'],
  'unlock before add_rmap': ['lock', 'ask', 'swap_free', 'unlock', 'add_rmap'],
  'ask after add_rmap': ['lock', 'add_rmap', 'ask', 'swap_free', 'unlock'],
} as const satisfies Record<string, readonly Step[]>

/** One process in the middle of a fault on a page that is in the swap cache. */
export class Faulter {
  readonly mm: Mm
  readonly at: number
  shares = false
  private readonly entry: SwapEntry
  private pfn = 0

  constructor(mm: Mm, at: number) {
    this.mm = mm
    this.at = at
    this.entry = swapEntryOf(pteOf(mm, at))
  }

  do(step: Step): void {
    const { frames, swap } = memoryOf(this.mm)
    switch (step) {
      case 'lock':
        this.pfn = swap.cachedPage(this.entry)
        frames.get(this.pfn)
        frames.setFlag(this.pfn, FRAME_LOCKED)
        return
      case 'ask':
        this.shares = canShareSwapPage(memoryOf(this.mm), this.pfn)
        return
      case 'add_rmap':
        this.map()
        return
      case 'swap_free':
        swap.free(this.entry)
        return
      case 'unlock':
        frames.clearFlag(this.pfn, FRAME_LOCKED)
        return
      case 'write':
        pokeByte(this.mm, this.at, WRITTEN)
    }
  }

  private map(): void {
    const { pgd, vmas } = this.mm
    const memory = memoryOf(this.mm)
    const vpn = vpnOf(this.at)
    addAnonRmap(memory, this.pfn, vmas.at(vpn)!, vpn, this.shares)
    memory.pageTables.set(pgd, vpn, mkPte(this.pfn, true) | (this.shares ? PTE_WRITE | PTE_DIRTY : 0))
  }
}

export const WRITTEN = 0x58

/** Every way to mix two lists of steps, each in its own order, that the page lock permits. */
export function schedules(a: readonly Step[], b: readonly Step[]): ('a' | 'b')[][] {
  const found: ('a' | 'b')[][] = []
  const extend = (prefix: ('a' | 'b')[], i: number, j: number, holder: 'a' | 'b' | undefined): void => {
    if (i === a.length && j === b.length) found.push(prefix)
    for (const who of ['a', 'b'] as const) {
      const step = who === 'a' ? a[i] : b[j]
      if (step === undefined || (step === 'lock' && holder !== undefined)) continue
      const next = step === 'lock' ? who : step === 'unlock' ? undefined : holder
      extend([...prefix, who], i + (who === 'a' ? 1 : 0), j + (who === 'b' ? 1 : 0), next)
    }
  }
  extend([], 0, 0, undefined)
  return found
}

/** What went wrong in one schedule, in words; empty if nothing did. `a` reads, `b` writes. */
export function play(
  host: Host,
  a: Faulter,
  b: Faulter,
  order: readonly Step[],
  schedule: readonly ('a' | 'b')[],
): string[] {
  const wrong: string[] = []
  const { frames, swap } = memoryOf(host)
  const [page] = [...swap.cachedPages()][0]!
  const before = memoryOf(host).arena.page(page)[0]!
  const queues = { a: [...order], b: [...order, 'write' as const] }
  for (const who of schedule) {
    const step = queues[who].shift()!
    try {
      if (who === 'a') a.do(step)
      else b.do(step)
    } catch (error) {
      return [...wrong, `${who} ${step}: ${(error as Error).message}`]
    }
    if (frames.hasFlag(page, FRAME_LOCKED)) continue
    const swappedOut = frames.hasFlag(page, FRAME_SWAPCACHE) ? swap.swapcount(page) : 0
    const counted = frames.mapcount(page) + swappedOut
    const owners = b.mm.pfn(b.at) !== undefined && b.mm.pfn(b.at) !== page ? 1 : 2
    if (counted < owners) wrong.push(`after ${who} ${step}: ${counted} counted, ${owners} own it`)
  }
  if (byteAt(a.mm, a.at) !== before) wrong.push('a reads what b wrote')
  if (a.mm.pfn(a.at) === b.mm.pfn(b.at)) wrong.push('both end with one frame')
  if (byteAt(b.mm, b.at) !== WRITTEN) wrong.push('b lost its write')
  return wrong
}
