// What became of each page, and which belong together: every state brought about on purpose, and the whole held against
// the counters.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openSources } from '../../src/images/index.ts'
import { Host, type HostOptions } from '../../src/index.ts'
import { mergeImages, PAGE_STATES, type PageState, type PageStates, pageStates } from '../../src/lab/index.ts'
import { fill, PAGE } from '../support/world.ts'

/** A host and its mms, each with one mergeable range of pages filled with the bytes given (-1: never written). */
async function hostWith(
  contents: readonly (readonly number[])[],
  options: Partial<HostOptions> & { domains?: readonly string[]; nodes?: readonly number[] } = {},
) {
  const { domains, nodes, ...rest } = options
  const host = await Host.create({ frames: 512, ...rest })
  const ranges = contents.map((bytes, i) => {
    const mm = host.createMm(domains === undefined ? {} : { domain: domains[i]! })
    const address = mm.mmap(bytes.length * PAGE, { node: nodes?.[i] ?? 0 })
    for (const [page, byte] of bytes.entries()) if (byte >= 0) fill(mm, address + page * PAGE, 1, byte)
    mm.madvise(address, bytes.length * PAGE, 'MADV_MERGEABLE')
    return { mm, address, pages: bytes.length }
  })
  host.ksm.set('smart_scan', 0)
  host.ksm.set('run', 1)
  const look = (): PageStates => pageStates(host, ranges)
  return { host, ranges, look, names: () => namesOf(look()) }
}

function namesOf({ states }: PageStates): PageState[] {
  return [...states].map((state) => PAGE_STATES[state]!)
}

describe('the state of a page', () => {
  it('says who shares, within an image and between images', async () => {
    const { host, look, names } = await hostWith([
      [1, 1, 2, 3, 0],
      [2, 4, 0, 2, 5],
    ])
    host.ksm.scan(3)
    expect(names()).toEqual([
      ...['shared_within', 'shared_within', 'shared_between', 'unique', 'zero'],
      ...['shared_between', 'unique', 'zero', 'shared_between', 'unique'],
    ])
    expect([...look().groups]).toEqual([1, 1, 2, 0, 3, 2, 0, 3, 2, 0])
  })

  it('knows the zero page', async () => {
    const { host, look, names } = await hostWith([[0, 0, 1]])
    host.ksm.set('use_zero_pages', 1)
    host.ksm.scan(3)
    expect(names()).toEqual(['zero', 'zero', 'unique'])
    expect([...look().groups]).toEqual([1, 1, 0])
  })

  it('is volatile until a page has kept still', async () => {
    const { host, ranges, names } = await hostWith([[1, 1, 2]])
    host.ksm.scan(1)
    expect(names()).toEqual(['volatile', 'volatile', 'volatile'])
    host.ksm.scan(1)
    fill(ranges[0]!.mm, ranges[0]!.address + 2 * PAGE, 1, 9)
    host.ksm.scan(1)
    expect(names()).toEqual(['shared_within', 'shared_within', 'volatile'])
  })

  it('is alone when the others have gone', async () => {
    const { host, ranges, look, names } = await hostWith([[1, 1]])
    host.ksm.scan(2)
    fill(ranges[0]!.mm, ranges[0]!.address, 1, 7)
    host.ksm.scan(3)
    expect(names()).toEqual(['unique', 'alone'])
    expect([...look().groups]).toEqual([0, 1])
  })

  it('is over the sharing limit when every equal merged page is full', async () => {
    const { host, look, names } = await hostWith([[1, 1, 1, 1, 1]])
    host.ksm.set('max_page_sharing', 2)
    host.ksm.scan(4)
    expect(names()).toEqual([...Array(4).fill('shared_within'), 'sharing_limit'])
    const groups = [...look().groups]
    expect(new Set(groups.slice(0, 4)).size).toBe(2)
    expect(groups.slice(0, 4)).toContain(groups[4])
  })

  it('waits for an equal page that has only now come to be', async () => {
    const { host, ranges, look, names } = await hostWith([[1, 2]])
    host.ksm.scan(3)
    fill(ranges[0]!.mm, ranges[0]!.address + PAGE, 1, 1)
    host.ksm.scan(1)
    expect(names()).toEqual(['waiting', 'volatile'])
    expect([...look().groups]).toEqual([1, 0])
    host.ksm.scan(1)
    expect(names()).toEqual(['shared_within', 'shared_within'])
  })

  it('waits too while somebody holds it', async () => {
    const { host, ranges, names } = await hostWith([[1, 1, 1]])
    const pin = ranges[0]!.mm.pin(ranges[0]!.address + 2 * PAGE, PAGE)
    host.ksm.scan(4)
    expect(names()).toEqual(['shared_within', 'shared_within', 'waiting'])
    pin.release()
  })

  it('tells other domains from other nodes', async () => {
    const domains = await hostWith([[1, 1, 2], [1], [2]], { domains: ['a', 'b', 'c'] })
    domains.host.ksm.scan(3)
    expect(domains.names()).toEqual([
      'shared_within',
      'shared_within',
      'other_domain',
      'other_domain',
      'other_domain',
    ])
    expect([...domains.look().groups]).toEqual([1, 1, 2, 1, 2])

    const nodes = await hostWith([[1], [1]], { numaNodes: 2, nodes: [0, 1] })
    nodes.host.ksm.set('merge_across_nodes', 0)
    nodes.host.ksm.scan(3)
    expect(nodes.names()).toEqual(['other_node', 'other_node'])
  })

  it('sees pages that smart scan passes over', async () => {
    const { host, ranges, names } = await hostWith([[1, 2]])
    const { mm, address } = ranges[0]!
    host.ksm.set('smart_scan', 1)
    const seen: PageState[][] = []
    const expected: PageState[][] = []
    for (let scan = 0; scan < 40; scan++) {
      fill(mm, address + PAGE, 1, 100 + scan)
      const before = host.ksm.counters().pages_skipped
      host.ksm.scan(1)
      const skipped = host.ksm.counters().pages_skipped > before
      expected.push(skipped ? ['skipped', 'skipped'] : [scan === 0 ? 'volatile' : 'unique', 'volatile'])
      seen.push(names())
    }
    expect(seen).toEqual(expected)
    expect(seen.flat()).toContain('skipped')
  })

  it('is absent where nothing was written, not eligible where merging is not wanted', async () => {
    const { host, ranges, names } = await hostWith([[-1, 1, 1, 2]])
    const { mm, address } = ranges[0]!
    mm.madvise(address + 3 * PAGE, PAGE, 'MADV_UNMERGEABLE')
    host.ksm.scan(2)
    expect(names()).toEqual(['absent', 'shared_within', 'shared_within', 'not_eligible'])
  })
})

