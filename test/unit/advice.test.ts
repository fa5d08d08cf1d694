// The advices of madvise beside merging, and mlock: what each does to pages, to children and to reclaim, and where it is refused. The
// refusals are those of Linux 6.18, asked of a kernel; the rest is madvise(2) and mlock(2).

import { describe, expect, it } from 'vitest'
import { type Advice, type Host, type Mm, type MmapOptions, memorySwapStore } from '../../src/index.ts'
import { memoryOf, vpnOf } from '../support/inside.ts'
import {
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  framesOf,
  guest,
  makeHost,
  PAGE,
  pokeByte,
  useUpFrames,
} from '../support/world.ts'

async function scene(
  contents: readonly (number | undefined)[],
  mergeable = false,
): Promise<{ host: Host; mm: Mm; at: number }> {
  const host = await makeHost()
  host.swapOn(memorySwapStore(16))
  return { host, ...guest(host, 'a', contents, { mergeable }) }
}
const present = (mm: Mm, at: number, pages: number): string =>
  framesOf(mm, at, pages)
    .map((pfn) => (pfn === undefined ? '.' : 'P'))
    .join('')

describe('what is refused where', () => {
  type Kind = 'ordinary' | 'shared' | 'locked' | 'file' | 'hugetlb' | 'pfnmap'
  const OPTIONS: Record<Kind, MmapOptions> = {
    ordinary: {},
    shared: { shared: true },
    locked: {},
    file: { file: new Uint8Array(4 * PAGE).fill(1) },
    hugetlb: { kind: 'hugetlb' },
    pfnmap: { kind: 'pfnmap' },
  }
  const EINVAL: Record<Exclude<Advice, 'MADV_MERGEABLE' | 'MADV_UNMERGEABLE'>, readonly Kind[]> = {
    MADV_DONTNEED: ['locked', 'pfnmap'],
    MADV_FREE: ['shared', 'locked', 'file', 'hugetlb', 'pfnmap'],
    MADV_PAGEOUT: ['locked', 'hugetlb', 'pfnmap'],
    MADV_COLD: ['locked', 'hugetlb', 'pfnmap'],
    MADV_DONTFORK: [],
    MADV_DOFORK: ['pfnmap'],
    MADV_WIPEONFORK: ['shared', 'file', 'hugetlb', 'pfnmap'],
    MADV_KEEPONFORK: [],
    MADV_POPULATE_READ: ['pfnmap'],
    MADV_POPULATE_WRITE: ['pfnmap'],
  }
  describe.each(Object.entries(EINVAL) as [Advice, readonly Kind[]][])('%s', (advice, refused) => {
    it.each(Object.keys(OPTIONS) as Kind[])('of %s memory', async (kind) => {
      const host = await makeHost()
      const mm = host.createMm()
      const at = mm.mmap(4 * PAGE, OPTIONS[kind])
      if (kind === 'locked') mm.mlock(at, 4 * PAGE)
      const before = framesOf(mm, at, 4)
      const errno = errnoOf(() => mm.madvise(at, 4 * PAGE, advice))
      expect(errno).toBe(refused.includes(kind) ? 'EINVAL' : undefined)
      if (errno !== undefined) expect(framesOf(mm, at, 4)).toEqual(before)
      host.audit()
    })
  })

  it('what comes before has been done, what comes behind has not; a hole is told at the end', async () => {
    const { host, mm, at } = await scene([1, 2, 3, 4])
    mm.mlock(at + 2 * PAGE, PAGE)
    mm.munmap(at + PAGE, PAGE)
    expect(errnoOf(() => mm.madvise(at, 4 * PAGE, 'MADV_DONTNEED'))).toBe('EINVAL')
    expect(present(mm, at, 4)).toBe('..PP')
    mm.munlock(at + 2 * PAGE, PAGE)
    expect(errnoOf(() => mm.madvise(at, 4 * PAGE, 'MADV_DONTNEED'))).toBe('ENOMEM')
    expect(present(mm, at, 4)).toBe('....')
    host.audit()
  })
})

