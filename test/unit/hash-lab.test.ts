// The laboratory of checksums: its pages are what they are said to be, and its figures those one can work out by hand.

import { describe, expect, it } from 'vitest'
import { Libxxhash } from '../../bench/peers/libxxhash.ts'
import { openSource } from '../../src/images/index.ts'
import { type Convergence, converge, mergeOnce } from '../../src/lab/hash/converge.ts'
import { FAMILIES, familyPages, PREPARED, preparedPage } from '../../src/lab/hash/families.ts'
import { Pages } from '../../src/lab/hash/pages.ts'
import { birthdayPairs, collisions, expectedMiss, missedChanges } from '../../src/lab/hash/quality.ts'
import { touched } from '../../src/lab/hash/traits.ts'
import { compareHashes, hostFor, loadGuest, mergeImages } from '../../src/lab/index.ts'
import { bareArena } from '../support/arena.ts'
import { js, KEYED, wasm, wordHash } from '../support/own.ts'
import { bootHost, fullScans, PAGE } from '../support/world.ts'

describe('families of pages', () => {
  it.each(FAMILIES)('%s: no two are equal', (family) => {
    const fill = familyPages(family, 1)
    const words = new Uint32Array(PAGE / 4)
    const seen = new Set<string>()
    for (let page = 0; page < 6000; page++) {
      fill(words, page)
      seen.add(Buffer.from(words.buffer).toString('latin1'))
    }
    expect(seen.size).toBe(6000)
  })

  it.each(PREPARED)('%s: what is prepared for it all has one checksum at seed 0', async (checksum) => {
    const arena = await bareArena({ checksum })
    const words = new Uint32Array(PAGE / 4)
    const pages = new Set<string>()
    const sums = new Set<bigint>()
    for (let page = 0; page < 200; page++) {
      preparedPage(checksum)(words, page)
      arena.page(arena.firstPfn).set(new Uint8Array(words.buffer))
      pages.add(Buffer.from(words.buffer).toString('latin1'))
      sums.add(arena.checksum(arena.firstPfn))
    }
    expect(pages.size).toBe(200)
    expect(sums.size).toBe(1)
  })

  it('a seed makes what was prepared for XXH3 useless', async () => {
    const pages = await Pages.ofFamily('adversarial', 600, 1)
    expect(collisions(pages, { checksum: 'xxh3' })[64]).toBe((100 * 99) / 2)
    expect(collisions(pages, { checksum: 'xxh3', seed: 77 })[64]).toBe(0)
  })

  it('of images leave equal pages out', async () => {
    const pages = await Pages.ofImages('images', openSource('synth:demo,pages=200'), 10_000)
    const { sharing, pages: all } = await mergeImages({ images: openSource('synth:demo,pages=200') })
    expect(pages.count).toBe(all - sharing.zero - sharing.within - sharing.between)
  })
})

describe('quality', () => {
  it('counts pairs, as the birthday bound does', async () => {
    const pages = await Pages.ofFamily('random', 300, 1)
    expect(collisions(pages, { checksum: 'none' })).toEqual(
      Object.fromEntries([16, 24, 32, 48, 64].map((width) => [width, (300 * 299) / 2])),
    )
    expect(birthdayPairs(300)[16]).toBeCloseTo((300 * 299) / 2 / 65_536)
  })

  it('a good checksum comes close to the bound', async () => {
    const pages = await Pages.ofFamily('pointer-rich', 3000, 1)
    const bound = birthdayPairs(3000)[16]
    for (const checksum of ['xxh64', 'xxh3', 'crc32c', 'murmur3', 'rapidhash'] as const) {
      const pairs = collisions(pages, { checksum })
      expect(Math.abs(pairs[16] - bound)).toBeLessThan(5 * Math.sqrt(bound))
      expect(pairs[64]).toBe(0)
    }
  })

  it('a sample misses what it does not read', async () => {
    const pages = await Pages.ofFamily('random', 1000, 1)
    const sampled = missedChanges(pages, { checksum: 'sampled', sampleWords: 256 })
    expect(sampled.word).toBeGreaterThan(0.7)
    expect(sampled.word).toBeLessThan(0.8)
    expect(sampled.half).toBe(0)
    expect(missedChanges(pages, { checksum: 'xxh3' })).toEqual({ bit: 0, word: 0, line: 0, half: 0 })
    expect(missedChanges(pages, { checksum: 'none' })).toEqual({ bit: 1, word: 1, line: 1, half: 1 })
  })

  it('expects what can be worked out', () => {
    expect(expectedMiss(256, 'word')).toBeCloseTo(0.75)
    expect(expectedMiss(1024, 'word')).toBe(0)
    expect(expectedMiss(1024, 'bit')).toBe(0)
    expect(expectedMiss(0, 'half')).toBe(1)
    expect(touched('sampled', 1024)).toEqual({ bytes: 4096, line_bytes: 4096 })
    expect(touched('sampled', 1)).toEqual({ bytes: 4, line_bytes: 64 })
    expect(touched('none', 64)).toEqual({ bytes: 0, line_bytes: 0 })
  })
})

