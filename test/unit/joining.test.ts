// How a page joins a merged one, where the search went by checksum alone: what looked equal there and is not.

import { expect, it } from 'vitest'
import { memorySwapStore } from '../../src/index.ts'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { once } from '../support/races.ts'
import { sharedPair, sharePage } from '../support/shared-pair.ts'
import { contentBytes, counted, expectContent, guest, makeHost, PAGE } from '../support/world.ts'

it('a tie that turns out different is searched for again, by comparing: the page waits for an equal', async () => {
  const { host, k } = await sharedPair({ index: 'hash' })
  expect(ksmOf(host).trustsTies).toBe(true)
  const { mm, at } = guest(host, 'C', [7])
  host.ksm.scan(1)
  const pfn = mm.pfn(at)!
  // As if its checksum were that of another content: it has become another between the hashing and the comparison.
  const seen = once(host, 'merge: before compare', () =>
    memoryOf(host).bytes.write(pfn, 0, PAGE, contentBytes(9), 0),
  )
  host.ksm.scan(1)
  memoryOf(host).race = undefined
  expect(seen.passed).toBe(1)
  expectContent(mm, at, 9)
  expect(counted(host), 'in the unstable tree').toEqual([1, 1, 1, 0])
  expect(host.frame(k).refcount).toBe(2)
  host.audit()
})

it('a full page that only looks equal is passed by: the page joins the one that is', async () => {
  // Contents 7 and 9 have one checksum.
  const checksum = {
    name: 'tied',
    bits: 32,
    hash: (page: Uint8Array) => fnv1a(page[0] === 9 ? contentBytes(7) : page),
  }
  const host = await makeHost({ index: 'hash', checksum })
  host.ksm.set('max_page_sharing', 2)
  sharePage(host)
  const [c, d] = ['c', 'd'].map((name) => guest(host, name, [9]))
  host.ksm.scan(3)
  expect(counted(host)).toEqual([2, 2, 0, 0])
  d!.mm.exit()
  const last = guest(host, 'last', [9])
  host.ksm.scan(2)
  expect(last.mm.pfn(last.at)).toBe(c!.mm.pfn(c!.at))
  host.audit()
})

it('a page that nobody may write, and that is as clean as in swap, merges though somebody holds it', async () => {
  const host = await makeHost()
  host.swapOn(memorySwapStore(8))
  const { mm, at } = guest(host, 'a', [7])
  const child = mm.fork()
  expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
  expectContent(child, at, 7)
  const held = child.get(at, PAGE)
  const other = guest(host, 'b', [7])
  host.ksm.scan(3)
  expect(child.pfn(at)).toBe(other.mm.pfn(other.at))
  expectContent(child, at, 7)
  held.release()
  host.audit()
})

const fnv1a = (page: Uint8Array): number =>
  page.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5 | 0) >>> 0