describe('MADV_COLD', () => {
  it('changes nothing: pages are there, and a child has them', async () => {
    const { host, mm, at } = await scene([7, 8])
    const before = framesOf(mm, at, 2)
    mm.madvise(at, 2 * PAGE, 'MADV_COLD')
    expect(framesOf(mm, at, 2)).toEqual(before)
    expect(byteAt(mm.fork(), at + PAGE)).toBe(8)
    host.audit()
  })
})

describe('MADV_DONTFORK, MADV_WIPEONFORK', () => {
  it('a child has not, or has empty, what its parent keeps; and so has its own child', async () => {
    const { host, mm, at } = await scene([1, 2, 3, 4])
    mm.madvise(at + PAGE, PAGE, 'MADV_DONTFORK')
    mm.madvise(at + 2 * PAGE, PAGE, 'MADV_WIPEONFORK')
    const child = mm.fork()
    const grandchild = child.fork()
    for (const each of [child, grandchild]) {
      expect([byteAt(each, at), byteAt(each, at + 3 * PAGE)]).toEqual([1, 4])
      expect(errnoOf(() => byteAt(each, at + PAGE))).toBe('EFAULT')
    }
    expect(child.vmas.at(vpnOf(at + 2 * PAGE))!.anonVma, 'nothing of the parent leads there').toBeUndefined()
    expect(byteAt(child, at + 2 * PAGE)).toBe(0)
    pokeByte(child, at + 2 * PAGE, 9)
    expect(byteAt(child.fork(), at + 2 * PAGE), 'the advice is inherited').toBe(0)
    expect([1, 2].map((page) => byteAt(mm, at + page * PAGE))).toEqual([2, 3])
    host.audit()
    mm.madvise(at, 4 * PAGE, 'MADV_DOFORK')
    mm.madvise(at, 4 * PAGE, 'MADV_KEEPONFORK')
    expect([...mm.vmas]).toHaveLength(1)
    const later = mm.fork()
    expect([0, 1, 2, 3].map((page) => byteAt(later, at + page * PAGE))).toEqual([1, 2, 3, 4])
    host.audit()
  })

  it('merged pages too: the child of a wiped range has none, and its own merge anew', async () => {
    const { host, mm, at } = await scene([7, 7, 7], true)
    host.ksm.scan(2)
    mm.madvise(at, 2 * PAGE, 'MADV_WIPEONFORK')
    const child = mm.fork()
    expect(host.frame(mm.pfn(at)!).mapcount).toBe(4)
    expect(child.ksmStat().ksm_mergeable).toBe('yes')
    child.write(at, contentBytes(7))
    host.ksm.scan(2)
    expect(child.pfn(at)).toBe(mm.pfn(at))
    expect(counted(host)).toEqual([1, 4, 0, 0])
    host.audit()
  })
})

