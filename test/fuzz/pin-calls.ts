// Calls about pages that somebody outside the guest holds: pins, and the translations of a secondary MMU.

import type { Errno, NotifierRange, Pin, SecondaryMmu } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import type { Random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'
import {
  type Attempt,
  NO_ADDRESS,
  NO_BOOLEAN,
  NO_BYTES,
  NO_OBJECT,
  NO_SIZE,
  noOptions,
  notIn,
} from './attempt.ts'
import {
  accessErrnos,
  anyGuest,
  contentOf,
  drawOwner,
  drawPlace,
  drawVpn,
  partsOf,
  VPN_LIMIT,
} from './draws.ts'
import type { Draw } from './generators.ts'
import { type Cell, type Guest, isSame, patch } from './shadow.ts'
import type { Held, World } from './world.ts'

const MAX_PINS = 6
const NO_GET = noOptions({ write: NO_BOOLEAN })
const NO_PIN = noOptions({ write: NO_BOOLEAN, longterm: NO_BOOLEAN })

/** `mm.pin`, or with `plain` `mm.get`. */
function hold(plain: boolean): Draw[1] {
  return (world, draw) => {
    const guest = drawOwner(world, draw)
    if (guest === undefined || world.pins.length >= MAX_PINS) return undefined
    const start = drawPlace(draw, guest)
    const offset = draw.pick([0, 0, 0, 7])
    const write = draw.below(2) === 0
    const longterm = draw.below(2) === 0
    const length = Math.min((VPN_LIMIT - start) * PAGE - offset, draw.pick([1, PAGE, PAGE, 2 * PAGE]))
    const end = start + Math.ceil((offset + length) / PAGE)
    const access = accessErrnos(world, guest, start, end, write ? 'write' : 'read')
    return {
      call: (...args) => {
        const given = args as [number, number, object]
        return plain ? guest.mm.get(...given) : guest.mm.pin(...given)
      },
      args: [start * PAGE + offset, length, plain ? { write } : { write, longterm }],
      hostile: [NO_ADDRESS, NO_SIZE, plain ? NO_GET : NO_PIN],
      ...access,
      // Somebody may hold the page, or it has to be made the mm's own first.
      errnos: guest.gone
        ? access.errnos
        : [...access.errnos, 'EAGAIN', ...(world.isShort ? (['ENOMEM'] as const) : [])],
      done: (pin: Pin) => {
        const cells = pin.pfns.map((pfn, i) => keptCell(world, guest, start + i, pfn, plain))
        world.pins.push({ pin, cells, offset, write })
      },
    }
  }
}

/** What is read through a pin for as long as it is held, where that is promised. */
function keptCell(world: World, guest: Guest, vpn: number, pfn: number, plain: boolean): Cell | undefined {
  const page = guest.pages.get(vpn)
  if (guest.gone || page === undefined || guest.mm.pfn(vpn * PAGE) !== pfn) return undefined
  // Nothing comes in the place of a shared page, and it is there while nobody maps it.
  const isPromised = !plain && world.host.policy.cowPolicy === 'anon_exclusive'
  if (page.kind !== 'shared' && !isPromised) return undefined
  // A file's own page may be pinned for a while: the guest's copy is another.
  if (page.kind === 'file' && world.host.frame(pfn).mapping === undefined) return undefined
  world.compare(guest, vpn, page)
  return page.cell
}

const drawPin = (world: World, draw: Random): Held | undefined =>
  world.pins.length === 0 ? undefined : draw.pick(world.pins)

/** Bytes in what is held, from the address pinned on. */
const sizeOf = ({ pin, offset }: Held): number => pin.pfns.length * PAGE - offset

/** A frame that is held may break. */
const broken = (world: World): readonly Errno[] => (world.failures > 0 ? ['EHWPOISON'] : [])

function readPin(world: World, draw: Random): Attempt | undefined {
  const held = drawPin(world, draw)
  if (held === undefined || (world.released.length > 0 && draw.below(20) === 0))
    return afterRelease(world, draw)
  const size = sizeOf(held)
  const offset = draw.below(size + 1)
  const length = draw.below(size - offset + 1)
  return {
    call: (...args) => held.pin.read(...(args as [number, number])),
    args: [offset, length],
    hostile: [notIn(0, size).concat(undefined), notIn(0, size - offset).concat(undefined)],
    errnos: broken(world),
    done: (bytes: Uint8Array) => {
      if (bytes.length !== length) world.fail(`${bytes.length} bytes read through a pin, should be ${length}`)
      for (const { page, at, from, count } of partsOf(held.offset + offset, length)) {
        const cell = held.cells[page]
        if (cell === undefined) continue
        if (!isSame(bytes.subarray(from, from + count), cell.bytes.subarray(at, at + count)))
          world.fail(`page ${page} of a pin is not what the guest sees`)
      }
    },
  }
}

function afterRelease(world: World, draw: Random): Attempt | undefined {
  if (world.released.length === 0) return undefined
  const pin = draw.pick(world.released)
  return { call: () => pin.read(0, 1), args: [], errnos: [], mistake: true }
}

function writePin(world: World, draw: Random): Attempt | undefined {
  const held = drawPin(world, draw)
  if (held === undefined) return undefined
  const size = sizeOf(held)
  const bytes = contentOf(draw).subarray(0, Math.min(size, draw.pick([1, 8, PAGE])))
  const offset = draw.pick([0, size - bytes.length])
  return {
    call: (...args) => held.pin.write(...(args as [number, Uint8Array])),
    args: [offset, bytes],
    hostile: [notIn(0, size - bytes.length).concat(undefined), NO_BYTES],
    errnos: broken(world),
    mistake: !held.write,
    // A page that was given up may be another than the one held by now.
    before: () => {
      for (const guest of world.living) {
        for (const [vpn, page] of guest.pages) {
          if (page.cell.alt !== undefined && held.cells.includes(page.cell)) world.compare(guest, vpn, page)
        }
      }
    },
    done: () => {
      for (const { page, at, from, count } of partsOf(held.offset + offset, bytes.length)) {
        for (const cell of new Set(cellsOf(world, held.pin.pfns[page]!)))
          patch(cell, at, bytes.subarray(from, from + count))
      }
    },
  }
}

/** What is read, by whomever, from a frame: a device writes to it without asking. */
function* cellsOf(world: World, pfn: number): IterableIterator<Cell> {
  for (const { pin, cells } of world.pins) {
    for (const [i, cell] of cells.entries()) if (cell !== undefined && pin.pfns[i] === pfn) yield cell
  }
  for (const guest of world.living) {
    for (const [vpn, page] of guest.pages) {
      const there = world.behind(guest, vpn, page)
      if (page.lost || there === 'broken' || there.pfn !== pfn) continue
      yield page.cell
    }
  }
}

export const PIN_CALLS = {
  'Mm.pin': [16, hold(false)],
  'Mm.get': [12, hold(true)],
  'Pin.read': [10, readPin],
  'Pin.write': [10, writePin],
  'Pin.release': [
    16,
    (world, draw) => {
      const held = drawPin(world, draw)
      const again = held === undefined || draw.below(20) === 0
      if (again && world.released.length === 0) return undefined
      const pin = again ? draw.pick(world.released) : held.pin
      return {
        call: () => pin.release(),
        args: [],
        errnos: [],
        done: () => {
          const at = world.pins.findIndex((other) => other.pin === pin)
          if (at >= 0) world.pins.splice(at, 1)
          if (!again) world.released.push(pin)
          if (world.released.length > 3) world.released.shift()
        },
      }
    },
  ],
} satisfies Record<string, Draw>

/** A guest with a secondary MMU. */
function onMmu(make: (world: World, draw: Random, guest: Guest, mmu: SecondaryMmu) => Attempt): Draw[1] {
  return (world, draw) => {
    const guest = anyGuest(world, draw)
    return guest?.mmu === undefined ? undefined : make(world, draw, guest, guest.mmu)
  }
}

function translate(world: World, draw: Random, guest: Guest, mmu: SecondaryMmu): Attempt {
  const vpn = drawPlace(draw, guest)
  const write = draw.below(2) === 0
  const access = accessErrnos(world, guest, vpn, vpn + 1, write ? 'write' : 'read')
  return {
    call: (...args) => mmu.translate(...(args as [number, boolean])),
    args: [vpn * PAGE, write],
    hostile: [NO_ADDRESS],
    errnos: [...access.errnos, 'EAGAIN'],
    done: (pfn) => {
      const found = guest.gone ? undefined : guest.mm.pfn(vpn * PAGE)
      if (!guest.gone && pfn !== found)
        world.fail(`${guest.mm.name}, page ${vpn}: translated to frame ${pfn}, is ${found}`)
    },
  }
}

/** A virtual CPU looks a translation up and, where it may, writes through it. */
function peek(world: World, draw: Random, guest: Guest, mmu: SecondaryMmu): Attempt {
  const vpn = drawPlace(draw, guest)
  const bytes = contentOf(draw)
  return {
    call: (address) => mmu.peek(address as number),
    args: [vpn * PAGE],
    hostile: [NO_ADDRESS],
    errnos: [],
    done: (known) => {
      const page = guest.pages.get(vpn)
      if (known === undefined || world.isInside) return
      if (page === undefined) world.fail(`${guest.mm.name}, page ${vpn}: translated, and not mapped`)
      if (!known.writable) return
      if ((page.prot & 2) === 0)
        world.fail(`${guest.mm.name}, page ${vpn}: the secondary MMU may write, the guest may not`)
      memoryOf(world.host).arena.page(known.pfn).set(bytes)
      patch(page.cell, 0, bytes)
      world.settle(guest, vpn, page)
    },
  }
}

const NO_RANGE: readonly unknown[] = [
  undefined,
  ...NO_OBJECT,
  {},
  { start: 0 },
  { start: Number.NaN, end: 4096 },
]

function inRange(start: boolean): Draw[1] {
  return onMmu((world, draw, guest, mmu) => {
    const vpn = drawVpn(draw)
    const at = { start: vpn * PAGE, end: (vpn + 1) * PAGE }
    const range: NotifierRange = { event: 'clear', ...at, blockable: true }
    // As somebody would who has a translation forgotten: both, or nothing could be translated any more.
    // Who ends a range that an mm has begun deceives the mirror: nothing can be promised then.
    const alone = draw.below(4) === 0 && mmu.openRanges.length === 0
    return {
      call: (given) => {
        if (start || !alone) mmu.invalidateRangeStart(given as NotifierRange)
        mmu.invalidateRangeEnd(given as NotifierRange)
      },
      args: [range],
      hostile: [NO_RANGE],
      errnos: [],
      mistake: !start && alone,
      done: () => {
        if (!world.isInside && mmu.peek(vpn * PAGE) !== undefined)
          world.fail(`${guest.mm.name}: not forgotten`)
      },
    }
  })
}

export const MMU_CALLS = {
  'SecondaryMmu.translate': [30, onMmu(translate)],
  'SecondaryMmu.peek': [12, onMmu(peek)],
  'SecondaryMmu.isMasked': [
    2,
    onMmu((world, draw, _, mmu) => ({
      call: (vpn) => mmu.isMasked(vpn as number),
      args: [drawVpn(draw)],
      hostile: [notIn(0, VPN_LIMIT - 1).concat(undefined)],
      errnos: [],
      done: (masked) => {
        if (masked && !world.isInside) world.fail('masked at rest')
      },
    })),
  ],
  'SecondaryMmu.openRanges': [
    2,
    onMmu((world, _, __, mmu) => ({
      call: () => mmu.openRanges,
      args: [],
      errnos: [],
      done: (open) => {
        if (open.length > 0 && !world.isInside) world.fail('ranges open at rest')
      },
    })),
  ],
  'SecondaryMmu.invalidateRangeStart': [2, inRange(true)],
  'SecondaryMmu.invalidateRangeEnd': [2, inRange(false)],
  'SecondaryMmu.close': [
    3,
    onMmu((_, __, guest, mmu) => ({
      call: () => mmu.close(),
      args: [],
      errnos: [],
      done: () => {
        guest.mmu = undefined
      },
    })),
  ],
} satisfies Record<string, Draw>
