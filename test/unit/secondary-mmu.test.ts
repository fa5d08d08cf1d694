// What an embedder reads memory by: the mirror of translations (which ranges it masks, what it forgets, when it gives up) and views of pages.

import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { SecondaryMmu } from '../../src/index.ts'
import { contentBytes, errnoOf, guest, makeHost, PAGE } from '../support/world.ts'

const clear = (start: number, end: number) => ({ event: 'clear' as const, start, end, blockable: true })

describe('a secondary MMU', () => {
  it('ends the range that ends, not another with the same beginning or end', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3])
    const mmu = new SecondaryMmu(mm)
    const ranges = [clear(at, at + 2 * PAGE), clear(at, at + 3 * PAGE), clear(at + PAGE, at + 3 * PAGE)]
    for (const range of ranges) mmu.invalidateRangeStart(range)
    mmu.invalidateRangeEnd(ranges[1]!)
    expect(mmu.openRanges).toEqual([ranges[0], ranges[2]])
    mmu.invalidateRangeEnd(ranges[2]!)
    expect(mmu.openRanges).toEqual([ranges[0]])
    expect(() => mmu.invalidateRangeEnd(clear(at, at + PAGE))).toThrow(RangeError)
  })

  it.each([1, 5])('forgets what lies in a range of %i pages, and nothing else', async (pages) => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5, 6, 7, 8])
    const mmu = new SecondaryMmu(mm)
    for (const page of [0, 3, 7]) mmu.translate(at + page * PAGE)
    const range = clear(at + 2 * PAGE, at + (2 + pages) * PAGE)
    mmu.invalidateRangeStart(range)
    mmu.invalidateRangeEnd(range)
    const known = [0, 3, 7].filter((page) => mmu.peek(at + page * PAGE) !== undefined)
    expect(known).toEqual(pages === 1 ? [0, 3, 7] : [0, 7])
    expect(inspect(mmu)).toContain(`translations: ${known.length}`)
  })

  it('forgets a range across tables of ptes from its first page to its last', async () => {
    const host = await makeHost({ frames: 1024 })
    const mm = host.createMm()
    const at = mm.mmap(4 * 2 ** 20, { address: 2 ** 24 })
    const mmu = new SecondaryMmu(mm)
    const places = [0, 199, 200, 255, 256, 511, 512, 599, 600, 767, 768]
    const known = (): number[] => places.filter((page) => mmu.peek(at + page * PAGE) !== undefined)
    for (const page of places) mmu.translate(at + page * PAGE, true)
    expect(known()).toEqual(places)
    const range = clear(at + 200 * PAGE, at + 600 * PAGE)
    mmu.invalidateRangeStart(range)
    mmu.invalidateRangeEnd(range)
    expect(known()).toEqual([0, 199, 600, 767, 768])
    const all = clear(0, 2 ** 44)
    mmu.invalidateRangeStart(all)
    mmu.invalidateRangeEnd(all)
    expect(known()).toEqual([])
  })

  it('gives up on a page that changes whenever it is looked up', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1])
    const mmu = new SecondaryMmu(mm)
    const range = clear(at, at + PAGE)
    let looks = 0
    // In the place of the method, until it is deleted.
    mm.vmas.at = (vpn) => {
      mmu.invalidateRangeStart(range)
      mmu.invalidateRangeEnd(range)
      if (looks++ > 100) throw new Error('it goes on for ever')
      return [...mm.vmas].find(({ start, end }) => vpn >= start && vpn < end)
    }
    expect(errnoOf(() => mmu.translate(at, true))).toBe('EAGAIN')
    Reflect.deleteProperty(mm.vmas, 'at')
    expect(mmu.translate(at, true)).toBe(mm.pfn(at))
    host.audit()
  })
})

describe('a view of a page', () => {
  it('is the page as it lies there, to be had by whoever hears when it ends', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7])
    expect(
      errnoOf(() => mm.view(at)),
      'nobody would hear of it',
    ).toBe('EPERM')
    const ended: number[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ start }) => void ended.push((start - at) / PAGE),
      invalidateRangeEnd() {},
    })
    const view = mm.view(at + 5, { write: true })
    expect(view).toEqual(contentBytes(7))
    view[0] = 9
    expect(mm.read(at, 1)).toEqual(Uint8Array.of(9))
    mm.write(at, contentBytes(8))
    expect(view).toEqual(contentBytes(8))
    expect(ended).toEqual([])
    mm.munmap(at, PAGE)
    expect(ended).toEqual([0])
    expect(errnoOf(() => mm.view(at))).toBe('EFAULT')
  })
})