describe('MADV_POPULATE_READ, MADV_POPULATE_WRITE', () => {
  it('bring in the zero page, or pages of zeros', async () => {
    const { host, mm, at } = await scene([undefined, undefined, 3])
    mm.madvise(at, 3 * PAGE, 'MADV_POPULATE_READ')
    expect(host.frames.free).toBe(63)
    mm.madvise(at, 3 * PAGE, 'MADV_POPULATE_WRITE')
    expect(host.frames.free).toBe(61)
    expect([0, 1, 2].map((page) => byteAt(mm, at + page * PAGE))).toEqual([0, 0, 3])
    host.audit()
  })

  it('writing breaks merged pages, reading does not', async () => {
    const { host, mm, at } = await scene([7, 7], true)
    host.ksm.scan(2)
    mm.madvise(at, 2 * PAGE, 'MADV_POPULATE_READ')
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    mm.madvise(at, 2 * PAGE, 'MADV_POPULATE_WRITE')
    expect(mm.pfn(at)).not.toBe(mm.pfn(at + PAGE))
    expect(host.vmstat().cow_ksm).toBe(2)
    expectContent(mm, at, 7)
  })

  it.each(['MADV_POPULATE_READ', 'MADV_POPULATE_WRITE'] as const)(
    '%s stops at a hole with ENOMEM, and where it may not with EINVAL; pages before are in',
    async (advice) => {
      const { mm, at } = await scene(new Array(6).fill(undefined))
      mm.mprotect(at + 4 * PAGE, PAGE, 'PROT_NONE')
      expect(errnoOf(() => mm.madvise(at, 6 * PAGE, advice))).toBe('EINVAL')
      expect(present(mm, at, 6)).toBe('PPPP..')
      mm.munmap(at + 5 * PAGE, PAGE)
      expect(errnoOf(() => mm.madvise(at + 5 * PAGE, PAGE, advice))).toBe('ENOMEM')
    },
  )

  it('MADV_POPULATE_READ may what is read-only, MADV_POPULATE_WRITE may not', async () => {
    const { mm, at } = await scene([1, 2])
    mm.mprotect(at, 2 * PAGE, 'PROT_READ')
    mm.madvise(at, 2 * PAGE, 'MADV_POPULATE_READ')
    expect(errnoOf(() => mm.madvise(at, 2 * PAGE, 'MADV_POPULATE_WRITE'))).toBe('EINVAL')
  })

  it('says what a fault says: a broken frame, no frame left', async () => {
    const { host, mm, at } = await scene([1, undefined])
    host.memoryFailure(mm.pfn(at)!)
    expect(errnoOf(() => mm.madvise(at, PAGE, 'MADV_POPULATE_READ'))).toBe('EHWPOISON')
    useUpFrames(host)
    expect(errnoOf(() => mm.madvise(at + PAGE, PAGE, 'MADV_POPULATE_WRITE'))).toBe('ENOMEM')
    expect(errnoOf(() => mm.mlock(at + PAGE, PAGE))).toBe('EAGAIN')
  })
})

