// The truth about synthetic guests, held against the running kernel: ksmd converges on the written images of every
// preset to the counters that truth.json says.

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ksmdUnavailable } from '../../bench/peers/ksmd.ts'
import { openRawImage } from '../../src/images/index.ts'
import { type SynthTruth, writeSynth } from '../../src/lab/index.ts'
import { scratch } from '../support/files.ts'
import { mergeInKernel } from '../support/kernel.ts'
import { PRESETS, small } from '../support/synth.ts'

const LIMIT = 5
/** Two scans merge, a third lets items of zero pages go, a fourth shows that nothing moves. */
const SCANS = 4

const unavailable = ksmdUnavailable()

describe.skipIf(unavailable !== undefined)(
  `the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  // Others may be using ksmd first.
  { timeout: 600_000 },
  () => {
    it.each(PRESETS)('converges on %s to what its truth says', async (preset) => {
      const dir = scratch()
      const truth = writeSynth({ ...small(preset), dir, moments: 2, maxPageSharing: [LIMIT] })
      const images = (moment: number) =>
        truth.moments[moment]!.files.map(({ file }) => openRawImage(join(dir, file)))

      const limited = expected(truth.moments[0]!.ksmd, LIMIT, 0)
      const knobs = { max_page_sharing: LIMIT, use_zero_pages: 0 }
      const { after_each_scan } = await mergeInKernel({ images: images(0), scans: SCANS, knobs })
      expect(after_each_scan.at(-1)).toMatchObject(limited)

      const both = await mergeInKernel({
        images: images(0),
        later: images(1),
        scans: SCANS,
        scansAfter: SCANS,
        knobs: { max_page_sharing: 2 ** 20, use_zero_pages: 1 },
      })
      expect(both.after_each_scan[SCANS - 1]).toMatchObject(expected(truth.moments[0]!.ksmd, null, 1))
      expect(both.after_each_scan.at(-1)).toMatchObject(
        expected(truth.moments[1]!.ksmd_after_moments_before!, null, 1),
      )
    })
  },
)

function expected(rows: SynthTruth['moments'][number]['ksmd'], limit: number | null, zero: 0 | 1): object {
  const row = rows.find(
    ({ max_page_sharing, use_zero_pages }) => max_page_sharing === limit && use_zero_pages === zero,
  )
  const { max_page_sharing: _, use_zero_pages: __, ...counters } = row!
  return counters
}
