// Policies of one's own: they decide which pages a scan passes over, and nothing else; wrong ones break nothing.

import { describe, expect, it, onTestFinished } from 'vitest'
import {
  Host,
  type HostOptions,
  INDEX_NAMES,
  type ScannedPage,
  type ScanPolicy,
  stillClock,
} from '../../src/index.ts'
import { pageStates } from '../../src/lab/index.ts'
import { contentBytes, guest, PAGE } from '../support/world.ts'

async function made(options: Partial<HostOptions>): Promise<Host> {
  const host = await Host.create({ frames: 2048, clock: stillClock, ...options })
  onTestFinished(() => host.close())
  host.ksm.set('run', 1)
  return host
}

const fnv1a = (page: Uint8Array): number =>
  page.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5 | 0)
const policy = (skip: ScanPolicy['skip']): ScanPolicy => ({ name: 'mine', skip })

/** Linux's and the phased one, written anew against what a policy is told. */
const LIKE: Readonly<Record<'linux' | 'phased', ScanPolicy>> = {
  linux: policy((page) => {
    if (page.age < 3) return false
    if (page.skips > 0) {
      page.skips--
      return true
    }
    page.skips = page.age === 3 ? 1 : page.age <= 5 ? 2 : page.age <= 8 ? 4 : 8
    return false
  }),
  phased: policy(
    ({ age, scan }) => age >= 3 && scan % (age === 3 ? 2 : age <= 5 ? 3 : age <= 8 ? 5 : 9) !== 0,
  ),
}

describe.each(INDEX_NAMES)('trees ordered by %s', (index) => {
  it.each(['linux', 'phased'] as const)(
    '%s written as a policy counts what the built-in one counts',
    async (name) => {
      const rows = async (options: Partial<HostOptions>): Promise<unknown[]> => {
        const host = await made({ index, ...options })
        const a = guest(
          host,
          'a',
          Array.from({ length: 200 }, (_, i) => i),
        )
        const seen: unknown[] = []
        for (let scan = 0; scan < 50; scan++) {
          if (scan % 9 === 4) guest(host, `late ${scan}`, [scan, scan + 1, 3000 + scan])
          a.mm.write(a.at + (scan % 20) * PAGE, contentBytes(5000 + scan))
          host.ksm.scan(1)
          seen.push(host.ksm.counters())
        }
        host.audit()
        return seen
      }
      expect(await rows({ policy: LIKE[name] })).toEqual(await rows({ smartScan: name }))
    },
  )

  it('that throws: it comes out of the scan, the page has been passed over, and the host goes on', async () => {
    let fail: ((page: ScannedPage) => boolean) | undefined
    const host = await made({ index, policy: policy((page) => (fail === undefined ? false : fail(page))) })
    const a = guest(
      host,
      'a',
      Array.from({ length: 300 }, (_, i) => i),
    )
    guest(
      host,
      'b',
      Array.from({ length: 300 }, (_, i) => i + 250),
    )
    host.ksm.scan(1)
    for (const [answer, said] of [
      [
        () => {
          throw new Error('not today')
        },
        /^not today$/,
      ],
      [() => undefined, /`skip\(\)` of policy `mine` to be true or false, got undefined/],
      [
        (page: ScannedPage) => {
          page.skips = 16
          return false
        },
        /`skips` to be an integer in 0..15, got 16/,
      ],
      [
        (page: ScannedPage) => {
          page.skips = 0.5
          return true
        },
        /`skips` to be an integer/,
      ],
      [
        (page: ScannedPage) => {
          Object.assign(page, { age: 9 })
          return true
        },
        /age/,
      ],
    ] as const) {
      for (let round = 0; round < 3; round++) {
        let calls = 0
        fail = (page) => (calls++ === 70 * round + 10 ? (answer(page) as boolean) : false)
        expect(() => host.ksm.scan(1)).toThrow(said)
        fail = undefined
        host.audit()
        a.mm.write(a.at + round * PAGE, contentBytes(1000 + round))
      }
    }
    host.ksm.scan(3)
    host.audit()
    expect(host.ksm.counters().pages_shared).toBe(50)
  })
})

describe('a policy', () => {
  it('is told what it may go by', async () => {
    const told: ScannedPage[] = []
    const host = await made({
      policy: policy((page) => {
        const { mm, address, age, scan, unshared, zero, skips } = page
        told.push({ mm, address, age, scan, unshared, zero, skips })
        if (skips < 15) page.skips++
        return scan === 3
      }),
    })
    const { at } = guest(host, 'a', [7, 0])
    guest(host, 'b', [8, 8])
    host.ksm.scan(6)
    const page = { mm: 'a', address: at }
    expect(told.filter(({ mm, address }) => mm === 'a' && address === at)).toEqual([
      { ...page, age: 0, scan: 0, unshared: false, zero: false, skips: 0 },
      { ...page, age: 1, scan: 1, unshared: false, zero: false, skips: 1 },
      { ...page, age: 2, scan: 2, unshared: true, zero: false, skips: 2 },
      { ...page, age: 3, scan: 3, unshared: true, zero: false, skips: 3 },
      { ...page, age: 4, scan: 4, unshared: false, zero: false, skips: 4 },
      { ...page, age: 5, scan: 5, unshared: true, zero: false, skips: 5 },
    ])
    const zeros = told.filter(({ mm, address }) => mm === 'a' && address === at + PAGE)
    expect(zeros.map(({ zero }) => zero)).toEqual([false, true, true, true, true, true])
    // Once merged, pages are not asked about.
    expect(told.filter(({ mm }) => mm === 'b').map(({ scan }) => scan)).toEqual([0, 0, 1, 1])
    host.ksm.scan(20)
    expect(told.at(-1)).toMatchObject({ age: 15, scan: 25, skips: 15 })
  })

  it('is told of no page that it is zero before it was looked at, whatever the checksum of zeros is', async () => {
    const told: boolean[] = []
    const host = await made({
      checksum: { name: 'zeroed', bits: 32, hash: (page) => (fnv1a(page) ^ fnv1a(contentBytes(0))) >>> 0 },
      policy: policy(({ zero }) => {
        told.push(zero)
        return false
      }),
    })
    guest(host, 'a', [0])
    host.ksm.scan(2)
    expect(told).toEqual([false, true])
  })

  it('is asked while smart_scan is 1, and counted', async () => {
    let asked = 0
    const host = await made({ policy: policy(() => asked++ >= 0) })
    const a = guest(host, 'a', [1, 2])
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_skipped: 4, pages_scanned: 0, pages_volatile: 2 })
    const range = { ...{ mm: a.mm, address: a.at }, pages: 2 }
    expect([...pageStates(host, [range]).states]).toEqual([6, 6]) // skipped
    host.ksm.set('smart_scan', 0)
    host.ksm.scan(2)
    expect(asked).toBe(4)
    expect(host.ksm.counters()).toMatchObject({ pages_skipped: 4, pages_scanned: 4, pages_unshared: 2 })
    expect([...pageStates(host, [range]).states]).toEqual([4, 4]) // unique
    expect(host.policy.smartScan).toBe('mine')
  })

  const NONE: unknown[] = [5, null, {}, { name: 'mine' }, { skip() {} }, { name: 5, skip() {} }]

  it.each(NONE)('is no policy: %j', async (wrong) => {
    await expect(made({ policy: wrong as never })).rejects.toThrow(/`policy`/)
  })

  it('takes the place of smartScan, not one beside it', async () => {
    await expect(made({ policy: LIKE.linux, smartScan: 'phased' })).rejects.toThrow(
      /no `smartScan` beside `policy` mine/,
    )
  })
})