describe('MADV_FREE', () => {
  it('leaves the bytes there until the frame is reclaimed; then they are zeros, and swap has nothing', async () => {
    const { host, mm, at } = await scene([1, 2])
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    expect(byteAt(mm, at)).toBe(1)
    expect(mm.smaps()[0]).toMatchObject({ rss: 2 * PAGE, lazyFree: 2 * PAGE })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    expect(memoryOf(host).swap.usage.used).toBe(0)
    expect(host.frames.free).toBe(63)
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([0, 2])
    host.audit()
  })

  it('a write takes it back for that page', async () => {
    const { host, mm, at } = await scene([1, 2])
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    mm.write(at + 1, Uint8Array.of(9))
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    expect([mm.pfn(at), mm.pfn(at + PAGE)], 'this attempt finds out').toEqual([expect.any(Number), undefined])
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    expect(memoryOf(host).swap.usage.used).toBe(1)
    expect([...mm.read(at, 2)]).toEqual([1, 9])
    expect(byteAt(mm, at + PAGE)).toBe(0)
    host.audit()
  })

  it('so does a device that has written, and one that still holds the page', async () => {
    const { host, mm, at } = await scene([1, 2])
    const pins = [0, 1].map((page) => mm.get(at + page * PAGE, PAGE, { write: true }))
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    pins[0]!.write(0, Uint8Array.of(9))
    pins[0]!.release()
    expect(framesOf(mm, at, 2).map((pfn) => host.reclaim(pfn!))).toEqual(['still mapped', 'referenced'])
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([9, 2])
    pins[1]!.release()
    expect(framesOf(mm, at, 2).map((pfn) => host.reclaim(pfn!))).toEqual([undefined, undefined])
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)], 'the one that was only held is still given up').toEqual([
      9, 0,
    ])
    host.audit()
  })

  it('a page that a child has too goes only if neither has written', async () => {
    for (const written of [false, true]) {
      const { host, mm, at } = await scene([1])
      mm.madvise(at, PAGE, 'MADV_FREE')
      const child = mm.fork()
      if (written) pokeByte(child, at, 5)
      const pfn = mm.pfn(at)!
      expect(host.reclaim(pfn)).toBeUndefined()
      expect([byteAt(mm, at), byteAt(child, at)]).toEqual([0, written ? 5 : 0])
      host.audit()
    }
  })

  it('what is dirty for a child is kept for the child', async () => {
    const { host, mm, at } = await scene([1])
    const child = mm.fork()
    mm.madvise(at, PAGE, 'MADV_FREE')
    expect(host.reclaim(mm.pfn(at)!)).toBe('still mapped')
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([0, 1])
    expect(host.reclaim(child.pfn(at)!)).toBeUndefined()
    expect(byteAt(child, at)).toBe(1)
    host.audit()
  })

  it('nor is what a child has from an unmerged page, of which no pte says that it was written', async () => {
    const { host, mm, at } = await scene([7, 7], true)
    host.ksm.scan(2)
    mm.madvise(at, 2 * PAGE, 'MADV_UNMERGEABLE')
    const child = mm.fork()
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    for (const pfn of framesOf(mm, at, 2)) host.reclaim(pfn!)
    mm.exit()
    for (const pfn of framesOf(child, at, 2)) if (pfn !== undefined) host.reclaim(pfn)
    expect([byteAt(child, at), byteAt(child, at + PAGE)]).toEqual([7, 7])
    host.audit()
  })

  it('what is swapped out goes at once, what has moved is still given up, a freed frame is not', async () => {
    const host = await makeHost({ frames: 8, numaNodes: 2 })
    host.swapOn(memorySwapStore(4))
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    expect(memoryOf(host).swap.usage.used).toBe(0)
    expect(byteAt(mm, at)).toBe(0)
    const moved = host.migrate(mm.pfn(at + PAGE)!, { node: 1 })
    expect(host.reclaim(moved)).toBeUndefined()
    expect(byteAt(mm, at + PAGE)).toBe(0)
    expect(memoryOf(host).frames.lazyFree.size).toBe(0)
    host.audit()
  })

  it('what swap had is thrown away too, but not while a child has it', async () => {
    const { host, mm, at } = await scene([1])
    mm.madvise(at, PAGE, 'MADV_PAGEOUT')
    expect(byteAt(mm, at)).toBe(1) // and swap has it no more
    const child = mm.fork()
    mm.madvise(at, PAGE, 'MADV_FREE')
    expect(mm.smaps()[0]!.lazyFree).toBe(0)
    child.exit()
    mm.madvise(at, PAGE, 'MADV_FREE')
    expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
    expect([byteAt(mm, at), memoryOf(host).swap.usage.used]).toEqual([0, 0])
    host.audit()
  })

  it('a broken page is gone at once; the zero page is nobody’s to give up', async () => {
    const { host, mm, at } = await scene([1, undefined])
    byteAt(mm, at + PAGE)
    host.memoryFailure(mm.pfn(at)!)
    expect(errnoOf(() => byteAt(mm, at))).toBe('EHWPOISON')
    mm.madvise(at, 2 * PAGE, 'MADV_FREE')
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([0, 0])
    expect(memoryOf(host).frames.lazyFree.size).toBe(0)
    host.audit()
  })

  it('is merged as any other; a page that several mms have merged is not given up', async () => {
    const { host, mm, at } = await scene([7, 7, 8], true)
    host.ksm.scan(1)
    mm.madvise(at, 3 * PAGE, 'MADV_FREE')
    host.ksm.scan(1)
    expect(counted(host)).toEqual([1, 1, 1, 0])
    mm.madvise(at, 3 * PAGE, 'MADV_FREE')
    host.reclaim(mm.pfn(at)!)
    expectContent(mm, at, 7)
    host.reclaim(mm.pfn(at + 2 * PAGE)!)
    expect(byteAt(mm, at + 2 * PAGE)).toBe(0)
    host.ksm.scan(2)
    host.audit()
  })
})

