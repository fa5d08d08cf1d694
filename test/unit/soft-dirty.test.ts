// Under `changes: 'log'` ksmd reads what has been written since it last did, and nothing else. That it reads is seen by what
// it notices: a byte changed behind the engine's back, which nobody marks.

import { describe, expect, it } from 'vitest'
import { memorySwapStore, type NotifierRange, SecondaryMmu } from '../../src/index.ts'
import { isSoftDirty } from '../../src/mm/page/ptes.ts'
import { memoryOf, vpnOf } from '../support/inside.ts'
import { atNotifiers, once } from '../support/races.ts'
import { addRange, contentBytes, type Guest, guest, makeHost, PAGE, pageOf } from '../support/world.ts'

const dirty = ({ mm, at }: Guest, page = 0): boolean => isSoftDirty(mm, vpnOf(at) + page)

/** Changes a byte of a guest's page as nobody may: without a mark. */
function changeUnseen({ mm, at }: Guest): void {
  memoryOf(mm).arena.page(mm.pfn(at)!)[1]! ^= 255
}

describe('a page that nobody has written', () => {
  it('is read once, and again when it is said to be written', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    guest(host, 'b', [7], { mergeable: false })
    expect(dirty(a)).toBe(true)
    host.ksm.scan(1)
    expect(dirty(a)).toBe(false)
    changeUnseen(a)
    host.ksm.scan(2)
    expect(host.ksm.counters().pages_unshared).toBe(1)
    a.mm.markWritten(a.at, PAGE)
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_unshared, 'it has changed').toBe(0)
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_unshared).toBe(1)
    host.audit()
  })

  it('is read in every scan where changes are known by checksums', async () => {
    const host = await makeHost({ changes: 'checksum' })
    const a = guest(host, 'a', [7])
    host.ksm.scan(2)
    changeUnseen(a)
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_unshared).toBe(0)
    expect(dirty(a)).toBe(true)
  })

  it('is missed by an audit that finds it changed', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    host.ksm.scan(1)
    changeUnseen(a)
    expect(() => host.audit()).toThrow('not soft-dirty, but changed since it was read')
  })

  it('is unchanged too if it was written with the bytes it had', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    host.ksm.scan(1)
    a.mm.write(a.at, contentBytes(7))
    expect(dirty(a)).toBe(true)
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_unshared).toBe(1)
  })
})