describe('all states together', () => {
  it('agree with the counters', async () => {
    const content = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 40 })
    const setting = fc.record({
      images: fc.array(content, { minLength: 1, maxLength: 4 }),
      limit: fc.integer({ min: 2, max: 6 }),
      zeroPages: fc.integer({ min: 0, max: 1 }),
      index: fc.constantFrom('hash' as const, 'content' as const),
    })
    await fc.assert(
      fc.asyncProperty(setting, async ({ images, limit, zeroPages, index }) => {
        const { host, ranges, look } = await hostWith(images, { index })
        host.ksm.set('max_page_sharing', limit)
        host.ksm.set('use_zero_pages', zeroPages)
        host.ksm.scan(4)
        const states = look()
        const names = namesOf(states)
        const count = (...wanted: PageState[]): number => names.filter((name) => wanted.includes(name)).length
        const { pages_shared, pages_sharing, pages_unshared, ksm_zero_pages } = host.ksm.counters()
        expect(count('zero', 'shared_within', 'shared_between', 'alone')).toBe(
          pages_shared + pages_sharing + ksm_zero_pages,
        )
        expect(count('unique', 'sharing_limit')).toBe(pages_unshared)
        const bytes = images.flat()
        const pfns = ranges.flatMap(({ mm, address, pages }) =>
          Array.from({ length: pages }, (_, page) => mm.pfn(address + page * PAGE)!),
        )
        for (const [i, name] of names.entries()) {
          const equal = bytes.filter((byte) => byte === bytes[i]).length
          expect(name === 'unique').toBe(equal === 1 && !(bytes[i] === 0 && zeroPages === 1))
          if (name === 'zero') expect(bytes[i]).toBe(0)
          const mates = pfns.filter((pfn) => pfn === pfns[i]).length
          if (name.startsWith('shared')) {
            expect(
              states.groups.filter((group, other) => group === states.groups[i] && names[other] === name),
            ).toHaveLength(mates)
          }
        }
      }),
      { numRuns: 40 },
    )
  })

  it('are shown while the host still stands, by mergeImages', async () => {
    let found: PageState[] = []
    const images = openSources(['synth:demo,pages=512'])
    const inspect = (...args: Parameters<typeof pageStates>): void => {
      found = namesOf(pageStates(...args))
    }
    const result = await mergeImages({ images, inspect })
    expect(found).toHaveLength(result.pages)
    const { pages_shared, pages_sharing, pages_unshared } = result.after_each_scan.at(-1)!
    expect(found.filter((name) => name === 'unique')).toHaveLength(pages_unshared)
    expect(found.filter((name) => name === 'zero' || name.startsWith('shared'))).toHaveLength(
      pages_shared + pages_sharing,
    )
  })
})
