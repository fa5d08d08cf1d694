// Private mappings of a file, as a hypervisor restores a guest from a snapshot: reads share the file's pages, a write makes an
// anonymous copy, and only that is merged. Linux: MAP_PRIVATE of a file, mmap(2)

import { describe, expect, it } from 'vitest'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import {
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  framesOf,
  makeHost,
  PAGE,
  pokeByte,
  useUpFrames,
} from '../support/world.ts'

/** A file with a page of each content. */
function fileOf(contents: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(contents.length * PAGE)
  for (const [page, content] of contents.entries()) bytes.set(contentBytes(content), page * PAGE)
  return bytes
}

const inUse = (host: Host): number => host.frames.total - host.frames.free
const bytesAt = (mm: Mm, at: number, pages: number): number[] =>
  Array.from({ length: pages }, (_, page) => byteAt(mm, at + page * PAGE))

describe('a private mapping of a file', () => {
  it('shows the file, from the offset on, read when it is touched and once for all', async () => {
    const host = await makeHost()
    const read: number[] = []
    const file = {
      pages: 4,
      read(page: number, into: Uint8Array): void {
        read.push(page)
        into.set(contentBytes(page + 1))
      },
    }
    const [a, b] = [host.createMm(), host.createMm()]
    const atA = a.mmap(4 * PAGE, { file })
    const atB = b.mmap(2 * PAGE, { file, offset: 2 * PAGE })
    expect(inUse(host)).toBe(0)
    expect([byteAt(a, atA + 3 * PAGE), byteAt(b, atB + PAGE), byteAt(b, atB)]).toEqual([4, 4, 3])
    expect(read).toEqual([3, 2])
    expect(a.pfn(atA + 3 * PAGE)).toBe(b.pfn(atB + PAGE))
    expect(inUse(host)).toBe(2)
    host.audit()
    a.exit()
    expect(byteAt(b, atB + PAGE)).toBe(4)
    b.munmap(atB, 2 * PAGE)
    expect(inUse(host), 'the last who maps it takes its pages along').toBe(0)
    expect(memoryOf(host).files.size).toBe(0)
    host.audit()
  })

  it('a write is this mm’s alone, and the file keeps what it had', async () => {
    const host = await makeHost()
    const file = fileOf([1, 2])
    const [a, b] = [host.createMm(), host.createMm()]
    const at = a.mmap(2 * PAGE, { file })
    const other = b.mmap(2 * PAGE, { file })
    pokeByte(a, at, 9)
    byteAt(a, at + PAGE)
    pokeByte(a, at + PAGE, 9)
    expect(bytesAt(a, at, 2)).toEqual([9, 9])
    expect(bytesAt(b, other, 2)).toEqual([1, 2])
    expect([file[0], file[PAGE]]).toEqual([1, 2])
    a.madvise(at, PAGE, 'MADV_DONTNEED')
    expect(bytesAt(a, at, 2), 'what was thrown away is read again').toEqual([1, 9])
    host.audit()
  })

  it('its last page is filled up with zeros, behind it every touch fails', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(3 * PAGE, { file: fileOf([1, 2]).subarray(0, PAGE + 10) })
    expect([...mm.read(at + PAGE + 8, 4)]).toEqual([2, 0, 0, 0])
    expect(errnoOf(() => byteAt(mm, at + 2 * PAGE))).toBe('EFAULT')
    expect(errnoOf(() => pokeByte(mm, at + 2 * PAGE, 1))).toBe('EFAULT')
    expect(errnoOf(() => mm.madvise(at, 3 * PAGE, 'MADV_POPULATE_READ'))).toBe('EFAULT')
    host.audit()
  })

  it('splits, joins again, moves and forks with its place in the file', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(4 * PAGE, { file: fileOf([1, 2, 3, 4]) })
    pokeByte(mm, at + PAGE, 9)
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ')
    expect([...mm.vmas]).toHaveLength(3)
    mm.mprotect(at + PAGE, PAGE, 'PROT_READ|PROT_WRITE')
    expect([...mm.vmas]).toHaveLength(1)
    const moved = mm.mremap(at + PAGE, 2 * PAGE, 2 * PAGE, { address: at + 2 ** 30 })
    const child = mm.fork()
    for (const each of [mm, child]) {
      expect([byteAt(each, at), ...bytesAt(each, moved, 2), byteAt(each, at + 3 * PAGE)]).toEqual([
        1, 9, 3, 4,
      ])
    }
    pokeByte(child, moved, 8)
    expect([byteAt(mm, moved), byteAt(child, moved)]).toEqual([9, 8])
    host.audit()
    mm.exit()
    child.exit()
    expect([inUse(host), memoryOf(host).files.size, memoryOf(host).anonVmas.live]).toEqual([0, 0, 0])
  })

  it('mappings of other files, or of other places in it, stay apart', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const [one, two] = [fileOf([1, 2]), fileOf([3, 4])]
    const at = mm.mmap(PAGE, { file: one })
    for (const [i, options] of [{ file: one }, { file: two, offset: PAGE }, {}].entries())
      mm.mmap(PAGE, { ...options, address: at + (i + 1) * PAGE })
    expect([...mm.vmas]).toHaveLength(4)
    mm.mmap(PAGE, { file: two, address: at - PAGE })
    mm.mmap(PAGE, { file: one, offset: PAGE, address: at + 4 * PAGE })
    expect(bytesAt(mm, at - PAGE, 6)).toEqual([3, 1, 1, 4, 0, 2])
    host.audit()
  })

  it('is refused what it cannot be', async () => {
    const mm = (await makeHost()).createMm()
    const file = fileOf([1])
    expect(() => mm.mmap(PAGE, { file, shared: true })).toThrow(TypeError)
    expect(() => mm.mmap(PAGE, { file, kind: 'hugetlb' })).toThrow(TypeError)
    expect(() => mm.mmap(PAGE, { offset: PAGE })).toThrow(TypeError)
    expect(() => mm.mmap(PAGE, { file, offset: 1 })).toThrow(RangeError)
    expect(() => mm.mmap(PAGE, { file, offset: 2 ** 44 })).toThrow(RangeError)
    expect(() => mm.mmap(PAGE, { file: { pages: 1 } as never })).toThrow(TypeError)
    expect(() => mm.mmap(PAGE, { file: { pages: 1.5, read() {} } })).toThrow(RangeError)
    expect([...mm.vmas]).toHaveLength(0)
  })

  it('that cannot be read is EIO, out of frames ENOMEM; nothing is mapped then', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const bad = {
      pages: 1,
      read(): void {
        throw new Error('the disk')
      },
    }
    const at = mm.mmap(PAGE, { file: bad })
    expect(errnoOf(() => byteAt(mm, at))).toBe('EIO')
    const good = mm.mmap(2 * PAGE, { file: fileOf([1, 2]) })
    useUpFrames(host, 1)
    expect(
      errnoOf(() => pokeByte(mm, good, 9)),
      'one for the file’s page, none for the copy',
    ).toBe('ENOMEM')
    expect(byteAt(mm, good)).toBe(1)
    expect(errnoOf(() => byteAt(mm, good + PAGE))).toBe('ENOMEM')
    host.audit()
  })

  it('is no anonymous memory: neither swapped out nor moved; a forced write makes a copy', async () => {
    const host = await makeHost({ frames: 16, numaNodes: 2 })
    host.swapOn(memorySwapStore(4))
    const mm = host.createMm()
    const at = mm.mmap(2 * PAGE, { file: fileOf([1, 2]), prot: 'PROT_READ' })
    byteAt(mm, at)
    mm.madvise(at, 2 * PAGE, 'MADV_PAGEOUT')
    expect(errnoOf(() => host.reclaim(mm.pfn(at)!))).toBe('EINVAL')
    expect(errnoOf(() => host.migrate(mm.pfn(at)!, { node: 1 }))).toBe('EINVAL')
    expect(errnoOf(() => pokeByte(mm, at, 9))).toBe('EFAULT')
    mm.write(at, Uint8Array.of(9), { force: true })
    expect(byteAt(mm, at)).toBe(9)
    expect(host.reclaim(mm.pfn(at)!)).toBeUndefined()
    expect(byteAt(mm, at)).toBe(9)
    expect(mm.smaps()[0]).toMatchObject({ rss: PAGE, anonymous: PAGE })
    host.audit()
  })

  it('pinned for a short read it stays the file’s, for long or for writing it is copied', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const at = mm.mmap(3 * PAGE, { file: fileOf([1, 2, 3]) })
    const kinds = [{}, { longterm: true }, { write: true }]
    const pins = kinds.map((options, page) => mm.pin(at + page * PAGE, PAGE, options))
    expect(mm.smaps()[0]).toMatchObject({ rss: 3 * PAGE, anonymous: 2 * PAGE })
    host.audit()
    for (const pin of pins) pin.release()
    host.audit()
  })

  it('a broken page of it is read again, and nobody is told', async () => {
    const host = await makeHost()
    const file = fileOf([1])
    const [a, b] = [host.createMm(), host.createMm()]
    const [atA, atB] = [a.mmap(PAGE, { file }), b.mmap(PAGE, { file })]
    expect([byteAt(a, atA), byteAt(b, atB)]).toEqual([1, 1])
    const broken = a.pfn(atA)!
    expect(host.memoryFailure(broken)).toEqual({ told: [], recovered: 2 })
    expect([byteAt(a, atA), byteAt(b, atB)]).toEqual([1, 1])
    expect(a.pfn(atA)).not.toBe(broken)
    host.audit()
  })
})

