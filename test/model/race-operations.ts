// Everything that can be done to a host, as operations made of small numbers: what each does to the host and, if that
// succeeds, to the shadow; what it may fail with; and which lock Linux takes for it. An operation on a guest that is not
// there does nothing.

import fc from 'fast-check'
import { FRAME_PINNED, FRAME_POISONED, PTE_PRESENT, PTE_UFFD_WP, PTE_WRITE } from '../../assembly/abi.ts'
import type { Advice, Errno, KnobName } from '../../src/index.ts'
import { ptePfn } from '../../src/mm/page/pte.ts'
import { markSoftDirty } from '../../src/mm/page/ptes.ts'
import { memoryOf, pteOf } from '../support/inside.ts'
import { contentBytes, PAGE } from '../support/world.ts'
import type { Need } from './race-locks.ts'
import type { World } from './race-world.ts'
import { type Cell, Guest, isPoisoned, type Page, type SharedCells, ZEROS, zeroCell } from './shadow.ts'

interface Operation {
  /** How often it is chosen. */
  readonly weight: number
  readonly args: readonly fc.Arbitrary<number>[]
  readonly lock: Need
  run(world: World, args: readonly number[]): void
}

const REGION_PAGES = 6
const vpnOf = (region: number, page: number): number => 0x1000 + region * 0x40 + page

/** What userfault handlers do with a protected page. */
const letsGo = (vpn: number): boolean => vpn % 2 === 0

const guest = fc.nat(3)
/** Mostly the first, so that operations meet. */
const region = fc.constantFrom(0, 0, 0, 0, 1)
const page = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4, 5)
const count = fc.integer({ min: 1, max: REGION_PAGES })
const content = fc.nat(2)
const flag = fc.nat(1)
const node = fc.nat(1)

const DOMAINS = ['', 'red', 'blue']
const ADVICES: Advice[] = ['MADV_MERGEABLE', 'MADV_UNMERGEABLE', 'MADV_DONTNEED', 'MADV_PAGEOUT']
const KNOBS: [KnobName, number][] = [
  ['max_page_sharing', 2],
  ['max_page_sharing', 3],
  ['max_page_sharing', 256],
  ['merge_across_nodes', 0],
  ['merge_across_nodes', 1],
  ['use_zero_pages', 0],
  ['use_zero_pages', 1],
  ['smart_scan', 0],
  ['smart_scan', 1],
]

