// How a page joins a merged one, where the search went by checksum alone: what looked equal there and is not.

import { expect, it } from 'vitest'
import { ksmOf, memoryOf } from '../support/inside.ts'
import { once } from '../support/races.ts'
import { sharedPair } from '../support/shared-pair.ts'
import { contentBytes, counted, expectContent, guest, PAGE } from '../support/world.ts'

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
