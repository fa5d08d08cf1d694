// Synthetic guests and what is said to be true of them: against a recount of their bytes, and against pagefold.

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { INDEX_NAMES, type IndexName } from '../../src/index.ts'
import {
  type ExpectedKsmd,
  type SynthOptions,
  type SynthTruth,
  synthImages,
  synthTruth,
} from '../../src/lab/index.ts'
import { bytesOf, convergeAtEach, moments, PRESETS, recount, small } from '../support/synth.ts'

const LIMIT = 5
const UNLIMITED = 2 ** 30

/** Of the small size of each preset at three moments. A change of one is a change of SYNTH_VERSION. */
const DIGESTS: Record<string, string> = {
  demo: '00a092b4860c7c195a18ed9dd3cb404c',
  'meta-instagram': 'd034d8b181c5e6620a247ff9edddfee5',
  'atc12-desktop': '5b8d68e6abacac34aeb58b783b052b3e',
  'atc12-aslr': '28f4e0ff226aee30e798e46dd30fed9f',
  'vm-homog-idle': '0ed84b853cec8948f950937c9ad5e2ef',
  'boot-storm': '45e712737dd96d41cbf9e86da4f8da3d',
  'vm-hetero': 'ad37a17a271df77ddff9db0543e5ce40',
  'para-ksm': '29e7ea2898d45d5d917b0e48cb75004e',
  'android-swap': '751255ca35dae950135f0c5c22594e89',
  'server-zswap': '6609e0ba59ff6661d466109b492d6ead',
  'thp-sparse': '43c0bbe3fc8c2cdfd2392f5beb82728c',
  'xlh-pagecache': '1dbf22d027dfd8ef658b77155e3d9275',
  'serverless-similar': '3811235b13537754eff7b23694161bb3',
  'sandbox-fork': '3cd268da75e8b9460c954616ec70d04f',
  adversarial: 'd255faa0270adfbfa79c006573484316',
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

  it('have rows under a limit as long as what exceeds it stays', () => {
    const limits = (parameters: object) => {
      const options = { preset: 'vm-hetero', pages: 200, images: 3, moments: 3, maxPageSharing: [3, 50, 90] }
      return synthTruth({ ...options, parameters })
        .moments.slice(1)
        .map(({ ksmd_after_moments_before }) => ksmd_after_moments_before!.map((row) => row.max_page_sharing))
    }
    // 60 pages of zeros: under 50 they are a chain, that stays while none is written.
    expect(limits({ sharers: 'fixed:3' })[1]).toEqual([null, 3, 50, 90, null, 3, 50, 90])
    expect(limits({ sharers: 'fixed:3', writeZero: 0.1 })[1]).toEqual([null, 90, null, 90])
    expect(limits({ sharers: 'fixed:4', writeDup: 0.1 })[1]).toEqual([null, 50, 90, null, 50, 90])
  })

  it('do leave some alone, or this would show nothing', () => {
    const { moments } = synthTruth({ ...recipes[0]![1], pages: 200, images: 3, moments: 3 })
    const { ksmd, ksmd_after_moments_before } = moments[2]!
    expect(ksmd_after_moments_before![0]!.pages_shared).toBeGreaterThan(ksmd[0]!.pages_shared + 10)
  })
})

/** Every row that a truth dares to give for moments written over each other, whatever the limit. */
async function expectEachMoment(options: SynthOptions, truth: SynthTruth, index: IndexName): Promise<void> {
  for (const { max_page_sharing, use_zero_pages } of truth.moments[0]!.ksmd) {
    const knobs = { max_page_sharing: max_page_sharing ?? UNLIMITED, use_zero_pages }
    const rows = await convergeAtEach(moments(options, truth.moments.length), index, knobs)
    for (const [moment, counters] of rows.entries()) {
      const { ksmd, ksmd_after_moments_before } = truth.moments[moment]!
      const row = (ksmd_after_moments_before ?? ksmd).find(
        (row) => row.max_page_sharing === max_page_sharing && row.use_zero_pages === use_zero_pages,
      )
      if (row === undefined) expect(max_page_sharing).not.toBe(null)
      else expect(counters, JSON.stringify({ moment, knobs })).toMatchObject(countersOf(row))
    }
  }
}

function countersOf({ max_page_sharing: _, use_zero_pages: __, ...counters }: ExpectedKsmd): object {
  return counters
}
