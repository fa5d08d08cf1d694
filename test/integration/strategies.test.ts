// Merging is right whatever the checksum. A checksum decides what is looked at and when, never what is merged: so with
// one that is constant, or nearly, the same pages merge and the counters are those of a good one.

import { describe, expect, it } from 'vitest'
import { openSource } from '../../src/images/index.ts'
import {
  CHECKSUM_NAMES,
  Host,
  INDEX_NAMES,
  type Mm,
  type StrategyOptions,
  stillClock,
} from '../../src/index.ts'
import { type MergeOptions, type MergeResult, mergeImages } from '../../src/lab/index.ts'
import { type Random, random } from '../support/random.ts'
import { contentBytes, PAGE } from '../support/world.ts'

const SOURCE = 'synth:demo,pages=200'

const POOR: Readonly<Record<string, StrategyOptions>> = {
  'no checksum': { checksum: 'none' },
  '4 bits of xxh3': { checksumBits: 4 },
  '4 bits of crc32c': { checksum: 'crc32c', checksumBits: 4 },
  '1 bit of xxh64': { checksum: 'xxh64', checksumBits: 1 },
  'a sample of one word': { checksum: 'sampled', sampleWords: 1 },
}

function rows({ after_each_scan }: MergeResult) {
  return after_each_scan.map(({ elapsed_ms: _, cpu_ms: __, ...counters }) => counters)
}

async function merge(options: Partial<MergeOptions>): Promise<MergeResult> {
  return mergeImages({ images: openSource(SOURCE), scans: 4, ...options })
}

describe.each(INDEX_NAMES)('index %s', (index) => {
  const KNOBS = [
    {},
    { max_page_sharing: 2 },
    { max_page_sharing: 5, stable_node_chains_prune_millisecs: 0 },
    { use_zero_pages: 1 },
    { smart_scan: 1 },
  ]

  describe.each(Object.entries(POOR))('%s', (_, strategy) => {
    it.each(KNOBS)('counts what a good checksum counts, after every scan: %o', async (knobs) => {
      const good = await merge({ index, knobs })
      const poor = await merge({ index, knobs, ...strategy })
      expect(rows(poor)).toEqual(rows(good))
      expect(poor.sharing).toEqual(good.sharing)
    })

    it('ends where a good checksum ends after the guests have changed', async () => {
      const moments = { index, later: openSource(`${SOURCE},seed=2`), scansAfter: 4 }
      const good = await merge(moments)
      const poor = await merge({ ...moments, ...strategy })
      expect(rows(poor).at(-1)).toEqual(rows(good).at(-1))
      expect(poor.sharing).toEqual(good.sharing)
    })

    it.each([1, 2, 3])('leaves every byte as it was written, history %i', async (seed) => {
      const host = await Host.create({ frames: 600, clock: stillClock, index, ...strategy })
      await liveThrough(host, random(seed))
      host.close()
    })
  })

  it.each(CHECKSUM_NAMES)('%s merges what Linux merges', async (checksum) => {
    const linux = await merge({ index: 'content', checksum: 'xxh64' })
    expect(rows(await merge({ index, checksum }))).toEqual(rows(linux))
  })

  it.each(['xxh64', 'xxh3', 'sampled'] as const)('%s merges the same with any seed', async (checksum) => {
    const plain = await merge({ index, checksum })
    for (const seed of [1, 2n ** 63n, 'random'] as const) {
      expect(rows(await merge({ index, checksum, seed }))).toEqual(rows(plain))
    }
  })
})

/** Random writes, forks, advice and scans, with a copy of every byte beside; audited and compared all along. */
async function liveThrough(host: Host, rnd: Random): Promise<void> {
  const PAGES = 24
  const guests: { mm: Mm; at: number; bytes: Uint8Array }[] = []
  const spawn = (): void => {
    const mm = host.createMm()
    const at = mm.mmap(PAGES * PAGE)
    mm.madvise(at, PAGES * PAGE, 'MADV_MERGEABLE')
    guests.push({ mm, at, bytes: new Uint8Array(PAGES * PAGE) })
  }
  host.ksm.set('run', 1)
  host.ksm.set('smart_scan', 0)
  host.ksm.set('max_page_sharing', 3)
  for (let i = 0; i < 3; i++) spawn()
  for (let step = 0; step < 400; step++) {
    const guest = rnd.pick(guests)
    const page = rnd.below(PAGES)
    const dice = rnd.below(20)
    if (dice < 12) {
      const content = contentBytes(rnd.below(5))
      if (rnd.chance(0.3)) content[rnd.below(PAGE)] = 1 + rnd.below(3)
      guest.bytes.set(content, page * PAGE)
      guest.mm.write(guest.at + page * PAGE, content)
    } else if (dice < 18) {
      host.ksm.scanPages(1 + rnd.below(60))
    } else if (dice === 18 && guests.length < 6) {
      guests.push({ mm: guest.mm.fork(), at: guest.at, bytes: guest.bytes.slice() })
    } else if (guests.length > 2) {
      guest.mm.exit()
      guests.splice(guests.indexOf(guest), 1)
    }
    if (step % 20 !== 19) continue
    host.audit()
    for (const { mm, at, bytes } of guests) expect(Buffer.compare(mm.read(at, bytes.length), bytes)).toBe(0)
  }
}

describe('guests that stand still', () => {
  const SOURCES = ['synth:demo,pages=300', 'synth:demo,pages=300,seed=7', 'synth:demo,pages=64,images=5']

  describe.each(INDEX_NAMES)('index %s', (index) => {
    it.each(SOURCES)('%s: one scan does what takes two of running ones', async (source) => {
      for (const knobs of [{}, { max_page_sharing: 3 }, { use_zero_pages: 1 }]) {
        const running = await merge({ images: openSource(source), index, knobs, scans: 3 })
        const still = await merge({ images: openSource(source), index, knobs, scans: 2, guests: 'still' })
        expect(rows(still)).toEqual(rows(running).slice(1))
        expect(still.sharing).toEqual(running.sharing)
        // The first scan of running guests only notes checksums: every page counts as volatile.
        expect(running.after_each_scan[0]).toMatchObject({ pages_volatile: running.pages, pages_sharing: 0 })
        // Of still ones none does, but for those that gave up their page for the zero page, as in Linux.
        const { pages_volatile, ksm_zero_pages } = still.after_each_scan[0]!
        expect(pages_volatile).toBe(ksm_zero_pages)
      }
    })

    it('that run after all come to no harm', async () => {
      for (const seed of [11, 12]) {
        const host = await Host.create({ frames: 600, clock: stillClock, index, guests: 'still' })
        await liveThrough(host, random(seed))
        host.close()
      }
    })
  })

  it('are merged with what changed since at the next scan, not the one after', async () => {
    const moments = {
      later: openSource(`${SOURCE},seed=2`),
      scans: 1,
      scansAfter: 1,
      guests: 'still',
    } as const
    const still = await merge(moments)
    const running = await merge({ ...moments, scans: 2, scansAfter: 3, guests: 'running' })
    expect(rows(still)[1]!.pages_sharing).toBe(rows(running).at(-1)!.pages_sharing)
    expect(still.sharing).toEqual(running.sharing)
  })

  it('are a choice of two', async () => {
    await expect(Host.create({ frames: 4, guests: 'asleep' as 'still' })).rejects.toThrow(/guests/)
  })
})