describe.each(INDEX_NAMES)('merging a private mapping of a file, index %s', (index) => {
  it('concerns only what was written to', async () => {
    const host = await makeHost({ index })
    const file = fileOf([7, 7, 7, 7])
    const [a, b] = [host.createMm(), host.createMm()]
    const [atA, atB] = [a, b].map((mm) => {
      const at = mm.mmap(4 * PAGE, { file })
      mm.madvise(at, 4 * PAGE, 'MADV_MERGEABLE')
      return at
    }) as [number, number]
    expect(bytesAt(a, atA, 4)).toEqual([7, 7, 7, 7])
    host.ksm.scan(3)
    expect(counted(host), 'the file’s own pages are not even looked at').toEqual([0, 0, 0, 0])
    expect(host.ksm.counters().pages_scanned).toBe(0)
    for (const [mm, at] of [
      [a, atA],
      [b, atB + PAGE],
    ] as const)
      mm.write(at, contentBytes(7))
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(a.pfn(atA)).toBe(b.pfn(atB + PAGE))
    expect(new Set(framesOf(a, atA + PAGE, 3)).size, 'these are three pages of the file still').toBe(3)
    expect(a.smaps()[0]).toMatchObject({
      rss: 4 * PAGE,
      anonymous: PAGE,
      ksm: PAGE,
      flags: ['rd', 'wr', 'mg'],
    })
    host.audit()
    pokeByte(a, atA, 1)
    expectContent(b, atB + PAGE, 7)
    a.madvise(atA, 4 * PAGE, 'MADV_UNMERGEABLE')
    expect(bytesAt(a, atA, 4)).toEqual([1, 7, 7, 7])
    host.audit()
  })

  it('a page that is the file’s again when it is visited is left alone', async () => {
    const host = await makeHost({ index })
    const mm = host.createMm()
    const at = mm.mmap(2 * PAGE, { file: fileOf([7, 7]) })
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    for (const page of [0, 1]) mm.write(at + page * PAGE, contentBytes(7))
    host.ksm.scan(1)
    mm.madvise(at, PAGE, 'MADV_DONTNEED')
    expectContent(mm, at, 7)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([0, 0, 1, 0])
    host.audit()
  })

  it('is found again after a migration and after swap, by its place in the file', async () => {
    const host = await makeHost({ index, numaNodes: 2 })
    host.swapOn(memorySwapStore(4))
    const mm = host.createMm()
    const at = mm.mmap(2 * PAGE, { file: fileOf([1, 2, 3, 4]), offset: 2 * PAGE })
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    for (const page of [0, 1]) mm.write(at + page * PAGE, contentBytes(7))
    const child = mm.fork()
    host.ksm.scan(3)
    expect(host.frame(mm.pfn(at)!).mapcount).toBe(4)
    const moved = host.migrate(mm.pfn(at)!, { node: 1 })
    expect([mm.pfn(at), child.pfn(at + PAGE)]).toEqual([moved, moved])
    expect(host.reclaim(moved)).toBeUndefined()
    for (const each of [mm, child]) for (const page of [0, 1]) expectContent(each, at + page * PAGE, 7)
    host.audit()
  })
})
