// Two real guests: every counter after every scan as the real ksmd counted it, in twelve settings and both orders.

import { describe, expect, it } from 'vitest'
import { openImage } from '../../src/images/index.ts'
import { type Image, INDEX_NAMES } from '../../src/index.ts'
import { mergeImages, sharingOf } from '../../src/lab/index.ts'
import { type GuestRecord, guest, guestRecords, guestsUnavailable } from '../support/guests.ts'

const unavailable = guestsUnavailable()
const open = (names: readonly string[]): Image[] => names.map((name) => openImage(guest(name)))

describe.skipIf(unavailable)(`real guests${unavailable ? ` (skipped: ${unavailable})` : ''}`, () => {
  describe.each(INDEX_NAMES)('index %s', (index) => {
    it.each(unavailable ? [] : guestRecords())('$name', async (record: GuestRecord) => {
      const images = open(record.images)
      const later = open(record.then ?? [])
      const { length } = record.after_each_scan
      const scans = record.then === undefined ? length : length / 2
      const result = await mergeImages({
        images,
        later,
        scans,
        ...(length > scans && { scansAfter: length - scans }),
        knobs: record.knobs,
        index,
      })
      expect(result.pages).toBe(record.pages)
      expect(result.pages_written).toBe(record.pages_written)
      const counted = result.after_each_scan.map((row) =>
        Object.fromEntries(
          Object.keys(record.after_each_scan[0]!).map((name) => [name, row[name as keyof typeof row]]),
        ),
      )
      expect(counted).toEqual(record.after_each_scan)
      const { pages_sharing, ksm_zero_pages } = result.after_each_scan.at(-1)!
      const { zero, within, between } = result.sharing
      expect(zero + within + between).toBe(pages_sharing + ksm_zero_pages)
      expect(result.metadata_bytes / result.pages).toBeLessThanOrEqual(72)
      for (const image of [...images, ...later]) image.close()
    })
  })

  it('the ELF core of a guest has the pages of its raw twin', () => {
    const raw = openImage(guest('guest-batch.t0.raw'))
    const elf = openImage(guest('guest-batch.t0.elf'))
    expect(elf.format).toBe('elf')
    const [a, b] = [Buffer.alloc(4096), Buffer.alloc(4096)]
    let compared = 0
    let different = 0
    for (let page = 0; page < elf.pages; page++) {
      const address = elf.addressOf(page)
      if (address >= raw.pages * 4096) continue // device memory beside RAM
      elf.read(page, 1, a)
      raw.read(address / 4096, 1, b)
      if (!a.equals(b)) different++
      compared++
    }
    expect(compared).toBeGreaterThan(24_000)
    // The guest ran on for a moment between the two dumps. Cut at the wrong places, nearly every page would differ.
    expect(different / compared).toBeLessThan(0.01)
    for (const image of [raw, elf]) image.close()
  })
})

it('sharing is counted from nothing to nothing', () => {
  expect(sharingOf([])).toEqual({ zero: 0, within: 0, between: 0 })
})
