// Security domains: pages of different domains never merge, however equal they are; the zero page has a switch of its
// own.

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES } from '../../src/index.ts'
import { objectsOf } from '../support/inside.ts'
import {
  addRange,
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  guest,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

describe.each(INDEX_NAMES)('domains, index %s', (index) => {
  it('merge within themselves and never with each other', async () => {
    const host = await makeHost({ index, frames: 256, numaNodes: 2 })
    const domains = ['', 'red', 'blue', '']
    const guests = domains.map((domain, i) =>
      guest(host, `g${i}`, [7, 8, 7], domain === '' ? {} : { domain }),
    )
    host.ksm.scan(4)
    // '': 7 four times, 8 twice; red and blue: 7 twice, 8 alone.
    expect(counted(host)).toEqual([4, 6, 2, 0])
    const domainOf = new Map<number, string>()
    for (const [i, { mm, at }] of guests.entries()) {
      for (let page = 0; page < 3; page++) {
        const pfn = mm.pfn(at + page * PAGE)!
        expect(domainOf.get(pfn) ?? domains[i]).toBe(domains[i])
        domainOf.set(pfn, domains[i]!)
      }
    }
    host.audit()
    const late = guest(host, 'late', [8], { domain: 'red' })
    host.ksm.scan(2)
    expect(late.mm.pfn(late.at)).toBe(guests[1]!.mm.pfn(guests[1]!.at + PAGE))
    host.audit()
  })

  it('with chains, and after run=2', async () => {
    const host = await makeHost({ index, frames: 256 })
    host.ksm.set('max_page_sharing', 2)
    for (const domain of ['red', 'blue']) guest(host, domain, new Array(6).fill(7), { domain })
    host.ksm.scan(3)
    expect(host.ksm.counters()).toMatchObject({
      pages_shared: 6,
      pages_sharing: 6,
      stable_node_chains: 2,
      stable_node_dups: 6,
    })
    host.audit()
    host.ksm.set('run', 2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(objectsOf(host)).toMatchObject({ stableNodes: 0, rmapItems: 0 })
    host.ksm.set('merge_across_nodes', 0)
    host.audit()
  })

  it('are inherited: a child and a successor stay where they are', async () => {
    const host = await makeHost({ index })
    const red = guest(host, 'red', [7], { domain: 'red' })
    const blue = guest(host, 'blue', [7, 7], { domain: 'blue' })
    const child = red.mm.fork({ name: 'child' })
    pokeByte(child, red.at, 7)
    const heir = red.mm.fork({ name: 'heir' }).replace()
    const at = addRange(heir, [7, 7])
    host.ksm.scan(3)
    expect(heir.pfn(at)).toBe(red.mm.pfn(red.at))
    expect(child.pfn(red.at)).toBe(red.mm.pfn(red.at))
    expect(blue.mm.pfn(blue.at)).toBe(blue.mm.pfn(blue.at + PAGE))
    expect(blue.mm.pfn(blue.at)).not.toBe(red.mm.pfn(red.at))
    host.audit()
  })

  it('cannot be left: a child shares pages with its parent', async () => {
    const host = await makeHost({ index })
    const red = guest(host, 'red', [7, 7], { domain: 'red' })
    const none = guest(host, 'none', [7])
    for (const domain of ['blue', '']) {
      expect(() => red.mm.fork({ name: 'child', domain })).toThrow(RangeError)
      expect(() => red.mm.replace({ name: 'child', domain })).toThrow(RangeError)
    }
    expect(() => none.mm.fork({ domain: 'red' })).toThrow(RangeError)
    expect(red.mm.fork({ domain: 'red' }).domain).toBe('red')
    host.ksm.scan(3)
    expect(byteAt(red.mm, red.at)).toBe(7)
    host.audit()
  })

  it('the zero page: without a domain always, in one only if the host was made so', async () => {
    for (const zeroPagesAcrossDomains of [false, true]) {
      const host = await makeHost({ index, zeroPagesAcrossDomains })
      expect(host.policy.zeroPagesAcrossDomains).toBe(zeroPagesAcrossDomains)
      host.ksm.set('use_zero_pages', 1)
      const none = guest(host, 'none', [0, 0])
      const red = guest(host, 'red', [0, 0], { domain: 'red' })
      const blue = guest(host, 'blue', [0, 0], { domain: 'blue' })
      host.ksm.scan(3)
      expect(none.mm.ksmStat().ksm_zero_pages).toBe(2)
      for (const { mm, at } of [red, blue]) {
        expect(mm.ksmStat().ksm_zero_pages).toBe(zeroPagesAcrossDomains ? 2 : 0)
        expect(mm.pfn(at), 'merged one way or the other').toBe(mm.pfn(at + PAGE))
      }
      expect(red.mm.pfn(red.at) === blue.mm.pfn(blue.at)).toBe(zeroPagesAcrossDomains)
      expect(counted(host)).toEqual(zeroPagesAcrossDomains ? [0, 0, 0, 0] : [2, 2, 0, 0])
      host.audit()
    }
  })
})

describe('a file', () => {
  it('is the same for all domains until somebody writes: the audit has nothing against that', async () => {
    const host = await makeHost()
    const file = contentBytes(7)
    const mms = ['red', 'blue'].map((domain) => host.createMm({ domain }))
    const [red, blue] = mms.map((mm) => mm.mmap(PAGE, { file }))
    expect(byteAt(mms[0]!, red!)).toBe(byteAt(mms[1]!, blue!))
    expect(mms[0]!.pfn(red!)).toBe(mms[1]!.pfn(blue!))
    host.audit()
    pokeByte(mms[0]!, red!, 1)
    expect(byteAt(mms[1]!, blue!)).toBe(7)
    host.audit()
  })
})

describe('a host', () => {
  it('says so when there is no room for the trees of another domain', async () => {
    const host = await makeHost({ mappings: 16, frames: 8 })
    let opened = 0
    expect(
      errnoOf(() => {
        for (; opened < 10_000; opened++) host.createMm({ domain: `d${opened}` })
      }),
    ).toBe('ENOMEM')
    expect(opened).toBeGreaterThan(0)
    host.audit()
  })
})
