// Pages that need no visit are passed over, and nothing that can be seen from outside differs from a host that visits them.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { Window } from '../../src/core/window.ts'
import { type Host, type HostOptions, type Mm, SecondaryMmu } from '../../src/index.ts'
import { runHistory } from '../support/history.ts'
import { ksmOf } from '../support/inside.ts'
import { randomProgram } from '../support/random-program.ts'
import { addRange, contentBytes, errnoOf, type Guest, guest, makeHost, PAGE } from '../support/world.ts'

/** Of programs in which pages are passed over. */
const SEEDS = [5, 6, 7, 8, 9, 10, 13, 14]

afterEach(() => void vi.restoreAllMocks())

/** Pages that ksmd visits while `act` runs. */
function visits(act: () => void): number {
  const push = vi.spyOn(Window.prototype, 'push')
  act()
  const { length } = push.mock.calls
  push.mockRestore()
  return length
}

const scans = (host: Host): number => visits(() => host.ksm.scan(1))

/** Two guests that share two pages of three, one of them twice, some scans on: everything is settled. */
async function settledHost(options: Partial<HostOptions> = {}): Promise<{ host: Host; a: Guest; b: Guest }> {
  const host = await makeHost(options)
  const a = guest(host, 'a', [1, 2, 3, 1])
  const b = guest(host, 'b', [1, 2, 4])
  host.ksm.scan(5)
  return { host, a, b }
}

