// The store's clients in examples/, run as a user runs them, on packages as npm has them; without those they are skipped, and say so.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WAIT = { timeout: 240_000 }

function isMissing(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name)
    return false
  } catch {
    console.log(`skipped: the package ${name} is not installed`)
    return true
  }
}

function run(example: string, ...args: string[]): string {
  return runProgram(`${example}/main.mjs`, ...args)
}

function runProgram(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'examples', program), ...args], {
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

describe('sessions of QuickJS', () => {
  it.skipIf(isMissing('quickjs-wasi'))('are suspended, kept, and go on', WAIT, async () => {
    const dir = join(scratch(), 'store')
    expect(run('quickjs', '30', dir)).toMatch(
      /^all sessions went on\n31 heaps of [\d.]+ MiB in [\d.]+ MiB: \d+ distinct pages\n$/,
    )
    const store = await SnapshotStore.open(dir)
    const { snapshots, pages, distinct_pages } = store.stats()
    expect(snapshots).toBe(31)
    // The base, and little more for each session.
    const base = store.get('base')!
    expect(distinct_pages).toBeLessThan(base.pages - base.zero_pages + 30 * 40)
    expect(pages).toBeGreaterThan(15 * distinct_pages)
    await store.close()
  })
})

describe('moments of PGlite', () => {
  it.skipIf(isMissing('@electric-sql/pglite'))('are kept, and one is gone on from', WAIT, async () => {
    const dir = join(scratch(), 'store')
    expect(run('pglite', '2', dir)).toMatch(
      /^moment 0: .*\nmoment 1: .*\n.* distinct pages\nmoment 1 is back: 2000 entries\n$/,
    )
    const store = await SnapshotStore.open(dir)
    expect(store.difference('heap-0', 'heap-1').length).toBeLessThan(store.get('heap-0')!.pages / 50)
    expect((await store.verify()).whole).toBe(true)
    await store.close()
  })
})

describe('moments of a PC in v86', () => {
  it.skipIf(isMissing('v86'))('are kept, and another goes on from one', WAIT, async () => {
    const dir = join(scratch(), 'store')
    expect(run('v86', '4', dir)).toMatch(
      /^(moment \d: .*\n){4}4 states of .* distinct pages\nmoment 2 is back, and goes on\n$/,
    )
    const store = await SnapshotStore.open(dir)
    const { snapshots, pages, distinct_pages } = store.stats()
    expect(snapshots).toBe(4)
    expect(pages).toBeGreaterThan(3 * distinct_pages)
    await store.close()
  })
})

describe('moments of a RISC-V guest that runs', () => {
  it('are kept, and another goes on from one to the same end', WAIT, async () => {
    runProgram('riscv/build.mjs')
    const dir = join(scratch(), 'store')
    expect(runProgram('riscv/build/store.js', '4', dir)).toMatch(
      /^(moment-\d: \d+ pages are new\n){4}4 moments of 2048 pages: \d+ .*\nmoment-3 went on for \d+ lines, to the same end\n$/,
    )
    const store = await SnapshotStore.open(dir)
    const { pages, zero_pages, distinct_pages } = store.stats()
    expect(pages - zero_pages).toBeGreaterThan(3 * distinct_pages)
    expect((await store.verify()).whole).toBe(true)
    await store.close()
  })
})
