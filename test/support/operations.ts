// Every public operation on an mm and on a host, with the states in which it is refused and what it says then.

import { expect } from 'vitest'
import { type Errno, type Image, memorySwapStore } from '../../src/index.ts'
import { memoryOf } from './inside.ts'
import { AT, PAGES, type Scene, STATES, type State } from './scenes.ts'
import { errnoOf, fill, holds, PAGE, pageOf } from './world.ts'

const LENGTH = PAGES * PAGE
/** Where nothing is mapped. */
const ELSEWHERE = AT + 2 ** 30

export interface Operation {
  readonly act: (scene: Scene) => unknown
  /** The refusals; every state not named is a success. */
  readonly refused?: Partial<Record<State, Errno>>
  /** Pages of the range that hold something else afterwards, or may. */
  readonly touches?: readonly number[]
  /** Other mms lose those pages too. */
  readonly reachesOthers?: true
  /** The host is closed then. */
  readonly closes?: true
  /** It faults pages in before it is refused. */
  readonly faults?: true
}

/** Every page of the range. */
export const ALL = Array.from({ length: PAGES }, (_, page) => page)
/** The mm has exited: closing the host ends every mm. */
const GONE = { exited: 'ESRCH', orphaned: 'ESRCH', closed: 'ESRCH' } as const
const CLOSED = { closed: 'EINVAL' } as const

