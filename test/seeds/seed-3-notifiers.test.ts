// Seed 3, the notifiers' half: whoever keeps translations of its own hears every range begin and end, on every path, and
// can make none in between. The anon_vma's half is in seed-3-walks.test.ts.

import { describe, expect, it } from 'vitest'
import {
  type Host,
  INDEX_NAMES,
  type Mm,
  memorySwapStore,
  type Notifier,
  type NotifierRange,
  PagefoldError,
  SecondaryMmu,
} from '../../src/index.ts'
import type { RacePoint } from '../../src/mm/tracepoints.ts'
import { Balance } from '../support/balance.ts'
import {
  always,
  contentBytes,
  expectContent,
  machine,
  mapPages,
  once,
  PAGE,
  sharedPair,
} from '../support/seeds.ts'

const errnoOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof PagefoldError) return error.code
    throw error
  }
  return 'done'
}

/** A parent with two ranges that a fork copies as COW, and one each of the kinds it does not. */
interface Parent {
  readonly host: Host
  readonly mm: Mm
  /** Addresses and contents of what was written. */
  readonly pages: readonly [address: number, content: number][]
  readonly cowVmas: number
}

async function parentOfManyKinds(): Promise<Parent> {
  const host = await machine({ frames: 128 })
  const mm = host.createMm({ name: 'parent' })
  const pages: [number, number][] = []
  const write = (at: number, contents: number[]): void => {
    contents.forEach((content, i) => {
      mm.write(at + i * PAGE, contentBytes(content))
      pages.push([at + i * PAGE, content])
    })
  }
  // Far apart, so that none is joined with another and each needs page tables of its own in the child.
  const far = (n: number): { address: number } => ({ address: 2 ** 32 + n * 2 ** 30 })
  write(mm.mmap(3 * PAGE, far(0)), [1, 2, 3])
  write(mm.mmap(3 * PAGE, far(1)), [4, 5, 6])
  mm.mmap(3 * PAGE, far(2)) // nothing was ever written: no anon_vma
  write(mm.mmap(3 * PAGE, { ...far(3), shared: true }), [7, 8, 9])
  mm.mmap(3 * PAGE, { ...far(4), kind: 'hugetlb' })
  mm.mmap(3 * PAGE, { ...far(5), kind: 'pfnmap' })
  return { host, mm, pages, cowVmas: 2 }
}

/** Has the child's page tables fail at the n-th page copied, once. Returns whether it came to that. */
function failCopyAt(host: Host, step: number): { reached: boolean } {
  const { pageTables } = host.memory
  const reserve = pageTables.reserve.bind(pageTables)
  const state = { reached: false }
  let copied = 0
  pageTables.reserve = (pgd, vpn) => {
    if (++copied === step) {
      state.reached = true
      return false
    }
    return reserve(pgd, vpn)
  }
  return state
}

/** The bug of 2008: out of memory the copy returned at once, and the range never ended. */
function returnInsteadOfBreak(host: Host, parent: Mm): void {
  const { pageTables } = host.memory
  const reserve = pageTables.reserve
  let failed = false
  pageTables.reserve = (pgd, vpn) => {
    const done = reserve.call(pageTables, pgd, vpn)
    if (!done) failed = true
    return done
  }
  const { notifiers } = parent
  const end = notifiers.end.bind(notifiers)
  notifiers.end = (open) => {
    if (failed && open?.range.event === 'protection_page') return
    end(open)
  }
}

