// Userfault write protection: who is told of which write, and that breaking a merge is none.

import { describe, expect, it } from 'vitest'
import { PTE_UFFD_WP } from '../../assembly/abi.ts'
import { type Host, INDEX_NAMES, type Mm, memorySwapStore } from '../../src/index.ts'
import { pteOf } from '../support/inside.ts'
import { byteAt, contentBytes, counted, errnoOf, guest, makeHost, PAGE, pokeByte } from '../support/world.ts'

/** A guest whose pages are protected, with a handler that notes where it was told of a write, and then does this. */
async function protectedGuest(
  contents: (number | undefined)[],
  handle: (mm: Mm, address: number, at: number) => void = (mm, address) =>
    mm.userfaultWriteProtect(address, PAGE, false),
  prepare?: (host: Host) => void,
) {
  const host = await makeHost()
  prepare?.(host)
  const { mm, at } = guest(host, 'a', contents, { mergeable: false })
  const told: number[] = []
  mm.registerUserfault(at, contents.length * PAGE, {
    onWriteProtect: ({ address }) => {
      told.push((address - at) / PAGE)
      handle(mm, address, at)
    },
  })
  mm.userfaultWriteProtect(at, contents.length * PAGE, true)
  return { host, mm, at, told }
}

describe('a write to a protected page', () => {
  it('is reported before it happens, and happens when the handler lets it', async () => {
    const seen: number[] = []
    const { host, mm, at, told } = await protectedGuest([7, 8], (mm, address) => {
      seen.push(byteAt(mm, address))
      mm.userfaultWriteProtect(address, PAGE, false)
    })
    const pfn = mm.pfn(at + PAGE)
    pokeByte(mm, at + PAGE + 3, 9)
    expect(told).toEqual([1])
    expect(seen).toEqual([8])
    expect(mm.pfn(at + PAGE), 'no copy').toBe(pfn)
    expect(mm.read(at + PAGE + 3, 1)).toEqual(Uint8Array.of(9))
    pokeByte(mm, at + PAGE, 1)
    expect(told, 'once').toEqual([1])
    host.audit()
  })

  it('fails with EAGAIN while the handler does not', async () => {
    const { host, mm, at, told } = await protectedGuest([7], () => {})
    expect(errnoOf(() => pokeByte(mm, at, 9))).toBe('EAGAIN')
    expect(byteAt(mm, at)).toBe(7)
    expect(told).toEqual([0])
    mm.userfaultWriteProtect(at, PAGE, false)
    pokeByte(mm, at, 9)
    expect(told).toEqual([0])
    host.audit()
  })

  it('of a device is tried again, as Linux does, and reported again', async () => {
    const { host, mm, at, told } = await protectedGuest([7], (mm, address) => {
      if (told.length > 1) mm.userfaultWriteProtect(address, PAGE, false)
    })
    const pin = mm.pin(at, PAGE, { write: true })
    expect(told).toEqual([0, 0])
    expect(pin.pfns).toEqual([mm.pfn(at)])
    pin.release()
    host.audit()
  })

  it('is reported whoever writes: a guest, a debugger, a device', async () => {
    const { mm, at, told } = await protectedGuest([7, 7, 7])
    pokeByte(mm, at, 9)
    mm.write(at + PAGE, Uint8Array.of(9), { force: true })
    mm.pin(at + 2 * PAGE, 1, { write: true })
    expect(told).toEqual([0, 1, 2])
  })

  it("is reported to a debugger's victim where the range is read-only too", async () => {
    const { mm, at, told } = await protectedGuest([7])
    mm.mprotect(at, PAGE, 'PROT_READ')
    mm.write(at, Uint8Array.of(9), { force: true })
    expect(told).toEqual([0])
    mm.userfaultWriteProtect(at, PAGE, true)
    mm.write(at, Uint8Array.of(10), { force: true })
    expect(told).toEqual([0, 0])
    expect(byteAt(mm, at)).toBe(10)
  })

  it('reading is not reported, nor the first touch of a page that was not there', async () => {
    const { mm, at, told } = await protectedGuest([7, undefined])
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([7, 0])
    mm.pin(at, 1).release()
    pokeByte(mm, at + PAGE, 9)
    expect(told).toEqual([])
  })

  it.each<[name: string, handle: (mm: Mm, address: number) => void, outcome: number | string]>([
    ['discards the page', (mm, address) => mm.madvise(address, PAGE, 'MADV_DONTNEED'), 0],
    ['unmaps it', (mm, address) => mm.munmap(address, PAGE), 'EFAULT'],
    [
      'makes it read-only',
      (mm, address) => {
        mm.userfaultWriteProtect(address, PAGE, false)
        mm.mprotect(address, PAGE, 'PROT_READ')
      },
      'EFAULT',
    ],
    [
      'swaps it out',
      (mm, address) => {
        mm.userfaultWriteProtect(address, PAGE, false)
        mm.madvise(address, PAGE, 'MADV_PAGEOUT')
      },
      8,
    ],
    [
      'forks',
      (mm, address) => {
        mm.userfaultWriteProtect(address, PAGE, false)
        mm.fork({ name: 'child' })
      },
      8,
    ],
  ])('the fault begins anew when the handler %s', async (_, handle, outcome) => {
    const { host, mm, at } = await protectedGuest([7, 8, 9], handle, (host) =>
      host.swapOn(memorySwapStore(4)),
    )
    const write = (): void => pokeByte(mm, at + PAGE + 5, 1)
    if (typeof outcome === 'string') expect(errnoOf(write)).toBe(outcome)
    else {
      write()
      expect([...mm.read(at + PAGE, 6)]).toEqual([...contentBytes(outcome).slice(0, 5), 1])
    }
    expect([byteAt(mm, at), byteAt(mm, at + 2 * PAGE)]).toEqual([7, 9])
    host.audit()
  })
})

