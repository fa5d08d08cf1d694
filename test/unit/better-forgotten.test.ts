// When the unstable tree is forgotten rather than taken apart (ksm/settled.ts). What is merged is the same either way, so it shows in
// time alone; here the decision is asked for.

import { describe, expect, it } from 'vitest'
import type { Host } from '../../src/index.ts'
import { isBetterForgotten } from '../../src/ksm/settled.ts'
import { ksmOf } from '../support/inside.ts'
import { js } from '../support/own.ts'
import { addRange, contentBytes, type Guest, guest, makeHost, PAGE } from '../support/world.ts'

/** Pages of all ranges together: every fourth is looked at. */
const PAGES = 256
const STEP = 4
/** No two pages have the same. */
const contents = (pages: number, first = 1): number[] =>
  Array.from({ length: pages }, (_, page) => first + page)

const forgets = (host: Host): boolean => isBetterForgotten(ksmOf(host))

/** One guest, all of whose pages have been entered in the tree. */
async function settled(pages = PAGES): Promise<{ host: Host; of: Guest }> {
  const host = await makeHost({ frames: 2048 })
  const of = guest(host, 'a', contents(pages))
  host.ksm.scan(3)
  return { host, of }
}

/** Writes pages, with bytes that nobody had, or those they have. */
function write({ mm, at }: Guest, pages: Iterable<number>, bytes: 'other' | 'same' = 'other'): void {
  for (const page of pages) {
    mm.write(
      at + page * PAGE,
      bytes === 'other' ? contentBytes(9000 + page) : mm.read(at + page * PAGE, PAGE),
    )
  }
}

/** From the page `from` on, `count` of those that are looked at. */
const looked = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (from + i) * STEP)

describe('the unstable tree is forgotten', () => {
  it.each([
    ['nothing was written', [], false],
    ['the first page was', [0], false],
    ['half the pages that are looked at were', looked(0, 32), false],
    ['one more was', looked(0, 33), true],
    ['the last ones were', looked(31, 33), true],
    ['all but those that are looked at were', contents(PAGES - 1).filter((page) => page % STEP !== 0), false],
  ])('where most pages were written: %s', async (_, pages, expected) => {
    const { host, of } = await settled()
    write(of, pages)
    expect(forgets(host)).toBe(expected)
  })

  it('not where they have the bytes they had', async () => {
    const { host, of } = await settled()
    write(of, contents(PAGES, 0), 'same')
    expect(forgets(host)).toBe(false)
  })

  it.each([
    [32, false],
    [33, true],
  ])('where most have others: %i of 64 that are looked at', async (count, expected) => {
    const { host, of } = await settled()
    write(of, contents(PAGES, 0), 'same')
    write(of, looked(0, count))
    expect(forgets(host)).toBe(expected)
  })

  it('not where just half were, though all of those in the tree', async () => {
    const host = await makeHost({ frames: 2048 })
    const of = guest(host, 'a', [...contents(32), ...contents(32).fill(9000)])
    host.ksm.scan(3)
    write(of, contents(32, 0))
    expect(forgets(host)).toBe(false)
  })

  it('as far as pages are registered', async () => {
    const { host, of } = await settled(1)
    const next = addRange(of.mm, contents(300, 2000), { address: of.at + PAGE })
    host.ksm.scan(3)
    of.mm.madvise(next, 300 * PAGE, 'MADV_UNMERGEABLE')
    host.ksm.scan(1)
    write(of, [0])
    expect(forgets(host), 'the one was written').toBe(true)
    host.ksm.scan(2)
    for (let page = 0; page < 300; page++) of.mm.write(next + page * PAGE, contentBytes(20_000 + page))
    expect(forgets(host), 'others were').toBe(false)
  })

  it('as far as pages are there', async () => {
    const { host, of } = await settled()
    of.mm.madvise(of.at + 40 * PAGE, (PAGES - 40) * PAGE, 'MADV_DONTNEED')
    write(of, contents(40, 0), 'same')
    expect(forgets(host), 'those that are have the same bytes').toBe(false)
    host.ksm.scan(2)
    write(of, contents(24, 0))
    expect(forgets(host)).toBe(true)
  })

  it.each([
    ['other', true],
    ['same', false],
  ] as const)('as the pages in it tell, not the merged ones: %s bytes', async (bytes, expected) => {
    const host = await makeHost({ frames: 2048 })
    const a = guest(host, 'a', contents(200))
    const b = guest(host, 'b', contents(200))
    const alone = guest(host, 'c', contents(20, 5000))
    host.ksm.scan(3)
    write(a, contents(200, 0), 'same')
    write(b, contents(200, 0), 'same')
    write(alone, contents(20, 0), bytes)
    expect(forgets(host)).toBe(expected)
  })

  it('and ranges go on where the one before left off', async () => {
    const host = await makeHost({ frames: 2048 })
    const mm = host.createMm({ name: 'a' })
    const places = contents(192).map((content) =>
      addRange(mm, [content], { address: 2 ** 30 + content * 8 * PAGE }),
    )
    host.ksm.scan(3)
    for (const [i, at] of places.entries()) if (i % 3 === 0) mm.write(at, contentBytes(9000 + i))
    expect(forgets(host)).toBe(true)
  })

  it('with an embedder’s checksum, which is asked for at visits alone, where most were written', async () => {
    const host = await makeHost({ frames: 2048, checksum: js() })
    const of = guest(host, 'a', contents(20))
    host.ksm.scan(3)
    write(of, contents(20, 0), 'same')
    expect(forgets(host)).toBe(true)
  })
})