describe('seed 3, notifiers', () => {
  /** T3-1 for every step at which a copy can fail. Returns how many there are. */
  async function forkFailsEverywhere(mutant?: (host: Host, parent: Mm) => void): Promise<number> {
    for (let step = 1; ; step++) {
      const { host, mm, pages, cowVmas } = await parentOfManyKinds()
      const watchers = [new Balance(), new Balance()]
      for (const watcher of watchers) mm.registerNotifier(watcher)
      const mmu = new SecondaryMmu(mm)
      const free = host.frames.free
      const tables = host.memory.arena.objects().pageTables
      const state = failCopyAt(host, step)
      mutant?.(host, mm)
      const errno = errnoOf(() => mm.fork())
      if (!state.reached) {
        expect(errno).toBe('done')
        expect(watchers.map(({ starts }) => starts)).toEqual([cowVmas, cowVmas])
        return step - 1
      }
      expect(errno, `copy ${step} fails`).toBe('ENOMEM')
      for (const watcher of [...watchers, mmu]) {
        expect(watcher.openRanges, `copy ${step}: every range has ended`).toEqual([])
      }
      for (const { starts, ends } of watchers) expect(ends).toBe(starts)
      expect(host.frames.free, 'nothing is left of the child').toBe(free)
      expect(host.memory.arena.objects().pageTables).toBe(tables)
      expect([...host.memory.mms()]).toHaveLength(1)
      host.audit()
      const child = mm.fork()
      for (const [address, content] of pages) {
        expectContent(mm, address, content)
        expectContent(child, address, content)
        expect(mmu.translate(address)).toBe(mm.pfn(address))
      }
      host.audit()
    }
  }

  it('T3-1 (3.8, 3.9): a fork that runs out of memory at any page ends every range it began', async () => {
    expect(await forkFailsEverywhere()).toBe(6)
  })

  it('T3-1 (3.8): the same when memory really runs out', async () => {
    const host = await machine({ frames: 40, mappings: 40 })
    const mm = host.createMm()
    for (let n = 0; n < 24; n++)
      mm.write(mm.mmap(PAGE, { address: 2 ** 36 + n * 2 ** 34 }), contentBytes(n + 1))
    const watcher = new Balance()
    mm.registerNotifier(watcher)
    const children: Mm[] = []
    expect(
      errnoOf(() => {
        for (;;) children.push(mm.fork())
      }),
    ).toBe('ENOMEM')
    expect(children.length).toBeGreaterThan(0)
    expect(watcher.openRanges).toEqual([])
    expect(watcher.ends).toBe(watcher.starts)
    host.audit()
    for (const child of children) child.exit()
    mm.fork()
    host.audit()
  })

  it('T3-2: a return instead of a break leaves one range open, and its pages can never be translated', async () => {
    await expect(forkFailsEverywhere(returnInsteadOfBreak)).rejects.toThrow(/every range has ended/)
    const { host, mm, pages } = await parentOfManyKinds()
    const mmu = new SecondaryMmu(mm)
    const [first, , , second] = pages as [[number, number], unknown, unknown, [number, number]]
    failCopyAt(host, 5)
    returnInsteadOfBreak(host, mm)
    expect(errnoOf(() => mm.fork())).toBe('ENOMEM')
    expect(mmu.openRanges).toMatchObject([{ start: second[0], end: second[0] + 3 * PAGE }])
    const stuck = Array.from({ length: 100 }, () => errnoOf(() => mmu.translate(second[0])))
    expect(new Set(stuck)).toEqual(new Set(['EAGAIN']))
    expect(mmu.translate(first[0]), 'the range that ended is free').toBe(mm.pfn(first[0]))
  })

  it('3.9: a fork tells of copy-on-write mappings only; shared, special and untouched ones are no news', async () => {
    const { mm } = await parentOfManyKinds()
    const told: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event, start, end }) =>
        void told.push(`${event} ${start / 2 ** 30} ${end - start}`),
    })
    mm.fork()
    // A huge page that was written would be told of too: in Linux by its own function, with a range of its own.
    expect(told).toEqual([`protection_page 4 ${3 * PAGE}`, `protection_page 5 ${3 * PAGE}`])
  })

  it('3.8: a range that begins ends with the very same bounds, whatever the operation', async () => {
    const { host, a, b, p, q } = await sharedPair()
    const watchers = [a, b].map((mm) => {
      const watcher = new Balance()
      mm.registerNotifier(watcher)
      return watcher
    })
    a.write(p, contentBytes(1))
    b.madvise(q, PAGE, 'MADV_UNMERGEABLE')
    b.madvise(q, PAGE, 'MADV_MERGEABLE')
    a.write(p, contentBytes(7))
    host.ksm.scan(3)
    host.migrate(a.pfn(p)!, { node: 0 })
    a.fork()
    a.mprotect(p, PAGE, 'PROT_READ')
    a.madvise(p, PAGE, 'MADV_DONTNEED')
    b.mremap(q, PAGE, PAGE, { address: q + 2 ** 30 })
    b.oomReap()
    a.munmap(p, PAGE)
    for (const mm of [a, b]) mm.exit()
    for (const watcher of watchers) {
      expect(watcher.starts).toBeGreaterThan(5)
      expect(watcher.ends).toBe(watcher.starts)
      expect(watcher.openRanges).toEqual([])
    }
    host.audit()
  })

  it.each(INDEX_NAMES)(
    'T3-3 (3.10): no translation is made inside a window; after it the new one (%s)',
    async (index) => {
      const host = await machine({ index })
      const [a, b] = [host.createMm({ name: 'A' }), host.createMm({ name: 'B' })]
      const [p, q] = [mapPages(a, [7]), mapPages(b, [7])]
      const [ofA, ofB] = [new SecondaryMmu(a), new SecondaryMmu(b)]
      const tries = new Map<RacePoint, string[]>()
      always(host, (point) => {
        const masked = [
          ofA.isMasked(p / PAGE) && errnoOf(() => ofA.translate(p)),
          ofB.isMasked(q / PAGE) && errnoOf(() => ofB.translate(q)),
        ]
        const answers = masked.filter((answer) => answer !== false)
        if (answers.length > 0) tries.set(point, [...(tries.get(point) ?? []), ...answers])
      })
      const mirror = (): void => {
        expect(ofA.translate(p)).toBe(a.pfn(p))
        expect(ofB.translate(q)).toBe(b.pfn(q))
      }
      mirror()
      host.ksm.scan(2)
      expect(a.pfn(p), 'merged').toBe(b.pfn(q))
      expect(ofA.peek(p), 'told').toBeUndefined()
      mirror()
      a.write(p, Uint8Array.of(1))
      mirror()
      expect(ofA.peek(p)).toMatchObject({ pfn: a.pfn(p), writable: true })
      a.fork()
      expect(ofA.peek(p)).toBeUndefined()
      mirror()
      expect(ofA.peek(p)).toMatchObject({ writable: false })
      expect(Object.fromEntries(tries)).toEqual({
        'merge: after flush': ['EAGAIN', 'EAGAIN'], // both pages are write-protected
        'merge: before pte compare': ['EAGAIN'], // one is replaced
        'cow: after flush': ['EAGAIN'],
        'fork: before page': ['EAGAIN'],
      })
    },
  )

  it('T3-3: one that hears nothing goes on reading the old frame', async () => {
    const { a, b, p, q, k } = await sharedPair()
    const mmu = new SecondaryMmu(a)
    const deaf = new SecondaryMmu(a)
    for (const mirror of [mmu, deaf]) expect(mirror.translate(p)).toBe(k)
    a.unregisterNotifier(deaf)
    a.write(p, contentBytes(1))
    expect(mmu.translate(p)).toBe(a.pfn(p))
    expect(deaf.translate(p), 'stale').toBe(k)
    expect(b.pfn(q), 'and this is somebody else’s page now').toBe(k)
  })

  it('3.10: a lookup that raced with a change is done again, and given up after a few', async () => {
    const host = await machine()
    host.swapOn(memorySwapStore(4))
    const mm = host.createMm()
    const at = mapPages(mm, [1], false)
    host.reclaim(mm.pfn(at)!)
    const mmu = new SecondaryMmu(mm)
    const reclaim = (): void => void host.reclaim(mm.pfn(at)!)
    const seen = once(host, 'swap-in: after unlock', reclaim)
    expect(mmu.translate(at)).toBe(mm.pfn(at))
    expect(seen.passed).toBe(2)
    host.memory.race = undefined
    reclaim()
    always(host, (point) => {
      if (point === 'swap-in: after unlock') reclaim()
    })
    expect(errnoOf(() => mmu.translate(at))).toBe('EAGAIN')
    expect(mmu.peek(at)).toBeUndefined()
    host.memory.race = undefined
    expect(mmu.translate(at)).toBe(mm.pfn(at))
    host.audit()
  })

  it('T3-4 (3.11): ranges nest and overlap: a count, not a flag', async () => {
    const host = await machine()
    const mm = host.createMm()
    const at = mapPages(mm, [1, 2, 3, 4, 5, 6], false)
    const first = at / PAGE
    const mmu = new SecondaryMmu(mm)
    const masked = (): number[] => [0, 1, 2, 3, 4, 5].filter((page) => mmu.isMasked(first + page))
    const front = mm.notifiers.start('clear', first, first + 4)
    const back = mm.notifiers.start('clear', first + 2, first + 6)
    expect([mmu.openRanges.length, masked()]).toEqual([2, [0, 1, 2, 3, 4, 5]])
    mm.notifiers.end(front)
    expect([mmu.openRanges.length, masked()]).toEqual([1, [2, 3, 4, 5]])
    expect(errnoOf(() => mmu.translate(at + 3 * PAGE))).toBe('EAGAIN')
    mm.notifiers.end(back)
    expect([mmu.openRanges.length, masked()]).toEqual([0, []])
    expect(mmu.translate(at + 3 * PAGE)).toBe(mm.pfn(at + 3 * PAGE))
    // The same range twice at once, as two operations may begin it.
    const twice = [1, 2].map(() => mm.notifiers.start('clear', first, first + 1))
    mm.notifiers.end(twice[0])
    expect(mmu.isMasked(first)).toBe(true)
    mm.notifiers.end(twice[1])
    expect(mmu.isMasked(first)).toBe(false)
  })

  it('T3-5 (3.12): one that cannot wait refuses: those before it hear an end, those behind it nothing', async () => {
    const host = await machine()
    const mm = host.createMm()
    const at = mapPages(mm, [1], false)
    const pfn = mm.pfn(at)
    const refusing: Notifier = { invalidateRangeStart: ({ blockable }) => (blockable ? undefined : 'EAGAIN') }
    const [first, third] = [new Balance(), new Balance()]
    for (const notifier of [first, refusing, third]) mm.registerNotifier(notifier)
    expect(errnoOf(() => mm.oomReap())).toBe('EAGAIN')
    expect([first.starts, first.ends, third.starts, third.ends]).toEqual([1, 1, 0, 0])
    expect(mm.pfn(at), 'and nothing has changed').toBe(pfn)
    mm.unregisterNotifier(refusing)
    mm.oomReap()
    expect([first.starts, first.ends, third.starts, third.ends]).toEqual([2, 2, 1, 1])
    expect(mm.pfn(at)).toBeUndefined()
    host.audit()
  })

  it('3.13: a pte is empty inside the window before the new one is installed (copy, merge)', async () => {
    const host = await machine()
    const [a, b] = [host.createMm(), host.createMm()]
    const [p, q] = [mapPages(a, [7]), mapPages(b, [7])]
    const steps: string[] = []
    const { pageTables } = host.memory
    const set = pageTables.set.bind(pageTables)
    pageTables.set = (pgd, vpn, pte) => {
      if (pgd === a.pgd) steps.push(pte === 0 ? 'empty' : `frame ${pte >>> 12}`)
      set(pgd, vpn, pte)
    }
    a.registerNotifier({
      invalidateRangeStart: () => void steps.push('start'),
      invalidateRangeEnd: () => void steps.push('end'),
    })
    const old = a.pfn(p)
    host.ksm.scan(2)
    const k = b.pfn(q)
    expect(steps).toEqual(['start', 'empty', `frame ${old}`, 'end', 'start', 'empty', `frame ${k}`, 'end'])
    steps.length = 0
    a.write(p, Uint8Array.of(1))
    expect(steps).toEqual(['start', 'empty', `frame ${a.pfn(p)}`, 'end'])
  })

  it('3.14: there are ranges only, a single page being a range of one', async () => {
    const { a, p } = await sharedPair()
    const ranges: NotifierRange[] = []
    // A hook for single pages, as there was until 4.13, is never called.
    const notifier = {
      invalidateRangeStart: (range: NotifierRange) => void ranges.push(range),
      invalidatePage: () => expect.fail('called'),
    }
    a.registerNotifier(notifier)
    a.write(p, Uint8Array.of(1))
    expect(ranges).toEqual([{ event: 'clear', start: p, end: p + PAGE, blockable: true }])
  })

  it('3.15: one written before some of the contract was thought of still works', async () => {
    const { host, a, p } = await sharedPair()
    let heard = 0
    const old = { invalidateRangeStart: () => void heard++ }
    for (const notifier of [old, {}, { invalidateRangeEnd: () => void heard++ }]) a.registerNotifier(notifier)
    a.write(p, Uint8Array.of(1))
    expect(heard).toBe(2)
    a.oomReap()
    expect(heard).toBe(4)
    host.audit()
  })

  it('3.8: who comes or goes in the middle of a range hears no end without a beginning', async () => {
    const { host, a, p } = await sharedPair()
    const late = new Balance()
    const [first, second] = [new Balance(), new Balance()]
    const joining: Notifier = {
      invalidateRangeStart() {
        a.unregisterNotifier(joining)
        a.registerNotifier(late)
      },
      invalidateRangeEnd: () => expect.fail('unregistered'),
    }
    for (const notifier of [first, joining, second]) a.registerNotifier(notifier)
    a.write(p, Uint8Array.of(1))
    expect([first.starts, second.starts, late.starts]).toEqual([1, 1, 0])
    expect([first.ends, second.ends, late.ends]).toEqual([1, 1, 0])
    expect(host.memory.notifiers).toBe(3)
    a.fork()
    expect([late.starts, late.ends]).toEqual([1, 1])
  })

  it('3.8: an mm that exits lets its notifiers go, once', async () => {
    const { host, a, b } = await sharedPair()
    const [ofA, ofB] = [new SecondaryMmu(a), new SecondaryMmu(b)]
    expect(host.memory.notifiers).toBe(2)
    a.exit()
    ofA.close()
    expect(host.memory.notifiers).toBe(1)
    ofB.close()
    expect(host.memory.notifiers).toBe(0)
  })
})
