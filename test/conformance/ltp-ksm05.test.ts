// LTP's ksm05 (CVE-2011-2183): processes that register a page and die at once, with ksmd taking a step at every point where
// it could in a kernel, and the other way round. An exiting process waits for the mmap lock, so the points inside a merge
// that ksmd passes with that lock held are none of its.

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type IndexName, type Mm } from '../../src/index.ts'
import { ksmOf, memoryOf, objectsOf } from '../support/inside.ts'
import { bootHost, counted, fill, fullScans, PAGE } from '../support/world.ts'

/** Where an exiting process can be interrupted. */
const EXIT_POINTS = ['exit: before ksm_exit', 'exit: after ksm_exit', 'exit: after teardown'] as const
/** Where ksmd holds no lock that an exiting process has to wait for. */
const SCAN_POINTS = [
  'scan: after unstable reset',
  'scan: between mms',
  'scan: between pages',
  'keyhole: after first check',
  'keyhole: after get',
  'merge: between the two halves',
  'merge: before stable insert',
  'merge: before append',
] as const

/** Registers pages and dies, over and over: the process of ksm05. `written` 0 is LTP's own: a page never touched. */
function spawn(host: Host, written: number): Mm {
  const mm = host.createMm()
  const at = mm.mmap(Math.max(1, written) * PAGE)
  mm.madvise(at, Math.max(1, written) * PAGE, 'MADV_MERGEABLE')
  if (written > 0) fill(mm, at, written, 3)
  return mm
}

function expectNothingLeft(host: Host): void {
  fullScans(host, 1)
  expect(ksmOf(host).slots.isEmpty).toBe(true)
  expect(counted(host)).toEqual([0, 0, 0, 0])
  expect(objectsOf(host)).toEqual({ rmapItems: 0, stableNodes: 0, pageTables: 0 })
  expect(host.frames.free).toBe(host.frames.total)
  expect(memoryOf(host).anonVmas.live).toBe(0)
  host.audit()
}

describe.each(INDEX_NAMES)('LTP ksm05, index %s', (index: IndexName) => {
  it.each([0, 1, 3])(
    'a process with %i pages dies while ksmd takes a step at each point',
    async (written) => {
      for (const point of EXIT_POINTS) {
        for (const step of [(host: Host) => host.ksm.scanPages(1), (host: Host) => host.ksm.scan(1)]) {
          const host = await bootHost({ index, frames: 16 })
          host.ksm.set('run', 1)
          let steps = 0
          memoryOf(host).race = (at) => {
            if (at !== point) return
            steps++
            step(host)
          }
          for (let i = 0; i < 20; i++) {
            const mm = spawn(host, written)
            host.ksm.scanPages(i % 4)
            mm.exit()
          }
          expect(steps).toBe(20)
          memoryOf(host).race = undefined
          expectNothingLeft(host)
        }
      }
    },
  )

  it('a process dies at each point of a scan', async () => {
    for (const point of SCAN_POINTS) {
      for (const survivors of [0, 1]) {
        const host = await bootHost({ index, frames: 64 })
        host.ksm.set('run', 1)
        const keeper = survivors === 0 ? undefined : spawn(host, 4)
        let died = 0
        for (let after = 0; after < 12; after++) {
          const mms = [spawn(host, 3), spawn(host, 3)]
          let left = after
          memoryOf(host).race = (at) => {
            if (at !== point || left-- > 0) return
            memoryOf(host).race = undefined
            died++
            for (const mm of mms.splice(0)) mm.exit()
          }
          host.ksm.scan(3)
          memoryOf(host).race = undefined
          host.audit()
          for (const mm of mms) mm.exit()
        }
        expect(died, `${point} is reached`).toBeGreaterThan(0)
        keeper?.exit()
        expectNothingLeft(host)
      }
    }
  })

  it('the list of slots becomes empty between the look at it and the step of the cursor', async () => {
    const host = await bootHost({ index, frames: 16 })
    host.ksm.set('run', 1)
    const mm = spawn(host, 0)
    memoryOf(host).race = (at) => {
      if (at === 'scan: after unstable reset') mm.exit()
    }
    expect(host.ksm.scanPages(10)).toBe(0)
    expect(ksmOf(host).slots.isEmpty).toBe(true)
    expect(ksmOf(host).cursor.slot).toBe(ksmOf(host).slots.head)
    expect(host.ksm.counters().full_scans, 'no scan has ended').toBe(0)
    memoryOf(host).race = undefined
    spawn(host, 2)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    host.audit()
  })
})
