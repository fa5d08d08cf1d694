// A store on a disk that fails: each call of the file system, one after the other, is the one that does not work. What was told to
// last is there when the store is opened again, what was refused is not, and every snapshot is whole.

import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'

const PAGE = 4096
/** What may fail while a store is written. */
const CALLS = [
  'openSync',
  'writeSync',
  'writeFileSync',
  'fdatasync',
  'fsyncSync',
  'ftruncateSync',
  'renameSync',
  'closeSync',
] as const

function state(n: number): Uint8Array {
  const words = new Uint32Array(150 * 1024)
  for (let page = 0; page < 150; page++)
    words.fill(page < 120 ? page + 1 : 1000 * n + page, page * 1024, (page + 1) * 1024)
  return new Uint8Array(words.buffer)
}

/** Has one call fail, the `nth` of all, with this errno; returns whether it came to that. */
function failing(nth: number, code: string): { happened: () => string | undefined; stop(): void } {
  let count = 0
  let happened: string | undefined
  const spies = CALLS.map((name) => {
    const real = fs[name] as (...args: unknown[]) => unknown
    return vi.spyOn(fs, name).mockImplementation(((...args: unknown[]) => {
      if (count++ !== nth) return real(...args)
      happened = name
      if (name === 'closeSync') real(...args) // it is closed all the same
      const error = Object.assign(new Error(`${code}: made up, ${name}`), { code })
      if (name !== 'fdatasync') throw error
      ;(args.at(-1) as (error: Error) => void)(error)
      return undefined
    }) as never)
  })
  return { happened: () => happened, stop: () => spies.forEach((spy) => void spy.mockRestore()) }
}

/** Does what a user may, and says what the store must hold then, and what nobody can tell. */
async function work(dir: string): Promise<{ held: Map<string, number>; open: Set<string> }> {
  const held = new Map<string, number>()
  const open = new Set<string>()
  let store: SnapshotStore
  try {
    store = await SnapshotStore.open(dir)
  } catch (error) {
    expect((error as Error).name).toBe('PagefoldError')
    return { held, open }
  }
  const attempt = async (what: Promise<unknown>, name: string, done: () => void): Promise<void> => {
    try {
      await what
      done()
    } catch (error) {
      expect((error as Error).name, String(error)).toBe('PagefoldError')
      open.add(name)
    }
  }
  for (let n = 1; n <= 3; n++) await attempt(store.save(`${n}`, state(n)), `${n}`, () => held.set(`${n}`, n))
  await attempt(store.drop('2'), '2', () => held.delete('2'))
  await attempt(store.compact(), '', () => {})
  await attempt(store.save('4', state(4)), '4', () => held.set('4', 4))
  if (held.has('4')) await attempt(store.compact({ inOrder: '4' }), '', () => {})
  for (const [name, n] of held) {
    const into = new Uint8Array(150 * PAGE)
    await store.restore(name, into)
    expect(Buffer.compare(into, state(n)), name).toBe(0)
  }
  await store.close().catch(() => {})
  return { held, open }
}

async function expectHeld(dir: string, held: Map<string, number>, open: Set<string>): Promise<void> {
  // The process is still there, and its lock may be.
  for (const name of fs.existsSync(dir) ? fs.readdirSync(dir) : [])
    if (name.startsWith('lock.')) fs.rmSync(join(dir, name))
  const store = await SnapshotStore.open(dir)
  const names = store.list().map(({ name }) => name)
  for (const name of held.keys()) if (!open.has(name)) expect(names).toContain(name)
  for (const name of names) {
    expect(held.has(name) || open.has(name), `${name} was refused or dropped`).toBe(true)
    const into = new Uint8Array(150 * PAGE)
    await store.restore(name, into)
    expect(Buffer.compare(into, state(Number(name))), name).toBe(0)
  }
  expect((await store.verify()).whole).toBe(true)
  await store.save('more', state(9))
  await store.close()
}

describe('a disk that fails once', () => {
  it.each(['EIO', 'ENOSPC'])(
    'with %s, at any call, costs no snapshot that was there',
    { timeout: 120_000 },
    async (code) => {
      const failed = new Map<string, number>()
      for (let nth = 0; ; nth++) {
        const dir = join(scratch(), 'store')
        const fault = failing(nth, code)
        const { held, open } = await work(dir).finally(() => fault.stop())
        const name = fault.happened()
        if (name === undefined) break
        failed.set(name, (failed.get(name) ?? 0) + 1)
        await expectHeld(dir, held, open)
      }
      expect([...failed.keys()].sort()).toEqual([...CALLS].sort())
      expect([...failed.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(30)
    },
  )
})
