// What must never happen, and what others do wrong: a broken invariant closes the host; a listener that throws stops
// nothing.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Host, type Mm, SecondaryMmu } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { errnoOf, guest, makeHost, PAGE } from '../support/world.ts'

afterEach(() => vi.unstubAllGlobals())

async function pair(): Promise<{ host: Host; mm: Mm; at: number }> {
  const host = await makeHost()
  const { mm, at } = guest(host, 'a', [7, 7])
  return { host, mm, at }
}

describe('a broken invariant', () => {
  it('is EUCLEAN with its cause, and the host refuses further calls', async () => {
    const { host, mm, at } = await pair()
    const cause = new Error('the trap')
    memoryOf(host).race = () => {
      throw cause
    }
    let thrown: unknown
    try {
      host.ksm.scan(2)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'EUCLEAN', cause })
    memoryOf(host).race = undefined
    expect(errnoOf(() => host.ksm.scan(1))).toBe('EUCLEAN')
    expect(errnoOf(() => mm.read(at, 1))).toBe('EUCLEAN')
    expect(errnoOf(() => host.createMm())).toBe('EUCLEAN')
    host.close()
  })
})

describe('a listener that throws', () => {
  it('is reported later and stops neither a merge nor a copy', async () => {
    const reported: unknown[] = []
    vi.stubGlobal('queueMicrotask', (task: () => void) => {
      try {
        task()
      } catch (error) {
        reported.push(error)
      }
    })
    const { host, mm, at } = await pair()
    const bad = (name: string) => (): never => {
      throw new Error(name)
    }
    mm.registerNotifier({ invalidateRangeStart: bad('start'), invalidateRangeEnd: bad('end') })
    host.on('ksm_merge_with_ksm_page', bad('tracepoint'))
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    mm.write(at + PAGE, Uint8Array.of(9))
    expect(mm.read(at, 1)).toEqual(Uint8Array.of(7))
    expect(reported.length).toBeGreaterThan(4)
    const names = new Set(reported.map((error) => (error as Error).message))
    expect([...names].sort()).toEqual(['end', 'start', 'tracepoint'])
    host.audit()
    host.close()
  })
})

describe('a getter that throws', () => {
  const cause = new Error('of the caller')
  const fail = (): never => {
    throw cause
  }
  const withGetter = (name: string, others: object = {}): never =>
    Object.defineProperty({ ...others }, name, { enumerable: true, get: fail }) as never
  const methods = { read() {}, write() {} }

  it.each<[string, (host: Host, mm: Mm, at: number) => unknown]>([
    ['an option of createMm', (host) => host.createMm(withGetter('name'))],
    ['an option of mmap', (_, mm) => mm.mmap(PAGE, withGetter('prot'))],
    ['an option of mremap', (_, mm, at) => mm.mremap(at, PAGE, PAGE, withGetter('mayMove'))],
    ['an option of write', (_, mm, at) => mm.write(at, Uint8Array.of(1), withGetter('force'))],
    ['an option of pin', (_, mm, at) => mm.pin(at, PAGE, withGetter('longterm'))],
    ['an option of fork', (_, mm) => mm.fork(withGetter('domain'))],
    ['an option of migrate', (host, mm, at) => host.migrate(mm.pfn(at)!, withGetter('node'))],
    ['the names of options', (_, mm) => mm.mmap(PAGE, new Proxy({}, { ownKeys: fail }))],
    ['the pages of a file', (_, mm) => mm.mmap(PAGE, { file: withGetter('pages', methods) })],
    ['the method of a file', (_, mm) => mm.mmap(PAGE, { file: withGetter('read') })],
    ['the pages of an image', (host) => host.loadImage(withGetter('pages', methods))],
    ['the slots of a swap store', (host) => host.swapOn(withGetter('slots', methods))],
    ['the method of a handler', (_, mm, at) => mm.registerUserfault(at, PAGE, withGetter('onWriteProtect'))],
    ['a range handed to a mirror', (_, mm) => new SecondaryMmu(mm).invalidateRangeStart(withGetter('start'))],
  ])('as %s breaks nothing: the caller gets what it threw', async (_, call) => {
    const { host, mm, at } = await pair()
    expect(() => call(host, mm, at)).toThrow(cause)
    expect(mm.read(at, 1)).toEqual(Uint8Array.of(7))
    mm.mmap(PAGE)
    host.audit()
    host.close()
  })

  it('is EIO where a page of a file is wanted', async () => {
    const { host, mm } = await pair()
    let broken = false
    const file = {
      get pages() {
        return broken ? fail() : 1
      },
      read() {},
    }
    const at = mm.mmap(PAGE, { file })
    broken = true
    expect(errnoOf(() => mm.read(at, 1))).toBe('EIO')
    broken = false
    expect(mm.read(at, 1)).toEqual(Uint8Array.of(0))
    host.audit()
    host.close()
  })
})
