// What is noted of settled stretches (ksm/settled-tables.ts) shows in nothing but time: guests of several tables of ptes, most of whose
// scans are quiet, beside a host that reads every page in every scan.

import { expect, it } from 'vitest'
import type { Mm } from '../../src/index.ts'
import { type Operation, type Program, runHistory } from '../support/history.ts'
import { ksmOf } from '../support/inside.ts'
import { type Random, random } from '../support/random.ts'

const SEEDS = [1, 2, 3, 4, 5, 6]
/** Two tables of ptes and a bit. */
const PAGES = 560
const REGION = 1
const GUESTS = [1, 2, 3]
const CHILD = 9
const ACTS = 90

/** Contents that only one page has begin here. */
const ALONE = 1000

/** A stretch of pages of one guest, seldom long. */
function stretch({ below, pick }: Random): [p: number, r: number, first: number, count: number] {
  const first = below(PAGES)
  return [pick(GUESTS), REGION, first, Math.min(PAGES - first, 1 + below(pick([2, 20, 300])))]
}

function programOf(seed: number): Program {
  const source = random(seed)
  const { below, pick, chance } = source
  const ops: Operation[] = GUESTS.flatMap((p): Operation[] => [
    ['spawn', p],
    ['map', p, REGION, PAGES],
    ['mergeable', p, REGION, 0, PAGES],
  ])
  const content = (): number => (chance(0.5) ? 1 + below(40) : ALONE + below(PAGES * 8))
  const write = (p: number, page: number): Operation => ['write', p, REGION, page, content()]
  for (const p of GUESTS) for (let page = 0; page < PAGES; page++) if (chance(0.9)) ops.push(write(p, page))
  let forked = false
  let pinned: [p: number, r: number, page: number] | undefined
  const acts: (readonly [weight: number, act: () => void])[] = [
    [40, () => ops.push(['scan', 1 + below(4)])],
    [30, () => ops.push(['batch', 1 + below(pick([5, 300, 2000]))])],
    [20, () => ops.push(write(pick(GUESTS), below(PAGES)))],
    [
      6,
      () => {
        const [p, , first, count] = stretch(source)
        for (let page = first; page < first + count; page++) ops.push(write(p, page))
      },
    ],
    [4, () => ops.push(['poke', pick(GUESTS), REGION, below(PAGES), below(4096), below(256)])],
    [4, () => ops.push(['dontneed', ...stretch(source)])],
    [2, () => ops.push(['unmap', ...stretch(source)])],
    [3, () => ops.push([pick(['mergeable', 'unmergeable']), ...stretch(source)])],
    [4, () => ops.push(['mprotect', ...stretch(source), pick([0, 1, 3, 3])])],
    [
      2,
      () => {
        const place = pinned ?? [pick(GUESTS), REGION, below(PAGES)]
        ops.push([pinned === undefined ? 'pin' : 'unpin', ...place])
        pinned = pinned === undefined ? place : undefined
      },
    ],
    [2, () => ops.push(['pageout', ...stretch(source)])],
    [
      2,
      () => {
        ops.push(forked ? ['exit', CHILD] : ['fork', pick(GUESTS), CHILD])
        forked = !forked
      },
    ],
    [1, () => ops.push(['knob', pick(['use_zero_pages', 'smart_scan']), below(2)])],
    [1, () => ops.push(['run', 2])],
  ]
  const weighted = acts.flatMap(([weight, act]) => Array.from({ length: weight }, () => act))
  for (let i = 0; i < ACTS; i++) pick(weighted)()
  return { ops }
}

it.each(SEEDS)('notes of tables change nothing that can be seen: seed %s', async (seed) => {
  const program = programOf(seed)
  let [passed, noted] = [0, 0]
  const [log, checksum] = await Promise.all(
    (['log', 'checksum'] as const).map(async (changes) => {
      const seen: unknown[] = []
      const rows = await runHistory(program, { changes }, (host, processes, op) => {
        const [act] = program.ops[op]!
        if (act !== 'scan' && act !== 'batch') return
        if (op % 8 === 0) host.audit()
        seen.push([...processes.values()].map(framesOf))
        if (changes === 'checksum') return
        passed += host.ksm.batch.passed
        for (const { settledTables } of ksmOf(host).slots) noted += settledTables.size
      })
      return { rows, seen }
    }),
  )
  expect(passed).toBeGreaterThan(0)
  expect(noted).toBeGreaterThan(0)
  expect(log!.rows).toEqual(checksum!.rows)
  expect(log!.seen).toEqual(checksum!.seen)
})

function framesOf(mm: Mm): string {
  return mm
    .smaps()
    .map(({ address, size }) => {
      const pfns: (number | undefined)[] = []
      for (let at = address; at < address + size; at += 4096) pfns.push(mm.pfn(at))
      return pfns.join()
    })
    .join()
}
