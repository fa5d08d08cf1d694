// Where a batch ends, and where the next goes on: behind the last page visited and not a step further, whatever comes
// into being there in the meantime.

import { describe, expect, it } from 'vitest'
import { ksmOf } from '../support/inside.ts'
import { addRange, contentBytes, fullScans, guest, makeHost, PAGE } from '../support/world.ts'

const PAGES = 4
const filled = (first: number): number[] => Array.from({ length: PAGES }, (_, i) => first + i)
const untouched = new Array<undefined>(PAGES).fill(undefined)

describe.each([0, 1])('a batch that ends with the last page of a mapping, with %i helpers', (workers) => {
  it('is followed by pages of the next mapping that have been touched since', async () => {
    const host = await makeHost({ workers })
    const { mm, at } = guest(host, 'a', filled(1))
    const next = at + 2 * PAGES * PAGE
    addRange(mm, untouched, { address: next })
    expect(host.ksm.scanPages(PAGES)).toBe(PAGES)
    mm.write(next, Buffer.concat(filled(11).map(contentBytes)))
    expect(host.ksm.scanPages(1000)).toBe(PAGES)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 2 * PAGES, full_scans: 1 })
    host.close()
  })

  it('is followed by a mapping that has come in between', async () => {
    const host = await makeHost({ workers })
    const { mm, at } = guest(host, 'a', filled(1))
    const last = at + 2 * PAGES * PAGE
    addRange(mm, filled(21), { address: last })
    expect(host.ksm.scanPages(PAGES)).toBe(PAGES)
    addRange(mm, filled(11), { address: at + PAGES * PAGE })
    expect(host.ksm.scanPages(1000)).toBe(2 * PAGES)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: 3 * PAGES, full_scans: 1 })
    host.close()
  })
})

it('a mergeable range that ends in pages that are not there ends there: what lies behind is not visited', async () => {
  const host = await makeHost()
  const mm = host.createMm()
  addRange(mm, [1, 2, undefined, undefined], { address: 64 * PAGE })
  addRange(mm, [1, 2], { address: 68 * PAGE, mergeable: false })
  fullScans(host, 3)
  expect(host.ksm.counters()).toMatchObject({ pages_scanned: 6, pages_shared: 0 })
  host.audit()
})

it('an mm that exits is let go next, before any other page is visited', async () => {
  const host = await makeHost()
  const mms = [1, 2, 3, 4].map((content) => {
    const mm = host.createMm()
    addRange(mm, [content, content + 10])
    return mm
  })
  fullScans(host, 2)
  host.ksm.scanPages(1)
  mms[3]!.exit()
  const { slots } = ksmOf(host)
  const exited = (): boolean => [...slots].some(({ mm }) => mm!.users === 0)
  expect(exited()).toBe(true)
  host.ksm.scanPages(2)
  expect(exited()).toBe(false)
  host.audit()
})
