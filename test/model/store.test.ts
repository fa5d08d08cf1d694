// A store of snapshots against a plain map of what was saved, in memory and in a directory that is opened again and again: bytes,
// differences and figures after every operation.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'
import { PROPERTY_TIMEOUT, tryPrograms } from '../support/property.ts'
import { type Random, random } from '../support/random.ts'

const PAGE = 4096

type Operation = readonly [
  kind: 'save' | 'save-image' | 'drop' | 'restore' | 'difference' | 'compact' | 'reopen' | 'check',
  seed: number,
]

interface Saved {
  readonly bytes: Uint8Array
  readonly domain: string
}

/** What the store is to hold, told plainly. */
type Model = Map<string, Saved>

const DOMAINS = ['', 'one', 'two']

/** A state like another, or a fresh one: few contents, so that pages meet, and many zeros. */
function nextState(draw: Random, base: Uint8Array | undefined): Uint8Array {
  const pages = 1 + draw.below(200)
  const length = draw.chance(0.5) || base === undefined ? pages * PAGE - draw.below(PAGE) : base.length
  const bytes = new Uint8Array(length)
  if (base !== undefined) bytes.set(base.subarray(0, length))
  const writes = base === undefined ? 3 * pages : draw.below(12)
  for (let i = 0; i < writes; i++) {
    const at = draw.below(Math.ceil(length / PAGE)) * PAGE
    const page = bytes.subarray(at, at + PAGE)
    if (draw.chance(0.3)) page.fill(0)
    else page.fill(1 + draw.below(40), 0, draw.chance(0.5) ? page.length : 1 + draw.below(page.length))
  }
  return bytes
}

/** The pages of some bytes, the last filled up with zeros. */
function pagesOf(bytes: Uint8Array): Buffer[] {
  const filled = Buffer.alloc(Math.ceil(bytes.length / PAGE) * PAGE)
  filled.set(bytes)
  return Array.from({ length: filled.length / PAGE }, (_, i) => filled.subarray(i * PAGE, (i + 1) * PAGE))
}

const ZERO = Buffer.alloc(PAGE)
const digest = (page: Uint8Array): string => createHash('sha256').update(page).digest('hex')

/** What stats() must say of a domain, or of all together. */
function expectedStats(model: Model, domain?: string): object {
  const saved = [...model.values()].filter((one) => domain === undefined || one.domain === domain)
  const pages = saved.flatMap((one) => pagesOf(one.bytes).map((page) => ({ page, domain: one.domain })))
  const other = pages.filter(({ page }) => !page.equals(ZERO))
  return {
    snapshots: saved.length,
    pages: pages.length,
    distinct_pages: new Set(other.map(({ page, domain }) => `${domain} ${digest(page)}`)).size,
    zero_pages: pages.length - other.length,
  }
}

async function check(store: SnapshotStore, model: Model): Promise<void> {
  expect(store.list().map(({ name }) => name)).toEqual([...model.keys()])
  for (const domain of [undefined, ...DOMAINS])
    expect(store.stats(domain === undefined ? {} : { domain })).toMatchObject(expectedStats(model, domain))
  for (const [name, { bytes }] of model) {
    const into = new Uint8Array(bytes.length + 3).fill(255)
    await store.restore(name, into)
    expect(Buffer.compare(into.subarray(0, bytes.length), bytes), name).toBe(0)
    expect([...into.subarray(bytes.length)]).toEqual([255, 255, 255])
  }
  expect(await store.verify()).toMatchObject({ whole: true, damaged: [] })
}

/** Has bytes saved as where the platform has nothing to compare them with. */
async function withoutCompare<Result>(work: () => Promise<Result>): Promise<Result> {
  const { compare } = Buffer
  try {
    Buffer.compare = undefined as never
    return await work()
  } finally {
    Buffer.compare = compare
  }
}

const asItIs = <Result>(work: () => Promise<Result>): Promise<Result> => work()

