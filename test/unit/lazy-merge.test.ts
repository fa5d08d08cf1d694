// MADV_FREE gives up what one guest has, not what others have: a merged page that its last user gave up is kept for whoever joins it
// afterwards.

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES, memorySwapStore } from '../../src/index.ts'
import { addRange, contentBytes, expectContent, guest, makeHost, PAGE } from '../support/world.ts'

describe.each(INDEX_NAMES)('a merged page given up by MADV_FREE, trees ordered by %s', (index) => {
  it('is kept for a page that joins it later', async () => {
    const host = await makeHost({ index })
    host.swapOn(memorySwapStore(8))
    const [a, b] = [guest(host, 'a', [7]), guest(host, 'b', [7])]
    host.ksm.scan(2)
    const pfn = a.mm.pfn(a.at)!
    b.mm.write(b.at, contentBytes(1))
    a.mm.madvise(a.at, PAGE, 'MADV_FREE')
    const c = host.createMm({ name: 'c' })
    const at = addRange(c, [7])
    host.ksm.scan(2)
    expect(c.pfn(at), 'it joins').toBe(pfn)
    host.reclaim(pfn)
    expectContent(c, at, 7)
    host.audit()
  })

  it('and for users of a broken page who are moved to it', async () => {
    const host = await makeHost({ index })
    host.swapOn(memorySwapStore(8))
    host.ksm.set('max_page_sharing', 2)
    const guests = ['a', 'b', 'c', 'd'].map((name) => guest(host, name, [7]))
    host.ksm.scan(2)
    const pfns = guests.map(({ mm, at }) => mm.pfn(at)!)
    const [first, second] = [...new Set(pfns)].map((pfn) => guests.filter((_, i) => pfns[i] === pfn))
    expect([first!.length, second!.length], 'two pages of one content').toEqual([2, 2])
    const [lazy, gone] = second!
    gone!.mm.write(gone!.at, contentBytes(1))
    lazy!.mm.madvise(lazy!.at, PAGE, 'MADV_FREE')
    const kept = lazy!.mm.pfn(lazy!.at)!
    const { recovered } = host.memoryFailure(first![0]!.mm.pfn(first![0]!.at)!, { recover: true })
    expect(recovered).toBeGreaterThan(0)
    const saved = first!.filter(({ mm, at }) => mm.pfn(at) === kept)
    expect(saved.length).toBeGreaterThan(0)
    host.reclaim(kept)
    for (const { mm, at } of saved) expectContent(mm, at, 7)
    host.audit()
  })
})
