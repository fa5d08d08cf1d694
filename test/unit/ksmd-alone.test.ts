// Somebody else uses the machine's ksmd at the same time: it is said, in words that tell what to do, and not found as a wrong
// number. On a directory that only looks like ksmd's.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Ksmd, NotAlone, withKsmd } from '../../bench/peers/ksmd.ts'
import { compilerUnavailable } from '../../bench/peers/native.ts'
import { FakeKsmd } from '../support/fake-ksmd.ts'
import { KNOBS } from '../support/history.ts'
import { runOnKernel, withWorker } from '../support/kernel-history.ts'

let fake: FakeKsmd
beforeEach(() => {
  fake = new FakeKsmd()
})
afterEach(() => fake.stop())

const SCAN = async (ksmd: Ksmd): Promise<void> => void (await ksmd.fullScan())

/** Has ksmd step through `use` and returns what came of it: nothing, or what was said. */
async function said(use: (ksmd: Ksmd) => Promise<void>): Promise<string> {
  const before = fake.files()
  try {
    await withKsmd({ max_page_sharing: 2 }, use, fake.places)
    return ''
  } catch (error) {
    expect(error).toBeInstanceOf(NotAlone)
    return (error as Error).message
  } finally {
    const { full_scans: _, pages_scanned: __, ...knobs } = before
    expect(fake.files()).toMatchObject(knobs)
    expect(existsSync(fake.places.lock)).toBe(false)
  }
}

/** A process as /proc shows it. */
function processWith(pid: number, name: string, stat: string): void {
  mkdirSync(join(fake.places.proc, String(pid)))
  writeFileSync(join(fake.places.proc, String(pid), 'comm'), `${name}\n`)
  writeFileSync(join(fake.places.proc, String(pid), 'ksm_stat'), stat)
}

describe('ksmd', () => {
  it('alone is stepped, one full scan at a time', async () => {
    processWith(1, 'init', 'ksm_rmap_items 0\nksm_mergeable: no\n')
    processWith(process.pid, 'node', 'ksm_rmap_items 7\nksm_mergeable: yes\n')
    const scans = async (ksmd: Ksmd): Promise<void> => {
      await SCAN(ksmd)
      await SCAN(ksmd)
      expect(ksmd.counter('full_scans')).toBe(9)
    }
    expect(await said(scans)).toBe('')
  })

  it('alone is stepped a batch at a time, which need not end a full scan', async () => {
    const PART = 10
    // What ksmd has scanned of a full scan, before it sleeps again.
    fake.meanwhile = () => {
      fake.set('pages_scanned', Number(fake.get('pages_scanned')) + PART)
      fake.set('full_scans', Number(fake.get('full_scans')) - 1)
    }
    const batches = async (ksmd: Ksmd): Promise<void> => {
      await ksmd.batch()
      await ksmd.batch()
      expect(ksmd.counter('full_scans')).toBe(7)
      expect(ksmd.counter('pages_scanned')).toBe(1000 + 2 * (50 + PART))
    }
    expect(await said(batches)).toBe('')
  })

  const meanwhile: [string, () => void, RegExp][] = [
    ['stops it', () => fake.set('run', 0), /: run is 0, and was set to 1\./],
    ['unmerges everything', () => fake.set('run', 2), /: run is 2, and was set to 1\./],
    [
      'has it scan less at a time',
      () => fake.set('pages_to_scan', 7),
      /pages_to_scan is 7, and was set to 1073741824/,
    ],
    [
      'changes what it merges',
      () => fake.set('max_page_sharing', 9),
      /max_page_sharing is 9, and was set to 2/,
    ],
    ['has it scan more', () => fake.scan(), /full_scans rose by 2 where one scan was asked for/],
  ]
  it.each(meanwhile)('of which somebody else %s during a scan', async (_, act, words) => {
    fake.meanwhile = act
    const message = await said(SCAN)
    expect(message).toMatch(words)
    expect(message).toMatch(
      /^somebody else on this machine uses ksmd: .* run again when nobody else uses it$/,
    )
  })

  const between: [string, () => void, RegExp][] = [
    ['starts it', () => fake.set('run', 1), /run is 1, and was set to 0/],
    [
      'has had it scan',
      () => fake.scan(),
      /it was full_scans 8, pages_scanned 1050, now it is full_scans 9, pages_scanned 1100/,
    ],
  ]
  it.each(between)('of which somebody else %s between two scans', async (_, act, words) => {
    const scans = async (ksmd: Ksmd): Promise<void> => {
      await SCAN(ksmd)
      fake.stop()
      act()
      await SCAN(ksmd)
    }
    expect(await said(scans)).toMatch(words)
  })

  it.each(['ksm_rmap_items 12\n', 'ksm_rmap_items 0\nksm_mergeable: yes\n'])(
    'that counts the pages of another process too (%j)',
    async (stat) => {
      processWith(4242, 'qemu-system-x86', stat)
      expect(await said(SCAN)).toMatch(/: process 4242 \(qemu-system-x86\) has mergeable memory\./)
    },
  )

  it('that does so from the middle on', async () => {
    const scan = async (ksmd: Ksmd): Promise<void> => {
      await SCAN(ksmd)
      processWith(4242, 'late', 'ksm_rmap_items 12\n')
    }
    expect(await said(scan)).toMatch(/: process 4242 \(late\) has mergeable memory\./)
  })
})

const canBuild = process.platform === 'linux' && compilerUnavailable() === undefined

describe.skipIf(!canBuild)('a history', () => {
  const SOURCE = resolve(import.meta.dirname, '../conformance/kernel-worker.c')
  /** Another process that writes a knob as soon as ksmd is started. */
  const other = (knob: string, value: number) =>
    spawn(process.execPath, [
      '-e',
      // In place: as in sysfs, nobody finds a file empty.
      `const fs = require('fs'), at = (name) => process.argv[1] + '/' + name
       const set = (name, value) => fs.writeSync(fs.openSync(at(name), 'r+'), value.padEnd(12), 0)
       setInterval(() => {
         if (fs.readFileSync(at('run'), 'utf8')[0] !== '1') return
         set('${knob}', '${value}')
         set('full_scans', '8')
         process.exit()
       }, 1)`,
      fake.places.sysfs,
    ])

  it.each([
    ['run', 0],
    ['pages_to_scan', 7],
  ] as const)('in which somebody else writes %s says so', { timeout: 120_000 }, async (knob, value) => {
    fake.stop()
    fake.set('run', 0)
    for (const name of COUNTED) if (!(name in fake.files())) fake.set(name, 0)
    const child = other(knob, value)
    await withWorker(SOURCE, async (worker) => {
      const history = runOnKernel({ worker, places: fake.places }, { knobs: {}, ops: [['scan', 1]] })
      await expect(history).rejects.toThrow(new RegExp(`uses ksmd: ${knob} is ${value}, and was set to `))
    })
    child.kill()
  })
})

const COUNTED = [
  ...['pages_shared', 'pages_sharing', 'pages_unshared', 'pages_volatile', 'pages_skipped', 'general_profit'],
  ...[
    'stable_node_chains',
    'stable_node_dups',
    'ksm_zero_pages',
    'merge_across_nodes',
    ...Object.keys(KNOBS),
  ],
]
