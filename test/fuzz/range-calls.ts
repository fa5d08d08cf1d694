// Calls of Mm that are about a range: unmapping, advice, protection, locking, userfaults. What each does to the shadow is told page by
// page, as far as it comes; a hole, or a page that cannot be had, ends it as Linux says.

import { ADVICES, type Advice, type Errno } from '../../src/index.ts'
import type { Random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'
import { type Attempt, NO_ADDRESS, NO_BOOLEAN, NO_LENGTH, NO_OBJECT, notIn } from './attempt.ts'
import { accessErrnos, drawOwner, drawRange, type Range } from './draws.ts'
import type { Draw } from './generators.ts'
import { type Guest, type Page, ZEROS, zap } from './shadow.ts'
import type { World } from './world.ts'

type Rest = Omit<Attempt, 'call' | 'args' | 'hostile'>
type Extra = { readonly args: readonly unknown[]; readonly hostile: readonly (readonly unknown[])[] }

/** A call of a guest on a range; `rest` is what it means where guest and range are in order. */
function onRange(
  call: (guest: Guest) => Attempt['call'],
  rest: (world: World, draw: Random, guest: Guest, range: Range, extra: readonly unknown[]) => Rest,
  extra: (world: World, draw: Random, guest: Guest) => Extra = () => ({ args: [], hostile: [] }),
  rangeOf: (draw: Random, guest: Guest) => Range = drawRange,
): Draw[1] {
  return (world, draw) => {
    const guest = drawOwner(world, draw)
    if (guest === undefined) return undefined
    const range = rangeOf(draw, guest)
    const more = extra(world, draw, guest)
    const common = {
      call: call(guest),
      args: [range.address, range.length, ...more.args],
      hostile: [NO_ADDRESS, NO_LENGTH, ...more.hostile],
    }
    if (guest.gone) return { ...common, errnos: ['ESRCH'], impossible: true }
    if (range.unaligned) return { ...common, errnos: [], mistake: true }
    return { ...common, ...rest(world, draw, guest, range, more.args) }
  }
}

/** A page whose writes are reported, most often. */
function drawWatched(draw: Random, guest: Guest): Range {
  if (guest.watched.length === 0 || draw.below(4) === 0) return drawRange(draw, guest)
  const start = draw.pick(guest.watched)
  return { address: start * PAGE, length: PAGE, start, end: start + 1, unaligned: false }
}

/** Is every page of it mapped? */
const isWhole = (guest: Guest, { start, end }: Range): boolean =>
  guest.within(start, end).length === end - start

/** The pages before the first hole. */
function beforeHole(guest: Guest, { start, end }: Range): Page[] {
  const pages = guest.within(start, end)
  const hole = pages.findIndex(([vpn], i) => vpn !== start + i)
  return (hole < 0 ? pages : pages.slice(0, hole)).map(([, page]) => page)
}

/** A hole ends it. */
const upToHole = (
  guest: Guest,
  range: Range,
): { readonly errnos: readonly Errno[]; readonly impossible: boolean } => {
  const whole = isWhole(guest, range)
  return { errnos: whole ? [] : ['ENOMEM'], impossible: !whole }
}

/** Not everything can be done with everything. */
function isRefused({ kind, locked }: Page, advice: Advice): boolean {
  switch (advice) {
    case 'MADV_DONTNEED':
      return kind === 'device' || locked
    case 'MADV_FREE':
      return kind !== 'anon' || locked
    case 'MADV_PAGEOUT':
    case 'MADV_COLD':
      return kind === 'device' || kind === 'huge' || locked
    case 'MADV_DOFORK':
      return kind === 'device'
    case 'MADV_WIPEONFORK':
      return kind !== 'anon'
    default:
      return false
  }
}

function advise(page: Page, advice: Advice): void {
  if (advice === 'MADV_DONTNEED') zap(page)
  else if (advice === 'MADV_FREE') giveUp(page)
  else if (advice === 'MADV_DONTFORK') page.dontFork = true
  else if (advice === 'MADV_DOFORK') page.dontFork = false
  else if (advice === 'MADV_WIPEONFORK') page.wipeOnFork = true
  else if (advice === 'MADV_KEEPONFORK') page.wipeOnFork = false
}

function giveUp(page: Page): void {
  if (page.lost) zap(page)
  else page.cell.alt = ZEROS
}

/** What stops it, beside what it says about the pages. */
const MAY_FAIL: Partial<Record<Advice, readonly Errno[]>> = {
  MADV_MERGEABLE: ['EAGAIN'],
  MADV_UNMERGEABLE: ['ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'],
}

function madvise(world: World, _: Random, guest: Guest, range: Range, [given]: readonly unknown[]): Rest {
  const advice = given as Advice
  const { start, end } = range
  if (start === end) return { errnos: [] }
  if (advice === 'MADV_POPULATE_READ' || advice === 'MADV_POPULATE_WRITE') {
    const access = accessErrnos(world, guest, start, end, advice === 'MADV_POPULATE_READ' ? 'read' : 'write')
    return { ...access, errnos: [...access.errnos, 'ENOMEM', 'EINVAL'] }
  }
  const pages = guest.within(start, end)
  const stop = pages.findIndex(([, page]) => isRefused(page, advice))
  const whole = isWhole(guest, range)
  const errno: Errno | undefined = stop >= 0 ? 'EINVAL' : whole ? undefined : 'ENOMEM'
  const effect = (): void => {
    for (const [vpn, page] of stop < 0 ? pages : pages.slice(0, stop)) {
      advise(page, advice)
      if (advice === 'MADV_FREE') world.partFromPins(guest, vpn, page)
    }
  }
  const errnos = [...(errno === undefined ? [] : [errno]), ...(MAY_FAIL[advice] ?? [])]
  return { errnos, impossible: errno !== undefined, done: effect, failed: effect }
}

const PROTS: readonly (readonly [given: number | string, prot: number])[] = [
  [3, 3],
  [3, 3],
  ['PROT_READ|PROT_WRITE', 3],
  [1, 1],
  ['PROT_READ', 1],
  [2, 2],
  [0, 0],
  ['PROT_NONE', 0],
]
export const drawProt = (draw: Random): readonly [number | string, number] => draw.pick(PROTS)
export const protOf = (given: unknown): number => PROTS.find(([prot]) => prot === given)![1]
export const NO_PROT: readonly unknown[] = [
  ...notIn(0, 3).filter((prot) => typeof prot !== 'object'),
  'PROT_EXEC',
  'PROT_READ|',
  '|',
]

function mprotect(_: World, __: Random, guest: Guest, range: Range, [given]: readonly unknown[]): Rest {
  const pages = beforeHole(guest, range)
  const effect = (): void => {
    for (const page of pages) page.prot = protOf(given)
  }
  return { ...upToHole(guest, range), done: effect, failed: effect }
}

function lock(on: boolean): (world: World, _: Random, guest: Guest, range: Range) => Rest {
  return (_, __, guest, range) => {
    const before = (): void => {
      for (const page of beforeHole(guest, range)) {
        if (page.kind !== 'device' && page.kind !== 'huge') page.locked = on
      }
    }
    const { errnos, impossible } = upToHole(guest, range)
    const populated: Errno[] = on ? ['ENOMEM', 'EAGAIN', 'EIO', 'EHWPOISON'] : []
    return { errnos: [...errnos, ...populated], impossible, before }
  }
}

function registerUserfault(_: World, __: Random, guest: Guest, { start, end }: Range): Rest {
  const pages = guest.within(start, end)
  const able = pages.length > 0 && pages.every(([, { kind }]) => kind !== 'device' && kind !== 'file')
  return {
    errnos: able ? [] : ['EINVAL'],
    impossible: !able,
    done: () => {
      guest.reported = true
      guest.watched = pages.map(([vpn]) => vpn)
    },
  }
}

export const RANGE_CALLS = {
  'Mm.munmap': [
    6,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.munmap(...(args as [number, number])),
      (_, __, guest, { start, end }) => ({
        errnos: start === end ? ['EINVAL'] : [],
        impossible: start === end,
        done: () => guest.drop(start, end),
      }),
    ),
  ],
  'Mm.madvise': [
    70,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.madvise(...(args as [number, number, Advice])),
      madvise,
      (_, draw) => ({
        args: [draw.below(3) === 0 ? 'MADV_MERGEABLE' : draw.pick(ADVICES)],
        hostile: [['MADV_HUGEPAGE', '', 12, null, undefined, {}, Symbol('advice')]],
      }),
    ),
  ],
  'Mm.markWritten': [
    6,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.markWritten(...(args as [number, number])),
      () => ({ errnos: [] }),
    ),
  ],
  'Mm.mprotect': [
    10,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.mprotect(...(args as [number, number, number])),
      mprotect,
      (_, draw) => ({ args: [drawProt(draw)[0]], hostile: [NO_PROT] }),
    ),
  ],
  'Mm.mlock': [
    8,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.mlock(...(args as [number, number])),
      lock(true),
    ),
  ],
  'Mm.munlock': [
    8,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.munlock(...(args as [number, number])),
      lock(false),
    ),
  ],
  'Mm.registerUserfault': [
    10,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.registerUserfault(...(args as [number, number, never])),
      registerUserfault,
      (world, _, guest) => ({
        args: [{ onWriteProtect: ({ address }: { address: number }) => world.userfault(guest, address) }],
        hostile: [[undefined, {}, { onWriteProtect: 1 }, ...NO_OBJECT]],
      }),
    ),
  ],
  'Mm.userfaultWriteProtect': [
    20,
    onRange(
      ({ mm }) =>
        (...args) =>
          mm.userfaultWriteProtect(...(args as [number, number, boolean])),
      (_, __, guest, range) => ({
        errnos: range.start === range.end ? ['EINVAL'] : ['ENOMEM', 'ENOENT'],
        impossible: range.start === range.end || !isWhole(guest, range),
      }),
      (_, draw) => ({ args: [draw.below(4) > 0], hostile: [[...NO_BOOLEAN, undefined]] }),
      drawWatched,
    ),
  ],
} satisfies Record<string, Draw>