describe('a scan', () => {
  it('visits nothing where nothing has been written, and counts as if it did', async () => {
    const { host } = await settledHost()
    const before = host.ksm.counters()
    expect(before).toMatchObject({ pages_shared: 2, pages_sharing: 3, pages_unshared: 2 })
    expect(scans(host)).toBe(0)
    expect(host.ksm.counters()).toEqual({
      ...before,
      full_scans: before.full_scans + 1,
      pages_scanned: before.pages_scanned + 7,
    })
    host.audit()
  })

  it('visits no more what has just been merged', async () => {
    const host = await makeHost()
    guest(host, 'a', [1, 2])
    guest(host, 'b', [1, 2, 1])
    host.ksm.scan(2)
    expect(host.ksm.counters()).toMatchObject({ pages_shared: 2, pages_sharing: 3 })
    expect(scans(host)).toBe(0)
    host.audit()
  })

  it('visits what was written, and no more', async () => {
    const { host, a } = await settledHost()
    a.mm.write(a.at + 2 * PAGE, contentBytes(9))
    expect(scans(host)).toBe(1)
    expect(scans(host)).toBe(1)
    expect(scans(host)).toBe(0)
    expect(host.ksm.counters()).toMatchObject({ pages_unshared: 2, pages_volatile: 0 })
    host.audit()
  })

  it('visits a page again that met another with its checksum, however that has changed', async () => {
    const { host, a, b } = await settledHost()
    b.mm.write(b.at + 2 * PAGE, contentBytes(3))
    host.ksm.scan(1)
    host.ksm.scanPages(4)
    // Behind the cursor, so that the tree has it for what it was.
    a.mm.write(a.at + 2 * PAGE, contentBytes(9))
    expect(scans(host), 'what is left of this scan, and the next').toBe(1 + 2)
    expect(host.ksm.counters()).toMatchObject({ pages_unshared: 1, pages_volatile: 1 })
    host.ksm.scan(1)
    expect(scans(host)).toBe(0)
    host.audit()
  })

  it('ends a batch where it would have ended', async () => {
    const { host, a } = await settledHost()
    const { pages_scanned } = host.ksm.counters()
    expect(host.ksm.scanPages(3)).toBe(3)
    // Behind the cursor: this scan does not come by any more.
    a.mm.write(a.at + 2 * PAGE, contentBytes(9))
    expect(host.ksm.scanPages(100)).toBe(4)
    expect(host.ksm.counters()).toMatchObject({ pages_scanned: pages_scanned + 7, pages_unshared: 2 })
    expect(scans(host)).toBe(1)
    host.audit()
  })

  it('goes over hundreds of pages, table by table, and over holes', async () => {
    const host = await makeHost({ frames: 2048 })
    const { mm, at } = guest(
      host,
      'a',
      Array.from({ length: 700 }, (_, i) => (i % 50 === 3 ? undefined : 1000 + i)),
    )
    host.ksm.scan(3)
    expect(scans(host)).toBe(0)
    mm.madvise(at + 300 * PAGE, 256 * PAGE, 'MADV_DONTNEED')
    // What lies behind the hole is visited, because items have to go before it.
    expect(scans(host)).toBe(1)
    expect(host.ksm.counters()).toMatchObject({ pages_unshared: 436 })
    expect(scans(host)).toBe(0)
    host.audit()
  })

  it.each([
    ['pages are compared by content', { index: 'content' }],
    ['every page is read', { changes: 'checksum' }],
    ['equal checksums say little', { checksumBits: 8 }],
  ] as const)('visits every page where %s', async (_, options) => {
    const { host } = await settledHost(options)
    expect(scans(host)).toBe(7)
  })

  it('looks at no item of a table where nothing has happened', async () => {
    const host = await makeHost({ frames: 1024 })
    const { mm, at } = guest(
      host,
      'a',
      Array.from({ length: 600 }, (_, i) => 1000 + i),
    )
    host.ksm.scan(4)
    const { items } = ksmOf(host)
    const looks = (act: () => void): number => {
      const pass = vi.spyOn(items, 'passSettled')
      act()
      const { length } = pass.mock.calls
      pass.mockRestore()
      return length
    }
    const scanOnce = (): void => void host.ksm.scan(1)
    expect(looks(scanOnce)).toBe(0)
    const firstTable = 256 - ((at / PAGE) % 256)
    mm.write(at + firstTable * PAGE, contentBytes(1))
    expect(visits(() => expect(looks(scanOnce), 'at the page, and behind it').toBe(2))).toBe(1)
    expect(visits(() => expect(looks(scanOnce), 'behind it').toBe(1))).toBe(1)
    expect(visits(() => expect(looks(scanOnce), 'the whole table').toBe(1))).toBe(0)
    expect(looks(scanOnce)).toBe(0)
    // Less than a table, and from the middle of one: what was passed so is noted as far as the table has an end there.
    expect(looks(() => void host.ksm.scanPages(100))).toBe(1)
    expect(looks(() => void host.ksm.scanPages(300))).toBeGreaterThan(0)
    host.ksm.scan(2)
    expect(looks(scanOnce)).toBe(0)
    mm.munmap(at + 100 * PAGE, PAGE)
    expect(looks(scanOnce)).toBeGreaterThan(0)
    expect(host.ksm.counters()).toMatchObject({ pages_unshared: 599 })
    host.audit()
  })

  it('forgets the tree where most pages have been written with other bytes, rather than take one after the other out of it', async () => {
    const other = (page: number): number => 5000 + page
    const same = (page: number): number => 100 + 1000 * (page % 2) + (page >> 1)
    for (const [written, content, visited, erased] of [
      [100, other, 100, 100],
      [200, other, 300, 0],
      [200, same, 200, 0],
      [300, (page: number) => (page < 100 ? other : same)(page), 300, 100],
    ] as const) {
      const [log, checksum] = await Promise.all(
        (['log', 'checksum'] as const).map(async (changes) => {
          const host = await makeHost({ frames: 1024, changes })
          const contents = Array.from({ length: 150 }, (_, i) => 100 + i)
          const guests = [
            guest(host, 'a', contents),
            guest(
              host,
              'b',
              contents.map((c) => c + 1000),
            ),
          ]
          host.ksm.scan(3)
          return { host, guests }
        }),
      )
      const write = ({ guests }: typeof log): void => {
        for (let page = 0; page < written; page++) {
          const { mm, at } = guests[page % 2]!
          mm.write(at + (page >> 1) * PAGE, contentBytes(content(page)))
        }
      }
      for (const each of [log, checksum]) write(each)
      const { items } = ksmOf(log.host)
      const takenOut = vi.spyOn(items, 'unlink')
      expect(scans(log.host)).toBe(visited)
      expect(takenOut).toHaveBeenCalledTimes(erased)
      takenOut.mockRestore()
      checksum.host.ksm.scan(1)
      for (const more of [1, 1, 1]) {
        expect(log.host.ksm.counters()).toEqual(checksum.host.ksm.counters())
        for (const { host } of [log, checksum]) host.ksm.scan(more)
      }
      expect(scans(log.host)).toBe(0)
      log.host.audit()
    }
  })

  it('visits every page while virtual CPUs run on other threads, and with trees for each node', async () => {
    const { host, a } = await settledHost({ numaNodes: 2 })
    expect(scans(host)).toBe(0)
    const here = a.mm.attachCpu()
    expect(scans(host)).toBe(0)
    const there = a.mm.attachCpu({ thread: true })
    expect(scans(host)).toBe(7)
    for (const cpu of [here, there]) cpu.detach()
    host.ksm.scan(2)
    expect(scans(host)).toBe(0)
    host.ksm.set('run', 2)
    host.ksm.set('merge_across_nodes', 0)
    host.ksm.set('run', 1)
    host.ksm.scan(5)
    expect(scans(host)).toBe(7)
    host.audit()
  })

  it('visits none where there is but one node, whatever merge_across_nodes says', async () => {
    const { host } = await settledHost()
    host.ksm.set('run', 2)
    host.ksm.set('merge_across_nodes', 0)
    host.ksm.set('run', 1)
    host.ksm.scan(5)
    expect(scans(host)).toBe(0)
  })

  it('visits nothing more because somebody is called back', async () => {
    const { host, a } = await settledHost()
    new SecondaryMmu(a.mm)
    host.on('ksm_stop_scan', () => {})
    expect(scans(host)).toBe(0)
    host.audit()
  })

  it.each<[string, (scene: { host: Host; a: Guest }) => void]>([
    ['smart scan', ({ host }) => host.ksm.set('smart_scan', 1)],
    ['a virtual CPU on another thread', ({ a }) => void a.mm.attachCpu({ thread: true })],
  ])('is passed by no page any more when %s has come in the middle', async (_, act) => {
    const { host, a } = await settledHost()
    act({ host, a })
    host.ksm.scanPages(1)
    host.audit()
    expect(scans(host)).toBeGreaterThan(0)
    host.audit()
  })

  describe('comes, page by page, to what Linux comes to', () => {
    const PAGES = [0, 1, 2, 3, 4, 5, 6]
    /** Is like another from some moment on, and looked for in the scan after. */
    const WRITTEN = 3

    /** What is seen after each of some batches, most of which end in the middle of a scan. */
    async function steps(
      changes: 'log' | 'checksum',
      like: number,
      batches: readonly number[],
      before: (host: Host) => void,
    ): Promise<unknown[]> {
      const host = await makeHost({ changes })
      const contents = PAGES.map((page) => 11 + page)
      const { mm, at } = guest(host, 'a', contents)
      host.ksm.scan(4)
      mm.write(at + WRITTEN * PAGE, contentBytes(contents[like]!))
      host.ksm.scan(1)
      before(host)
      return batches.map((pages) => {
        host.audit()
        host.ksm.scanPages(pages)
        return [host.ksm.counters(), allFrames(mm)]
      })
    }

    it.each(PAGES.filter((page) => page !== WRITTEN))('a page is like page %i', async (like) => {
      for (const page of PAGES) {
        const [batches, each] = [[page + 1, 1, 2, 3, 4], PAGES.flatMap(() => [1, 1, 1])]
        const stop = (host: Host): void => {
          host.ksm.scanPages(page)
          host.memory.race = () => {}
        }
        const [log, stopped] = [
          await steps('log', like, batches, () => {}),
          await steps('log', like, each, stop),
        ]
        const expected = [
          await steps('checksum', like, batches, () => {}),
          await steps('checksum', like, each, stop),
        ]
        expect([log, stopped], `batches end, and settling does, at page ${page}`).toEqual(expected)
      }
    })
  })

  it('visits what smart scan has to see', async () => {
    const { host } = await settledHost()
    host.ksm.set('smart_scan', 1)
    const before = host.ksm.counters()
    host.ksm.scan(1)
    expect(host.ksm.counters().pages_skipped - before.pages_skipped).toBeGreaterThanOrEqual(0)
    expect(ksmOf(host).settles).toBe(false)
    host.audit()
  })
})

