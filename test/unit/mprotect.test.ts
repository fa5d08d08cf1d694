// mprotect: rights change at once, pages stay as they are, and sharing is neither broken nor forgotten by it.

import { describe, expect, it } from 'vitest'
import { PTE_WRITE } from '../../assembly/abi.ts'
import { type Mm, memorySwapStore, type NotifierRange } from '../../src/index.ts'
import { memoryOf, pteOf } from '../support/inside.ts'
import { byteAt, counted, errnoOf, expectContent, guest, makeHost, PAGE, pokeByte } from '../support/world.ts'

const ranges = (mm: Mm): string[] =>
  [...mm.vmas].map(
    (vma, _, all) => `${vma.start - all[0]!.start}..${vma.end - all[0]!.start}:${vma.flags & 3}`,
  )

describe('mprotect', () => {
  it('parts that are alike again are one mapping, whichever of them has pages of its own', async () => {
    for (const written of [[], [0], [1], [0, 1]]) {
      const host = await makeHost()
      const mm = host.createMm()
      const at = mm.mmap(2 * PAGE)
      mm.mprotect(at, PAGE, 'PROT_READ')
      for (const page of written) mm.write(at + page * PAGE, Uint8Array.of(page + 1), { force: true })
      mm.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
      expect([...mm.vmas], `${written}`).toHaveLength(1)
      expect([0, 1].map((page) => byteAt(mm, at + page * PAGE))).toEqual(
        [0, 1].map((page) => (written.includes(page) ? page + 1 : 0)),
      )
      for (const page of written) host.migrate(mm.pfn(at + page * PAGE)!, { node: 0 })
      host.audit()
      mm.exit()
      expect(memoryOf(host).anonVmas.live).toBe(0)
    }
  })

  it('takes rights away and gives them back', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const pfn = mm.pfn(at)
    mm.mprotect(at, PAGE, 'PROT_READ')
    expect(byteAt(mm, at)).toBe(7)
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
    expect(pteOf(mm, at) & PTE_WRITE).toBe(0)
    host.audit()
    mm.mprotect(at, PAGE, 'PROT_NONE')
    expect(errnoOf(() => byteAt(mm, at))).toBe('EFAULT')
    expect(mm.pfn(at)).toBe(pfn)
    mm.mprotect(at, PAGE, 'PROT_READ | PROT_WRITE')
    pokeByte(mm, at, 9)
    expect(mm.pfn(at), 'without a copy').toBe(pfn)
    host.audit()
  })

  it('by number or by name, and nothing else', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    mm.mprotect(at, PAGE, 1)
    expect(ranges(mm)).toEqual(['0..1:1'])
    expect(() => mm.mprotect(at, PAGE, 4)).toThrow(RangeError)
    expect(() => mm.mprotect(at, PAGE, 'PROT_EXEC')).toThrow(/PROT_READ/)
    expect(() => mm.mprotect(at + 1, PAGE, 1)).toThrow(RangeError)
    for (const none of [undefined, null, {}, [1], true])
      expect(() => mm.mprotect(at, PAGE, none as never), String(none)).toThrow(/`prot`/)
    expect(ranges(mm)).toEqual(['0..1:1'])
  })

  it('cuts ranges and joins them again', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3, 4, 5], { mergeable: false })
    mm.mprotect(at + PAGE, 3 * PAGE, 'PROT_READ')
    expect(ranges(mm)).toEqual(['0..1:3', '1..4:1', '4..5:3'])
    mm.mprotect(at + 2 * PAGE, PAGE, 'PROT_NONE')
    mm.mprotect(at, 5 * PAGE, 'PROT_READ')
    expect(ranges(mm)).toEqual(['0..5:1'])
    mm.mprotect(at, 5 * PAGE, 'PROT_READ|PROT_WRITE')
    for (let page = 0; page < 5; page++) pokeByte(mm, at + page * PAGE, 9)
    host.audit()
  })

  it('stops at a hole with ENOMEM; what lies before has changed', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    mm.munmap(at + PAGE, PAGE)
    expect(errnoOf(() => mm.mprotect(at, 3 * PAGE, 'PROT_READ'))).toBe('ENOMEM')
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
    pokeByte(mm, at + 2 * PAGE, 1)
    expect(errnoOf(() => mm.mprotect(at + PAGE, PAGE, 'PROT_READ'))).toBe('ENOMEM')
    host.audit()
  })

  it('a page shared by fork stays shared until it is written to', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const child = mm.fork({ name: 'child' })
    mm.mprotect(at, PAGE, 'PROT_NONE')
    mm.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    expect(mm.pfn(at)).toBe(child.pfn(at))
    pokeByte(mm, at, 9)
    expect(byteAt(child, at)).toBe(7)
    host.audit()
  })

  it('leaves pages merged, and lets read-only and inaccessible ones merge', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 7, 7])
    mm.mprotect(at, PAGE, 'PROT_READ')
    mm.mprotect(at + PAGE, PAGE, 'PROT_NONE')
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    host.audit()
    mm.mprotect(at, 3 * PAGE, 'PROT_READ|PROT_WRITE')
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    for (let page = 0; page < 3; page++) pokeByte(mm, at + page * PAGE, page)
    expect([0, 1, 2].map((page) => byteAt(mm, at + page * PAGE))).toEqual([0, 1, 2])
    expect(host.vmstat().cow_ksm).toBe(3)
    host.audit()
  })

  it('a forced write goes where the guest may not write, to a page of its own', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [0x11, 0x11, undefined])
    host.ksm.scan(2)
    for (const prot of ['PROT_READ', 'PROT_NONE']) {
      mm.mprotect(at, 3 * PAGE, prot)
      for (const page of [0, 2]) {
        mm.write(at + page * PAGE, Uint8Array.of(page + 1), { force: true })
        const pfn = mm.pfn(at + page * PAGE)
        mm.write(at + page * PAGE + 1, Uint8Array.of(page + 2), { force: true })
        expect(mm.pfn(at + page * PAGE)).toBe(pfn)
        expect(pteOf(mm, at + page * PAGE) & PTE_WRITE).toBe(0)
      }
      expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
      host.audit()
    }
    mm.mprotect(at, 3 * PAGE, 'PROT_READ')
    expect([0, 1, 2].map((page) => [...mm.read(at + page * PAGE, 2)])).toEqual([
      [1, 2],
      [0x11, 0],
      [3, 4],
    ])
    host.audit()
  })

  it('a forced write does not go to a shared mapping that is read-only', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(PAGE, { shared: true })
    pokeByte(mm, at, 7)
    const child = mm.fork({ name: 'child' })
    child.mprotect(at, PAGE, 'PROT_READ')
    expect(errnoOf(() => child.write(at, Uint8Array.of(9), { force: true }))).toBe('EFAULT')
    expect(byteAt(child, at)).toBe(7)
    expect(
      errnoOf(() => child.write(at, Uint8Array.of(9), { force: true })),
      'mapped now',
    ).toBe('EFAULT')
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([7, 7])
    mm.write(at, Uint8Array.of(8), { force: true })
    expect(byteAt(child, at)).toBe(8)
    host.audit()
  })

  it('knows a swapped-out page from a writable one: its entry stays what it is', async () => {
    const host = await makeHost()
    for (let device = 0; device < 8; device++) host.swapOn(memorySwapStore(1))
    const contents = [1, 2, 3, 4, 5, 6, 7, 8]
    const { mm, at } = guest(host, 'a', contents, { mergeable: false })
    mm.madvise(at, 8 * PAGE, 'MADV_PAGEOUT')
    const before = contents.map((_, page) => pteOf(mm, at + page * PAGE))
    mm.mprotect(at, 8 * PAGE, 'PROT_READ')
    expect(contents.map((_, page) => pteOf(mm, at + page * PAGE))).toEqual(before)
    host.audit()
    expect(contents.map((_, page) => byteAt(mm, at + page * PAGE))).toEqual(contents)
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
    host.audit()
  })

  it('holds for a page that is on its way elsewhere', async () => {
    const host = await makeHost({ numaNodes: 2 })
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    memoryOf(host).race = (point) => {
      if (point === 'migration: after freeze') mm.mprotect(at, PAGE, 'PROT_READ')
    }
    host.migrate(mm.pfn(at)!, { node: 1 })
    memoryOf(host).race = undefined
    host.audit()
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EFAULT')
    expectContent(mm, at, 7)
  })

  it('tells notifiers of each part', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2], { mergeable: false })
    mm.mprotect(at, PAGE, 'PROT_READ')
    const open: NotifierRange[] = []
    const seen: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: (range) => void open.push(range),
      invalidateRangeEnd: (range) => {
        expect(open.pop()).toBe(range)
        seen.push(`${range.event} ${(range.start - at) / PAGE}..${(range.end - at) / PAGE}`)
      },
    })
    mm.mprotect(at, 2 * PAGE, 'PROT_NONE')
    expect(seen).toEqual(['protection 0..1', 'protection 1..2'])
    expect(open).toEqual([])
    mm.mprotect(at, 2 * PAGE, 'PROT_NONE')
    expect(seen, 'nothing changes').toHaveLength(2)
  })
})
