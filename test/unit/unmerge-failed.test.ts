// Unmerging everything (run=2) that fails half way, in the middle of a full scan: the scan is given up, and its unstable tree with it.

import { expect, it } from 'vitest'
import { INDEX_NAMES } from '../../src/index.ts'
import {
  counted,
  errnoOf,
  expectContent,
  fullScans,
  guest,
  makeHost,
  PAGE,
  useUpFrames,
} from '../support/world.ts'

it.each(INDEX_NAMES)('pages that waited in its tree are in none afterwards (index %s)', async (index) => {
  const host = await makeHost({ index })
  const { mm, at } = guest(host, 'A', [1, 1, 2, 3, 4, 5])
  fullScans(host, 3)
  // Two merged pages, and two of those that wait for an equal one.
  host.ksm.scanPages(4)
  const filler = useUpFrames(host)
  expect(errnoOf(() => host.ksm.set('run', 2))).toBe('ENOMEM')
  expect(counted(host)).toEqual([1, 1, 4, 0])
  filler.exit()
  host.ksm.set('run', 1)
  for (let page = 0; page < 6; page++) {
    host.ksm.scanPages(1)
    host.audit()
  }
  mm.write(at + 3 * PAGE, mm.read(at + 4 * PAGE, PAGE))
  fullScans(host, 2)
  host.audit()
  expect(counted(host)).toEqual([2, 2, 2, 0])
  for (const [page, content] of [1, 1, 2, 4, 4, 5].entries()) expectContent(mm, at + page * PAGE, content)
})
