// A caller's mistakes: TypeError or RangeError with a message that names the argument, before anything changes; never an
// errno, which is what the world says.

import { describe, expect, it } from 'vitest'
import {
  Host,
  type Image,
  type Mm,
  memorySwapStore,
  PagefoldError,
  type Pin,
  SecondaryMmu,
} from '../../src/index.ts'
import { IMAGE } from '../support/api.ts'
import { memoryOf } from '../support/inside.ts'
import { picture } from '../support/scenes.ts'
import { addFilled, bootHost, PAGE } from '../support/world.ts'

interface Given {
  readonly host: Host
  readonly mm: Mm
  readonly at: number
  readonly pin: Pin
  readonly mmu: SecondaryMmu
}

/** Of the wrong type, and of the right type but out of range. */
const NOT_NUMBERS: readonly unknown[] = ['4096', null, {}, true]
const NOT_ADDRESSES = [-1, 0.5, Number.NaN, 2 ** 44, Number.POSITIVE_INFINITY]
const NOT_LENGTHS = [-1, 1.5, Number.NaN, 2 ** 45]
const NOT_PFNS = [-1, 0, 1, 2 ** 32, 1.5, Number.NaN]
const NOT_OBJECTS: readonly unknown[] = [undefined, null, 7, 'store']

type Call = (given: Given, value: never) => unknown