describe('mlock', () => {
  it('counts for the page that is locked, not for one that was there before', async () => {
    const host = await makeHost()
    host.swapOn(memorySwapStore(8))
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork()
    child.write(at, contentBytes(8))
    child.mlock(at, PAGE)
    expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
    expect(host.reclaim(child.pfn(at)!)).toBe('mlocked')
    expectContent(mm, at, 7)
    host.audit()
  })

  it('that changes nothing joins no mappings', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(2 * PAGE)
    mm.madvise(at, PAGE, 'MADV_MERGEABLE')
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    expect([...mm.vmas]).toHaveLength(2)
    mm.munlock(at, 2 * PAGE)
    expect([...mm.vmas]).toHaveLength(2)
  })

  it('faults in what may be written to as the own, and nothing of it is swapped out', async () => {
    const { host, mm, at } = await scene([7, 7, undefined], true)
    host.ksm.scan(2)
    mm.mlock(at, 3 * PAGE)
    expect(present(mm, at, 3)).toBe('PPP')
    expect(new Set(framesOf(mm, at, 3)).size, 'merged pages are broken').toBe(3)
    expect(host.reclaim(mm.pfn(at)!)).toBe('mlocked')
    expect(memoryOf(host).swap.usage.used).toBe(0)
    mm.munlock(at, PAGE)
    expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
    expect(host.reclaim(mm.pfn(at + PAGE)!)).toBe('mlocked')
    host.audit()
  })

  it('faults in every mapping of its range, device memory excepted', async () => {
    const { host, mm, at } = await scene([7, undefined])
    for (const [i, options] of [{ shared: true }, { kind: 'pfnmap' }, { shared: true }].entries())
      mm.mmap(2 * PAGE, { address: at + (2 + 2 * i) * PAGE, ...(options as MmapOptions) })
    mm.mlock(at, 8 * PAGE)
    expect([0, 1, 2, 3, 6, 7].map((page) => mm.pfn(at + page * PAGE) !== undefined)).not.toContain(false)
    expect(mm.pfn(at + 4 * PAGE)).toBeUndefined()
    host.audit()
  })

  it('is merged all the same, and keeps a merged page in for those who have not locked it', async () => {
    const { host, mm, at } = await scene([7], true)
    const other = guest(host, 'b', [7])
    mm.mlock(at, PAGE)
    host.ksm.scan(2)
    const pfn = mm.pfn(at)!
    expect(other.mm.pfn(other.at)).toBe(pfn)
    expect(host.reclaim(pfn)).toBe('mlocked')
    expect(host.frame(pfn).mapcount).toBe(2)
    mm.exit()
    expect(host.reclaim(pfn)).toBeUndefined()
    host.audit()
  })

  it('is not inherited, moves along, and what a locked range grows by is faulted in', async () => {
    const { host, mm, at } = await scene([1])
    mm.mlock(at, PAGE)
    expect(mm.mremap(at, PAGE, 3 * PAGE)).toBe(at)
    expect(present(mm, at, 3)).toBe('PPP')
    const moved = mm.mremap(at, 3 * PAGE, 4 * PAGE, { address: at + 2 ** 30 })
    expect(present(mm, moved, 4)).toBe('PPPP')
    expect(host.reclaim(mm.pfn(moved)!)).toBe('mlocked')
    const child = mm.fork()
    mm.exit()
    expect(host.reclaim(child.pfn(moved)!)).toBeUndefined()
    expect(byteAt(child, moved)).toBe(1)
    host.audit()
  })

  it('a hole: ENOMEM, what lies before is locked and not faulted in; no bytes: nothing', async () => {
    const { mm, at } = await scene([undefined, undefined, undefined])
    mm.munmap(at + PAGE, PAGE)
    mm.mlock(at + 2 ** 30, 0)
    expect(errnoOf(() => mm.mlock(at, 3 * PAGE))).toBe('ENOMEM')
    expect(mm.smaps().map(({ flags }) => flags.includes('lo'))).toEqual([true, false])
    expect(present(mm, at, 3)).toBe('...')
    expect(errnoOf(() => mm.munlock(at, 3 * PAGE))).toBe('ENOMEM')
    expect(mm.smaps().map(({ flags }) => flags.includes('lo'))).toEqual([false, false])
  })

  it('where nothing may be touched: ENOMEM, and it is locked; read-only: the zero page', async () => {
    const { mm, at } = await scene([undefined, undefined])
    mm.mprotect(at, PAGE, 'PROT_NONE')
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ')
    expect(errnoOf(() => mm.mlock(at, PAGE))).toBe('ENOMEM')
    mm.mlock(at + PAGE, PAGE)
    expect(present(mm, at, 2)).toBe('.P')
    expect(mm.smaps().map(({ flags }) => flags)).toEqual([['lo'], ['rd', 'lo']])
  })

  it('of a part of what is locked faults in that part', async () => {
    const { mm, at } = await scene([undefined, undefined, undefined, undefined])
    mm.mprotect(at, 4 * PAGE, 'PROT_NONE')
    expect(errnoOf(() => mm.mlock(at, 4 * PAGE))).toBe('ENOMEM')
    mm.mprotect(at, 4 * PAGE, 'PROT_READ|PROT_WRITE')
    mm.mlock(at + PAGE, 2 * PAGE)
    expect(present(mm, at, 4)).toBe('.PP.')
  })

  it('huge pages and device memory have no need of it', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    for (const kind of ['hugetlb', 'pfnmap'] as const) {
      const at = mm.mmap(PAGE, { kind })
      mm.mlock(at, PAGE)
      expect(mm.smaps().at(-1)!.flags).not.toContain('lo')
    }
  })
})

