// Calls of Mm but those on a range (range-calls.ts): mapping, moving, children, the end; reading and writing; who watches.

import {
  type Errno,
  type Mm,
  type MmapOptions,
  type Notifier,
  type PagefoldError,
  SecondaryMmu,
} from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import type { Random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'
import {
  type Attempt,
  NO_ADDRESS,
  NO_BOOLEAN,
  NO_BYTES,
  NO_LENGTH,
  NO_NAME,
  NO_OBJECT,
  NO_SIZE,
  noOptions,
  notIn,
} from './attempt.ts'
import {
  accessErrnos,
  contentOf,
  drawGuest,
  drawOwner,
  drawPlace,
  drawRoom,
  drawVpn,
  isOver,
  orGone,
  partsOf,
  VPN_LIMIT,
} from './draws.ts'
import type { Draw } from './generators.ts'
import { drawProt, NO_PROT, protOf } from './range-calls.ts'
import {
  freshPage,
  type Guest,
  holds,
  inherited,
  isSame,
  type Kind,
  NOTHING_SHOWN,
  type Page,
  type Shown,
  zap,
} from './shadow.ts'
import type { FuzzFile } from './sources.ts'
import { type Part, SLOTS, type World } from './world.ts'

const NO_SUCCESSOR = noOptions({ name: NO_NAME, domain: [...NO_NAME, 'another'] })

export const onGuest =
  (make: (world: World, draw: Random, guest: Guest) => Attempt | undefined): Draw[1] =>
  (world, draw) => {
    const guest = drawGuest(world, draw)
    return guest === undefined ? undefined : make(world, draw, guest)
  }

/** The same, for a call about pages. */
export const onOwner =
  (make: (world: World, draw: Random, guest: Guest) => Attempt | undefined): Draw[1] =>
  (world, draw) => {
    const guest = drawOwner(world, draw)
    return guest === undefined ? undefined : make(world, draw, guest)
  }

interface Mapping {
  readonly kind: Kind
  readonly file: FuzzFile | undefined
  readonly options: MmapOptions
}

function drawMapping(world: World, draw: Random): Mapping {
  const nodes = world.settings.options.numaNodes ?? 1
  const roll = draw.below(20)
  const common = {
    ...(draw.below(3) > 0 ? {} : { prot: drawProt(draw)[0] }),
    ...(nodes > 1 ? { node: draw.below(nodes) } : {}),
  }
  if (roll === 0) return { kind: 'huge', file: undefined, options: { ...common, kind: 'hugetlb' } }
  if (roll === 1) return { kind: 'device', file: undefined, options: { ...common, kind: 'pfnmap' } }
  if (roll < 5) return { kind: 'shared', file: undefined, options: { ...common, shared: true } }
  if (roll > 8) return { kind: 'anon', file: undefined, options: common }
  const file = draw.pick(world.files)
  const offset = draw.below(3) * PAGE
  return { kind: 'file', file, options: { ...common, file: file.given, offset } }
}

const NO_MMAP_OPTIONS = noOptions({
  address: [...NO_ADDRESS, 1, 4095],
  prot: NO_PROT,
  shared: NO_BOOLEAN,
  file: [null, 7, 'file', {}, { pages: 1 }, { pages: -1, read() {} }, { pages: 0.5, read() {} }],
  offset: [...notIn(0, 2 ** 44), 1, 4096],
  node: notIn(0, 15),
  kind: ['huge', '', null, 7],
})

function mmap(world: World, draw: Random, guest: Guest): Attempt {
  const { start, pages } = drawRoom(draw)
  const { kind, file, options } = drawMapping(world, draw)
  const fixed = draw.below(8) > 0
  const length = pages * PAGE - (draw.below(6) === 0 ? draw.below(PAGE) : 0)
  const taken = fixed && guest.within(start, start + pages).length > 0
  return {
    call: (...args) => guest.mm.mmap(...(args as [number, MmapOptions])),
    args: [length, { ...options, ...(fixed ? { address: start * PAGE } : {}) }],
    hostile: [NO_SIZE, NO_MMAP_OPTIONS],
    errnos: orGone(guest, taken ? ['EEXIST'] : ['ENOMEM', 'EAGAIN']),
    impossible: taken || guest.gone,
    done: (address) => {
      const first = address / PAGE
      const shown: Shown = kind === 'anon' ? NOTHING_SHOWN : { cells: new Map(), file: file?.contents ?? [] }
      const prot = options.prot === undefined ? 3 : protOf(options.prot)
      for (let i = 0; i < pages; i++) {
        if (guest.pages.has(first + i))
          world.fail(`${guest.mm.name}: mmap gave page ${first + i}, which is taken`)
        guest.pages.set(first + i, freshPage(kind, prot, shown, i + (options.offset ?? 0) / PAGE))
      }
    },
  }
}

const NO_REMAP = noOptions({ mayMove: NO_BOOLEAN, address: [...NO_ADDRESS, 1] })
const NO_FORCE = noOptions({ force: NO_BOOLEAN })
const REMAP_ERRNOS: readonly Errno[] = ['EFAULT', 'EINVAL', 'ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON']

function mremap(_: World, draw: Random, guest: Guest): Attempt {
  const start = drawPlace(draw, guest)
  const room = VPN_LIMIT - start
  const oldPages = Math.min(room, 1 + draw.below(6))
  const newPages = Math.min(room, draw.below(2) === 0 ? oldPages : 1 + draw.below(6))
  const fixed = draw.below(2) === 0 ? drawVpn(draw) : undefined
  const mayMove = draw.below(3) > 0
  const options = {
    ...(draw.below(3) === 0 ? {} : { mayMove }),
    ...(fixed === undefined ? {} : { address: fixed * PAGE }),
  }
  const overlaps = fixed !== undefined && fixed < start + oldPages && fixed + newPages > start
  const beyond = fixed !== undefined && fixed + newPages > VPN_LIMIT
  const move = { start, oldPages, newPages, fixed }
  return {
    call: (...args) => guest.mm.mremap(...(args as [number, number, number, object])),
    args: [start * PAGE, oldPages * PAGE, newPages * PAGE, options],
    hostile: [NO_ADDRESS, NO_SIZE, NO_SIZE, NO_REMAP],
    errnos: orGone(guest, REMAP_ERRNOS),
    ...isOver(guest),
    mistake: !guest.gone && (overlaps || beyond),
    done: (address) => moved(guest, move, address / PAGE),
    failed: () => {
      if (!guest.gone && !overlaps && !beyond) movedPartly(guest, move)
    },
  }
}

interface Move {
  readonly start: number
  readonly oldPages: number
  readonly newPages: number
  readonly fixed: number | undefined
}

function moved(guest: Guest, { start, oldPages, newPages, fixed }: Move, place: number): void {
  const kept = Math.min(oldPages, newPages)
  const pages = guest.within(start, start + kept)
  if (fixed !== undefined && oldPages === newPages) {
    // Several mappings with holes between: what lies at the other end of a hole stays.
    for (const [vpn] of pages) guest.pages.delete(vpn - start + place)
  } else if (fixed !== undefined) {
    guest.drop(fixed, fixed + newPages)
  }
  guest.drop(start, start + oldPages)
  for (const [vpn, page] of pages) guest.pages.set(vpn - start + place, page)
  const last = guest.pages.get(place + kept - 1)
  if (last === undefined) return
  for (let i = kept; i < newPages; i++) {
    const { kind, prot, shown, index, locked, dontFork, wipeOnFork } = last
    const grown = freshPage(kind, prot, shown, index + i - kept + 1)
    guest.pages.set(place + i, { ...grown, locked, dontFork, wipeOnFork })
  }
}

/** What it could not do: mappings before the one that failed have moved, and what lay in their way is gone. */
function movedPartly(guest: Guest, { start, oldPages, newPages, fixed }: Move): void {
  const isMapped = (vpn: number): boolean => guest.mm.vmas.at(vpn) !== undefined
  const old = guest.within(start, start + oldPages)
  if (fixed !== undefined) {
    for (const [vpn] of guest.within(fixed, fixed + newPages)) if (!isMapped(vpn)) guest.pages.delete(vpn)
  }
  for (const [vpn, page] of old) {
    if (isMapped(vpn)) continue
    guest.pages.delete(vpn)
    const target = fixed === undefined ? -1 : vpn - start + fixed
    if (vpn - start < newPages && target >= 0 && isMapped(target)) guest.pages.set(target, page)
  }
}

function fork(world: World, draw: Random, guest: Guest): Attempt | undefined {
  if (world.living.length === SLOTS) return undefined
  return {
    call: (options) => guest.mm.fork(options as object),
    args: [{ name: world.freshName(), ...(draw.below(3) === 0 ? { domain: guest.mm.domain } : {}) }],
    hostile: [NO_SUCCESSOR],
    errnos: orGone(guest, ['ENOMEM', 'EAGAIN']),
    ...isOver(guest),
    done: (mm) => {
      const child = world.seat(mm)
      for (const [vpn, page] of guest.pages) if (!page.dontFork) child.pages.set(vpn, inherited(page))
    },
  }
}

function replace(world: World, draw: Random, guest: Guest): Attempt {
  return {
    call: (options) => guest.mm.replace(options as object),
    args: [draw.below(2) === 0 ? {} : { name: world.freshName() }],
    hostile: [NO_SUCCESSOR],
    errnos: orGone(guest, ['ENOMEM', 'EAGAIN']),
    ...isOver(guest),
    done: (mm: Mm) => {
      world.unseat(guest)
      world.seat(mm)
    },
  }
}

function prctl(world: World, draw: Random, guest: Guest): Attempt {
  const get = draw.below(3) === 0
  const on = draw.below(2)
  const zeros = new Array<number>(draw.below(3)).fill(0)
  const spare = draw.below(12) === 0
  // For GET the first argument is a spare one too.
  const args = [...(get ? [] : [on]), ...zeros, ...(spare ? [1] : [])]
  return {
    call: (...given) => guest.mm.prctl(...(given as ['PR_GET_MEMORY_MERGE', number])),
    args: [get ? 'PR_GET_MEMORY_MERGE' : 'PR_SET_MEMORY_MERGE', ...args],
    hostile: [['PR_SET', '', 67, null, undefined, {}], ...(get ? [] : [notIn(0, Number.MAX_SAFE_INTEGER)])],
    errnos: orGone(guest, spare ? ['EINVAL'] : get ? [] : ['ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON']),
    impossible: spare || guest.gone,
    done: (answer) => {
      if (get && answer !== 0 && answer !== 1) world.fail(`PR_GET_MEMORY_MERGE: ${answer}`)
      if (!get && guest.mm.prctl('PR_GET_MEMORY_MERGE') !== on) world.fail('PR_SET_MEMORY_MERGE did nothing')
    },
  }
}

function write(world: World, draw: Random, guest: Guest): Attempt {
  const force = draw.below(8) === 0
  const start = drawPlace(draw, guest)
  const odd = draw.below(4) === 0
  const offset = odd ? draw.pick([0, 1, 100, PAGE - 4, PAGE - 1]) : 0
  let length = odd ? draw.pick([0, 1, 8, PAGE]) : PAGE * draw.pick([1, 1, 1, 2, 3])
  length = Math.min(length, (VPN_LIMIT - start) * PAGE - offset)
  const bytes = new Uint8Array(length)
  const content = contentOf(draw)
  for (let at = 0; at < length; at += PAGE) bytes.set(content.subarray(0, Math.min(PAGE, length - at)), at)
  const parts = partsOf(offset, length).map(({ page, at, from, count }): Part => {
    const whole = count === PAGE && !odd
    return { vpn: start + page, offset: at, bytes: whole ? content : bytes.subarray(from, from + count) }
  })
  const end = start + Math.ceil((offset + length) / PAGE)
  return {
    call: (...args) => {
      // Not for arguments that are wrong: those write nothing.
      world.beginWriting(guest, args[1] === bytes && args[0] === start * PAGE + offset ? parts : [])
      let outcome: 'done' | 'partly' | 'refused' = 'partly'
      try {
        guest.mm.write(...(args as [number, Uint8Array]))
        outcome = 'done'
      } catch (error) {
        if ((error as PagefoldError).code === 'EDEADLK') outcome = 'refused'
        throw error
      } finally {
        world.endWriting(outcome)
      }
    },
    args: [start * PAGE + offset, bytes, ...(force ? [{ force }] : [])],
    hostile: [NO_ADDRESS, NO_BYTES, ...(force ? [NO_FORCE] : [])],
    ...accessErrnos(world, guest, start, length === 0 ? start : end, force ? 'force' : 'write'),
  }
}

export function read(world: World, draw: Random, guest: Guest): Attempt {
  const start = drawPlace(draw, guest)
  const offset = draw.pick([0, 0, 0, 1, PAGE - 1])
  const most = (VPN_LIMIT - start) * PAGE - offset
  const length = Math.min(most, draw.pick([PAGE, PAGE, PAGE, 1, 2 * PAGE, 100, 0]))
  const end = start + Math.ceil((offset + length) / PAGE)
  return {
    call: (...args) => guest.mm.read(...(args as [number, number])),
    args: [start * PAGE + offset, length],
    hostile: [NO_ADDRESS, NO_LENGTH],
    ...accessErrnos(world, guest, start, length === 0 ? start : end, 'read'),
    done: (bytes) => {
      if (bytes.length !== length) world.fail(`${bytes.length} bytes read, should be ${length}`)
      for (const [vpn, page] of guest.within(start, end)) {
        world.compare(guest, vpn, page)
        const from = vpn === start ? offset : 0
        const at = (vpn - start) * PAGE + from - offset
        const part = page.cell.bytes.subarray(from, Math.min(PAGE, from + length - at))
        if (!page.lost && !isSame(bytes.subarray(at, at + part.length), part) && !holds(page, bytes))
          world.fail(`${guest.mm.name}, page ${vpn}: read other bytes than were written`)
      }
    },
  }
}

const NO_NOTIFIER: readonly unknown[] = [undefined, ...NO_OBJECT]
/** By guest, those that were registered beside its own. */
const watchers = new WeakMap<Guest, Notifier[]>()

function registerNotifier(world: World, draw: Random, guest: Guest): Attempt | undefined {
  if (world.settings.unwatched) return undefined
  const common = { errnos: orGone(guest, []), ...isOver(guest), hostile: [NO_NOTIFIER] }
  if (draw.below(2) === 0 && guest.mmu === undefined) {
    return {
      ...common,
      call: (mm) => new SecondaryMmu(mm as Mm),
      args: [guest.mm],
      done: (mmu) => {
        guest.mmu = mmu
      },
    }
  }
  const notifier = world.notifierOf(guest)
  return {
    ...common,
    call: (given) => guest.mm.registerNotifier(given as Notifier),
    args: [notifier],
    done: () => void watchers.set(guest, [...(watchers.get(guest) ?? []), notifier]),
  }
}

function unregisterNotifier(_: World, draw: Random, guest: Guest): Attempt {
  const known = watchers.get(guest) ?? []
  const notifier = known.length === 0 ? {} : draw.pick(known)
  return {
    call: (given) => guest.mm.unregisterNotifier(given as Notifier),
    args: [notifier],
    errnos: [],
    done: () =>
      void watchers.set(
        guest,
        known.filter((other) => other !== notifier),
      ),
  }
}

function oomReap(world: World, draw: Random, guest: Guest): Attempt {
  const refuses = draw.below(3) === 0
  const wiped = (page: Page): boolean => page.kind === 'anon' || page.kind === 'file'
  return {
    call: () => {
      world.refuses = refuses
      try {
        return guest.mm.oomReap()
      } finally {
        world.refuses = false
      }
    },
    args: [],
    errnos: orGone(guest, refuses ? ['EAGAIN'] : []),
    ...isOver(guest),
    done: () => {
      for (const page of guest.pages.values()) if (wiped(page)) zap(page)
    },
  }
}

function pfn(world: World, draw: Random, guest: Guest): Attempt {
  const vpn = drawPlace(draw, guest)
  const { firstPfn, endPfn } = memoryOf(world.host).arena
  return {
    call: (address) => guest.mm.pfn(address as number),
    args: [vpn * PAGE + draw.below(PAGE)],
    hostile: [NO_ADDRESS],
    errnos: orGone(guest, []),
    ...isOver(guest),
    done: (found) => {
      if (found === undefined || found === 1 || (found >= firstPfn && found < endPfn)) return
      world.fail(`${guest.mm.name}, page ${vpn}: frame ${found}`)
    },
  }
}

export const MM_CALLS = {
  'Mm.mmap': [34, onGuest(mmap)],
  'Mm.mremap': [20, onOwner(mremap)],
  'Mm.fork': [16, onOwner(fork)],
  'Mm.replace': [3, onGuest(replace)],
  'Mm.exit': [
    4,
    onGuest((world, _, guest) => ({
      call: () => guest.mm.exit(),
      args: [],
      errnos: orGone(guest, []),
      ...isOver(guest),
      done: () => {
        world.unseat(guest)
        if (guest.openRanges !== 0) world.fail(`${guest.mm.name}: ranges left open at exit`)
      },
    })),
  ],
  'Mm.prctl': [8, onGuest(prctl)],
  'Mm.write': [150, onOwner(write)],
  'Mm.read': [60, onOwner(read)],
  'Mm.registerNotifier': [8, onGuest(registerNotifier)],
  'Mm.unregisterNotifier': [3, onGuest(unregisterNotifier)],
  'Mm.oomReap': [2, onGuest(oomReap)],
  'Mm.pfn': [6, onGuest(pfn)],
  'Mm.ksmStat': [
    3,
    onGuest((world, _, guest) => ({
      call: () => guest.mm.ksmStat(),
      args: [],
      errnos: orGone(guest, []),
      ...isOver(guest),
      done: ({ ksm_rmap_items, ksm_merging_pages, ksm_zero_pages }) => {
        if (Math.min(ksm_rmap_items, ksm_merging_pages, ksm_zero_pages) < 0) world.fail('ksm_stat below zero')
      },
    })),
  ],
  'Mm.smaps': [
    3,
    onGuest((world, _, guest) => ({
      call: () => guest.mm.smaps(),
      args: [],
      errnos: orGone(guest, []),
      ...isOver(guest),
      done: (mappings) => {
        for (const { size, rss, anonymous, ksm, swap } of mappings) {
          const counted = rss <= size && anonymous <= rss && ksm <= anonymous && swap <= size
          if (!counted || size <= 0) world.fail(`${guest.mm.name}: smaps does not add up`)
        }
      },
    })),
  ],
} satisfies Record<string, Draw>