describe("checksums of one's own", () => {
  const compare = (checksums: Parameters<typeof compareHashes>[0]['checksums']) =>
    compareHashes({
      images: openSource('synth:demo,pages=100'),
      checksums,
      indexes: ['hash'],
      sampleWords: 64,
      pages: 128,
      rounds: 1,
    })

  it('stand beside the built-in ones, with what was found of them', async () => {
    const half = js({ name: 'half', hash: (page) => wordHash(page.fill(0, 2048), 0n) })
    const keyed = { ...wasm(KEYED), name: 'keyed' }
    const { checksums, strategies, sets } = await compare(['xxh3', half, keyed])
    expect(checksums.map(({ checksum }) => checksum)).toEqual(['xxh3', 'half', 'keyed'])
    expect(strategies.map(({ checksum }) => checksum)).toEqual(['xxh3', 'half', 'keyed'])
    expect(new Set(strategies.map(({ pages_merged }) => pages_merged)).size).toBe(1)
    const [xxh3, ours, theirs] = checksums
    expect(ours!.traits).toEqual({ bits: 32, seeded: false, whole: false })
    expect(ours!.touched).toEqual({ bytes: 2048, line_bytes: 2048 })
    expect(ours!.missed_expected.word).toBeCloseTo(0.5)
    expect(ours!.missed.word).toBeGreaterThan(0.3)
    expect(theirs!.traits).toEqual({ bits: 64, seeded: true, whole: true })
    expect(theirs!.missed).toEqual(xxh3!.missed)
    const seeded = sets.findIndex(({ random_seed }) => random_seed)
    expect(ours!.collisions[seeded]).toBeUndefined()
    expect(theirs!.collisions[seeded]![64]).toBe(0)
  })

  it('that are wrong are refused before anything is compared, as are two of one name', async () => {
    await expect(compare(['xxh3', js({ bits: 64 })])).rejects.toThrow(
      /`checksum` mine: it says that it has 64/,
    )
    await expect(compare([js(), wasm()])).rejects.toThrow(
      /`checksums` of different names, got two called mine/,
    )
  })
})

describe('convergence', () => {
  it('merges what a scan merges, and counts searches without touching the outcome', async () => {
    const images = openSource('synth:demo,pages=200')
    const { sharing } = await mergeImages({ images: openSource('synth:demo,pages=200') })
    const strategies = [
      { index: 'content' },
      { index: 'hash' },
      { index: 'hash', checksum: 'none' },
      { index: 'hash', checksum: 'crc32c' },
    ] as const
    const { results, load } = await converge(images, strategies, 2)
    const [byContent, byHash, byNothing] = results as [Convergence, Convergence, Convergence]
    for (const { pages_merged, time, rank, ns_per_page } of results) {
      expect(pages_merged).toBe(sharing.zero + sharing.within + sharing.between)
      expect(time.samples).toHaveLength(2)
      expect(ns_per_page).toBe(time.median)
      expect(rank).toBeGreaterThanOrEqual(1)
    }
    expect(load.rounds).toHaveLength(2)
    // Ordered by content every node passed is compared; ordered by checksum only equals are.
    expect(byContent.probes_per_search).toBeGreaterThan(3 * byHash.probes_per_search)
    expect(byHash.failed_comparisons).toBe(0)
    expect(byContent.failed_comparisons).toBeGreaterThan(byContent.pages_merged)
    // Where a tie says nothing, order by checksum is order by content, and no tie is tried for a match.
    expect(byNothing.comparisons).toBe(byContent.comparisons)
  })
})