/** Five pages more of a guest, all different, and settled. */
function settledRange(host: Host, { mm }: Guest): number {
  const at = addRange(mm, [11, 12, 13, 14, 15])
  host.ksm.scan(4)
  return at
}

/** What is done on two hosts, of which one visits every page. */
type Act = (guests: { host: Host; a: Guest; b: Guest }) => void

describe('a settled page', () => {
  it.each<[string, Act]>([
    ['is found by a page behind it', ({ b }) => b.mm.write(b.at + 2 * PAGE, contentBytes(3))],
    ['is found by a page before it, of another mm', ({ a }) => a.mm.write(a.at + 2 * PAGE, contentBytes(4))],
    [
      'is found by two pages before it, of its own mm',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(14))
        a.mm.write(at + PAGE, contentBytes(14))
      },
    ],
    [
      'is found by a page before it that was last of its window',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(15))
        host.ksm.scan(1)
        a.mm.write(at + PAGE, contentBytes(99))
      },
    ],
    ...(['moved away', 'unmapped', 'given up', 'another', 'the page of a file'] as const).map(
      (what): [string, Act] => [
        `is ${what} when a page before it would have found it`,
        ({ host, a: { mm }, a }) => {
          const at = settledRange(host, a)
          const last = at + 4 * PAGE
          mm.write(at, contentBytes(15))
          host.ksm.scan(1)
          if (what === 'moved away') mm.mremap(last, PAGE, PAGE, { address: at - 64 * PAGE })
          else if (what === 'unmapped') mm.munmap(last, PAGE)
          else if (what === 'the page of a file') {
            mm.munmap(last, PAGE)
            mm.mmap(PAGE, { address: last, file: contentBytes(15) })
            mm.madvise(last, PAGE, 'MADV_MERGEABLE')
            mm.write(last, contentBytes(15))
            mm.madvise(last, PAGE, 'MADV_DONTNEED')
            mm.read(last, 1)
          } else {
            mm.madvise(last, PAGE, 'MADV_DONTNEED')
            if (what === 'another') mm.write(last, contentBytes(16))
          }
        },
      ],
    ),
    [
      'is found before another one that waits in the window',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(14))
        a.mm.write(at + 4 * PAGE, contentBytes(14))
      },
    ],
    [
      'is found with another, the farther one first, before one that waits in the window',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(15))
        a.mm.write(at + PAGE, contentBytes(13))
        a.mm.write(at + 3 * PAGE, contentBytes(13))
      },
    ],
    [
      'has been written, and is met for what it was by a page before it',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(14))
        host.ksm.scan(1)
        a.mm.write(at + 3 * PAGE, contentBytes(99))
      },
    ],
    [
      'has been written and written back, and is met for what it is by a page before it',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(14))
        host.ksm.scan(1)
        a.mm.write(at + 3 * PAGE, contentBytes(14))
        a.mm.write(at + 4 * PAGE, contentBytes(14))
      },
    ],
    [
      'is found before its turn by two pages, of which one waits in the window',
      ({ host, a }) => {
        const at = settledRange(host, a)
        a.mm.write(at, contentBytes(15))
        a.mm.write(at + PAGE, contentBytes(15))
      },
    ],
    [
      'has been taken out of the tree when somebody comes to listen in the middle of a scan',
      ({ host, a, b }) => {
        a.mm.write(a.at + 3 * PAGE, contentBytes(4))
        host.ksm.scan(1)
        host.ksm.scanPages(4)
        new SecondaryMmu(b.mm)
      },
    ],
    [
      'is ahead when somebody comes to listen in the middle of a scan',
      ({ host, a, b }) => {
        a.mm.write(a.at + 3 * PAGE, contentBytes(4))
        host.ksm.scan(1)
        host.ksm.scanPages(3)
        new SecondaryMmu(b.mm)
      },
    ],
    [
      'is behind when somebody comes to listen in the middle of a scan',
      ({ host, a, b }) => {
        b.mm.write(b.at + 2 * PAGE, contentBytes(3))
        host.ksm.scan(1)
        host.ksm.scanPages(3)
        new SecondaryMmu(a.mm)
      },
    ],
    [
      'is in no tree while somebody listens, and in one again afterwards',
      ({ host, a }) => {
        addRange(
          a.mm,
          Array.from({ length: 40 }, (_, i) => 100 + i),
        )
        const mmu = new SecondaryMmu(a.mm)
        host.ksm.scan(4)
        mmu.close()
      },
    ],
    [
      'has changed since it was entered, and is met for what it was',
      ({ host, a, b }) => {
        host.ksm.scanPages(4)
        a.mm.write(a.at + 2 * PAGE, contentBytes(20))
        b.mm.write(b.at + 2 * PAGE, contentBytes(3))
        host.ksm.scan(1)
        b.mm.write(b.at, contentBytes(3))
      },
    ],
    [
      'is not there any more',
      ({ a, b }) => {
        a.mm.munmap(a.at + 2 * PAGE, PAGE)
        b.mm.write(b.at + 2 * PAGE, contentBytes(3))
      },
    ],
    [
      'was merged and zeros come to be merged with the zero page',
      ({ host, a }) => {
        a.mm.write(a.at + 2 * PAGE, contentBytes(0))
        host.ksm.scan(3)
        host.ksm.set('use_zero_pages', 1)
      },
    ],
    [
      'loses and gets back its permission',
      ({ host, a }) => {
        a.mm.madvise(a.at, 4 * PAGE, 'MADV_UNMERGEABLE')
        host.ksm.scan(1)
        a.mm.madvise(a.at, 4 * PAGE, 'MADV_MERGEABLE')
      },
    ],
    [
      'loses and gets back its permission, and its neighbours do not',
      ({ host, a }) => {
        const at = settledRange(host, a)
        host.ksm.scan(1)
        a.mm.madvise(at + PAGE, 2 * PAGE, 'MADV_UNMERGEABLE')
        host.ksm.scan(1)
        a.mm.madvise(at + PAGE, 2 * PAGE, 'MADV_MERGEABLE')
      },
    ],
    [
      'loses its permission, as one before it does not',
      ({ host, a, b }) => {
        const at = settledRange(host, a)
        host.ksm.scan(1)
        a.mm.madvise(at + 2 * PAGE, PAGE, 'MADV_UNMERGEABLE')
        b.mm.write(b.at, contentBytes(15))
      },
    ],
    [
      'loses its permission, the last of its table',
      ({ host, a }) => {
        const at = settledRange(host, a)
        host.ksm.scan(1)
        a.mm.madvise(at + 4 * PAGE, PAGE, 'MADV_UNMERGEABLE')
      },
    ],
    [
      'loses its permission, the last of its table, and gets it back after a scan page by page',
      ({ host, a }) => {
        const at = settledRange(host, a)
        host.ksm.scan(1)
        a.mm.madvise(at + 4 * PAGE, PAGE, 'MADV_UNMERGEABLE')
        for (let page = 0; page < 4 + 4 + 3; page++) host.ksm.scanPages(1)
        host.ksm.scanPages(1)
        a.mm.madvise(at + 4 * PAGE, PAGE, 'MADV_MERGEABLE')
      },
    ],
    [
      'is unmapped, and another is there before the next scan',
      ({ host, a }) => {
        const at = settledRange(host, a)
        host.ksm.scan(1)
        a.mm.munmap(at + 2 * PAGE, PAGE)
        a.mm.mmap(PAGE, { address: at + 2 * PAGE })
        a.mm.madvise(at + 2 * PAGE, PAGE, 'MADV_MERGEABLE')
        a.mm.write(at + 2 * PAGE, contentBytes(12))
      },
    ],
    [
      'loses and gets back its permission between two scans',
      ({ a }) => {
        a.mm.madvise(a.at, 4 * PAGE, 'MADV_UNMERGEABLE')
        a.mm.madvise(a.at, 4 * PAGE, 'MADV_MERGEABLE')
      },
    ],
    [
      'is forgotten by run=2',
      ({ host }) => {
        host.ksm.set('run', 2)
        host.ksm.set('run', 1)
      },
    ],
    [
      'has a twin in a fork, made in the middle of a scan',
      ({ host, a }) => {
        host.ksm.scanPages(5)
        a.mm.fork()
      },
    ],
    [
      'has a twin in a fork, and its mm exits in the middle of a scan',
      ({ host, a, b }) => {
        a.mm.fork()
        host.ksm.scanPages(3)
        a.mm.exit()
        b.mm.write(b.at, contentBytes(3))
      },
    ],
    [
      'is written through a pin later',
      ({ host, a }) => {
        const pin = a.mm.pin(a.at + 2 * PAGE, PAGE, { write: true })
        host.ksm.scan(2)
        pin.write(0, contentBytes(4))
        host.ksm.scan(1)
        pin.release()
      },
    ],
    [
      'moves',
      ({ a }) => {
        a.mm.mremap(a.at, 4 * PAGE, 4 * PAGE, { address: a.at + 2 ** 30 })
      },
    ],
    [
      'is passed over in one batch and met in the next one’s smart scan',
      ({ host, a }) => {
        host.ksm.scanPages(5)
        a.mm.write(a.at + 2 * PAGE, contentBytes(4))
        host.ksm.set('smart_scan', 1)
      },
    ],
  ])('that %s: all is as where every page is visited', async (_, act) => {
    const after = await Promise.all(
      (['log', 'checksum'] as const).map(async (changes) => {
        const scene = await settledHost({ changes })
        expect(ksmOf(scene.host).settles).toBe(changes === 'log')
        act(scene)
        return Array.from({ length: 5 }, () => {
          scene.host.audit()
          scene.host.ksm.scan(1)
          return { ...scene.host.ksm.counters(), frames: framesOf(scene) }
        })
      }),
    )
    expect(after[0]).toEqual(after[1])
  })
})