export const ON_AN_MM: Record<string, Operation> = {
  mmap: { act: ({ mm }) => mm.mmap(4 * PAGE), refused: GONE },
  'mmap at a place': { act: ({ mm }) => mm.mmap(PAGE, { address: ELSEWHERE }), refused: GONE },
  'mmap where something is': {
    act: ({ mm }) => mm.mmap(PAGE, { address: AT + PAGE }),
    refused: everywhere('EEXIST', GONE),
  },
  'munmap all': { act: ({ mm }) => mm.munmap(AT, LENGTH), refused: GONE, touches: ALL },
  'munmap a part': { act: ({ mm }) => mm.munmap(AT + 2 * PAGE, 3 * PAGE), refused: GONE, touches: [2, 3, 4] },
  'munmap nothing': { act: ({ mm }) => mm.munmap(ELSEWHERE, LENGTH), refused: GONE },
  MADV_MERGEABLE: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_MERGEABLE'), refused: GONE },
  MADV_UNMERGEABLE: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_UNMERGEABLE'), refused: GONE },
  'MADV_UNMERGEABLE of a part': {
    act: ({ mm }) => mm.madvise(AT + PAGE, 2 * PAGE, 'MADV_UNMERGEABLE'),
    refused: GONE,
  },
  MADV_DONTNEED: {
    act: ({ mm }) => mm.madvise(AT, 4 * PAGE, 'MADV_DONTNEED'),
    refused: GONE,
    touches: [0, 1, 2, 3],
  },
  MADV_PAGEOUT: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_PAGEOUT'), refused: GONE },
  MADV_FREE: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_FREE'), refused: GONE, touches: ALL },
  MADV_COLD: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_COLD'), refused: GONE },
  'MADV_DONTFORK, fork, MADV_DOFORK': {
    act: (scene) => {
      const { mm } = scene
      mm.madvise(AT, 4 * PAGE, 'MADV_DONTFORK')
      const child = mm.fork()
      expect(errnoOf(() => child.read(AT, 1))).toBe('EFAULT')
      expect(child.read(AT + 4 * PAGE, 1)[0]).toBe(scene.byte)
      child.exit()
      mm.madvise(AT, LENGTH, 'MADV_DOFORK')
    },
    refused: GONE,
  },
  'MADV_WIPEONFORK, fork, MADV_KEEPONFORK': {
    act: (scene) => {
      const { mm } = scene
      mm.madvise(AT, 4 * PAGE, 'MADV_WIPEONFORK')
      const child = mm.fork()
      expect(child.read(AT, 1)[0]).toBe(0)
      expect(child.read(AT + 4 * PAGE, 1)[0]).toBe(scene.byte)
      child.exit()
      mm.madvise(AT, LENGTH, 'MADV_KEEPONFORK')
    },
    refused: GONE,
  },
  MADV_POPULATE_READ: { act: ({ mm }) => mm.madvise(AT, LENGTH, 'MADV_POPULATE_READ'), refused: GONE },
  MADV_POPULATE_WRITE: {
    act: ({ mm }) => {
      mm.madvise(AT, LENGTH, 'MADV_POPULATE_WRITE')
      expect(new Set(ALL.map((page) => mm.pfn(AT + page * PAGE))).size).toBe(PAGES)
    },
    refused: GONE,
  },
  'mlock and munlock': {
    act: ({ host, mm }) => {
      mm.mlock(AT, LENGTH)
      expect(host.reclaim(mm.pfn(AT)!)).toBe('mlocked')
      expect(errnoOf(() => mm.madvise(AT, PAGE, 'MADV_PAGEOUT'))).toBe('EINVAL')
      mm.munlock(AT, LENGTH)
    },
    refused: GONE,
  },
  'mlock of a hole': {
    act: ({ mm }) => mm.mlock(ELSEWHERE, PAGE),
    refused: everywhere('ENOMEM', GONE),
  },
  'munlock of a hole': {
    act: ({ mm }) => mm.munlock(ELSEWHERE, PAGE),
    refused: everywhere('ENOMEM', GONE),
  },
  'mmap of a file': {
    act: (scene) => {
      const { mm } = scene
      const at = mm.mmap(2 * PAGE, { file: pageOf(6), address: ELSEWHERE })
      expect(mm.read(at, 1)[0]).toBe(6)
      expect(errnoOf(() => mm.read(at + PAGE, 1))).toBe('EFAULT')
      mm.write(at, pageOf(3))
      expect(holds(mm, at, 1, 3)).toBe(true)
    },
    refused: GONE,
  },
  smaps: { act: ({ mm }) => expect(mm.smaps()).toHaveLength(1), refused: GONE },
  'munmap of nothing at all': {
    act: ({ mm }) => mm.munmap(AT, 0),
    refused: everywhere('EINVAL', GONE),
  },
  'madvise of a hole': {
    act: ({ mm }) => mm.madvise(ELSEWHERE, PAGE, 'MADV_MERGEABLE'),
    refused: everywhere('ENOMEM', GONE),
  },
  'mprotect to PROT_READ': { act: ({ mm }) => mm.mprotect(AT, LENGTH, 'PROT_READ'), refused: GONE },
  'mprotect there and back': {
    act: ({ mm }) => {
      mm.mprotect(AT, LENGTH, 'PROT_NONE')
      mm.mprotect(AT, LENGTH, 'PROT_READ|PROT_WRITE')
    },
    refused: GONE,
  },
  'mprotect of a hole': {
    act: ({ mm }) => mm.mprotect(ELSEWHERE, PAGE, 'PROT_READ'),
    refused: everywhere('ENOMEM', GONE),
  },
  'mremap to grow': { act: ({ mm }) => mm.mremap(AT, LENGTH, 2 * LENGTH), refused: GONE },
  'mremap to shrink': { act: ({ mm }) => mm.mremap(AT, LENGTH, 6 * PAGE), refused: GONE, touches: [6, 7] },
  'mremap to elsewhere and back': {
    act: ({ mm }) => {
      mm.mremap(AT, LENGTH, LENGTH, { address: ELSEWHERE })
      mm.mremap(ELSEWHERE, LENGTH, LENGTH, { address: AT })
    },
    refused: GONE,
  },
  'mremap of a page over another': {
    act: ({ mm }) => mm.mremap(AT, PAGE, PAGE, { address: AT + 5 * PAGE }),
    refused: GONE,
    touches: [0],
  },
  'mremap of a hole': {
    act: ({ mm }) => mm.mremap(ELSEWHERE, PAGE, PAGE),
    refused: everywhere('EFAULT', GONE),
  },
  fork: { act: (scene) => void scene.others.push(scene.mm.fork({ name: 'forked' })), refused: GONE },
  'fork of a fork, then both write': {
    act: ({ mm, byte }) => {
      const child = mm.fork()
      const grandchild = child.fork()
      fill(grandchild, AT, 3, byte + 1)
      fill(child, AT + PAGE, 3, byte + 2)
      expect(holds(grandchild, AT, 3, byte + 1)).toBe(true)
      expect(holds(child, AT + PAGE, 3, byte + 2)).toBe(true)
      expect(holds(child, AT, 1, byte)).toBe(true)
      child.exit()
      expect(holds(grandchild, AT, 3, byte + 1)).toBe(true)
    },
    refused: GONE,
  },
  replace: { act: ({ mm }) => mm.replace({ name: 'program' }), refused: GONE, touches: ALL },
  exit: { act: ({ mm }) => mm.exit(), refused: GONE, touches: ALL },
  'prctl to merge all': { act: ({ mm }) => mm.prctl('PR_SET_MEMORY_MERGE', 1), refused: GONE },
  'prctl to merge all and none': {
    act: ({ mm }) => {
      mm.prctl('PR_SET_MEMORY_MERGE', 1)
      mm.prctl('PR_SET_MEMORY_MERGE', 0)
    },
    refused: GONE,
  },
  'prctl get': { act: ({ mm }) => expect(mm.prctl('PR_GET_MEMORY_MERGE')).toBe(0), refused: GONE },
  'prctl with too much': {
    act: ({ mm }) => mm.prctl('PR_SET_MEMORY_MERGE', 1, 1),
    refused: everywhere('EINVAL', GONE),
  },
  'write a page': {
    act: ({ mm }) => {
      mm.write(AT + PAGE, pageOf(3))
      expect(holds(mm, AT + PAGE, 1, 3)).toBe(true)
    },
    refused: GONE,
    touches: [1],
  },
  'write the same bytes': { act: ({ mm, byte }) => fill(mm, AT, PAGES, byte), refused: GONE },
  'write by force': {
    act: ({ mm }) => mm.write(AT + PAGE, pageOf(3), { force: true }),
    refused: GONE,
    touches: [1],
  },
  'write nowhere': {
    act: ({ mm }) => mm.write(ELSEWHERE, pageOf(3)),
    refused: everywhere('EFAULT', GONE),
  },
  read: {
    act: ({ mm, byte }) => expect(mm.read(AT, LENGTH).every((each) => each === byte)).toBe(true),
    refused: GONE,
  },
  'read nowhere': { act: ({ mm }) => mm.read(ELSEWHERE, 1), refused: everywhere('EFAULT', GONE) },
  'pin to read': {
    act: (scene) => {
      const pin = scene.mm.pin(AT, LENGTH)
      scene.pins.push(pin)
      expect(pin.read(0, LENGTH).every((each) => each === scene.byte)).toBe(true)
      // What the guest writes is what the device sees.
      scene.mm.write(AT + PAGE, pageOf(5))
      expect(Buffer.from(pin.read(PAGE, PAGE)).equals(pageOf(5))).toBe(true)
    },
    refused: GONE,
    touches: [1],
  },
  'pin to write': {
    act: (scene) => {
      const pin = scene.mm.pin(AT, LENGTH, { write: true, longterm: true })
      scene.pins.push(pin)
      pin.write(2 * PAGE, pageOf(5))
      expect(holds(scene.mm, AT + 2 * PAGE, 1, 5)).toBe(true)
    },
    refused: GONE,
    touches: [2],
  },
  'pin a range that ends in nothing': {
    act: ({ mm }) => mm.pin(AT + LENGTH - PAGE, 2 * PAGE),
    refused: everywhere('EFAULT', GONE),
    faults: true,
  },
  'get, then exit': {
    act: (scene) => {
      scene.pins.push(scene.mm.get(AT, LENGTH))
      scene.mm.exit()
    },
    refused: GONE,
    touches: ALL,
  },
  registerUserfault: {
    act: ({ mm }) => mm.registerUserfault(AT, LENGTH, { onWriteProtect: () => {} }),
    refused: GONE,
  },
  userfaultWriteProtect: {
    act: ({ mm }) => {
      mm.registerUserfault(AT, LENGTH, { onWriteProtect: () => {} })
      mm.read(AT, LENGTH)
      mm.userfaultWriteProtect(AT, LENGTH, true)
      expect(errnoOf(() => mm.write(AT, pageOf(1)))).toBe('EAGAIN')
      mm.userfaultWriteProtect(AT, LENGTH, false)
    },
    refused: GONE,
  },
  'userfaultWriteProtect, not registered': {
    act: ({ mm }) => mm.userfaultWriteProtect(AT, LENGTH, true),
    refused: everywhere('ENOENT', GONE),
  },
  pfn: { act: ({ mm }) => mm.pfn(AT), refused: GONE },
  ksmStat: { act: ({ mm }) => mm.ksmStat(), refused: GONE },
  oomReap: { act: ({ mm }) => mm.oomReap(), refused: GONE, touches: ALL },
  registerNotifier: {
    act: ({ mm }) => {
      const notifier = {}
      mm.registerNotifier(notifier)
      mm.unregisterNotifier(notifier)
      mm.unregisterNotifier(notifier)
    },
    refused: GONE,
  },
}