async function run(
  operations: readonly Operation[],
  directory: string | undefined,
  saving = asItIs,
): Promise<void> {
  let store = await SnapshotStore.open(directory)
  const model: Model = new Map()
  let saves = 0
  for (const [kind, seed] of operations) {
    const draw = random(seed)
    const names = [...model.keys()]
    const [name, other] = names.length === 0 ? [undefined, undefined] : [draw.pick(names), draw.pick(names)]
    if (kind === 'save' || kind === 'save-image') {
      const base = name === undefined || draw.chance(0.3) ? undefined : model.get(name)!
      const bytes = nextState(draw, base?.bytes)
      const domain = base?.domain ?? draw.pick(DOMAINS)
      const like = base !== undefined && draw.chance(0.7) ? { like: name! } : {}
      const before = store.stats().distinct_pages
      const source = kind === 'save' ? bytes : imageOf(bytes)
      const fresh = `${++saves}`
      const { added_pages, ...saved } = await saving(() => store.save(fresh, source, { ...like, domain }))
      const length = kind === 'save' ? bytes.length : pagesOf(bytes).length * PAGE
      model.set(fresh, { bytes: Buffer.concat(pagesOf(bytes)).subarray(0, length), domain })
      expect(saved).toMatchObject({ name: fresh, pages: pagesOf(bytes).length })
      expect(added_pages).toBe(store.stats().distinct_pages - before)
    } else if (kind === 'reopen') {
      if (directory === undefined) continue
      await store.close()
      store = await SnapshotStore.open(directory)
      expect(store.notes).toEqual([])
    } else if (kind === 'compact') {
      await store.compact(name === undefined || draw.chance(0.5) ? {} : { inOrder: name })
      expect(store.stats().bytes_free).toBeLessThan(directory === undefined ? 2 ** 20 : 1)
    } else if (kind === 'check') await check(store, model)
    else if (name === undefined) continue
    else if (kind === 'drop') {
      await store.drop(name)
      model.delete(name)
    } else if (kind === 'restore') await restoreFrom(store, model, name, other!)
    else expectDifference(store, model, name, other!)
  }
  await check(store, model)
  await store.close()
}

function imageOf(bytes: Uint8Array) {
  const all = Buffer.concat(pagesOf(bytes))
  return {
    source: 'image',
    format: 'raw',
    pages: all.length / PAGE,
    notes: [],
    addressOf: (page: number) => page * PAGE,
    read: (first: number, count: number, into: Uint8Array) =>
      into.set(all.subarray(first * PAGE, (first + count) * PAGE)),
    close: () => {},
  }
}

/** What holds one snapshot holds the other afterwards, and no more was written than differs. */
async function restoreFrom(store: SnapshotStore, model: Model, name: string, from: string): Promise<void> {
  const [to, held] = [model.get(name)!, model.get(from)!]
  const into = new Uint8Array(Math.max(to.bytes.length, held.bytes.length))
  into.set(held.bytes)
  const { pages_written } = await store.restore(name, into, { from })
  expect(Buffer.compare(into.subarray(0, to.bytes.length), to.bytes)).toBe(0)
  const pages = pagesOf(to.bytes)
  const others = pagesOf(held.bytes)
  if (to.domain === held.domain)
    expect(pages_written).toBe(pages.filter((page, i) => others[i]?.equals(page) !== true).length)
}

function expectDifference(store: SnapshotStore, model: Model, a: string, b: string): void {
  const [one, other] = [model.get(a)!, model.get(b)!]
  if (one.domain !== other.domain) {
    expect(() => store.difference(a, b)).toThrow('EPERM')
    return
  }
  const [pages, others] = [pagesOf(one.bytes), pagesOf(other.bytes)]
  const numbers = Array.from({ length: Math.max(pages.length, others.length) }, (_, i) => i)
  expect(store.difference(a, b)).toEqual(
    numbers.filter((i) => pages[i] === undefined || others[i]?.equals(pages[i]) !== true),
  )
}

const operation = fc.tuple(
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('save', 'save-image') },
    { weight: 3, arbitrary: fc.constantFrom('drop', 'drop', 'restore', 'difference') },
    { weight: 2, arbitrary: fc.constantFrom('compact', 'reopen', 'check') },
  ),
  fc.nat(2 ** 31 - 1),
) as fc.Arbitrary<Operation>
const program = fc.array(operation, { minLength: 1, maxLength: 30 })

describe('a store holds what was saved, and counts what it holds', () => {
  it('in memory', { timeout: PROPERTY_TIMEOUT }, () =>
    tryPrograms(
      { name: 'a store in memory', length: 15, runs: 40, share: 0.002 },
      program,
      (operations) => operations.length,
      (operations) => run(operations, undefined),
    ),
  )

  it('in memory, where the platform compares nothing', { timeout: PROPERTY_TIMEOUT }, () =>
    tryPrograms(
      { name: 'a store without memcmp', length: 15, runs: 20, share: 0.001 },
      program,
      (operations) => operations.length,
      (operations) => run(operations, undefined, withoutCompare),
    ),
  )

  it('in a directory', { timeout: PROPERTY_TIMEOUT }, () =>
    tryPrograms(
      { name: 'a store in a directory', length: 15, runs: 20, share: 0.001 },
      program,
      (operations) => operations.length,
      (operations) => run(operations, scratch()),
    ),
  )
})
