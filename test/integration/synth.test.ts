// Synthetic guests and what is said to be true of them: against a recount of their bytes, and against pagefold.

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { INDEX_NAMES, synthImages, synthTruth } from '../../src/index.ts'
import { bytesOf, convergeAtEach, moments, PRESETS, recount, small } from '../support/synth.ts'

const LIMIT = 5
const UNLIMITED = 2 ** 30

/** Of the small size of each preset at three moments. A change of one is a change of SYNTH_VERSION. */
const DIGESTS: Record<string, string> = {
  demo: '9c65c2187cd19111aa2213749c526a8d',
  'meta-instagram': '477c6aefb7f36f11f535523754cbb1b1',
  'atc12-desktop': 'ba576f22a7cd71c5f7d54540848ed29f',
  'atc12-aslr': '2e91ac46f6c96a90c69965d6a140f350',
  'vm-homog-idle': '0a720d48ddd344bcbad272532ddcfdc1',
  'boot-storm': '3e392ab9449ac569e240e89636df48d2',
  'vm-hetero': 'b95148f5594b56ce7d886af7ffab7805',
  'para-ksm': '24d1717278927366d6377c1edf7f25af',
  'android-swap': '7cd9c60c66c7464e879ab7111f8baf8d',
  'server-zswap': '2bda293995e77225e2dc66acd5f10f70',
  'thp-sparse': 'd63c9809ab0c3d83aa947d55f081bbe6',
  'xlh-pagecache': '0b3ca4159533a8a4940d23f96d30d89f',
  'serverless-similar': 'f35e04f6af424b55cd1cba6fabfecd87',
  'sandbox-fork': 'ebd843e5490ac9e0bdd045031ce7015e',
  adversarial: 'e7045816fcefbb538fb153bdd0675e83',
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
    for (const moment of [0, 1]) {
      for (const { max_page_sharing, use_zero_pages, ...expected } of truth.moments[moment]!.ksmd) {
        const knobs = { max_page_sharing: max_page_sharing ?? UNLIMITED, use_zero_pages }
        const [counters] = await convergeAtEach([synthImages({ ...options, moment })], index, knobs)
        expect(counters, JSON.stringify({ moment, ...knobs })).toMatchObject(expected)
      }
    }
  })

  it.each(INDEX_NAMES)(
    'counts it too, index %s, when each moment is written over the last',
    async (index) => {
      for (const use_zero_pages of [0, 1] as const) {
        const knobs = { max_page_sharing: UNLIMITED, use_zero_pages }
        const rows = await convergeAtEach(moments(options, 3), index, knobs)
        for (const [moment, counters] of rows.entries()) {
          const { ksmd, ksmd_after_moments_before } = truth.moments[moment]!
          const { max_page_sharing: _, ...expected } = (ksmd_after_moments_before ?? ksmd).find(
            (row) => row.max_page_sharing === null && row.use_zero_pages === use_zero_pages,
          )!
          expect(counters, `t${moment}, use_zero_pages ${use_zero_pages}`).toMatchObject(expected)
        }
      }
    },
  )
})