const IMAGE: Image = {
  source: 'two pages',
  format: 'raw',
  pages: 2,
  notes: [],
  addressOf: (page) => page * PAGE,
  read: (_, count, into) => void into.fill(4, 0, count * PAGE),
  close: () => {},
}

/** The states in which the frame has no page that somebody maps or swap still ties to it. */
const NO_PAGE = {
  empty: 'EINVAL',
  zero: 'EINVAL',
  swapped: 'EINVAL',
  'merged and swapped': 'EINVAL',
  exited: 'EINVAL',
  closed: 'EINVAL',
} as const

/** What was merged counts until ksmd has been there, whatever became of it. */
const COUNTED_AS_MERGED = {
  merged: 'EBUSY',
  forked: 'EBUSY',
  'merged and swapped': 'EBUSY',
  'merged and cached': 'EBUSY',
  pinned: 'EBUSY',
  exited: 'EBUSY',
  closed: 'EINVAL',
} as const

export const ON_A_HOST: Record<string, Operation> = {
  createMm: { act: ({ host }) => host.createMm({ domain: 'own' }), refused: CLOSED },
  loadImage: { act: ({ host }) => host.loadImage(IMAGE), refused: CLOSED },
  frames: { act: ({ host }) => expect(host.frames.free).toBeLessThanOrEqual(host.frames.total) },
  frame: { act: ({ host, pfn }) => expect(host.frame(pfn).pfn).toBe(pfn) },
  'migrate to the same node': {
    act: ({ host, pfn }) => host.migrate(pfn, { node: 0 }),
    refused: { ...NO_PAGE, pinned: 'EAGAIN', orphaned: 'EAGAIN' },
  },
  'migrate to another node': {
    act: ({ host, pfn }) => {
      const moved = host.migrate(pfn, { node: 1 })
      expect(host.frame(moved).node).toBe(1)
      expect(host.frame(pfn).refcount).toBe(0)
    },
    refused: { ...NO_PAGE, pinned: 'EAGAIN', orphaned: 'EAGAIN' },
  },
  'offline and online': {
    act: ({ host, pfn }) => {
      const { total } = host.frames
      host.offline(pfn, pfn + 1)
      expect(host.frames.total).toBe(total - 1)
      host.online(pfn, pfn + 1)
      expect(host.frames.total).toBe(total)
    },
    refused: { pinned: 'EBUSY', orphaned: 'EBUSY', ...CLOSED },
  },
  'offline what is offline': {
    act: ({ host }) => {
      const last = memoryOf(host).arena.endPfn - 1
      host.offline(last, last + 1)
      expect(errnoOf(() => host.offline(last - 1, last + 1))).toBe('EINVAL')
    },
    refused: CLOSED,
  },
  'online what is not offline': {
    act: ({ host, pfn }) => host.online(pfn, pfn + 1),
    refused: everywhere('EINVAL', {}),
  },
  swapOn: {
    act: ({ host }) => {
      const store = memorySwapStore(4)
      host.swapOn(store)
      expect(errnoOf(() => host.swapOn(store))).toBe('EBUSY')
      host.swapOff(store)
    },
    refused: CLOSED,
  },
  'swapOn, in use': {
    act: ({ host, store }) => host.swapOn(store),
    refused: everywhere('EBUSY', CLOSED),
  },
  swapOff: { act: ({ host, store }) => host.swapOff(store), refused: CLOSED },
  'swapOff, not in use': {
    act: ({ host }) => host.swapOff(memorySwapStore(1)),
    refused: everywhere('EINVAL', {}),
  },
  reclaim: { act: ({ host, pfn }) => host.reclaim(pfn), refused: NO_PAGE },
  memoryFailure: {
    act: ({ host, pfn }) => host.memoryFailure(pfn),
    refused: CLOSED,
    touches: ALL,
    reachesOthers: true,
  },
  'memoryFailure twice': {
    act: ({ host, pfn }) => {
      host.memoryFailure(pfn, { recover: true })
      expect(host.memoryFailure(pfn).told).toEqual([])
    },
    refused: CLOSED,
    touches: ALL,
    reachesOthers: true,
  },
  vmstat: { act: ({ host }) => host.vmstat() },
  warnings: { act: ({ host }) => expect(host.warnings()).toEqual([]) },
  metadata: { act: ({ host }) => host.metadata() },
  'on and off': {
    act: ({ host }) => {
      const listener = (): void => {}
      host.on('ksm_enter', listener).off('ksm_enter', listener)
    },
  },
  audit: { act: ({ host }) => host.audit() },
  close: {
    act: ({ host }) => {
      host.close()
      host.close()
    },
    closes: true,
    touches: ALL,
  },
  'ksm.set run=0': { act: ({ host }) => host.ksm.set('run', 0), refused: CLOSED },
  'ksm.set run=2': { act: ({ host }) => host.ksm.set('run', 2), refused: CLOSED },
  'ksm.set max_page_sharing': {
    act: ({ host }) => host.ksm.set('max_page_sharing', 2),
    refused: COUNTED_AS_MERGED,
  },
  'ksm.set merge_across_nodes': {
    act: ({ host }) => host.ksm.set('merge_across_nodes', 0),
    refused: COUNTED_AS_MERGED,
  },
  'ksm.get': { act: ({ host }) => expect(host.ksm.get('run')).toBe(1) },
  'ksm.counters': { act: ({ host }) => expect(host.ksm.counters().run).toBe(1) },
  'ksm.scan': { act: ({ host }) => host.ksm.scan(3), refused: CLOSED },
  'ksm.scanPages': { act: ({ host }) => host.ksm.scanPages(3), refused: CLOSED },
  'ksm.scan while stopped': {
    act: ({ host }) => {
      host.ksm.set('run', 0)
      expect(errnoOf(() => host.ksm.scan(1))).toBe('EINVAL')
      expect(errnoOf(() => host.ksm.scanPages(1))).toBe('EINVAL')
    },
    refused: CLOSED,
  },
  'ksm.start and stop': {
    act: ({ host }) => {
      host.ksm.start()
      host.ksm.start()
      return host.ksm.stop()
    },
    refused: CLOSED,
  },
}

function everywhere(errno: Errno, but: Partial<Record<State, Errno>>): Partial<Record<State, Errno>> {
  return { ...Object.fromEntries(STATES.map((state) => [state, errno])), ...but }
}
