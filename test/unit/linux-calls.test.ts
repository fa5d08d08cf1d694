// Where calls on a range once answered otherwise than Linux 6.18 does: ranges of no bytes, mremap of several mappings,
// prctl beside madvise. Each answer was asked of a kernel.

import { describe, expect, it } from 'vitest'
import type { Host, Mm } from '../../src/index.ts'
import {
  byteAt,
  counted,
  errnoOf,
  framesOf,
  guest,
  hasDuplicates,
  makeHost,
  PAGE,
  pokeByte,
} from '../support/world.ts'

const vmasOf = (mm: Mm): number => [...mm.vmas].length

describe('a range of no bytes', () => {
  /** Three equal pages, mergeable or not, and an address in the middle of them. */
  async function scene(mergeable: boolean): Promise<{ host: Host; mm: Mm; at: number; middle: number }> {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, 7], { mergeable })
    return { host, mm, at, middle: at + PAGE }
  }

  it('MADV_MERGEABLE merges nothing', async () => {
    const { host, mm, middle } = await scene(false)
    mm.madvise(middle, 0, 'MADV_MERGEABLE')
    host.ksm.scan(2)
    expect(counted(host)).toEqual([0, 0, 0, 0])
    expect(mm.ksmStat().ksm_mergeable).toBe('no')
    expect(vmasOf(mm)).toBe(1)
  })

  it('MADV_UNMERGEABLE and MADV_DONTNEED leave the pages as they are', async () => {
    const { host, mm, at, middle } = await scene(true)
    host.ksm.scan(2)
    for (const advice of ['MADV_UNMERGEABLE', 'MADV_DONTNEED', 'MADV_PAGEOUT'] as const) {
      mm.madvise(middle, 0, advice)
      expect(new Set(framesOf(mm, at, 3)).size, advice).toBe(1)
    }
    expect(vmasOf(mm)).toBe(1)
    host.audit()
  })

  it('mprotect takes nothing away, nor does it mind a hole', async () => {
    const { host, mm, at, middle } = await scene(false)
    mm.mprotect(middle, 0, 'PROT_NONE')
    mm.mprotect(at + 2 ** 30, 0, 'PROT_NONE')
    mm.madvise(at + 2 ** 30, 0, 'MADV_MERGEABLE')
    for (let page = 0; page < 3; page++) pokeByte(mm, at + page * PAGE, 9)
    expect(vmasOf(mm)).toBe(1)
    host.audit()
  })

  it('munmap and the two of userfault are EINVAL, and nothing is done', async () => {
    const { host, mm, at, middle } = await scene(false)
    expect(errnoOf(() => mm.munmap(middle, 0))).toBe('EINVAL')
    expect(errnoOf(() => mm.munmap(at + 2 ** 30, 0))).toBe('EINVAL')
    expect(errnoOf(() => mm.registerUserfault(middle, 0, { onWriteProtect() {} }))).toBe('EINVAL')
    expect(errnoOf(() => mm.userfaultWriteProtect(middle, 0, true))).toBe('EINVAL')
    for (let page = 0; page < 3; page++) expect(byteAt(mm, at + page * PAGE)).toBe(7)
    expect(vmasOf(mm)).toBe(1)
    host.audit()
  })
})

