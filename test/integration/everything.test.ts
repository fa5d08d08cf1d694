// Random histories of everything at once: guests that write, fork and exit, devices that hold pages, swap, migration, memory
// that goes away, ksmd. After every step all invariants hold and every guest reads what it wrote; in the end nothing is left.

import { describe, expect, it } from 'vitest'
import {
  COW_POLICIES,
  type Host,
  INDEX_NAMES,
  type Mm,
  memorySwapStore,
  PagefoldError,
  type Pin,
} from '../../src/index.ts'
import { memoryOf, objectsOf } from '../support/inside.ts'
import { type Random, random } from '../support/random.ts'
import { bootHost, fullScans, PAGE, pageOf } from '../support/world.ts'

const AT = 2 ** 36
const PAGES = 10
const FRAMES = 72

/** A guest and what it must read: page by page the byte it is full of, undefined where nothing is mapped. */
interface Guest {
  readonly mm: Mm
  readonly bytes: (number | undefined)[]
  /** May it be written everywhere? */
  writable: boolean
}

class Machine {
  readonly host: Host
  readonly guests: Guest[] = []
  readonly held: {
    readonly pin: Pin
    readonly guest: Guest
    readonly page: number
    readonly write: boolean
  }[] = []
  private readonly random: Random
  private store = memorySwapStore(24)
  private away: { start: number; end: number } | undefined

  constructor(host: Host, random: Random) {
    this.host = host
    this.random = random
    host.swapOn(memorySwapStore(6))
    host.swapOn(this.store)
    this.spawn()
  }

  spawn(): void {
    const mm = this.host.createMm()
    const guest: Guest = { mm, bytes: new Array(PAGES).fill(0), writable: true }
    mm.mmap(PAGES * PAGE, { address: AT, node: this.random.below(2) })
    mm.madvise(AT, PAGES * PAGE, 'MADV_MERGEABLE')
    this.guests.push(guest)
  }

  step(): string {
    const steps = Object.entries(this.steps)
    const [name, act] = this.random.pick(steps)
    try {
      act(this.random.pick(this.guests))
      return name
    } catch (error) {
      if (!(error instanceof PagefoldError) || error.code === 'EUCLEAN') throw error
      return `${name}: ${error.code}`
    }
  }

  private readonly steps: Record<string, (guest: Guest) => void> = {
    write: (guest) => this.write(guest),
    'write more': (guest) => {
      for (let i = 0; i < 4; i++) this.write(guest)
    },
    fork: (guest) => {
      if (this.guests.length >= 6) return
      const mm = guest.mm.fork()
      this.guests.push({ mm, bytes: [...guest.bytes], writable: guest.writable })
    },
    exit: (guest) => {
      guest.mm.exit()
      this.guests.splice(this.guests.indexOf(guest), 1)
      if (this.guests.length === 0) this.spawn()
    },
    spawn: () => {
      if (this.guests.length < 6) this.spawn()
    },
    discard: (guest) => {
      const [first, count] = this.range()
      if (guest.bytes.slice(first, first + count).includes(undefined)) return
      guest.mm.madvise(AT + first * PAGE, count * PAGE, 'MADV_DONTNEED')
      guest.bytes.fill(0, first, first + count)
    },
    unmap: (guest) => {
      const [first, count] = this.range()
      guest.mm.munmap(AT + first * PAGE, count * PAGE)
      guest.bytes.fill(undefined, first, first + count)
    },
    remap: (guest) => {
      for (const [page, byte] of guest.bytes.entries()) {
        if (byte !== undefined) continue
        guest.mm.mmap(PAGE, { address: AT + page * PAGE, prot: guest.writable ? 3 : 1 })
        guest.bytes[page] = 0
      }
      guest.mm.madvise(AT, PAGES * PAGE, 'MADV_MERGEABLE')
    },
    unmerge: (guest) => {
      const [first, count] = this.range()
      guest.mm.madvise(AT + first * PAGE, count * PAGE, 'MADV_UNMERGEABLE')
    },
    'page out': (guest) => guest.mm.madvise(AT, PAGES * PAGE, 'MADV_PAGEOUT'),
    protect: (guest) => {
      if (guest.bytes.includes(undefined)) return
      guest.mm.mprotect(AT, PAGES * PAGE, guest.writable ? 'PROT_READ' : 'PROT_READ|PROT_WRITE')
      guest.writable = !guest.writable
    },
    move: (guest) => {
      const [from, to] = [this.random.below(PAGES), this.random.below(PAGES)]
      if (from === to || guest.bytes[from] === undefined) return
      guest.mm.mremap(AT + from * PAGE, PAGE, PAGE, { address: AT + to * PAGE })
      guest.bytes[to] = guest.bytes[from]
      guest.bytes[from] = undefined
    },
    pin: (guest) => this.hold(guest, true),
    get: (guest) => this.hold(guest, false),
    release: () => void this.held.shift()?.pin.release(),
    'device write': () => this.deviceWrite(),
    reclaim: () => void this.host.reclaim(this.frame()),
    'reclaim much': () => {
      for (let i = 0; i < 10; i++)
        if (this.host.frame(this.frame()).mapping) this.steps.reclaim!(this.guests[0]!)
    },
    migrate: () => void this.host.migrate(this.frame(), { node: this.random.below(2) }),
    'memory goes away or comes back': () => {
      if (this.away !== undefined) {
        this.host.online(this.away.start, this.away.end)
        this.away = undefined
        return
      }
      const start = this.frame()
      const end = Math.min(start + 1 + this.random.below(6), memoryOf(this.host).arena.endPfn)
      this.host.offline(start, end)
      this.away = { start, end }
    },
    'swap off and on': () => {
      this.host.swapOff(this.store)
      this.store = memorySwapStore(24)
      this.host.swapOn(this.store)
    },
    scan: () => fullScans(this.host, 1 + this.random.below(2)),
    'a few pages': () => {
      this.host.ksm.set('run', 1)
      this.host.ksm.scanPages(this.random.below(12))
    },
    'run=2': () => this.host.ksm.set('run', 2),
    max_page_sharing: () => this.host.ksm.set('max_page_sharing', 2 + this.random.below(4)),
    merge_across_nodes: () => this.host.ksm.set('merge_across_nodes', this.random.below(2)),
    use_zero_pages: () => this.host.ksm.set('use_zero_pages', this.random.below(2)),
    smart_scan: () => this.host.ksm.set('smart_scan', this.random.below(2)),
    'short of memory': (guest) => {
      memoryOf(this.host).frames.failAlloc = () => this.random.chance(0.5)
      try {
        this.random.pick([
          this.steps.fork!,
          this.steps.write!,
          this.steps.unmerge!,
          this.steps['swap off and on']!,
        ])(guest)
      } finally {
        memoryOf(this.host).frames.failAlloc = undefined
      }
    },
  }