const MISTAKES: readonly [argument: string, call: string, wrong: readonly unknown[], act: Call][] = [
  ['length', 'mm.mmap', [...NOT_NUMBERS, undefined, 0, ...NOT_LENGTHS], ({ mm }, v) => mm.mmap(v)],
  ['address', 'mm.mmap', [...NOT_NUMBERS, ...NOT_ADDRESSES, 5], ({ mm }, v) => mm.mmap(PAGE, { address: v })],
  [
    'node',
    'mm.mmap',
    [...NOT_NUMBERS.filter((v) => v !== null), -1, 2, 0.5],
    ({ mm }, v) => mm.mmap(PAGE, { node: v }),
  ],
  ['prot', 'mm.mmap', [4, -1, 0.5, 'PROT_EXEC', '', {}, null], ({ mm }, v) => mm.mmap(PAGE, { prot: v })],
  ['kind', 'mm.mmap', ['huge', 5], ({ mm }, v) => mm.mmap(PAGE, { kind: v })],
  ['shared', 'mm.mmap', ['yes', 1], ({ mm }, v) => mm.mmap(PAGE, { shared: v })],
  [
    'address',
    'mm.munmap',
    [...NOT_NUMBERS, undefined, ...NOT_ADDRESSES, 5],
    ({ mm }, v) => mm.munmap(v, PAGE),
  ],
  ['length', 'mm.munmap', [...NOT_NUMBERS, undefined, ...NOT_LENGTHS], ({ mm, at }, v) => mm.munmap(at, v)],
  [
    'address',
    'mm.madvise',
    [...NOT_NUMBERS, ...NOT_ADDRESSES, 5],
    ({ mm }, v) => mm.madvise(v, PAGE, 'MADV_DONTNEED'),
  ],
  [
    'length',
    'mm.madvise',
    [...NOT_NUMBERS, ...NOT_LENGTHS],
    ({ mm, at }, v) => mm.madvise(at, v, 'MADV_DONTNEED'),
  ],
  ['advice', 'mm.madvise', [12, undefined, 'MADV_HUGEPAGE', {}], ({ mm, at }, v) => mm.madvise(at, PAGE, v)],
  ['address', 'mm.mprotect', [...NOT_NUMBERS, ...NOT_ADDRESSES, 5], ({ mm }, v) => mm.mprotect(v, PAGE, 0)],
  ['length', 'mm.mprotect', [...NOT_NUMBERS, ...NOT_LENGTHS], ({ mm, at }, v) => mm.mprotect(at, v, 0)],
  ['prot', 'mm.mprotect', [4, -1, undefined, null, 'READ', {}], ({ mm, at }, v) => mm.mprotect(at, PAGE, v)],
  ['address', 'mm.mremap', [...NOT_NUMBERS, ...NOT_ADDRESSES, 5], ({ mm }, v) => mm.mremap(v, PAGE, PAGE)],
  ['oldLength', 'mm.mremap', [...NOT_NUMBERS, 0, ...NOT_LENGTHS], ({ mm, at }, v) => mm.mremap(at, v, PAGE)],
  ['newLength', 'mm.mremap', [...NOT_NUMBERS, 0, ...NOT_LENGTHS], ({ mm, at }, v) => mm.mremap(at, PAGE, v)],
  [
    'address',
    'mm.mremap, where to',
    [...NOT_NUMBERS, ...NOT_ADDRESSES, 5, 2 ** 32],
    ({ mm, at }, v) => mm.mremap(at, PAGE, 2 * PAGE, { address: v }),
  ],
  ['name', 'mm.fork', [5, {}], ({ mm }, v) => mm.fork({ name: v })],
  ['domain', 'mm.fork', [5, {}, 'other'], ({ mm }, v) => mm.fork({ domain: v })],
  ['domain', 'mm.replace', [5, {}, 'other'], ({ mm }, v) => mm.replace({ domain: v })],
  ['option', 'mm.prctl', [67, undefined, 'PR_SET_NAME'], ({ mm }, v) => mm.prctl(v)],
  ['value', 'mm.prctl', ['1', {}, 0.5, Number.NaN, null], ({ mm }, v) => mm.prctl('PR_SET_MEMORY_MERGE', v)],
  ['address', 'mm.write', [...NOT_NUMBERS, ...NOT_ADDRESSES], ({ mm }, v) => mm.write(v, Uint8Array.of(1))],
  ['bytes', 'mm.write', [undefined, null, 'abc', 5, [1, 2], {}], ({ mm, at }, v) => mm.write(at, v)],
  [
    'force',
    'mm.write',
    [0, 'yes', null, {}],
    ({ mm, at }, v) => mm.write(at, Uint8Array.of(1), { force: v }),
  ],
  ['address', 'mm.read', [...NOT_NUMBERS, ...NOT_ADDRESSES], ({ mm }, v) => mm.read(v, 1)],
  ['length', 'mm.read', [...NOT_NUMBERS, undefined, ...NOT_LENGTHS], ({ mm, at }, v) => mm.read(at, v)],
  ['address', 'mm.pin', [...NOT_NUMBERS, ...NOT_ADDRESSES], ({ mm }, v) => mm.pin(v, 1)],
  ['length', 'mm.pin', [...NOT_NUMBERS, 0, ...NOT_LENGTHS], ({ mm, at }, v) => mm.pin(at, v)],
  ['length', 'mm.get', [...NOT_NUMBERS, 0, ...NOT_LENGTHS], ({ mm, at }, v) => mm.get(at, v)],
  ['offset', 'pin.read', [...NOT_NUMBERS, -1, 0.5, PAGE + 1], ({ pin }, v) => pin.read(v, 0)],
  ['length', 'pin.read', [...NOT_NUMBERS, -1, 0.5, PAGE + 1], ({ pin }, v) => pin.read(0, v)],
  ['offset', 'pin.write', [...NOT_NUMBERS, -1, 0.5, PAGE], ({ pin }, v) => pin.write(v, Uint8Array.of(1))],
  ['bytes', 'pin.write', [undefined, 'abc', [1]], ({ pin }, v) => pin.write(0, v)],
  ['address', 'mm.pfn', [...NOT_NUMBERS, ...NOT_ADDRESSES], ({ mm }, v) => mm.pfn(v)],
  ['handler', 'mm.registerUserfault', NOT_OBJECTS, ({ mm, at }, v) => mm.registerUserfault(at, PAGE, v)],
  [
    'on',
    'mm.userfaultWriteProtect',
    [0, 1, 'yes', null, undefined, {}],
    ({ mm, at }, v) => mm.userfaultWriteProtect(at, PAGE, v),
  ],
  ['mm', 'new SecondaryMmu', NOT_OBJECTS, (_, v) => new SecondaryMmu(v)],
  ['address', 'mmu.translate', [...NOT_NUMBERS, ...NOT_ADDRESSES, 1n], ({ mmu }, v) => mmu.translate(v)],
  ['vpn', 'mmu.isMasked', [...NOT_NUMBERS, undefined, 1n, -1, 0.5, 2 ** 32], ({ mmu }, v) => mmu.isMasked(v)],
  ['range', 'mmu.invalidateRangeStart', NOT_OBJECTS, ({ mmu }, v) => mmu.invalidateRangeStart(v)],
  ['range', 'mmu.invalidateRangeEnd', NOT_OBJECTS, ({ mmu }, v) => mmu.invalidateRangeEnd(v)],
  [
    'start',
    'mmu.invalidateRangeStart',
    [...NOT_NUMBERS, -1, Number.NaN],
    ({ mmu }, v) => mmu.invalidateRangeStart({ event: 'clear', start: v, end: PAGE, blockable: true }),
  ],
  ['notifier', 'mm.registerNotifier', NOT_OBJECTS, ({ mm }, v) => mm.registerNotifier(v)],
  ['name', 'host.createMm', [5, {}], ({ host }, v) => host.createMm({ name: v })],
  ['domain', 'host.createMm', [5, {}], ({ host }, v) => host.createMm({ domain: v })],
  ['image', 'host.loadImage', [...NOT_OBJECTS, {}], ({ host }, v) => host.loadImage(v)],
  [
    'pages',
    'host.loadImage',
    [...NOT_NUMBERS, undefined, 0, -1, 0.5, Number.NaN],
    ({ host }, v) => host.loadImage({ ...IMAGE, pages: v } as Image),
  ],
  [
    'onProgress',
    'host.loadImage',
    [7, 'often', null, {}],
    ({ host }, v) => host.loadImage(IMAGE, { onProgress: v }),
  ],
  ['pfn', 'host.frame', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.frame(v)],
  ['pfn', 'host.migrate', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.migrate(v, { node: 0 })],
  [
    'node',
    'host.migrate',
    [...NOT_NUMBERS, -1, 2, 0.5],
    ({ host, mm, at }, v) => host.migrate(mm.pfn(at)!, { node: v }),
  ],
  ['to', 'host.migrate', NOT_OBJECTS, ({ host, mm, at }, v) => host.migrate(mm.pfn(at)!, v)],
  ['start', 'host.offline', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.offline(v, 2000)],
  [
    'end',
    'host.offline',
    [...NOT_NUMBERS, ...NOT_PFNS],
    ({ host, mm, at }, v) => host.offline(mm.pfn(at)!, v),
  ],
  ['start', 'host.online', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.online(v, 2000)],
  ['pfn', 'host.reclaim', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.reclaim(v)],
  ['pfn', 'host.memoryFailure', [...NOT_NUMBERS, ...NOT_PFNS], ({ host }, v) => host.memoryFailure(v)],
  ['store', 'host.swapOn', NOT_OBJECTS, ({ host }, v) => host.swapOn(v)],
  [
    'slots',
    'host.swapOn',
    [...NOT_NUMBERS, undefined, 0, -1, 0.5, 2 ** 20 + 1],
    ({ host }, v) => host.swapOn({ slots: v, read() {}, write() {} }),
  ],
  ['slots', 'memorySwapStore', [...NOT_NUMBERS, 0, -1, 0.5, 2 ** 21], (_, v) => memorySwapStore(v)],
  ['name', 'host.on', [5, undefined, 'ksm_scan'], ({ host }, v) => host.on(v, () => {})],
  ['listener', 'host.on', [undefined, 5, {}], ({ host }, v) => host.on('ksm_enter', v)],
  ['name', 'host.off', [5, undefined, 'ksm_scan'], ({ host }, v) => host.off(v, () => {})],
  ['name', 'ksm.set', [5, undefined, 'speed', 'pages_shared'], ({ host }, v) => host.ksm.set(v, 1)],
  ['name', 'ksm.set', [null, {}, 1n], ({ host }, v) => host.ksm.set(v, 1)],
  ['value', 'ksm.set', [undefined, null, {}, [], [1], 1n], ({ host }, v) => host.ksm.set('run', v)],
  ['name', 'ksm.get', [5, undefined, 'speed'], ({ host }, v) => host.ksm.get(v)],
  ['count', 'ksm.scan', [...NOT_NUMBERS, -1, 0.5, Number.NaN], ({ host }, v) => host.ksm.scan(v)],
  ['count', 'ksm.scanPages', [...NOT_NUMBERS, undefined, -1, 0.5], ({ host }, v) => host.ksm.scanPages(v)],
]