describe('mremap of a range that is not one mapping', () => {
  /** Pages 1, 2, a hole, 4. */
  async function holed(): Promise<{ host: Host; mm: Mm; at: number }> {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    mm.munmap(at + 2 * PAGE, PAGE)
    return { host, mm, at }
  }
  const there = (mm: Mm, at: number): string =>
    [0, 1, 2, 3]
      .map((page) => errnoOf(() => byteAt(mm, at + page * PAGE)) ?? byteAt(mm, at + page * PAGE))
      .join(' ')

  it.each([
    [3, 1, '1 EFAULT EFAULT 4'],
    [4, 1, '1 EFAULT EFAULT EFAULT'],
    [4, 3, '1 2 EFAULT EFAULT'],
    [3, 3, '1 2 EFAULT 4'],
    [64, 2, '1 2 EFAULT EFAULT'],
  ])('in place from %i pages to %i: done, only its beginning must be mapped', async (from, to, left) => {
    const { host, mm, at } = await holed()
    expect(mm.mremap(at, from * PAGE, to * PAGE)).toBe(at)
    expect(there(mm, at)).toBe(left)
    host.audit()
  })

  it('whose beginning is a hole is refused, and nothing is done', async () => {
    const { host, mm, at } = await holed()
    expect(errnoOf(() => mm.mremap(at + 2 * PAGE, 2 * PAGE, PAGE))).toBe('EFAULT')
    expect(there(mm, at)).toBe('1 2 EFAULT 4')
    host.audit()
  })

  it('to grow it must be one', async () => {
    const { host, mm, at } = await holed()
    expect(errnoOf(() => mm.mremap(at, 3 * PAGE, 4 * PAGE))).toBe('EFAULT')
    expect(there(mm, at)).toBe('1 2 EFAULT 4')
    host.audit()
  })

  it('shrunk on the way to another address: the part that is kept must be one', async () => {
    const { host, mm, at } = await holed()
    const target = at + 64 * PAGE
    expect(mm.mremap(at, 4 * PAGE, 2 * PAGE, { address: target })).toBe(target)
    expect(there(mm, target)).toBe('1 2 EFAULT EFAULT')
    expect(there(mm, at)).toBe('EFAULT EFAULT EFAULT EFAULT')
    host.audit()
  })

  it.each([3, 5])('if it is not, nothing is done: from 4 pages to %i', async (pages) => {
    const { host, mm, at } = await holed()
    const target = mm.mmap(PAGE, { address: at + 64 * PAGE })
    pokeByte(mm, target, 9)
    expect(errnoOf(() => mm.mremap(at, 4 * PAGE, pages * PAGE, { address: target }))).toBe('EFAULT')
    expect(byteAt(mm, target)).toBe(9)
    expect(there(mm, at)).toBe('1 2 EFAULT 4')
    host.audit()
  })

  it('huge pages and device memory do not grow', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const huge = mm.mmap(2 * PAGE, { kind: 'hugetlb' })
    expect(errnoOf(() => mm.mremap(huge, 2 * PAGE, 3 * PAGE))).toBe('EINVAL')
    const device = mm.mmap(2 * PAGE, { kind: 'pfnmap' })
    expect(errnoOf(() => mm.mremap(device, 2 * PAGE, 3 * PAGE))).toBe('EFAULT')
    expect(mm.mremap(device, 2 * PAGE, PAGE)).toBe(device)
    host.audit()
  })
})

describe('PR_SET_MEMORY_MERGE', () => {
  it('sets the flag without joining neighbours, so that a range across both does not move when it grows', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4], { mergeable: false })
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    expect(vmasOf(mm)).toBe(2)
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    expect(vmasOf(mm)).toBe(2)
    expect(errnoOf(() => mm.mremap(at + PAGE, 3 * PAGE, 4 * PAGE))).toBe('EFAULT')
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(vmasOf(mm)).toBe(2)
    // The next call that touches one of them joins them.
    mm.mprotect(at, 2 * PAGE, 'PROT_READ')
    mm.mprotect(at, 2 * PAGE, 'PROT_READ|PROT_WRITE')
    expect(vmasOf(mm)).toBe(1)
    host.audit()
  })

  it('and clearing it unmerges what neighbours have in common', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, 7, 7], { mergeable: false })
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    mm.prctl('PR_SET_MEMORY_MERGE', 1)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 3, 0, 0])
    mm.prctl('PR_SET_MEMORY_MERGE', 0)
    expect(hasDuplicates(mm, at, 4)).toBe(false)
    host.audit()
  })
})