  private write(guest: Guest): void {
    const page = this.random.below(PAGES)
    if (guest.bytes[page] === undefined || !guest.writable) return
    const byte = this.random.below(3)
    guest.mm.write(AT + page * PAGE, pageOf(byte))
    guest.bytes[page] = byte
  }

  private hold(guest: Guest, pinned: boolean): void {
    const page = this.random.below(PAGES)
    if (this.held.length > 4) return
    const write = guest.writable && this.random.chance(0.5)
    const pin = pinned
      ? guest.mm.pin(AT + page * PAGE, PAGE, { write })
      : guest.mm.get(AT + page * PAGE, PAGE)
    this.held.push({ pin, guest, page, write: pinned && write })
  }

  /** A device writes to a page that it pinned and that is still where it was: the guest sees it. */
  private deviceWrite(): void {
    const writable = this.held.filter(
      ({ pin, guest, page, write }) =>
        write &&
        guest.mm.users > 0 &&
        memoryOf(this.host).frames.isFrame(pin.pfns[0]!) &&
        guest.mm.pfn(AT + page * PAGE) === pin.pfns[0] &&
        this.host.frame(pin.pfns[0]!).mapcount === 1 &&
        this.host.frame(pin.pfns[0]!).flags.includes('exclusive'),
    )
    if (writable.length === 0) return
    const { pin, guest, page } = this.random.pick(writable)
    if (guest.bytes[page] === undefined) return
    const byte = this.random.below(3)
    pin.write(0, pageOf(byte))
    guest.bytes[page] = byte
  }

  private frame(): number {
    return memoryOf(this.host).arena.firstPfn + this.random.below(FRAMES)
  }

  private range(): [first: number, count: number] {
    const first = this.random.below(PAGES)
    return [first, 1 + this.random.below(PAGES - first)]
  }

  /** Compares without touching: from the ptes, so that what is swapped out stays there. Now and then by reading. */
  check(step: string, byReading: boolean): void {
    this.host.audit()
    for (const [i, { mm, bytes }] of this.guests.entries()) {
      for (const [page, byte] of bytes.entries()) {
        const pfn = byte === undefined ? undefined : mm.pfn(AT + page * PAGE)
        if (byte === undefined || (pfn === undefined && !byReading)) continue
        const found = pfn === undefined ? this.read(mm, page) : memoryOf(this.host).arena.page(pfn)
        if (found !== undefined)
          expect(Buffer.from(found).equals(pageOf(byte)), `${step}: guest ${i}, page ${page}`).toBe(true)
      }
    }
  }

  private read(mm: Mm, page: number): Uint8Array | undefined {
    try {
      return mm.read(AT + page * PAGE, PAGE)
    } catch (error) {
      if (error instanceof PagefoldError && error.code === 'ENOMEM') return undefined
      throw error
    }
  }

  end(): void {
    for (const { pin } of this.held) pin.release()
    for (const { mm } of this.guests) mm.exit()
    // Twice the same value would do nothing.
    this.host.ksm.set('run', 0)
    this.host.ksm.set('run', 2)
    this.host.audit()
    if (this.away !== undefined) this.host.online(this.away.start, this.away.end)
    expect(this.host.frames.free).toBe(FRAMES)
    expect(memoryOf(this.host).swap.usage.used).toBe(0)
    expect(objectsOf(this.host)).toEqual({ rmapItems: 0, stableNodes: 0, pageTables: 0 })
    expect(memoryOf(this.host).anonVmas.live).toBe(0)
    expect(this.host.warnings()).toEqual([])
  }
}

const SEEDS = Number(process.env.PAGEFOLD_SEEDS ?? 6)
const FIRST = Number(process.env.PAGEFOLD_FIRST_SEED ?? 1)

describe.each(INDEX_NAMES)('everything at once, index %s', (index) => {
  it.each(Array.from({ length: SEEDS }, (_, i) => FIRST + i))('seed %i', async (seed) => {
    const source = random(seed)
    const options = { cowPolicy: source.pick(COW_POLICIES), reuseKsm: source.chance(0.3) }
    const host = await bootHost({ index, frames: FRAMES, numaNodes: 2, ...options })
    host.ksm.set('stable_node_chains_prune_millisecs', 0)
    const machine = new Machine(host, source)
    const done: string[] = []
    try {
      for (let i = 0; i < 200; i++) {
        done.push('?')
        done[i] = machine.step()
        machine.check(done[i]!, source.chance(0.1))
      }
      machine.end()
    } catch (error) {
      throw new Error(`${JSON.stringify(options)} after ${done.slice(-8).join(', ')}`, { cause: error })
    }
  })
})
