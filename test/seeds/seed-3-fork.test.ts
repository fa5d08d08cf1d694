// Seed 3, fork: whatever page the copy fails at, every range that began ends. In 2008 one did not, on the way out with
// ENOMEM.

import { describe, expect, it } from 'vitest'
import { type Host, type Mm, SecondaryMmu } from '../../src/index.ts'
import { Balance } from '../support/balance.ts'
import { memoryOf, objectsOf } from '../support/inside.ts'
import { contentBytes, errnoOf, expectContent, makeHost, PAGE } from '../support/world.ts'

/** A parent with two ranges that a fork copies as COW, and one each of the kinds it does not. */
interface Parent {
  readonly host: Host
  readonly mm: Mm
  /** Addresses and contents of what was written. */
  readonly pages: readonly [address: number, content: number][]
  readonly cowVmas: number
}

async function parentOfManyKinds(): Promise<Parent> {
  const host = await makeHost({ frames: 128 })
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
  const { pageTables } = memoryOf(host)
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
  const { pageTables } = memoryOf(host)
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

describe('seed 3, fork', () => {
  /** T3-1 for every step at which a copy can fail. Returns how many there are. */
  async function forkFailsEverywhere(mutant?: (host: Host, parent: Mm) => void): Promise<number> {
    for (let step = 1; ; step++) {
      const { host, mm, pages, cowVmas } = await parentOfManyKinds()
      const watchers = [new Balance(), new Balance()]
      for (const watcher of watchers) mm.registerNotifier(watcher)
      const mmu = new SecondaryMmu(mm)
      const free = host.frames.free
      const tables = objectsOf(host).pageTables
      const state = failCopyAt(host, step)
      mutant?.(host, mm)
      const errno = errnoOf(() => mm.fork())
      if (!state.reached) {
        expect(errno).toBeUndefined()
        expect(watchers.map(({ starts }) => starts)).toEqual([cowVmas, cowVmas])
        return step - 1
      }
      expect(errno, `copy ${step} fails`).toBe('ENOMEM')
      for (const watcher of [...watchers, mmu]) {
        expect(watcher.openRanges, `copy ${step}: every range has ended`).toEqual([])
      }
      for (const { starts, ends } of watchers) expect(ends).toBe(starts)
      expect(host.frames.free, 'nothing is left of the child').toBe(free)
      expect(objectsOf(host).pageTables).toBe(tables)
      expect([...memoryOf(host).mms()]).toHaveLength(1)
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
    const host = await makeHost({ frames: 40, mappings: 40 })
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
})