describe('markWritten', () => {
  it('takes a length, or a bitmap with a bit a page, and marks nothing else', async () => {
    const host = await makeHost()
    const a = guest(
      host,
      'a',
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
    const marked = (): number[] => Array.from({ length: 20 }, (_, i) => i).filter((i) => dirty(a, i))
    host.ksm.scan(1)
    expect(marked()).toEqual([])
    a.mm.markWritten(a.at + 3 * PAGE, PAGE + 1)
    expect(marked()).toEqual([3, 4])
    host.ksm.scan(1)
    a.mm.markWritten(a.at + PAGE, Uint8Array.of(0b1000_0001, 0b10))
    expect(marked()).toEqual([1, 8, 10])
    // Beyond the mapping there is nothing to mark.
    a.mm.markWritten(a.at, new Uint8Array(8).fill(255))
    expect(marked()).toHaveLength(20)
    host.audit()
  })

  it('refuses what is no place', async () => {
    const { mm, at } = guest(await makeHost(), 'a', [1])
    expect(() => mm.markWritten(at + 1, PAGE)).toThrow('multiple of 4096')
    expect(() => mm.markWritten(at, -1)).toThrow(
      new RangeError('Expected `written` to be an integer in 0..17587891077120, got -1'),
    )
    expect(() => mm.markWritten(2 ** 44 - PAGE, new Uint8Array(1))).toThrow('to end below')
    expect(() => mm.markWritten(at, 'all' as never)).toThrow(TypeError)
  })
})

describe('a page becomes soft-dirty', () => {
  const WAYS: Record<string, (a: Guest) => void> = {
    'by a write': ({ mm, at }) => mm.write(at, Uint8Array.of(1)),
    'by a forced write': ({ mm, at }) => {
      mm.mprotect(at, PAGE, 'PROT_READ')
      mm.write(at, Uint8Array.of(1), { force: true })
    },
    'by a pin for writing': ({ mm, at }) => mm.pin(at, PAGE, { write: true }).release(),
    'by a reference for writing': ({ mm, at }) => mm.get(at, PAGE, { write: true }).release(),
    'by a translation for writing': ({ mm, at }) => void new SecondaryMmu(mm).translate(at, true),
    'by going to swap and coming back': ({ mm, at }) => {
      mm.madvise(at, PAGE, 'MADV_PAGEOUT')
      expect(mm.pfn(at)).toBeUndefined()
      mm.read(at, 1)
    },
    'by being thrown away': ({ mm, at }) => {
      mm.madvise(at, PAGE, 'MADV_DONTNEED')
      mm.write(at, contentBytes(7))
    },
  }
  it.each(Object.entries(WAYS))('%s', async (_, act) => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const a = guest(host, 'a', [7])
    host.ksm.scan(1)
    expect(dirty(a)).toBe(false)
    act(a)
    expect(dirty(a)).toBe(true)
    host.audit()
  })

  it('by a merge, and of its twin in a fork too, because the items lose what they know', async () => {
    // Otherwise they would be settled, and need not be looked at again.
    const host = await makeHost({ index: 'content' })
    const first = guest(host, 'first', [9])
    const a = guest(host, 'a', [7])
    const child = { mm: a.mm.fork(), at: a.at }
    host.ksm.scan(1)
    expect([dirty(a), dirty(child)]).toEqual([false, false])
    // It is visited first, so the page of the fork is the one that stays: only what items say of it changes.
    first.mm.write(first.at, contentBytes(7))
    const pfn = a.mm.pfn(a.at)
    host.ksm.scan(3)
    expect(a.mm.pfn(a.at)).toBe(pfn)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 2 })
    expect([dirty(a), dirty(child)]).toEqual([true, true])
  })
})

describe('a page stays as it was', () => {
  it('when it is read, or loses and gets rights, or when its mm forks: the child alone has to be read', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    host.ksm.scan(1)
    a.mm.read(a.at, PAGE)
    a.mm.pin(a.at, PAGE).release()
    a.mm.mprotect(a.at, PAGE, 'PROT_READ')
    a.mm.mprotect(a.at, PAGE, 'PROT_READ|PROT_WRITE')
    new SecondaryMmu(a.mm).translate(a.at)
    const child = { mm: a.mm.fork(), at: a.at }
    expect([dirty(a), dirty(child)]).toEqual([false, true])
    host.audit()
  })
})

describe('the mark is not cleared', () => {
  it.each([
    ['pin', (a: Guest) => a.mm.pin(a.at, PAGE, { write: true })],
    ['get', (a: Guest) => a.mm.get(a.at, PAGE, { write: true })],
  ] as const)('while somebody holds the page and may write unasked (%s)', async (_, hold) => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    const held = hold(a)
    host.ksm.scan(1)
    held.write(0, pageOf(9))
    expect(dirty(a)).toBe(true)
    held.release()
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_unshared, 'the write was seen').toBe(0)
    expect(dirty(a)).toBe(false)
    host.audit()
  })

  it('by a visit that smart scan leaves out', async () => {
    const host = await makeHost()
    host.ksm.set('smart_scan', 1)
    const a = guest(host, 'a', [7])
    host.ksm.scan(3)
    for (let skipped = 0, before = 0; skipped < 2; ) {
      a.mm.write(a.at, contentBytes(8 + skipped))
      host.ksm.scan(1)
      const now = host.ksm.counters().pages_skipped
      expect(dirty(a)).toBe(now > before)
      if (now > before) skipped++
      before = now
      host.audit()
    }
  })
})

const pagesOf = (ranges: readonly NotifierRange[], { at }: { readonly at: number }): unknown[] =>
  ranges.map(({ event, start, end }) => [event, (start - at) / PAGE, (end - at) / PAGE])