describe('protection', () => {
  it('is for the pages that are registered, and no more of their mapping', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [1, 2, 3], { mergeable: false })
    mm.registerUserfault(at + PAGE, PAGE, { onWriteProtect: () => {} })
    mm.userfaultWriteProtect(at + PAGE, PAGE, true)
    for (const page of [0, 2]) {
      expect(errnoOf(() => mm.userfaultWriteProtect(at + page * PAGE, PAGE, true))).toBe('ENOENT')
      pokeByte(mm, at + page * PAGE, 9)
    }
    expect(errnoOf(() => pokeByte(mm, at + PAGE, 9))).toBe('EAGAIN')
    host.audit()
  })

  it('is for ranges that are registered', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    expect(errnoOf(() => mm.userfaultWriteProtect(at, PAGE, true))).toBe('ENOENT')
    const handler = { onWriteProtect: () => {} }
    mm.registerUserfault(at, PAGE, handler)
    expect(errnoOf(() => mm.userfaultWriteProtect(at, 2 * PAGE, true))).toBe('ENOENT')
    pokeByte(mm, at, 9)
    pokeByte(mm, at + PAGE, 9)
    expect(errnoOf(() => mm.userfaultWriteProtect(at + 2 * PAGE, PAGE, true))).toBe('ENOMEM')
    host.audit()
  })

  it('can be asked for across holes, but not where nothing is mapped', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 8, 9], { mergeable: false })
    mm.munmap(at + PAGE, PAGE)
    const told: number[] = []
    const onWriteProtect = ({ address }: { readonly address: number }): void => {
      told.push((address - at) / PAGE)
      mm.userfaultWriteProtect(address, PAGE, false)
    }
    expect(errnoOf(() => mm.registerUserfault(at + PAGE, PAGE, { onWriteProtect }))).toBe('EINVAL')
    mm.registerUserfault(at, 4 * PAGE, { onWriteProtect })
    for (const page of [0, 2]) {
      mm.userfaultWriteProtect(at + page * PAGE, PAGE, true)
      pokeByte(mm, at + page * PAGE, 1)
    }
    expect(told).toEqual([0, 2])
    host.audit()
  })

  it('is not to be had for device memory, nor for the pages of a file; nothing is registered then', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7], { mergeable: false })
    const handler = { onWriteProtect: () => {} }
    for (const options of [{ kind: 'pfnmap' }, { file: contentBytes(1) }] as const) {
      mm.mmap(PAGE, { ...options, address: at + PAGE })
      expect(errnoOf(() => mm.registerUserfault(at, 2 * PAGE, handler))).toBe('EINVAL')
      expect(errnoOf(() => mm.userfaultWriteProtect(at, PAGE, true))).toBe('ENOENT')
      mm.munmap(at + PAGE, PAGE)
    }
    for (const options of [{ shared: true }, { kind: 'hugetlb' }] as const) {
      mm.mmap(PAGE, { ...options, address: at + PAGE })
      mm.registerUserfault(at, 2 * PAGE, handler)
      mm.munmap(at + PAGE, PAGE)
    }
  })

  it('outlives swap, both ways: set before, and taken away while the page is out', async () => {
    const { host, mm, at, told } = await protectedGuest([7, 8, 9], undefined, (host) =>
      host.swapOn(memorySwapStore(4)),
    )
    mm.madvise(at, 3 * PAGE, 'MADV_PAGEOUT')
    mm.userfaultWriteProtect(at + PAGE, PAGE, false)
    for (const page of [0, 1]) pokeByte(mm, at + page * PAGE, 1)
    expect(told).toEqual([0])
    mm.userfaultWriteProtect(at + 2 * PAGE, PAGE, false)
    mm.userfaultWriteProtect(at + 2 * PAGE, PAGE, true)
    expect(pteOf(mm, at + 2 * PAGE) & PTE_UFFD_WP).not.toBe(0)
    expect(byteAt(mm, at + 2 * PAGE)).toBe(9)
    pokeByte(mm, at + 2 * PAGE, 1)
    expect(told).toEqual([0, 2])
    host.audit()
  })

  it('is not inherited by a child', async () => {
    const { host, mm, at, told } = await protectedGuest([7])
    const child = mm.fork({ name: 'child' })
    pokeByte(child, at, 9)
    expect(told).toEqual([])
    pokeByte(mm, at, 8)
    expect(told).toEqual([0])
    expect([byteAt(mm, at), byteAt(child, at)]).toEqual([8, 9])
    host.audit()
  })

  it('stays when mprotect changes the range', async () => {
    const { mm, at, told } = await protectedGuest([7])
    mm.mprotect(at, PAGE, 'PROT_READ')
    mm.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    pokeByte(mm, at, 9)
    expect(told).toEqual([0])
  })

  it('a handler that throws ends a pin, and nothing is held then', async () => {
    const host = await makeHost()
    const { mm, at } = guest(host, 'a', [7, 8], { mergeable: false })
    const mine = new Error('mine')
    mm.registerUserfault(at, 2 * PAGE, {
      onWriteProtect() {
        throw mine
      },
    })
    mm.userfaultWriteProtect(at + PAGE, PAGE, true)
    for (const hold of [mm.pin, mm.get]) {
      expect(() => hold.call(mm, at, 2 * PAGE, { write: true })).toThrow(mine)
      expect(host.frame(mm.pfn(at)!)).toMatchObject({ refcount: 1 })
    }
    mm.exit()
    expect(host.frames.free).toBe(host.frames.total)
  })

  it('tells notifiers', async () => {
    const { mm, at } = await protectedGuest([7])
    const seen: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event }) => void seen.push(event),
      invalidateRangeEnd: () => void seen.push('end'),
    })
    mm.userfaultWriteProtect(at, PAGE, false)
    expect(seen).toEqual(['protection', 'end'])
  })
})