function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

describe("a caller's mistake", () => {
  it.each(MISTAKES)('`%s` of %s', async (argument, _, wrong, act) => {
    const host = await bootHost({ frames: 64, numaNodes: 2 })
    const mm = host.createMm({ name: 'guest' })
    const at = addFilled(mm, 4, 7)
    host.ksm.set('run', 1)
    host.ksm.scan(2)
    const pin = mm.pin(mm.mmap(PAGE), PAGE)
    const mmu = new SecondaryMmu(mm)
    const before = picture(host)
    for (const value of wrong) {
      const error = thrownBy(() => act({ host, mm, at, pin, mmu }, value as never))
      const what = `${typeof value === 'bigint' ? value : (JSON.stringify(value) ?? String(value))}: ${String(error)}`
      expect(error instanceof TypeError || error instanceof RangeError, what).toBe(true)
      expect((error as Error).message, what).toContain(`\`${argument}\``)
      expect(error).not.toBeInstanceOf(PagefoldError)
      if (value === null || typeof value === 'object') expect(error, what).toBeInstanceOf(TypeError)
    }
    expect(picture(host)).toEqual(before)
    expect(memoryOf(host).trace.active).toBe(false)
    pin.release()
    host.audit()
  })

  const OPTIONS: readonly [argument: string, wrong: readonly unknown[]][] = [
    ['frames', [...NOT_NUMBERS, undefined, 0, -1, 0.5, 2 ** 21]],
    ['mappings', ['9', {}, 0, -1, 0.5, 2 ** 40]],
    ['numaNodes', ['9', {}, 0, -1, 0.5, 17]],
    ['index', [5, {}, 'btree']],
    ['checksum', [5, {}, 'md5']],
    ['cowPolicy', [5, {}, 'never']],
    ['smartScan', [5, {}, 'never']],
    ['reuseKsm', [1, 'yes', {}]],
    ['zeroPagesAcrossDomains', [1, 'yes', {}]],
    ['clock', [5, 'now', {}]],
  ]

  it.each(OPTIONS)('`%s` of Host.create', async (argument, wrong) => {
    for (const value of wrong) {
      const error = await Host.create({ frames: 16, [argument]: value } as never).catch((e: unknown) => e)
      expect(
        error instanceof TypeError || error instanceof RangeError,
        `${String(value)}: ${String(error)}`,
      ).toBe(true)
      expect((error as Error).message).toContain(`\`${argument}\``)
    }
    await expect(Host.create(undefined as never)).rejects.toThrow(/`options`/)
  })
})