describe('a translation for writing', () => {
  it('ends before the mark is cleared, and one for reading does not', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7, 8])
    const mmu = new SecondaryMmu(a.mm)
    mmu.translate(a.at, true)
    mmu.translate(a.at + PAGE)
    const heard: NotifierRange[] = []
    a.mm.registerNotifier({ invalidateRangeStart: (range) => void heard.push(range) })
    host.ksm.scan(1)
    expect(pagesOf(heard, a)).toEqual([['soft_dirty', 0, 2]])
    expect(mmu.peek(a.at)).toBeUndefined()
    mmu.translate(a.at)
    expect(mmu.peek(a.at)?.writable, 'the page is not soft-dirty').toBe(false)
    heard.length = 0
    host.ksm.scan(1)
    expect(heard).toEqual([])
    mmu.translate(a.at, true)
    expect(mmu.peek(a.at)?.writable).toBe(true)
    expect(dirty(a)).toBe(true)
  })

  it('of neighbours is told of at once, and of nobody who keeps his', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [1, 2, 3, 4, 5, 6, 7, 8])
    host.ksm.scan(1)
    for (const page of [0, 1, 3, 4, 5, 7]) a.mm.write(a.at + page * PAGE, contentBytes(10 + page))
    a.mm.mprotect(a.at + 4 * PAGE, PAGE, 'PROT_READ')
    const pin = a.mm.pin(a.at + 7 * PAGE, PAGE)
    const mmu = new SecondaryMmu(a.mm)
    for (const page of [0, 1, 2, 3, 5, 6, 7]) mmu.translate(a.at + page * PAGE)
    const heard: NotifierRange[] = []
    a.mm.registerNotifier({ invalidateRangeStart: (range) => void heard.push(range) })
    host.ksm.scan(1)
    expect(pagesOf(heard, a)).toEqual([
      ['soft_dirty', 0, 2],
      ['soft_dirty', 3, 4],
      ['soft_dirty', 5, 6],
    ])
    const known = Array.from({ length: 8 }, (_, page) => mmu.peek(a.at + page * PAGE) !== undefined)
    expect(known).toEqual([false, false, true, false, false, false, true, true])
    expect(mmu.openRanges).toEqual([])
    host.audit()
    pin.release()
  })

  it('may be written through until its notifier has returned', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    const mmu = new SecondaryMmu(a.mm)
    let pfn = mmu.translate(a.at, true)
    a.mm.registerNotifier({ invalidateRangeStart: () => void memoryOf(host).arena.page(pfn).fill(9) })
    host.ksm.scan(1)
    host.audit()
    pfn = mmu.translate(a.at, true)
    host.ksm.scan(1)
    host.audit()
    expect(a.mm.read(a.at, 1)).toEqual(Uint8Array.of(9))
  })
})

describe('a write in the middle of a visit', () => {
  it('is seen by the next scan, between clearing and reading', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    const seen = once(host, 'scan: before checksum', () => a.mm.write(a.at, contentBytes(8)))
    host.ksm.scan(1)
    expect(seen.passed).toBe(1)
    expect(dirty(a)).toBe(true)
    host.audit()
    memoryOf(host).race = undefined
    const b = guest(host, 'b', [8])
    host.ksm.scan(2)
    expect(b.mm.pfn(b.at)).toBe(a.mm.pfn(a.at))
  })

  it('does not lose the mark of a page that came in the place of the one that is read', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    atNotifiers(host, a.mm, {
      start: () => {
        a.mm.madvise(a.at, PAGE, 'MADV_DONTNEED')
        a.mm.write(a.at, contentBytes(8))
      },
    })
    host.ksm.scan(1)
    host.audit()
    expect(dirty(a)).toBe(true)
  })
})

describe('what ksmd forgot', () => {
  it('is read again: run=2 and run=1', async () => {
    const host = await makeHost()
    const a = guest(host, 'a', [7])
    host.ksm.scan(1)
    host.ksm.set('run', 2)
    host.ksm.set('run', 1)
    host.ksm.scan(1)
    host.audit()
    expect(host.ksm.counters().pages_unshared, 'seen for the first time').toBe(0)
    addRange(a.mm, [7])
    host.ksm.scan(2)
    expect(host.ksm.counters().pages_sharing).toBe(1)
  })
})
