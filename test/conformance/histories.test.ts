// Histories: programs of memory operations by several processes, and every counter after every scan. Those in
// recorded/histories were counted by a running kernel; they need none here. seed-*.json are random; shrunk-*.json once
// found a difference between Linux and pagefold, or in this harness, and are the shortest that did. Where there is a
// kernel to ask, some random ones are run on it now. `npm run test:kernel` runs as many as wanted, and records.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { CHANGES_POLICIES, INDEX_NAMES } from '../../src/index.ts'
import { actsMidScan, differenceBeforeChains, firstDifference } from '../support/compare-rows.ts'
import { runHistory } from '../support/history.ts'
import {
  kernelUnavailable,
  readsZeroPage,
  runOnKernel,
  withSwapFile,
  withWorker,
} from '../support/kernel-history.ts'
import { randomProgram } from '../support/random-program.ts'
import { formatRecording, parseRecording } from '../support/recording.ts'
import { shrink } from '../support/shrink.ts'

const RECORDED = new URL('recorded/histories/', import.meta.url)
const NAMES = readdirSync(RECORDED)

/** With the hash index pages join other dups of a chain there than on Linux; the reason is in compare-rows.ts. */
const OTHER_DUPS = ['shrunk-93.json', 'shrunk-203.json']

/** More than any recorded history ever has in use: an audit after every operation looks at all of them. */
const FRAMES = 512

const LIVE_SEEDS = [1, 2, 3, 4, 5]
const LIVE_OPS = 150

function recording(name: string) {
  return parseRecording(readFileSync(new URL(name, RECORDED), 'utf8'))
}

const WAYS = INDEX_NAMES.flatMap((index) => CHANGES_POLICIES.map((changes) => ({ index, changes })))

describe.each(WAYS)('recorded histories, index $index, changes by $changes', ({ index, changes }) => {
  it.each(NAMES)('%s', async (name) => {
    const { program, rows } = recording(name)
    const counted = await runHistory(program, { index, changes, frames: FRAMES }, (host) => host.audit())
    if (index === 'hash' && actsMidScan(program)) return
    if (index === 'hash' && OTHER_DUPS.includes(name)) {
      expect(differenceBeforeChains(rows, counted, index)).toBeUndefined()
      expect(firstDifference(rows, counted, index)).toBeDefined()
    } else {
      expect(firstDifference(rows, counted, index)).toBeUndefined()
    }
  })
})

describe('the recorded histories', () => {
  it('are at least 30, of a Linux, and do everything a history can', () => {
    const all = NAMES.map(recording)
    expect(all.length).toBeGreaterThanOrEqual(30)
    for (const { kernel } of all) expect(kernel).toMatch(/^Linux \d+\.\d+/)
    const done = new Set(all.flatMap(({ program }) => program.ops.map(([op]) => op)))
    const every =
      'spawn fork exec exit map unmap mergeable unmergeable dontneed write poke read mprotect mremap'
    expect([...done].sort()).toEqual(
      `${every} pin dma_pin unpin pageout merge_any knob run scan batch resize move_resize lock unlock free populate`
        .split(' ')
        .sort(),
    )
  })

  it('are written as they are read', () => {
    for (const name of NAMES) {
      expect(formatRecording(recording(name))).toBe(readFileSync(new URL(name, RECORDED), 'utf8'))
    }
  })

  it('are told apart from what only looks like them', () => {
    const { rows } = recording(NAMES.find((name) => recording(name).rows.length > 3)!)
    expect(firstDifference(rows, rows, 'content')).toBeUndefined()
    const last = rows.at(-1)!
    const wrong = [...rows.slice(0, -1), { ...last, pages_shared: last.pages_shared + 1 }]
    expect(firstDifference(rows, wrong, 'content')).toContain('pages_shared')
    expect(firstDifference(rows, rows.slice(0, -1), 'content')).toContain('no more')
    const p = Object.keys(last.mms)[0]!
    const mms = { ...last.mms, [p]: { ...last.mms[p], ksm_rmap_items: -1 } }
    expect(firstDifference(rows, [...rows.slice(0, -1), { ...last, mms }], 'hash')).toContain(
      'ksm_rmap_items',
    )
  })
})

describe('a failing history', () => {
  it('is made as short as it can be', async () => {
    const short = await shrink(randomProgram(11, { ops: 200 }), async ({ ops }) => {
      const writers = new Set(ops.flatMap(([op, p]) => (op === 'write' && p !== 0 ? [p] : [])))
      return writers.size >= 2 && ops.some(([op]) => op === 'scan')
    })
    const kept = short.ops.slice(5).map(([op]) => op)
    expect(kept.filter((op) => op === 'write')).toHaveLength(2)
    expect(kept.filter((op) => op === 'scan')).toHaveLength(1)
    expect(kept.length).toBeLessThanOrEqual(6)
    expect(short.knobs).toEqual({})
  })
})

const unavailable = kernelUnavailable()

describe.skipIf(unavailable !== undefined)(
  `the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  () => {
    it('counts what pagefold counts', { timeout: 900_000 }, async () => {
      const source = fileURLToPath(new URL('kernel-worker.c', import.meta.url))
      await withWorker(source, (worker) =>
        withSwapFile(async (swapFile) => {
          const options = {
            ops: LIVE_OPS,
            pageout: swapFile !== undefined,
            untouchedReads: readsZeroPage(worker),
          }
          for (const seed of LIVE_SEEDS) {
            const program = randomProgram(seed, options)
            const kernel = await runOnKernel({ worker, swapFile }, program)
            const content = await runHistory(program, { index: 'content' })
            const hash = await runHistory(program, { index: 'hash' })
            expect(firstDifference(kernel, content, 'content'), `seed ${seed}`).toBeUndefined()
            expect(differenceBeforeChains(kernel, hash, 'hash'), `seed ${seed}`).toBeUndefined()
          }
          for (const seed of LIVE_SEEDS) {
            const program = randomProgram(seed, { ...options, wide: true })
            const kernel = await runOnKernel({ worker, swapFile }, program)
            const content = await runHistory(program, { index: 'content' })
            expect(firstDifference(kernel, content, 'content'), `wide, seed ${seed}`).toBeUndefined()
          }
        }),
      )
    })
  },
)
