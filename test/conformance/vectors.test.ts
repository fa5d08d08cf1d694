// Counter vectors: small histories whose counters follow from the algorithm by hand. All but those with run=0 have been
// confirmed on a running Linux 6.18.

import { describe, expect, it } from 'vitest'
import { INDEX_NAMES } from '../../src/index.ts'
import { type Operation, type Program, runHistory } from '../support/history.ts'

type Vector = [
  shared: number,
  sharing: number,
  unshared: number,
  volatile: number,
  chains?: number,
  dups?: number,
]

/** One process, one mergeable region of `count` pages, each with the content given. */
function region(contents: readonly number[]): Operation[] {
  return [
    ['spawn', 1],
    ['map', 1, 1, contents.length],
    ['mergeable', 1, 1, 0, contents.length],
    ...contents.map((content, page): Operation => ['write', 1, 1, page, content]),
  ]
}

const same = (count: number, content = 7): number[] => new Array(count).fill(content)
const scans = (count: number): Operation[] => new Array(count).fill(['scan', 1])

describe.each(INDEX_NAMES)('counter vectors, index %s', (index) => {
  async function run(program: Program) {
    const rows = await runHistory(program, { index }, (host) => host.audit())
    return rows.map((row) => ({
      ...row,
      vector: [
        row.pages_shared,
        row.pages_sharing,
        row.pages_unshared,
        row.pages_volatile,
        row.stable_node_chains,
        row.stable_node_dups,
      ] as number[],
    }))
  }

  async function expectVectors(program: Program, wanted: readonly Vector[]) {
    const rows = await run(program)
    expect(rows.map(({ vector }) => vector)).toEqual(wanted.map((vector) => [...vector, 0, 0].slice(0, 6)))
    return rows
  }

  it.each<[max: number, pages: number, after2: Vector]>([
    [256, 1, [0, 0, 1, 0]],
    [256, 10, [1, 9, 0, 0]],
    [10, 11, [1, 9, 1, 0]],
    [10, 25, [3, 22, 0, 0, 1, 3]],
    [2, 5, [2, 2, 1, 0, 1, 2]],
    [3, 7, [2, 4, 1, 0, 1, 2]],
    [4, 8, [2, 6, 0, 0, 1, 2]],
    [4, 9, [2, 6, 1, 0, 1, 2]],
    [4, 10, [3, 7, 0, 0, 1, 3]],
    [256, 512, [2, 510, 0, 0, 1, 2]],
  ])('max_page_sharing %i, %i equal pages', async (max_page_sharing, pages, after2) => {
    const program = { knobs: { max_page_sharing }, ops: [...region(same(pages)), ...scans(3)] }
    const rows = await expectVectors(program, [[0, 0, 0, pages], after2, after2])
    const [shared, sharing] = after2
    expect(rows[0]!.mms[1]!.ksm_rmap_items).toBe(pages)
    expect(rows[1]!.mms[1]!.ksm_merging_pages).toBe(shared + sharing)
    expect(rows[0]!.general_profit).toBe(-64 * pages)
    expect(rows[1]!.general_profit).toBe(sharing * 4096 - pages * 64)
    expect(rows[1]!.mms[1]!.ksm_process_profit).toBe((shared + sharing) * 4096 - pages * 64)
  })

  it('counts zero pages placed, and only those, exactly and at once', async () => {
    const rows = await run({
      knobs: { use_zero_pages: 1 },
      ops: [
        ...region(same(10, 0)),
        ...scans(3),
        ['write', 1, 1, 0, 5],
        ['knob', 'use_zero_pages', 0],
        ['unmap', 1, 1, 1, 9],
        ['knob', 'use_zero_pages', 0],
      ],
    })
    const seen = rows.map((row) => [row.ksm_zero_pages, row.mms[1]!.ksm_rmap_items, row.general_profit])
    expect(seen).toEqual([
      [0, 10, -640],
      [10, 10, 40_320],
      [10, 0, 40_960],
      [9, 0, 36_864],
      [0, 0, 0],
    ])
    expect(rows[1]!.vector).toEqual([0, 0, 0, 10, 0, 0])
    expect(rows[2]!.vector).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('does not count zero pages that a read fault placed', async () => {
    const rows = await run({
      knobs: { use_zero_pages: 1 },
      ops: [
        ...region([5]),
        ['map', 1, 2, 4],
        ['mergeable', 1, 2, 0, 4],
        ['read', 1, 2, 0],
        ['read', 1, 2, 3],
        ['scan', 2],
      ],
    })
    expect(rows[0]).toMatchObject({ ksm_zero_pages: 0, pages_unshared: 1, pages_volatile: 0 })
  })

  it('treats zeros like any content without use_zero_pages', async () => {
    await expectVectors({ ops: [...region(same(10, 0)), ...scans(2)] }, [
      [0, 0, 0, 10],
      [1, 9, 0, 0],
    ])
  })

  it('notices a broken merge at the next visit, not before', async () => {
    await expectVectors(
      {
        ops: [...region(same(2)), ['scan', 2], ['write', 1, 1, 0, 8], ['knob', 'smart_scan', 0], ['scan', 1]],
      },
      [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 1],
      ],
    )
    await expectVectors(
      { ops: [...region(same(2)), ['scan', 2], ['write', 1, 1, 0, 8], ['write', 1, 1, 1, 9], ['scan', 1]] },
      [
        [1, 1, 0, 0],
        [0, 0, 0, 2],
      ],
    )
  })

  it('lets a page rejoin its stable node without a partner, at once if its old checksum fits again', async () => {
    await expectVectors(
      {
        ops: [
          ...region(same(2)),
          ['scan', 2],
          ['write', 1, 1, 0, 8],
          ['write', 1, 1, 0, 7],
          ['scan', 1],
          ['write', 1, 1, 0, 8],
          ['scan', 1],
          ['write', 1, 1, 0, 7],
          ['scan', 1],
          ['scan', 1],
        ],
      },
      [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 1],
        [1, 0, 0, 1],
        [1, 1, 0, 0],
      ],
    )
  })

  it.each<[name: string, action: Operation[]]>([
    ['MADV_UNMERGEABLE', [['unmergeable', 1, 1, 0, 10]]],
    ['munmap', [['unmap', 1, 1, 0, 10]]],
  ])('drops everything one scan after %s', async (_, action) => {
    const rows = await expectVectors(
      { ops: [...region(same(10)), ['scan', 2], ...action, ['knob', 'smart_scan', 0], ...scans(1)] },
      [
        [1, 9, 0, 0],
        [1, 9, 0, 0],
        [0, 0, 0, 0],
      ],
    )
    expect(rows.at(-1)!.mms[1]!.ksm_rmap_items).toBe(0)
  })

  it('keeps an exited mm in the counters until ksmd visits it', async () => {
    const rows = await run({
      ops: [
        ['spawn', 0],
        ['map', 0, 1, 1],
        ['mergeable', 0, 1, 0, 1],
        ...region(same(10)),
        ['scan', 2],
        ['exit', 1],
        ['knob', 'smart_scan', 0],
        ['scan', 1],
      ],
    })
    expect(rows.map(({ vector }) => vector.slice(0, 4))).toEqual([
      [1, 9, 0, 0],
      [1, 9, 0, 0],
      [0, 0, 0, 0],
    ])
  })

  it('forgets all with run=2, and merges again after two scans', async () => {
    const rows = await expectVectors({ ops: [...region(same(10)), ['scan', 2], ['run', 2], ...scans(2)] }, [
      [1, 9, 0, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 10],
      [1, 9, 0, 0],
    ])
    expect(rows.map((row) => row.full_scans)).toEqual([2, 0, 1, 2])
  })

  it('never merges a page that is rewritten before every scan', async () => {
    const rewrites = [1, 2, 3, 4].flatMap((content): Operation[] => [
      ['write', 1, 1, 0, content],
      ['scan', 1],
    ])
    await expectVectors({ ops: [...region([9]), ...rewrites] }, new Array(4).fill([0, 0, 0, 1]))
  })

  it('reports a hole in the range of madvise after doing the rest', async () => {
    const rows = await run({
      ops: [
        ['spawn', 1],
        ['map', 1, 1, 6],
        ['unmap', 1, 1, 2, 1],
        ['mergeable', 1, 1, 0, 6],
        ...[0, 1, 3, 4].map((page): Operation => ['write', 1, 1, page, 5]),
        ['scan', 2],
      ],
    })
    expect(rows.map((row) => row.error)).toEqual(['ENOMEM', null])
    expect(rows[1]!.vector).toEqual([1, 3, 0, 0, 0, 0])
  })
})