export const OPERATIONS = {
  spawn: operation(3, [guest, fc.nat(2)], 'nothing', (world, [slot, domain]) => {
    if (world.guests[slot] !== undefined) return
    world.attempt(() => {
      const mm = world.host.createMm({ name: world.freshName(), domain: DOMAINS[domain]! })
      world.guests[slot] = new Guest(mm)
    })
  }),

  map: operation(
    5,
    [guest, region, page, count, fc.constantFrom(0, 0, 0, 1), node],
    'write',
    onGuest((world, target, [, r, first, pages, shared, nid]) => {
      const start = vpnOf(r, first)
      const cells: SharedCells = new Map()
      const taken = range(start, pages).some((vpn) => target.pages.has(vpn))
      const options = { address: start * PAGE, shared: shared === 1, node: nid % nodes(world) }
      const errno = world.attempt(() => target.mm.mmap(pages * PAGE, options))
      expectErrno('mmap', errno, taken ? ['EEXIST'] : [undefined])
      if (errno !== undefined) return
      for (const [i, vpn] of range(start, pages).entries()) {
        target.pages.set(vpn, freshPage(shared === 1 ? { cells, index: i } : undefined, true, true))
      }
    }),
  ),

  write: operation(
    40,
    [guest, region, page, content],
    'read',
    onGuest((world, target, [, r, p, c]) => store(world, target, vpnOf(r, p), contentBytes(c), 0, false)),
  ),

  poke: operation(
    6,
    [guest, region, page, fc.constantFrom(0, 4095), fc.nat(2)],
    'read',
    onGuest((world, target, [, r, p, offset, byte]) =>
      store(world, target, vpnOf(r, p), Uint8Array.of(byte), offset, false),
    ),
  ),

  force: operation(
    3,
    [guest, region, page, content],
    'read',
    onGuest((world, target, [, r, p, c]) => store(world, target, vpnOf(r, p), contentBytes(c), 0, true)),
  ),

  /** A guest's write that needs no fault: the pte is writable at this moment. Its processor marks it first. */
  touch: operation(
    4,
    [guest, region, page, content],
    'nothing',
    onGuest((world, target, [, r, p, c]) => {
      const pte = pteOf(target.mm, vpnOf(r, p) * PAGE)
      if ((pte & PTE_PRESENT) === 0 || (pte & PTE_WRITE) === 0) return
      markSoftDirty(target.mm, vpnOf(r, p))
      putDirectly(world, target, vpnOf(r, p), ptePfn(pte), contentBytes(c))
    }),
  ),

  /** The same by a virtual CPU, through its own translation. */
  mmuWrite: operation(
    4,
    [guest, region, page, content],
    'nothing',
    onGuest((world, target, [, r, p, c]) => {
      const known = target.mmu?.peek(vpnOf(r, p) * PAGE)
      if (known?.writable) putDirectly(world, target, vpnOf(r, p), known.pfn, contentBytes(c))
    }),
  ),

  read: operation(
    12,
    [guest, region, page],
    'read',
    onGuest((world, target, [, r, p]) => {
      const vpn = vpnOf(r, p)
      const before = target.pages.get(vpn)
      const readable = before?.readable === true
      let bytes: Uint8Array = ZEROS
      const errno = world.attempt(() => {
        bytes = target.mm.read(vpn * PAGE, PAGE)
      })
      expectAccess('read', world, target, vpn, errno, readable)
      if (errno === undefined && Buffer.compare(bytes, target.pages.get(vpn)!.cell.bytes) !== 0) {
        throw new Error(`${target.mm.name}, page ${vpn}: read other bytes than were written`)
      }
    }),
  ),

  fork: operation(
    8,
    [guest, guest],
    'write',
    onGuest((world, parent, [, slot]) => {
      if (world.guests[slot] !== undefined) return
      const before = world.forking
      world.forking = parent
      const errno = world.attempt(() => {
        const child = new Guest(parent.mm.fork({ name: world.freshName() }))
        for (const [vpn, { cell, shared, ...rest }] of parent.pages) {
          child.pages.set(vpn, { ...rest, shared, cell: shared === undefined ? { bytes: cell.bytes } : cell })
        }
        // While this one was born somebody else may have taken the place.
        if (world.guests[slot] === undefined) world.guests[slot] = child
        else child.mm.exit()
      })
      world.forking = before
      expectErrno('fork', errno, [undefined, 'ENOMEM'])
    }),
  ),

  exit: operation(
    3,
    [guest],
    'write',
    onGuest((world, target, [slot]) => {
      world.guests[slot] = undefined
      target.mm.exit()
      if (target.openRanges !== 0) throw new Error(`${target.mm.name}: ranges left open at exit`)
      if ([...target.pages.keys()].some((vpn) => target.mmu?.peek(vpn * PAGE) !== undefined)) {
        throw new Error(`${target.mm.name}: its secondary MMU outlives it`)
      }
    }),
  ),

  replace: operation(
    2,
    [guest],
    'write',
    onGuest((world, target, [slot]) => {
      const before = target.mm.prctl('PR_GET_MEMORY_MERGE')
      const errno = world.attempt(() => {
        world.guests[slot] = undefined
        const fresh = new Guest(target.mm.replace({ name: world.freshName() }))
        if (fresh.mm.prctl('PR_GET_MEMORY_MERGE') !== before) throw new Error('PR_SET_MEMORY_MERGE was lost')
        if (world.guests[slot] === undefined) world.guests[slot] = fresh
        else fresh.mm.exit()
      })
      if (errno !== undefined) world.guests[slot] = target
      expectErrno('replace', errno, [undefined, 'ENOMEM'])
    }),
  ),

  munmap: operation(
    3,
    [guest, region, page, count],
    'write',
    onGuest((_, target, [, r, first, pages]) => {
      target.mm.munmap(vpnOf(r, first) * PAGE, pages * PAGE)
      for (const vpn of range(vpnOf(r, first), pages)) target.pages.delete(vpn)
    }),
  ),

  /** MADV_MERGEABLE and MADV_UNMERGEABLE. */
  mergeable: operation(
    10,
    [guest, region, page, count, fc.constantFrom(0, 0, 0, 1)],
    'write',
    onGuest((world, target, args) => advise(world, target, args)),
  ),

  /** MADV_DONTNEED and MADV_PAGEOUT. */
  advise: operation(
    8,
    [guest, region, page, count, fc.constantFrom(2, 3, 3)],
    'read',
    onGuest((world, target, args) => advise(world, target, args)),
  ),

  oomReap: operation(
    1,
    [guest, flag],
    'read',
    onGuest((world, target, [, refuses]) => {
      target.refuses = refuses === 1
      const errno = world.attempt(() => target.mm.oomReap())
      target.refuses = false
      const hasPrivate = [...target.pages.values()].some(({ shared }) => shared === undefined)
      expectErrno('oomReap', errno, [refuses === 1 && hasPrivate ? 'EAGAIN' : undefined])
      if (errno === undefined) target.zap(0, Number.POSITIVE_INFINITY)
    }),
  ),

  mprotect: operation(
    4,
    [guest, region, page, count, fc.constantFrom(0, 1, 3, 3)],
    'write',
    onGuest((world, target, [, r, first, pages, prot]) => {
      const vpns = range(vpnOf(r, first), pages)
      const errno = world.attempt(() => target.mm.mprotect(vpns[0]! * PAGE, pages * PAGE, prot))
      const hole = vpns.findIndex((vpn) => !target.pages.has(vpn))
      expectErrno('mprotect', errno, [hole < 0 ? undefined : 'ENOMEM'])
      for (const vpn of hole < 0 ? vpns : vpns.slice(0, hole)) {
        const changed = target.pages.get(vpn)!
        changed.readable = (prot & 1) !== 0
        changed.writable = (prot & 2) !== 0
      }
    }),
  ),

  /** `how`: 0 stays where it is, 1 may move anywhere, 2 and up moves to the place given. */
  mremap: operation(
    4,
    [guest, region, page, count, count, fc.constantFrom(0, 1, 2, 3, 4, 5), region, page],
    'write',
    onGuest((world, target, args) => moveRange(world, target, args)),
  ),

  prctl: operation(
    2,
    [guest, flag],
    'write',
    onGuest((world, target, [, on]) => {
      const errno = world.attempt(() => void target.mm.prctl('PR_SET_MEMORY_MERGE', on))
      expectErrno('prctl', errno, [undefined, 'ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'])
      const now = target.mm.prctl('PR_GET_MEMORY_MERGE')
      if (errno === undefined && now !== on) throw new Error('PR_SET_MEMORY_MERGE did nothing')
    }),
  ),

  pin: operation(
    5,
    [guest, region, page, fc.integer({ min: 1, max: 2 }), flag, flag],
    'read',
    onGuest((world, target, [, r, first, pages, write, longterm]) =>
      hold(world, target, vpnOf(r, first), pages, write === 1, longterm),
    ),
  ),

  get: operation(
    4,
    [guest, region, page, flag],
    'read',
    onGuest((world, target, [, r, first, write]) =>
      hold(world, target, vpnOf(r, first), 1, write === 1, undefined),
    ),
  ),

  release: operation(6, [fc.nat(5)], 'nothing', (world, [which]) => {
    const [held] = world.pins.splice(which % Math.max(1, world.pins.length), 1)
    held?.pin.release()
  }),

  /** A device writes through a pin. */
  deviceWrite: operation(3, [fc.nat(5), content], 'nothing', (world, [which, c]) => {
    const held = world.pins[which % Math.max(1, world.pins.length)]
    // Whether a child gets what is written while it is being made nobody has promised.
    const cell = held?.cells[0]
    if (held === undefined || cell === undefined || !held.write || held.guest === world.forking) return
    const broken = memoryOf(world.host).frames.hasFlag(held.pin.pfns[0]!, FRAME_POISONED)
    const errno = world.attempt(() => held.pin.write(0, contentBytes(c)))
    expectErrno('a write of a device', errno, [broken ? 'EHWPOISON' : undefined])
    if (!broken) cell.bytes = contentBytes(c)
  }),

  swapOn: operation(8, [], 'nothing', (world) => {
    const errno = world.attempt(() => world.host.swapOn(world.store))
    expectErrno('swapOn', errno, [world.swapping ? 'EBUSY' : undefined])
    world.swapping = true
  }),

  swapOff: operation(1, [], 'read all', (world) => {
    if (!world.swapping) return
    const errno = world.attempt(() => world.host.swapOff(world.store))
    expectErrno('swapOff', errno, [undefined, 'ENOMEM', 'EIO', 'EAGAIN', 'EHWPOISON', 'EINVAL'])
    if (errno === undefined) world.swapping = false
  }),

  storeFails: operation(1, [fc.constantFrom(0, 0, 1)], 'nothing', (world, [fails]) => {
    world.store.failing = fails === 1
  }),

  reclaim: operation(
    22,
    [guest, region, page],
    'nothing',
    onFrame((world, pfn) => {
      const { host } = world
      if (!memoryOf(host).frames.isAnon(pfn)) return
      const frames = host.frames.free
      if (host.reclaim(pfn) === undefined && host.frames.free <= frames - 1)
        throw new Error('nothing came free')
    }),
  ),

  migrate: operation(
    16,
    [guest, region, page, node],
    'nothing',
    onFrame((world, pfn, [, , , nid]) => {
      const errno = world.attempt(() => void world.host.migrate(pfn, { node: nid % nodes(world) }))
      expectErrno('migrate', errno, [undefined, 'EAGAIN', 'EINVAL', 'ENOMEM'])
    }),
  ),

  offline: operation(2, [fc.nat(7)], 'hotplug', (world, [eighth]) => {
    const { arena } = memoryOf(world.host)
    const size = Math.floor((arena.endPfn - arena.firstPfn) / 8)
    const start = arena.firstPfn + eighth * size
    if (world.offline.some((other) => other.start === start)) return
    const errno = world.attempt(() => world.host.offline(start, start + size))
    expectErrno('offline', errno, [undefined, 'EBUSY', 'ENOMEM'])
    if (errno === undefined) world.offline.push({ start, end: start + size })
  }),

  online: operation(2, [fc.nat(3)], 'hotplug', (world, [which]) => {
    const [range] = world.offline.splice(which % Math.max(1, world.offline.length), 1)
    if (range !== undefined) world.host.online(range.start, range.end)
  }),

  memoryFailure: operation(
    2,
    [guest, region, page],
    'folio',
    onFrame((world, pfn) => breakFrame(world, pfn, false)),
  ),

  /** The same, and users of a merged page are moved to another of the same content. */
  recover: operation(
    2,
    [guest, region, page],
    'folio and mutex',
    onFrame((world, pfn) => breakFrame(world, pfn, true)),
  ),

  userfault: operation(
    1,
    [guest, region, page, count],
    'write',
    onGuest((world, target, [, r, first, pages]) => {
      const start = vpnOf(r, first)
      const handler = {
        onWriteProtect: ({ address }: { readonly address: number }): void => {
          if (letsGo(address / PAGE)) target.mm.userfaultWriteProtect(address, PAGE, false)
        },
      }
      const errno = world.attempt(() => target.mm.registerUserfault(start * PAGE, pages * PAGE, handler))
      const mapped = range(start, pages).some((vpn) => target.pages.has(vpn))
      expectErrno('userfault', errno, [mapped ? undefined : 'EINVAL'])
    }),
  ),

  writeProtect: operation(
    3,
    [guest, region, page, count, fc.constantFrom(0, 1, 1)],
    'read',
    onGuest((world, target, [, r, first, pages, on]) => {
      const start = vpnOf(r, first)
      const protect = (): void => target.mm.userfaultWriteProtect(start * PAGE, pages * PAGE, on === 1)
      const errno = world.attempt(protect)
      expectErrno('uffd-wp', errno, hasHole(target, start, pages) ? ['ENOMEM'] : [undefined, 'ENOENT'])
    }),
  ),

  openMmu: operation(
    3,
    [guest],
    'write',
    onGuest((_, target) => target.openMmu()),
  ),

  closeMmu: operation(
    1,
    [guest],
    'nothing',
    onGuest((_, target) => target.closeMmu()),
  ),

  translate: operation(
    8,
    [guest, region, page, flag],
    'read',
    onGuest((world, target, [, r, p, write]) => {
      const { mmu } = target
      const vpn = vpnOf(r, p)
      if (mmu === undefined) return
      const before = target.pages.get(vpn)
      const allowed = write === 1 ? before?.writable : before?.readable
      const known = mmu.peek(vpn * PAGE)
      const errno = world.attempt(() => void mmu.translate(vpn * PAGE, write === 1))
      if (known === undefined) expectAccess('translate', world, target, vpn, errno, allowed === true)
      const found = mmu.peek(vpn * PAGE)
      if (errno === undefined && found !== undefined && found.pfn !== (target.mm.pfn(vpn * PAGE) ?? 0)) {
        throw new Error(`${target.mm.name}, page ${vpn}: the secondary MMU went elsewhere`)
      }
    }),
  ),

  knob: operation(3, [fc.nat(KNOBS.length - 1)], 'mutex', (world, [which]) => {
    const [name, value] = KNOBS[which]!
    expectErrno(
      name,
      world.attempt(() => world.host.ksm.set(name, value)),
      [undefined, 'EBUSY'],
    )
  }),

  run: operation(1, [fc.constantFrom(0, 1, 2, 2)], 'mutex', (world, [value]) => {
    const errno = world.attempt(() => world.host.ksm.set('run', value))
    expectErrno('run', errno, [undefined, 'EBUSY', ...(value === 2 ? (['ENOMEM', 'EAGAIN'] as const) : [])])
  }),

  scan: operation(16, [fc.constantFrom(1, 1, 2, 3)], 'mutex', (world, [scans]) => {
    runKsmd(world, () => world.host.ksm.scan(scans))
  }),

  scanPages: operation(8, [fc.integer({ min: 1, max: 5 })], 'mutex', (world, [pages]) => {
    runKsmd(world, () => world.host.ksm.scanPages(pages))
  }),
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS

type Run = (world: World, args: readonly number[]) => void

function operation(weight: number, args: readonly fc.Arbitrary<number>[], lock: Need, run: Run): Operation {
  return { weight, args, lock, run }
}

function onGuest(act: (world: World, target: Guest, args: readonly number[]) => void): Run {
  return (world, args) => {
    const target = world.guests[args[0]!]
    if (target !== undefined) act(world, target, args)
  }
}

/** Acts on the frame that a guest maps somewhere. */
function onFrame(act: (world: World, pfn: number, args: readonly number[]) => void): Run {
  return onGuest((world, target, args) => {
    const pte = pteOf(target.mm, vpnOf(args[1]!, args[2]!) * PAGE)
    if ((pte & PTE_PRESENT) !== 0 && memoryOf(world.host).frames.isFrame(ptePfn(pte))) {
      act(world, ptePfn(pte), args)
    }
  })
}

const nodes = (world: World): number => memoryOf(world.host).frames.numaNodes

const range = (start: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => start + i)

const hasHole = (target: Guest, start: number, pages: number): boolean =>
  range(start, pages).some((vpn) => !target.pages.has(vpn))

function freshPage(shared: Page['shared'], readable: boolean, writable: boolean): Page {
  return { cell: shared === undefined ? zeroCell() : cellOf(shared), readable, writable, lost: false, shared }
}

function cellOf({ cells, index }: NonNullable<Page['shared']>): Cell {
  const cell = cells.get(index) ?? zeroCell()
  cells.set(index, cell)
  return cell
}

function withBytes(cell: Cell, offset: number, bytes: Uint8Array): Uint8Array {
  const changed = cell.bytes.slice()
  changed.set(bytes, offset)
  return changed
}

function store(
  world: World,
  target: Guest,
  vpn: number,
  bytes: Uint8Array,
  offset: number,
  force: boolean,
): void {
  const before = target.pages.get(vpn)
  const allowed = before !== undefined && (before.writable || (force && before.shared === undefined))
  const reported = allowed && isReported(target, vpn)
  const errno = world.attempt(() => target.mm.write(vpn * PAGE + offset, bytes, { force }))
  if (reported && errno === undefined && !world.disturbed)
    throw new Error(`page ${vpn}: nobody heard of a write`)
  expectAccess(force ? 'force' : 'write', world, target, vpn, errno, allowed)
  if (errno !== undefined) return
  const { cell } = target.pages.get(vpn)!
  cell.bytes = withBytes(cell, offset, bytes)
}

/** Must a write wait for a handler, which does not let it go? */
function isReported(target: Guest, vpn: number): boolean {
  const pte = pteOf(target.mm, vpn * PAGE)
  const isProtected = (pte & PTE_PRESENT) !== 0 && (pte & PTE_UFFD_WP) !== 0
  return isProtected && target.mm.userfault !== undefined && !letsGo(vpn)
}

function putDirectly(world: World, target: Guest, vpn: number, pfn: number, bytes: Uint8Array): void {
  // A pinned page is copied for a child: which of the two contents it gets nobody has promised.
  if (target === world.forking && memoryOf(world.host).frames.hasFlag(pfn, FRAME_PINNED)) return
  memoryOf(world.host).arena.page(pfn).set(bytes)
  target.pages.get(vpn)!.cell.bytes = bytes
}

function advise(world: World, target: Guest, [, r, first, pages, which]: readonly number[]): void {
  const start = vpnOf(r!, first!)
  const advice = ADVICES[which!]!
  const errno = world.attempt(() => target.mm.madvise(start * PAGE, pages! * PAGE, advice))
  const hole = hasHole(target, start, pages!)
  const mayFail: Errno[] = advice === 'MADV_UNMERGEABLE' ? ['ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'] : []
  expectErrno(advice, errno, [hole ? 'ENOMEM' : undefined, ...mayFail])
  if (advice === 'MADV_DONTNEED') target.zap(start, start + pages!)
}

function moveRange(world: World, target: Guest, args: readonly number[]): void {
  const [, r, first, oldPages, newPages, how, toRegion, toPage] = args as [...Array<number>] & { length: 8 }
  const start = vpnOf(r!, first!)
  const fixed = how! >= 2 ? vpnOf(toRegion!, toPage!) : undefined
  if (fixed !== undefined && fixed < start + oldPages! && fixed + newPages! > start) return
  const vma = target.mm.vmas.at(start)
  const kept = Math.min(oldPages!, newPages!)
  const whole = vma !== undefined && vma.end >= start + oldPages!
  // To shrink in place only its beginning must be mapped; on the way elsewhere what is kept of it must be one mapping.
  const possible =
    vma !== undefined && (vma.end >= start + kept || (fixed === undefined && newPages! <= oldPages!))
  // Several mappings at once, of which some have moved when one cannot: recorded histories have that.
  if (!whole && fixed !== undefined && oldPages === newPages) return
  let place = -1
  const errno = world.attempt(() => {
    const options = { mayMove: how !== 0, ...(fixed === undefined ? {} : { address: fixed * PAGE }) }
    place = target.mm.mremap(start * PAGE, oldPages! * PAGE, newPages! * PAGE, options) / PAGE
  })
  expectErrno('mremap', errno, possible ? [undefined, 'ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'] : ['EFAULT'])
  if (!possible) return
  const drop = (from: number, pages: number): void => {
    for (const vpn of range(from, pages)) target.pages.delete(vpn)
  }
  // What is in the way, and what is cut off, goes before the move can fail.
  drop(start + kept, oldPages! - kept)
  if (fixed !== undefined) drop(fixed, newPages!)
  if (errno !== undefined) return
  const moved = range(start, kept).map((vpn) => target.pages.get(vpn))
  drop(start, kept)
  for (const i of range(0, newPages!)) {
    const page = i < kept ? moved[i] : grown(moved, i)
    if (page !== undefined) target.pages.set(place + i, page)
  }
}

/** What a mapping has behind the pages it had. */
function grown(before: readonly (Page | undefined)[], at: number): Page {
  const { shared, readable, writable } = before[0]!
  return freshPage(shared && { cells: shared.cells, index: shared.index + at }, readable, writable)
}

/** Takes a pin, or with `longterm` undefined a plain reference. */
function hold(
  world: World,
  target: Guest,
  start: number,
  pages: number,
  write: boolean,
  longterm: number | undefined,
): void {
  const vpns = range(start, pages)
  const allowed = vpns.every((vpn) => {
    const found = target.pages.get(vpn)
    return write ? found?.writable === true : found?.readable === true
  })
  const length = pages * PAGE
  const errno = world.attempt(() => {
    const pin =
      longterm === undefined
        ? target.mm.get(start * PAGE, length, { write })
        : target.mm.pin(start * PAGE, length, { write, longterm: longterm === 1 })
    // Only today's rule keeps a pin and its guest together, and only for pins.
    const kept = longterm !== undefined && world.host.policy.cowPolicy === 'anon_exclusive'
    const cells = vpns.map((vpn, i) =>
      // Taken away again already while the next page was faulted in: nobody's any more.
      kept && target.mm.pfn(vpn * PAGE) === pin.pfns[i] ? target.pages.get(vpn)!.cell : undefined,
    )
    world.pins.push({ guest: target, pin, cells, write })
  })
  if (pages === 1) expectAccess('pin', world, target, start, errno, allowed)
  else if (!allowed && errno === undefined) throw new Error(`${target.mm.name}: a pin where none is allowed`)
}

function breakFrame(world: World, pfn: number, recover: boolean): void {
  if (!memoryOf(world.host).frames.isAnon(pfn)) return
  const { told } = world.host.memoryFailure(pfn, { recover })
  for (const { mm, address } of told) {
    const victim = world.all.find((other) => other.mm.name === mm)
    const lost = victim?.pages.get(address / PAGE)
    if (victim !== undefined && lost === undefined) throw new Error(`${mm} lost what it did not have`)
    if (lost !== undefined) lost.lost = true
  }
}

function runKsmd(world: World, scan: () => void): void {
  const { ksm } = world.host
  if (ksm.get('run') !== 1 && world.attempt(() => ksm.set('run', 1)) !== undefined) return
  // EBUSY: memory is being taken away. ENOMEM: no metadata for another rmap item.
  expectErrno('scan', world.attempt(scan), [undefined, 'EBUSY', 'ENOMEM'])
}

function expectErrno(what: string, errno: Errno | undefined, allowed: readonly (Errno | undefined)[]): void {
  if (!allowed.includes(errno))
    throw new Error(`${what}: ${errno ?? 'done'}, should be ${allowed.join(' or ')}`)
}

/** EFAULT where it is not allowed, and only there; else it is done, or there is a good reason. */
function expectAccess(
  what: string,
  world: World,
  target: Guest,
  vpn: number,
  errno: Errno | undefined,
  allowed: boolean,
): void {
  const where = `${what} by ${target.mm.name} at page ${vpn}`
  if (!allowed) {
    expectErrno(where, errno, ['EFAULT'])
    return
  }
  const lost = target.pages.get(vpn)?.lost === true
  const reasons: Errno[] = world.isShort ? ['ENOMEM'] : []
  if (isPoisoned(world.host, target.mm, vpn)) reasons.push('EHWPOISON')
  if (world.swapping) reasons.push('EIO')
  if (world.disturbed || target.mm.userfault !== undefined) reasons.push('EAGAIN')
  expectErrno(where, errno, lost ? ['EHWPOISON', ...reasons] : [undefined, ...reasons])
}
