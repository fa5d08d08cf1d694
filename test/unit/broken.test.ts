// What must never happen, and what others do wrong: a broken invariant closes the host; a listener that throws stops
// nothing.

import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Host, Mm } from '../../src/index.ts'
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
    const bad = (): never => {
      throw new Error('listener')
    }
    mm.registerNotifier({ invalidateRangeStart: bad, invalidateRangeEnd: bad })
    host.on('ksm_merge_with_ksm_page', bad)
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
    mm.write(at + PAGE, Uint8Array.of(9))
    expect(mm.read(at, 1)).toEqual(Uint8Array.of(7))
    expect(reported.length).toBeGreaterThan(4)
    host.audit()
    host.close()
  })
})
