// Pages that lie apart are read ahead before they are hashed (assembly/window.ts): up to the last frame of the arena and no further,
// and what comes out is what comes out where they lie in order.

import { expect, it } from 'vitest'
import type { ChecksumName } from '../../src/index.ts'
import { counted, makeHost, PAGE } from '../support/world.ts'

const PAGES = 24
const IN_ORDER = Array.from({ length: PAGES }, (_, page) => page)
const content = (page: number): number => 1 + (page % 16)

/** What is counted after each of three scans of pages that were written in an order, which is that of their frames: all there are. */
async function scans(order: readonly number[], checksum: ChecksumName): Promise<number[][]> {
  const host = await makeHost({ frames: PAGES, checksum, changes: 'checksum' })
  const mm = host.createMm({ name: 'a' })
  const at = mm.mmap(PAGES * PAGE)
  mm.madvise(at, PAGES * PAGE, 'MADV_MERGEABLE')
  for (const page of order) mm.write(at + page * PAGE, Uint8Array.of(content(page)))
  expect(host.frames.free).toBe(0)
  const seen = [1, 2, 3].map(() => {
    host.ksm.scan(1)
    host.audit()
    return counted(host)
  })
  for (const page of order) expect(mm.read(at + page * PAGE, 2)).toEqual(Uint8Array.of(content(page), 0))
  return seen
}

it.each(['xxh3', 'xxh64', 'sampled', 'none'] as const)(
  'frames in any order count alike: %s',
  async (checksum) => {
    const expected = await scans(IN_ORDER, checksum)
    expect(expected[1]![1]).toBeGreaterThan(0)
    const step = IN_ORDER.map((page) => (page * 7) % PAGES)
    for (const order of [[...IN_ORDER].reverse(), step])
      expect(await scans(order, checksum)).toEqual(expected)
  },
)
