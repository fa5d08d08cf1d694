// Equal frames under checksums that tie: however many somebody has made, they are told apart without comparing each with each.

import { describe, expect, it } from 'vitest'
import { Host, PAGE_SIZE } from '../../src/index.ts'
import { equalFrames } from '../../src/lab/states/contents.ts'

const PAGES = 512

describe('frames with one checksum', () => {
  it('are told apart in n log n comparisons', async () => {
    const host = await Host.create({ frames: PAGES, checksumBits: 1 })
    const mm = host.createMm()
    const at = mm.mmap(PAGES * PAGE_SIZE)
    for (let page = 0; page < PAGES; page++) {
      mm.write(at + page * PAGE_SIZE, Uint8Array.of(page & 255, (page % 300) >>> 8))
    }
    const pfns = Array.from({ length: PAGES }, (_, page) => mm.pfn(at + page * PAGE_SIZE)!)
    const { arena } = host.memory
    let compared = 0
    const counting = <Name extends 'comparePages' | 'pagesIdentical'>(name: Name) => {
      return (pfn: number, other: number): number => {
        compared++
        return arena.core[name](pfn, other)
      }
    }
    const core = {
      ...arena.core,
      comparePages: counting('comparePages'),
      pagesIdentical: counting('pagesIdentical'),
    }
    const memory = { arena: { checksum: arena.checksum.bind(arena), core } }
    const equal = equalFrames(memory as never, pfns)
    expect(compared).toBeLessThan(PAGES * (Math.log2(PAGES) + 3))

    const bytesOf = (page: number): number => (page & 255) | (((page % 300) >>> 8) << 8)
    for (const [page, pfn] of pfns.entries()) {
      const same = pfns.filter((_, other) => bytesOf(other) === bytesOf(page))
      expect(equal.get(pfn)).toEqual(same.length === 1 ? undefined : same)
    }
    host.close()
  })
})