describe('random histories, with batches that end anywhere', () => {
  it.each(SEEDS)('come out as where every page is visited, after each step: seed %s', async (seed) => {
    const program = randomProgram(seed, { wide: true, ops: 200 })
    let passed = 0
    const [log, checksum] = await Promise.all(
      (['log', 'checksum'] as const).map(async (changes) => {
        const frames: string[] = []
        const rows = await runHistory(program, { changes, frames: 640 }, (host, processes, op) => {
          if (op % 20 === 0) host.audit()
          if (changes === 'log') passed += host.ksm.batch.passed
          frames.push([...processes.values()].map(allFrames).join())
        })
        return { rows, frames }
      }),
    )
    expect(passed, 'pages passed over').toBeGreaterThan(0)
    expect(log).toEqual(checksum)
  })
})

const allFrames = (mm: Mm): unknown[] =>
  mm
    .smaps()
    .flatMap(({ address, size }) =>
      Array.from({ length: size / PAGE }, (_, page) => pfnOf(mm, address + page * PAGE)),
    )

const hasExited = (mm: Mm): boolean => errnoOf(() => mm.ksmStat()) === 'ESRCH'

const framesOf = ({ a, b }: { a: Guest; b: Guest }): unknown[] =>
  [a, b].flatMap(({ mm }) => (hasExited(mm) ? [] : allFrames(mm)))

function pfnOf(mm: Mm, address: number): number | undefined {
  try {
    return mm.pfn(address)
  } catch {
    return undefined
  }
}