describe('smaps', () => {
  it('tells of each mapping what it holds: merged pages, not the zero pages ksmd placed', async () => {
    const { host, mm, at } = await scene([7, 7, 0, 8, undefined], true)
    host.ksm.set('use_zero_pages', 1)
    const [rest] = [mm.mmap(3 * PAGE)]
    pokeByte(mm, rest, 1)
    byteAt(mm, rest + PAGE)
    host.ksm.scan(3)
    mm.madvise(at + 3 * PAGE, PAGE, 'MADV_PAGEOUT')
    mm.mprotect(rest, 3 * PAGE, 'PROT_READ')
    expect(mm.smaps()).toEqual([
      {
        address: at,
        size: 5 * PAGE,
        rss: 2 * PAGE,
        anonymous: 2 * PAGE,
        ksm: 2 * PAGE,
        lazyFree: 0,
        swap: PAGE,
        flags: ['rd', 'wr', 'mg'],
      },
      {
        address: rest,
        size: 3 * PAGE,
        rss: PAGE,
        anonymous: PAGE,
        ksm: 0,
        lazyFree: 0,
        swap: 0,
        flags: ['rd'],
      },
    ])
    expect(mm.ksmStat()).toMatchObject({ ksm_zero_pages: 1, ksm_merging_pages: 2 })
    pokeByte(mm, at, 1)
    expect(mm.smaps()[0]!.ksm, 'at once').toBe(PAGE)
    expect(mm.ksmStat().ksm_merging_pages, 'later').toBe(2)
  })

  it('adds up to what frames are mapped as merged', async () => {
    const { host, mm } = await scene([7, 7, 8, 8, 9], true)
    const child = mm.fork()
    host.ksm.scan(3)
    const merged = [mm, child].flatMap((each) => each.smaps()).reduce((sum, { ksm }) => sum + ksm, 0)
    const { pages_shared, pages_sharing } = host.ksm.counters()
    expect(merged).toBe((pages_shared + pages_sharing) * PAGE)
  })
})
