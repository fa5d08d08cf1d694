// Guests, and whoever is called back, act while ksmd is in the middle of something: between the cursor and a visit, or
// between two steps of a merge. Nothing may be merged wrongly, lost, or filed where it is not found again.

import { describe, expect, it } from 'vitest'
import { FRAME_LOCKED } from '../../assembly/abi.ts'
import { INDEX_NAMES, memorySwapStore, PagefoldError } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { atNotifiers, once } from '../support/races.ts'
import { sharePage } from '../support/shared-pair.ts'
import { addRange, contentBytes, expectContent, makeHost, PAGE } from '../support/world.ts'

describe.each(INDEX_NAMES)('acting while ksmd works, trees ordered by %s', (index) => {
  it('swapping in the middle of a merge does not change what the trees are searched for', async () => {
    const host = await makeHost({ index })
    host.swapOn(memorySwapStore(8))
    const [a, b, c] = [1, 2, 3].map(() => host.createMm())
    addRange(a!, [7])
    const q = addRange(b!, [7])
    const s = addRange(c!, [9], { mergeable: false })
    const pfn = c!.pfn(s)!
    const seen = once(host, 'merge: between the two halves', () => {
      expect(host.reclaim(pfn)).toBeUndefined()
      expectContent(c!, s, 9)
    })
    host.ksm.scan(2)
    memoryOf(host).race = undefined
    expect(seen.passed).toBe(1)
    host.audit()
    const late = host.createMm()
    const r = addRange(late, [7])
    host.ksm.scan(2)
    expect(late.pfn(r), 'the merged page is found').toBe(b!.pfn(q))
  })

  it('an unmapping in the middle of a merge ends it, whichever page it is', async () => {
    for (const point of ['scan: before checksum', 'merge: before compare', 'merge: after compare'] as const) {
      for (const victim of [0, 1]) {
        const host = await makeHost({ index })
        const mms = [1, 2].map(() => host.createMm())
        const at = mms.map((mm) => addRange(mm, [7]))
        host.ksm.scan(1)
        const seen = once(host, point, () => mms[victim]!.munmap(at[victim]!, PAGE))
        host.ksm.scan(2)
        memoryOf(host).race = undefined
        expect(seen.passed).toBeGreaterThan(0)
        expectContent(mms[1 - victim]!, at[1 - victim]!, 7)
        expect(host.ksm.counters().pages_sharing).toBe(0)
        host.audit()
      }
    }
  })

  it('an unmapped page of zeros is not looked at further', async () => {
    const host = await makeHost({ index })
    host.ksm.set('use_zero_pages', 1)
    const mm = host.createMm()
    const at = addRange(mm, [0])
    host.ksm.scan(1)
    const seen = once(host, 'scan: before checksum', () => mm.munmap(at, PAGE))
    host.ksm.scan(2)
    memoryOf(host).race = undefined
    expect(seen.passed).toBe(1)
    expect(host.ksm.counters()).toMatchObject({ ksm_zero_pages: 0, pages_unshared: 0 })
    host.audit()
  })

  it('another page in the place of the second half is left alone', async () => {
    const host = await makeHost({ index })
    const [a, b] = [host.createMm(), host.createMm()]
    const [p, q] = [addRange(a, [7]), addRange(b, [7])]
    host.ksm.scan(1)
    const seen = once(host, 'merge: between the two halves', () => {
      a.madvise(p, PAGE, 'MADV_DONTNEED')
      a.write(p, contentBytes(9))
    })
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(seen.passed).toBe(1)
    expectContent(a, p, 9)
    expectContent(b, q, 7)
    host.audit()
  })

  it('a page that somebody has locked is not merged until it is free', async () => {
    for (const locked of [0, 1]) {
      const host = await makeHost({ index })
      const mms = [host.createMm(), host.createMm()]
      const at = mms.map((mm) => addRange(mm, [7]))
      const { frames } = memoryOf(host)
      const pfn = mms[locked]!.pfn(at[locked]!)!
      frames.setFlag(pfn, FRAME_LOCKED)
      host.ksm.scan(4)
      expect(host.ksm.counters().pages_sharing).toBe(0)
      expect(frames.hasFlag(pfn, FRAME_LOCKED)).toBe(true)
      frames.clearFlag(pfn, FRAME_LOCKED)
      for (const mm of mms) mm.markWritten(at[mms.indexOf(mm)]!, PAGE)
      host.ksm.scan(2)
      expect(host.ksm.counters().pages_sharing).toBe(1)
      host.audit()
    }
  })

  it('a page that may no longer be merged is not tried', async () => {
    const host = await makeHost({ index })
    const [a, b] = [host.createMm(), host.createMm()]
    const p = addRange(a, [7])
    addRange(b, [7])
    host.ksm.scan(1)
    const tried: unknown[] = []
    host.on('ksm_merge_with_ksm_page', (event) => tried.push(event))
    const seen = once(host, 'scan: between mms', () => a.madvise(p, PAGE, 'MADV_UNMERGEABLE'))
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(seen.passed).toBeGreaterThan(0)
    expect(tried).toEqual([])
    host.audit()
  })

  it('nor when the search of one tree is followed by that of the other', async () => {
    const host = await makeHost({ index })
    host.ksm.set('max_page_sharing', 2)
    host.swapOn(memorySwapStore(8))
    sharePage(host) // full
    const [c, d] = [host.createMm(), host.createMm()]
    const [r, s] = [addRange(c, [7]), addRange(d, [7])]
    const other = host.createMm()
    const pfn = other.pfn(addRange(other, [9], { mergeable: false }))!
    host.ksm.scan(1)
    const seen = once(host, 'keyhole: after get', () => void host.reclaim(pfn))
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(seen.passed).toBeGreaterThan(0)
    expect(c.pfn(r), 'the two find each other').toBe(d.pfn(s))
    host.audit()
  })

  it('files a page under what it holds when it is write-protected, not under what it held when it was read', async () => {
    const host = await makeHost({ index })
    const [a, b] = [host.createMm(), host.createMm()]
    const [p, q] = [addRange(a, [7]), addRange(b, [7])]
    host.ksm.scan(1)
    let written = 0
    atNotifiers(host, b, {
      start() {
        if (written++ > 0) return
        a.write(p, contentBytes(8))
        b.write(q, contentBytes(8))
      },
    })
    host.ksm.scan(1)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    const late = host.createMm()
    const r = addRange(late, [8])
    host.ksm.scan(2)
    expect(late.pfn(r)).toBe(b.pfn(q))
    expectContent(a, p, 8)
    host.audit()
  })

  it('forgets an unstable page that goes between the cursor and its visit', async () => {
    const host = await makeHost({ index })
    const mm = host.createMm()
    const at = addRange(mm, [1])
    host.ksm.scan(2) // in the unstable tree now
    once(host, 'scan: between cursor and merge', () => mm.madvise(at, PAGE, 'MADV_DONTNEED'))
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(host.ksm.counters().pages_unshared).toBe(0)
    mm.write(at, contentBytes(1))
    host.ksm.scan(3)
    expect(host.ksm.counters().pages_unshared).toBe(1)
    host.audit()
  })

  it('holds the page it visits, even while it only looks after its item', async () => {
    const host = await makeHost({ index })
    const [a, b] = [host.createMm(), host.createMm()]
    const [p, q] = [addRange(a, [7]), addRange(b, [7])]
    host.ksm.scan(2)
    b.write(q, contentBytes(7)) // a page of its own again, with the same content
    // B's item is on the merged page's list: taking it off peeps, and B's page goes at that moment.
    const seen = once(host, 'keyhole: after get', () => b.madvise(q, PAGE, 'MADV_DONTNEED'))
    host.ksm.scan(1)
    memoryOf(host).race = undefined
    expect(seen.passed).toBeGreaterThan(0)
    expectContent(a, p, 7)
    host.audit()
    host.ksm.scan(2)
    host.audit()
  })

  it('survives a guest that exits or unmaps while notifiers have been told', async () => {
    for (const leave of ['exit', 'munmap'] as const) {
      for (let call = 1; call <= 6; call++) {
        const host = await makeHost({ index })
        const [a, b] = [host.createMm(), host.createMm()]
        const [p, q] = [addRange(a, [7]), addRange(b, [7])]
        let calls = 0
        const onCall = (): void => {
          if (++calls !== call) return
          if (leave === 'exit') b.exit()
          else b.munmap(q, PAGE)
        }
        for (const mm of [a, b]) atNotifiers(host, mm, { start: onCall, end: onCall })
        host.ksm.scan(2)
        memoryOf(host).notified = undefined
        expect(calls).toBeGreaterThanOrEqual(call)
        expectContent(a, p, 7)
        host.audit()
        host.ksm.scan(2)
        host.audit()
      }
    }
  })

  it('copies, reclaims and migrates nothing that changed while the notifiers were called', async () => {
    for (const operation of ['write', 'reclaim', 'migrate', 'unmerge'] as const) {
      for (const change of ['write', 'discard', 'unmap', 'exit'] as const) {
        // madvise goes on with the mapping, which the contract of notifiers has them leave alone.
        if (operation === 'unmerge' && (change === 'unmap' || change === 'exit')) continue
        const host = await makeHost({ index })
        host.swapOn(memorySwapStore(8))
        const { a, b, p, q, k } = sharePage(host)
        let called = 0
        atNotifiers(host, a, {
          start() {
            if (called++ > 0) return
            if (change === 'write') a.write(p, contentBytes(3))
            else if (change === 'discard') a.madvise(p, PAGE, 'MADV_DONTNEED')
            else if (change === 'unmap') a.munmap(p, PAGE)
            else a.exit()
          },
        })
        try {
          if (operation === 'write') a.write(p, Uint8Array.of(9))
          else if (operation === 'reclaim') host.reclaim(k)
          else if (operation === 'migrate') host.migrate(k, { node: 0 })
          else a.madvise(p, PAGE, 'MADV_UNMERGEABLE')
        } catch (error) {
          expect(error).toBeInstanceOf(PagefoldError)
        }
        memoryOf(host).notified = undefined
        expect(called).toBeGreaterThan(0)
        expectContent(b, q, 7)
        if (change === 'write' && operation === 'write') {
          expect(a.read(p, 2)).toEqual(Uint8Array.of(9, contentBytes(3)[1]!))
        }
        host.audit()
        host.ksm.scan(2)
        host.audit()
      }
    }
  })
})
