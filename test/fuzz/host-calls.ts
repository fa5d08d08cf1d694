// Calls of Host: guests and images, frames that move, go and break, swap, listeners, and the end.

import { type Errno, type FrameInfo, type Image, memorySwapStore, type TraceName } from '../../src/index.ts'
import { TRACE_NAMES } from '../../src/mm/watch/tracepoints.ts'
import { memoryOf } from '../support/inside.ts'
import type { Random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'
import { type Attempt, NO_BOOLEAN, NO_NAME, NO_OBJECT, noOptions, notIn } from './attempt.ts'
import { contentOf, drawPfn } from './draws.ts'
import type { Draw } from './generators.ts'
import { freshPage, NOTHING_SHOWN } from './shadow.ts'
import { FuzzStore, fuzzImage } from './sources.ts'
import { SLOTS, type World } from './world.ts'

const NO_MM_OPTIONS = noOptions({ name: NO_NAME, domain: NO_NAME })
const DOMAINS = [undefined, undefined, undefined, '', 'red', 'blue']

const NO_STORE: readonly unknown[] = [
  undefined,
  ...NO_OBJECT,
  {},
  { slots: 4 },
  { slots: 4, read() {} },
  ...[0, -1, 2 ** 20 + 1, Number.NaN, '4', undefined].map((slots) => ({ slots, read() {}, write() {} })),
]
const NO_LOAD_OPTIONS = noOptions({ name: NO_NAME, domain: NO_NAME, onProgress: NO_OBJECT })
const NO_RECOVERY = noOptions({ recover: NO_BOOLEAN })
const NO_IMAGE: readonly unknown[] = [
  undefined,
  ...NO_OBJECT,
  {},
  ...[0, -1, 0.5, Number.NaN, '4', 2 ** 50].map(imageOf),
]

function imageOf(pages: unknown): object {
  return { source: 'none', format: 'raw', pages, notes: [], addressOf: () => 0, read() {}, close() {} }
}

function mmOptions(world: World, draw: Random): object {
  const domain = draw.pick(DOMAINS)
  return { name: world.freshName(), ...(domain === undefined ? {} : { domain }) }
}

function createMm(world: World, draw: Random): Attempt | undefined {
  if (world.living.length === SLOTS) return undefined
  return {
    call: (options) => world.host.createMm(options as object),
    args: [mmOptions(world, draw)],
    hostile: [NO_MM_OPTIONS],
    errnos: ['ENOMEM', 'EAGAIN'],
    done: (mm) => void world.seat(mm),
  }
}

function loadImage(world: World, draw: Random): Attempt | undefined {
  if (world.living.length === SLOTS) return undefined
  const contents = Array.from({ length: 1 + draw.below(5) }, () => contentOf(draw))
  const onProgress = (): void => {
    world.callback('progress')
  }
  return {
    call: (...args) => world.host.loadImage(...(args as [Image, object])),
    args: [fuzzImage(world, contents), { ...mmOptions(world, draw), onProgress }],
    hostile: [NO_IMAGE, NO_LOAD_OPTIONS],
    errnos: ['ENOMEM', 'EAGAIN'],
    done: ({ mm, address }) => {
      const guest = world.seat(mm)
      for (const [i, bytes] of contents.entries()) {
        const page = freshPage('anon', 3, NOTHING_SHOWN, i)
        page.cell.bytes = bytes
        guest.pages.set(address / PAGE + i, page)
      }
    },
  }
}

const frameNumbers = (world: World): [first: number, end: number] => {
  const { firstPfn, endPfn } = memoryOf(world.host).arena
  return [firstPfn, endPfn]
}
const noFrames = new WeakMap<World, readonly unknown[]>()
function noFrame(world: World): readonly unknown[] {
  const known = noFrames.get(world)
  if (known !== undefined) return known
  const [first, end] = frameNumbers(world)
  const none = [...notIn(first, end - 1), undefined]
  noFrames.set(world, none)
  return none
}
const noEnd = (world: World, start: number): readonly unknown[] => [
  ...notIn(start + 1, frameNumbers(world)[1]),
  undefined,
]

/** Some frames in a row, an eighth of all or a few. */
function frameRange(world: World, draw: Random): [number, number] {
  const [first, end] = frameNumbers(world)
  const size = Math.max(1, Math.floor((end - first) / 8))
  const start = first + draw.below(8) * size
  return [start, start + (draw.below(3) === 0 ? 1 + draw.below(size) : size)]
}

function expectFrame(world: World, pfn: number, { refcount, mapcount, flags, ...info }: FrameInfo): void {
  if (info.pfn !== pfn || refcount < 0 || mapcount < 0 || !Array.isArray(flags))
    world.fail(`frame ${pfn}: ${info}`)
}

function breakFrame(world: World, draw: Random): Attempt {
  const pfn = drawPfn(world, draw)
  const recover = draw.below(2) === 0
  return {
    call: (...args) => world.host.memoryFailure(...(args as [number, object])),
    args: [pfn, ...(draw.below(3) === 0 ? [] : [{ recover }])],
    hostile: [noFrame(world), NO_RECOVERY],
    errnos: ['EAGAIN'],
    done: ({ told }) => {
      world.failures++
      for (const { mm, address } of told) {
        const victim = world.living.find((guest) => guest.mm.name === mm)
        const lost = victim?.pages.get(address / PAGE)
        if (lost === undefined) world.fail(`${mm} lost page ${address / PAGE}, which it did not have`)
        lost.lost = true
      }
    },
  }
}

function swapOn(world: World, draw: Random): Attempt {
  const known = world.stores.length > 0 && draw.below(4) === 0
  const store = known ? draw.pick(world.stores) : new FuzzStore(world, 1 + draw.below(24))
  return {
    call: (given) => world.host.swapOn(given as FuzzStore),
    args: [store],
    hostile: [NO_STORE],
    errnos: ['EPERM', 'EBUSY'],
    impossible: known || world.stores.length === 8,
    done: () => void world.stores.push(store),
  }
}

function swapOff(world: World, draw: Random): Attempt {
  const store =
    world.stores.length === 0 || draw.below(8) === 0 ? memorySwapStore(4) : draw.pick(world.stores)
  const known = world.stores.indexOf(store as FuzzStore)
  return {
    call: (given) => world.host.swapOff(given as FuzzStore),
    args: [store],
    hostile: [NO_OBJECT],
    errnos: known < 0 ? ['EINVAL'] : ['ENOMEM', 'EIO', 'EAGAIN', 'EHWPOISON'],
    impossible: known < 0,
    done: () => void world.stores.splice(known, 1),
    // What `close` throws comes out, and the store is out of use all the same.
    failed: () => {
      if (known >= 0 && memoryOf(world.host).swap.find(store) === undefined) world.stores.splice(known, 1)
    },
  }
}

function listen(world: World, draw: Random): Attempt | undefined {
  if (world.settings.unwatched || world.listeners.length >= 8) return undefined
  const name = draw.pick(TRACE_NAMES)
  const listener = (event: unknown): void => {
    if (typeof event !== 'object' || event === null) world.fail(`${name}: ${event}`)
    world.callback('tracepoint')
  }
  return {
    call: (...args) => world.host.on(...(args as [TraceName, () => void])),
    args: [name, listener],
    hostile: [
      ['ksm_exits', '', null, undefined, 7, {}],
      [undefined, null, 7, 'listener', {}],
    ],
    errnos: [],
    done: () => void world.listeners.push([name, listener]),
  }
}

function unlisten(world: World, draw: Random): Attempt {
  const none: [TraceName, () => void] = ['ksm_enter', () => {}]
  const known = world.listeners.length === 0 || draw.below(8) === 0 ? none : draw.pick(world.listeners)
  return {
    call: (...args) => world.host.off(...(args as [TraceName, () => void])),
    args: known,
    hostile: [['ksm_exits', '', null, undefined, 7, {}]],
    errnos: [],
    done: () => {
      const at = world.listeners.indexOf(known as World['listeners'][number])
      if (at >= 0) world.listeners.splice(at, 1)
    },
  }
}

function close(world: World, draw: Random): Attempt | undefined {
  // Once in a while, or nothing else would be tried.
  if (draw.below(8) > 0) return undefined
  return {
    call: () => world.host.close(),
    args: [],
    errnos: [],
    before: () => {
      world.closed = true
      for (const guest of world.living) world.unseat(guest)
    },
  }
}

const NO_TARGETS = [1, 2, 3].map((nodes) => [undefined, {}, ...noOptions({ node: notIn(0, nodes - 1) })])
const MOVE_ERRNOS: readonly Errno[] = ['EINVAL', 'EAGAIN', 'ENOMEM', 'EHWPOISON']

export const HOST_CALLS = {
  'Host.createMm': [14, createMm],
  'Host.loadImage': [6, loadImage],
  'Host.frames': [
    2,
    (world) => ({
      call: () => ({ free: world.host.frames.free, total: world.host.frames.total }),
      args: [],
      errnos: [],
      done: ({ free, total }) => {
        if (!(free >= 0 && free <= total)) world.fail(`${free} of ${total} frames are free`)
      },
    }),
  ],
  'Host.frame': [
    4,
    (world, draw) => {
      const pfn = drawPfn(world, draw)
      return {
        call: (given) => world.host.frame(given as number),
        args: [pfn],
        hostile: [noFrame(world)],
        errnos: [],
        done: (info) => expectFrame(world, pfn, info),
      }
    },
  ],
  'Host.migrate': [
    24,
    (world, draw) => {
      const nodes = world.settings.options.numaNodes ?? 1
      const pfn = drawPfn(world, draw)
      return {
        call: (...args) => world.host.migrate(...(args as [number, { node: number }])),
        args: [pfn, { node: draw.below(nodes) }],
        hostile: [noFrame(world), NO_TARGETS[nodes - 1]!],
        errnos: MOVE_ERRNOS,
        done: (moved) => {
          const [first, end] = frameNumbers(world)
          if (!(moved >= first && moved < end)) world.fail(`moved to frame ${moved}`)
        },
      }
    },
  ],
  'Host.offline': [
    4,
    (world, draw) => {
      const [start, end] = frameRange(world, draw)
      return {
        call: (...args) => world.host.offline(...(args as [number, number])),
        args: [start, end],
        hostile: [noFrame(world), noEnd(world, start)],
        errnos: ['EINVAL', 'EBUSY', 'ENOMEM'],
        impossible: world.offline.some((away) => away.start < end && start < away.end),
        done: () => void world.offline.push({ start, end }),
      }
    },
  ],
  'Host.online': [
    6,
    (world, draw) => {
      const known = world.offline.length > 0 && draw.below(6) > 0
      const at = known ? draw.below(world.offline.length) : -1
      const [start, end] = known
        ? [world.offline[at]!.start, world.offline[at]!.end]
        : frameRange(world, draw)
      const exact = world.offline.findIndex((away) => away.start === start && away.end === end)
      return {
        call: (...args) => world.host.online(...(args as [number, number])),
        args: [start, end],
        hostile: [noFrame(world), noEnd(world, start)],
        errnos: exact < 0 ? ['EINVAL'] : [],
        impossible: exact < 0,
        done: () => void world.offline.splice(exact, 1),
      }
    },
  ],
  'Host.swapOn': [8, swapOn],
  'Host.swapOff': [4, swapOff],
  'Host.reclaim': [
    40,
    (world, draw) => ({
      call: (pfn) => world.host.reclaim(pfn as number),
      args: [drawPfn(world, draw)],
      hostile: [noFrame(world)],
      errnos: ['EINVAL'],
      done: (why) => {
        if (why !== undefined && typeof why !== 'string') world.fail(`reclaim: ${why}`)
      },
    }),
  ],
  'Host.memoryFailure': [4, breakFrame],
  'Host.vmstat': [
    2,
    (world) => ({
      call: () => world.host.vmstat(),
      args: [],
      errnos: [],
      done: ({ cow_ksm, ksm_swpin_copy }) => {
        if (!(cow_ksm >= 0 && ksm_swpin_copy >= 0)) world.fail('vmstat below zero')
      },
    }),
  ],
  'Host.warnings': [
    2,
    (world) => ({
      call: () => world.host.warnings(),
      args: [],
      errnos: [],
      done: (warnings) => {
        if (warnings.length > 0) world.fail(warnings[0])
      },
    }),
  ],
  'Host.metadata': [
    2,
    (world) => ({
      call: () => world.host.metadata(),
      args: [],
      errnos: [],
      done: ({ total }) => {
        if (!(total > 0)) world.fail(`metadata: ${total}`)
      },
    }),
  ],
  'Host.on': [4, listen],
  'Host.off': [3, unlisten],
  'Host.audit': [
    1,
    (world) => ({
      call: () => world.host.audit(),
      args: [],
      errnos: [],
      done: () => void world.tally.audits++,
    }),
  ],
  'Host.close': [1, close],
} satisfies Record<string, Draw>
