// Synthetic guests and what is said to be true of them: against a recount of their bytes, and against pagefold.

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  INDEX_NAMES,
  type IndexName,
  type SynthOptions,
  type SynthTruth,
  synthImages,
  synthTruth,
} from '../../src/index.ts'
import { bytesOf, convergeAtEach, moments, PRESETS, recount, small } from '../support/synth.ts'

const LIMIT = 5
const UNLIMITED = 2 ** 30

/** Of the small size of each preset at three moments. A change of one is a change of SYNTH_VERSION. */
const DIGESTS: Record<string, string> = {
  demo: '1879b022369a8e5d63635ac51614637b',
  'meta-instagram': '55b6d80e6ad080272f82bd194852661b',
  'atc12-desktop': '6f524ba23d17dc9b410b09663183d207',
  'atc12-aslr': '8de40d3e9576ff5a16172d0e8e2ac501',
  'vm-homog-idle': '391501cf5533e5bd813cd48afe296de9',
  'boot-storm': '254812a5dbefead477e37de9d87e5b7c',
  'vm-hetero': '6680228dd203d9b8aaef983499d89b74',
  'para-ksm': '436fea887e86528da6f684d9efa60a95',
  'android-swap': 'fa5ead739259cf5193ba1018c1659eac',
  'server-zswap': '308bfb31c074157fddcd6573b5c478bb',
  'thp-sparse': '861b9b6f060d9ba2355daa74b70717bf',
  'xlh-pagecache': '9247bf2965f53f5a9f72ad7ef2956cc2',
  'serverless-similar': 'dad86bb64016656a737952e09bd0e1e9',
  'sandbox-fork': '73b9ee82ad8807ec9c6ab41965d4d2c2',
  adversarial: '6bf663ffbacb9c775d7d6d6608febe5f',
}

describe.each(PRESETS)('%s', (preset) => {
  const options = small(preset)
  const truth = synthTruth({ ...options, moments: 3, maxPageSharing: [LIMIT] })

  it('has the bytes it always had', () => {
    const digests = truth.moments.flatMap(({ files }) => files.map(({ sha256 }) => sha256))
    const digest = createHash('sha256').update(digests.join()).digest('hex').slice(0, 32)
    expect(digest).toBe(DIGESTS[preset])
  })

  it('says in its truth what a recount of every byte says', () => {
    for (const [moment, images] of moments(options, 3).entries()) {
      const said = truth.moments[moment]!
      const counted = recount(images)
      const { zero, within, between } = counted
      expect(said.contents).toBe(counted.contents)
      expect(said.zero_pages).toBe(counted.zeroPages)
      expect(said.sharing).toEqual({ zero, within, between })
      expect(said.best.bytes_saved).toBe((said.pages - counted.contents) * 4096)
      expect(said.unique_contents).toBe(counted.sharers.filter((pages) => pages === 1).length)
      expect(said.most_sharers).toBe(Math.max(0, ...counted.sharers))
      const alone = images.map((image) => recount([image]).contents).reduce((sum, contents) => sum + contents)
      expect(said.best.bytes_saved_within_images).toBe((said.pages - alone) * 4096)
      for (const [i, { sha256 }] of said.files.entries()) {
        expect(sha256).toBe(createHash('sha256').update(bytesOf(images[i]!)).digest('hex'))
      }
    }
  })

  it('says how many pages differ from one moment to the next', () => {
    const [t0, t1] = moments(options, 2).map((images) => images.map(bytesOf))
    let written = 0
    for (const [i, before] of t0!.entries()) {
      for (let at = 0; at < before.length; at += 4096) {
        if (Buffer.compare(before.subarray(at, at + 4096), t1![i]!.subarray(at, at + 4096)) !== 0) written++
      }
    }
    expect(truth.moments[1]!.pages_written).toBe(written)
  })

  it.each(INDEX_NAMES)('counts, scanned with index %s, what its truth says', async (index) => {
    for (const { max_page_sharing, use_zero_pages, ...expected } of truth.moments[0]!.ksmd) {
      const knobs = { max_page_sharing: max_page_sharing ?? UNLIMITED, use_zero_pages }
      const [counters] = await convergeAtEach([synthImages(options)], index, knobs)
      expect(counters, JSON.stringify(knobs)).toMatchObject(expected)
    }
  })

  it.each(INDEX_NAMES)(
    'counts it too, index %s, when each moment is written over the last',
    async (index) => {
      await expectEachMoment(options, truth, index)
    },
  )
})

describe('guests that write much', () => {
  const many = { dupFrac: 0.5, sharers: 'uniform:2:3', writeDup: 0.3, writeZero: 0.4 }
  const recipes: [string, SynthOptions][] = [
    ['leave merged pages alone with their frame', { preset: 'vm-hetero', parameters: many }],
    ['also words at a time', { preset: 'vm-hetero', parameters: { ...many, writeWords: 2 } }],
    [
      'in regions that never rest',
      { preset: 'vm-hetero', parameters: { ...many, writeDup: 0, cowRate: 0.3 } },
    ],
    ['and start anew', { preset: 'boot-storm', parameters: { churn: 0.7, lifetime: 2, writeDup: 0.2 } }],
  ]

  it.each(recipes)('%s', async (_, recipe) => {
    const options = { ...recipe, pages: 200, images: 3 }
    const truth = synthTruth({ ...options, moments: 5 })
    for (const index of INDEX_NAMES) await expectEachMoment(options, truth, index)
  })

  it('do leave some alone, or this would show nothing', () => {
    const { moments } = synthTruth({ ...recipes[0]![1], pages: 200, images: 3, moments: 3 })
    const { ksmd, ksmd_after_moments_before } = moments[2]!
    expect(ksmd_after_moments_before![0]!.pages_shared).toBeGreaterThan(ksmd[0]!.pages_shared + 10)
  })
})

async function expectEachMoment(options: SynthOptions, truth: SynthTruth, index: IndexName): Promise<void> {
  for (const use_zero_pages of [0, 1] as const) {
    const knobs = { max_page_sharing: UNLIMITED, use_zero_pages }
    const rows = await convergeAtEach(moments(options, truth.moments.length), index, knobs)
    for (const [moment, counters] of rows.entries()) {
      const { ksmd, ksmd_after_moments_before } = truth.moments[moment]!
      const { max_page_sharing: _, ...expected } = (ksmd_after_moments_before ?? ksmd).find(
        (row) => row.max_page_sharing === null && row.use_zero_pages === use_zero_pages,
      )!
      expect(counters, `t${moment}, use_zero_pages ${use_zero_pages}`).toMatchObject(expected)
    }
  }
}
