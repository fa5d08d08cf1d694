// Where a batch ends, and where the next goes on: behind the last page visited and not a step further, whatever comes
// into being there in the meantime.

import { describe, expect, it } from 'vitest'
import { contentBytes, guest, PAGE, stage } from '../support/stage.ts'

const PAGES = 4
const filled = (first: number): number[] => Array.from({ length: PAGES }, (_, i) => first + i)
const bytesOf = (contents: number[]): Uint8Array => Buffer.concat(contents.map(contentBytes))

describe.each([0, 1])('a batch that ends with the last page of a mapping, with %i helpers', (workers) => {
  it('is followed by pages of the next mapping that have been touched since', async () => {
    const host = await stage({ workers })
    const { mm, at } = guest(host, 'a', filled(1))
    const next = at + 2 * PAGES * PAGE
    mm.mmap(PAGES * PAGE, { address: next })
    mm.madvise(next, PAGES * PAGE, 'MADV_MERGEABLE')
    expect(host.ksm.scanPages(PAGES)).toBe(PAGES)
    mm.write(next, bytesOf(filled(11)))
    expect(host.ksm.scanPages(1000)).toBe(PAGES)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 2 * PAGES, full_scans: 1 })
    host.close()
  })

  it('is followed by a mapping that has come in between', async () => {
    const host = await stage({ workers })
    const { mm, at } = guest(host, 'a', filled(1))
    const last = at + 2 * PAGES * PAGE
    mm.mmap(PAGES * PAGE, { address: last })
    mm.madvise(last, PAGES * PAGE, 'MADV_MERGEABLE')
    mm.write(last, bytesOf(filled(21)))
    expect(host.ksm.scanPages(PAGES)).toBe(PAGES)
    const between = at + PAGES * PAGE
    mm.mmap(PAGES * PAGE, { address: between })
    mm.madvise(between, PAGES * PAGE, 'MADV_MERGEABLE')
    mm.write(between, bytesOf(filled(11)))
    expect(host.ksm.scanPages(1000)).toBe(2 * PAGES)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 3 * PAGES, full_scans: 1 })
    host.close()
  })
})