it('every round finds the frames in order, whatever the one before has merged', async () => {
  const images = openSource('synth:demo,pages=200')
  const host = await hostFor(600, {})
  const pfns = (): number[] => {
    const guests = images.map((image) => loadGuest(host, image))
    const found = guests.flatMap(({ mm, address, pages }) =>
      Array.from({ length: pages }, (_, page) => mm.pfn(address + page * PAGE)!),
    )
    for (const { mm } of guests) mm.exit()
    return found
  }
  for (let round = 0; round < 3; round++) {
    expect(mergeOnce(host, images)).toEqual({ cpu_ms: expect.any(Number), wall_ms: expect.any(Number) })
    expect(host.frames).toEqual({ free: 601, total: 601 })
    const [first, ...others] = pfns()
    expect(others).toEqual(others.map((_, i) => first! + 1 + i))
  }
  host.audit()
  host.close()
})

describe('pages that collide in all 64 bits', () => {
  it('do not keep others from a merged page that has room', async () => {
    // Four of one content fill its page; the other content, which has the same checksum, comes after.
    const words = new Uint32Array(PAGE / 4)
    const content = (page: number): Uint8Array => {
      preparedPage('xxh3')(words, page)
      return new Uint8Array(words.buffer).slice()
    }
    const counters = []
    for (const seed of [0, 5]) {
      const host = await bootHost({ frames: 64, seed })
      host.ksm.set('max_page_sharing', 4)
      const mm = host.createMm()
      const at = mm.mmap(8 * PAGE)
      for (let page = 0; page < 8; page++) mm.write(at + page * PAGE, content(page < 4 ? 1 : 2))
      mm.madvise(at, 8 * PAGE, 'MADV_MERGEABLE')
      fullScans(host, 2)
      counters.push(host.ksm.counters())
      host.audit()
      host.close()
    }
    expect(counters[0]).toMatchObject({ pages_shared: 2, pages_sharing: 6, pages_unshared: 0 })
    expect(counters[0]).toEqual(counters[1])
  })
})

describe('malice', () => {
  /** Pages read in two scans: each is checksummed in both, and a comparison reads two. */
  const pagesRead = (pages: number, { comparisons }: Convergence): number => 2 * pages + 2 * comparisons

  const cost = async (settings: string, seed: number | 'random'): Promise<[number, Convergence]> => {
    const images = openSource(`synth:adversarial,${settings}`)
    const pages = images.reduce((sum, image) => sum + image.pages, 0)
    const { results } = await converge(images, [{ seed }], 1)
    return [pages, results[0]!]
  }
  const UNIFORM = 'nearFrac=0,volatileFrac=0,collideFrac=0'

  it.each([0, 'random'] as const)(
    'the adversarial preset costs at most three times as many steps as pages of noise, seed %s',
    async (seed) => {
      const [pages, noise] = await cost(`pages=1024,${UNIFORM}`, seed)
      const [, harm] = await cost('pages=1024', seed)
      expect(noise.comparisons).toBe(0)
      expect(pagesRead(pages, harm)).toBeLessThanOrEqual(3 * pagesRead(pages, noise))
      expect(harm.probes_per_search).toBeLessThanOrEqual(noise.probes_per_search + 3)
      // XXH3 with a seed of its own knows no page that was prepared.
      if (seed === 'random') expect(harm.comparisons).toBe(0)
      else expect(harm.comparisons).toBeGreaterThan(pages / 10)
    },
  )

  it.each([256, 1024])(
    'where all %i pages of an image collide, a tree bounds the comparisons',
    async (size) => {
      const [pages, harm] = await cost(`pages=${size},nearFrac=0,volatileFrac=0,collideFrac=1`, 0)
      expect(harm.comparisons).toBe(harm.failed_comparisons)
      expect(harm.comparisons).toBeGreaterThan(pages)
      // One search a page in two scans; no red-black tree is deeper.
      expect(harm.comparisons).toBeLessThanOrEqual(pages * 2 * Math.log2(pages + 1))
    },
  )
})

describe('libxxhash', () => {
  it('has some of the built-in checksums, and none of a name that every object knows', () => {
    expect(['xxh32', 'xxh64', 'xxh3', 'crc32c', 'constructor', 'toString'].filter(Libxxhash.has)).toEqual([
      'xxh32',
      'xxh64',
      'xxh3',
    ])
  })
})