describe.each(INDEX_NAMES)('merging, index %s', (index) => {
  it('protected pages merge, and are unmerged without a report, their protection kept', async () => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [0xcf, 0xcf, 0xcf])
    const told: number[] = []
    mm.registerUserfault(at, 3 * PAGE, {
      onWriteProtect: ({ address }) => void told.push((address - at) / PAGE),
    })
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 2, 0, 0])
    mm.userfaultWriteProtect(at, 3 * PAGE, true)
    mm.madvise(at, 3 * PAGE, 'MADV_UNMERGEABLE')
    expect(told).toEqual([])
    expect(new Set([0, 1, 2].map((page) => mm.pfn(at + page * PAGE))).size).toBe(3)
    for (let page = 0; page < 3; page++) expect(pteOf(mm, at + page * PAGE) & PTE_UFFD_WP).not.toBe(0)
    expect(errnoOf(() => pokeByte(mm, at, 1))).toBe('EAGAIN')
    expect(told).toEqual([0])
    host.audit()
  })

  it('a write to a merged and protected page is reported, then copied', async () => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [7, 7])
    host.ksm.scan(2)
    const k = mm.pfn(at)
    const told: (number | undefined)[] = []
    mm.registerUserfault(at, 2 * PAGE, {
      onWriteProtect: ({ address }) => {
        told.push(mm.pfn(address))
        mm.userfaultWriteProtect(address, PAGE, false)
      },
    })
    mm.userfaultWriteProtect(at, 2 * PAGE, true)
    pokeByte(mm, at, 9)
    expect(told).toEqual([k])
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([9, 7])
    host.audit()
  })

  it('pages protected first merge like others; the report comes with the next write', async () => {
    const host = await makeHost({ index })
    const { mm, at } = guest(host, 'a', [7, 7])
    let told = 0
    mm.registerUserfault(at, 2 * PAGE, {
      onWriteProtect: ({ address }) => {
        told++
        mm.userfaultWriteProtect(address, PAGE, false)
      },
    })
    mm.userfaultWriteProtect(at, 2 * PAGE, true)
    host.ksm.scan(2)
    expect(counted(host)).toEqual([1, 1, 0, 0])
    expect(told).toBe(0)
    for (const page of [1, 0]) pokeByte(mm, at + page * PAGE, 9)
    expect(told).toBe(2)
    expect([byteAt(mm, at), byteAt(mm, at + PAGE)]).toEqual([9, 9])
    host.audit()
  })
})