describe('what the world says', () => {
  it('is a PagefoldError: its code is the errno, its message begins with it and says where', async () => {
    const host = await bootHost({ frames: 4 })
    const mm = host.createMm({ name: 'guest' })
    const at = mm.mmap(8 * PAGE)
    const said = [
      [() => mm.write(at, new Uint8Array(8 * PAGE)), 'ENOMEM', 'guest'],
      [() => mm.read(0, 1), 'EFAULT', '0x0'],
      [() => mm.mmap(PAGE, { address: at }), 'EEXIST', at.toString(16)],
      [() => mm.madvise(0, PAGE, 'MADV_MERGEABLE'), 'ENOMEM', '0x0'],
      [() => mm.prctl('PR_SET_MEMORY_MERGE', 1, 1), 'EINVAL', 'PR_SET_MEMORY_MERGE'],
      [() => host.ksm.set('run', 3), 'EINVAL', 'run takes'],
      [() => host.ksm.scan(1), 'EINVAL', 'set run to 1'],
      [() => host.swapOff(memorySwapStore(1)), 'EINVAL', 'swapOff'],
    ] as const
    for (const [action, code, where] of said) {
      const error = thrownBy(action)
      expect(error).toBeInstanceOf(PagefoldError)
      expect(error).toMatchObject({ name: 'PagefoldError', code })
      expect((error as Error).message).toMatch(new RegExp(`^${code}: .*${where}`))
    }
    host.audit()
  })
})
