// When the two orders of the trees merge alike, and when `hash` merges earlier. While guests rest during a full scan, however many
// batches it takes, both have counted the same at its end, as long as there are no chains. (In its middle a search by content
// has noticed merged pages that are gone, of other contents, which one by checksum has not on its way.) Where a guest
// acts between two batches of one full scan, an item can be left in the unstable tree whose page is gone. On Linux a search
// that meets it on its way ends there; ordered by checksum it is met only by who looks for the same checksum, which is nobody.

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES } from '../../src/index.ts'
import { firstDifference } from '../support/compare-rows.ts'
import { type Operation, type Program, type Row, runHistory } from '../support/history.ts'
import { BEGINNING, randomProgram } from '../support/random-program.ts'

/** A process with one mergeable page of a content. */
const process = (p: number, content: number): Operation[] => [
  ['spawn', p],
  ['map', p, 2, 1],
  ['mergeable', p, 2, 0, 1],
  ['write', p, 2, 0, content],
]

/** 7, which goes in the middle of the second scan, and twice 8, which is searched for past it. */
const VANISHING: Program = {
  ops: [
    ...BEGINNING,
    ...process(1, 7),
    ...process(2, 8),
    ...process(3, 8),
    ['scan', 1],
    ['batch', 3],
    ['unmap', 1, 2, 0, 1],
    ['scan', 1],
    ['scan', 1],
  ],
}

const merged = (rows: readonly Row[]): string[] =>
  rows.map(({ pages_shared, pages_sharing, pages_unshared }) =>
    [pages_shared, pages_sharing, pages_unshared].join(' '),
  )

/** What both orders count, without the rows in the middle of a scan. */
async function atTheEnds(program: Program): Promise<Row[][]> {
  const ends = (rows: Row[]): Row[] => rows.filter(({ op }) => program.ops[op]![0] !== 'batch')
  return Promise.all(
    INDEX_NAMES.map(async (index) => ends(await runHistory(program, { index, frames: 1024 }))),
  )
}

describe('a page that goes in the middle of a full scan', () => {
  it('content: ends the search of those behind it, as on Linux 6.18; they merge a scan later', async () => {
    const rows = await runHistory(VANISHING, { index: 'content' })
    expect(merged(rows)).toEqual(['0 0 0', '0 0 3', '0 0 3', '1 1 2'])
  })

  it('hash: is not on their way, and they merge at once', async () => {
    const rows = await runHistory(VANISHING, { index: 'hash' })
    expect(merged(rows)).toEqual(['0 0 0', '0 0 3', '1 1 3', '1 1 2'])
  })

  it('between two full scans it makes no difference', async () => {
    const ops: Operation[] = VANISHING.ops.map((op) => (op[0] === 'batch' ? ['scan', 1] : op))
    const [content, hash] = await atTheEnds({ ops })
    expect(firstDifference(content!, hash!, 'hash')).toBeUndefined()
  })
})

describe('batches with guests that rest', () => {
  it.each([1, 2, 3, 4, 5, 6])('have counted alike in both orders when a scan ends, seed %i', async (seed) => {
    const { ops } = randomProgram(seed, { ops: 120, pageout: false })
    const few: Operation[] = Array.from({ length: 12 }, () => ['batch', 1 + (seed % 3)])
    const program = {
      knobs: { max_page_sharing: 256, smart_scan: 0 },
      // A scan that is under way after the batches is ended before anybody acts.
      ops: ops.flatMap((op) => (op[0] === 'scan' ? [...few, op] : op[0] === 'knob' ? [] : [op])),
    }
    const [content, hash] = await atTheEnds(program)
    expect(content!.some((row) => row.pages_sharing > 0)).toBe(true)
    expect(firstDifference(content!, hash!, 'hash')).toBeUndefined()
  })
})
