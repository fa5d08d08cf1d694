// Snapshots: what an mm was comes back, whatever happened in between, and the mm is the same one, with its notifiers and CPUs; what has
// changed is found; and nobody else notices.

import { describe, expect, it } from 'vitest'
import { GuestMemory } from '../../src/hypervisor/index.ts'
import { type Host, type Mm, memorySwapStore, type Snapshot } from '../../src/index.ts'
import { ptePfn } from '../../src/mm/page/pte.ts'
import { getPte } from '../../src/mm/page/ptes.ts'
import { random } from '../support/random.ts'
import {
  addRange,
  byteAt,
  contentBytes,
  counted,
  errnoOf,
  expectContent,
  fullScans,
  guest,
  makeHost,
  PAGE,
  pokeByte,
  useUpFrames,
} from '../support/world.ts'

const RAM = 0x1000_0000

async function scene(contents: (number | undefined)[] = [1, 1, 2, 0, 3]): Promise<{ host: Host; mm: Mm }> {
  const host = await makeHost({ frames: 256 })
  const mm = host.createMm({ name: 'guest' })
  addRange(mm, contents, { address: RAM })
  return { host, mm }
}

const pagesChanged = (mm: Mm, snapshot: Snapshot): number[] =>
  mm
    .changedSince(snapshot)
    .flatMap(({ address, length }) =>
      Array.from({ length: length / PAGE }, (_, i) => (address - RAM) / PAGE + i),
    )

describe('a snapshot', () => {
  it.each(['log', 'checksum'] as const)(
    'brings a merged page back to where pages are not merged, with changes: %s',
    async (changes) => {
      const host = await makeHost({ changes })
      guest(host, 'other', [5, 7])
      const mm = host.createMm({ name: 'guest' })
      const at = addRange(mm, [5, 6], { mergeable: false })
      const snapshot = mm.snapshot()
      mm.prctl('PR_SET_MEMORY_MERGE', 1)
      host.ksm.scan(3)
      expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 1 })
      mm.restore(snapshot)
      host.audit()
      snapshot.release()
      host.audit()
      host.ksm.scan(1)
      expect(host.ksm.counters()).toMatchObject({ pages_shared: 1, pages_sharing: 0 })
      expectContent(mm, at, 5)
      host.audit()
    },
  )

  it('is gone back to, with notifiers and CPUs in place', async () => {
    const { host, mm } = await scene()
    const told: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event, start, end }) =>
        void told.push(`${event} ${(start - RAM) / PAGE} ${(end - RAM) / PAGE}`),
    })
    const memory = new GuestMemory(mm.attachCpu().shared)
    const snapshot = mm.snapshot()
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.write(RAM, contentBytes(8))
    mm.write(RAM + PAGE, contentBytes(9))
    mm.write(RAM + 4 * PAGE + 5, Uint8Array.of(99))
    expect(mm.changedSince(snapshot)).toEqual([
      { address: RAM, length: 2 * PAGE },
      { address: RAM + 4 * PAGE, length: PAGE },
    ])
    expect(memory.bytes[memory.forRead(0)]).toBe(8)
    told.length = 0
    mm.restore(snapshot)
    expect(told).toEqual(['clear 0 2', 'clear 4 5'])
    expect(memory.bytes[memory.forRead(0)]).toBe(1)
    for (const [page, content] of [1, 1, 2, 0, 3].entries()) expectContent(mm, RAM + page * PAGE, content)
    expect(mm.changedSince(snapshot)).toEqual([])
    host.audit()
    snapshot.release()
    snapshot.release()
    host.audit()
    expect(() => mm.restore(snapshot)).toThrow(/EINVAL.*released/)
  })

  it('is taken again for what has changed', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    mm.write(RAM, contentBytes(8))
    expect(mm.snapshot(snapshot)).toBe(snapshot)
    mm.write(RAM, contentBytes(9))
    mm.write(RAM + PAGE, contentBytes(9))
    host.audit()
    mm.restore(snapshot)
    expectContent(mm, RAM, 8)
    expectContent(mm, RAM + PAGE, 1)
    host.audit()
  })

  it('knows what was only merged from what has changed', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    fullScans(host, 3)
    expect(counted(host)[1]).toBeGreaterThan(0)
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.write(RAM + PAGE, contentBytes(1))
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.madvise(RAM + 3 * PAGE, PAGE, 'MADV_DONTNEED')
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.write(RAM + PAGE, Uint8Array.of(5))
    expect(pagesChanged(mm, snapshot)).toEqual([1])
    mm.restore(snapshot)
    host.audit()
    fullScans(host, 3)
    for (const [page, content] of [1, 1, 2, 0, 3].entries()) expectContent(mm, RAM + page * PAGE, content)
    host.audit()
  })

  it('brings back mappings that have gone, and takes away what has come', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    mm.munmap(RAM + PAGE, 2 * PAGE)
    mm.mprotect(RAM, PAGE, 'PROT_READ')
    const fresh = mm.mmap(PAGE)
    mm.write(fresh, contentBytes(5))
    expect(pagesChanged(mm, snapshot)).toContain(1)
    mm.restore(snapshot)
    host.audit()
    expect(errnoOf(() => mm.read(fresh, 1))).toBe('EFAULT')
    for (const [page, content] of [1, 1, 2, 0, 3].entries()) expectContent(mm, RAM + page * PAGE, content)
    mm.write(RAM, contentBytes(2))
    expect(mm.changedSince(snapshot)).toEqual([{ address: RAM, length: PAGE }])
    fullScans(host, 3)
    host.audit()
  })

  it('has what a child would not get', async () => {
    const { host, mm } = await scene()
    mm.madvise(RAM, PAGE, 'MADV_WIPEONFORK')
    mm.madvise(RAM + PAGE, PAGE, 'MADV_DONTFORK')
    const snapshot = mm.snapshot()
    mm.write(RAM, new Uint8Array(2 * PAGE))
    mm.restore(snapshot)
    expectContent(mm, RAM, 1)
    expectContent(mm, RAM + PAGE, 1)
    host.audit()
  })

  it('has pages in swap, and gives a pinned page its bytes back where it is', async () => {
    const { host, mm } = await scene()
    host.swapOn(memorySwapStore(16))
    const pin = mm.pin(RAM, PAGE, { write: true })
    mm.madvise(RAM + 2 * PAGE, PAGE, 'MADV_PAGEOUT')
    const snapshot = mm.snapshot()
    pin.write(0, Uint8Array.of(77))
    mm.write(RAM + 2 * PAGE, contentBytes(9))
    expect(pagesChanged(mm, snapshot)).toEqual([0, 2])
    mm.restore(snapshot)
    expect(pin.read(0, PAGE)).toEqual(contentBytes(1))
    expect(mm.pfn(RAM)).toBe(pin.pfns[0])
    expectContent(mm, RAM + 2 * PAGE, 2)
    host.audit()
    pin.release()
    host.audit()
  })

  it('gives a pinned page that has been swapped out its bytes back where the device sees them', async () => {
    const { host, mm } = await scene()
    host.swapOn(memorySwapStore(16))
    const pin = mm.pin(RAM, PAGE, { write: true })
    const snapshot = mm.snapshot()
    host.reclaim(pin.pfns[0]!)
    pin.write(0, Uint8Array.of(77))
    mm.restore(snapshot)
    expect(pin.read(0, PAGE)).toEqual(contentBytes(1))
    pin.write(0, contentBytes(9))
    expectContent(mm, RAM, 9)
    expect(mm.pfn(RAM)).toBe(pin.pfns[0])
    pin.release()
    host.audit()
  })

  it("is another mm's, or nobody's", async () => {
    const { host, mm } = await scene()
    const other = host.createMm()
    expect(errnoOf(() => other.restore(mm.snapshot()))).toBe('EINVAL')
    expect(() => mm.restore({} as Snapshot)).toThrow(TypeError)
    expect(() => mm.snapshot({} as Snapshot)).toThrow(TypeError)
    host.audit()
  })

  it('that finds no frame says so, and goes on when there is one', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    mm.madvise(RAM, 5 * PAGE, 'MADV_UNMERGEABLE')
    mm.write(RAM, contentBytes(9))
    mm.munmap(RAM, 5 * PAGE)
    mm.mmap(5 * PAGE, { address: RAM })
    mm.write(RAM, contentBytes(4))
    const filler = useUpFrames(host)
    errnoOf(() => mm.restore(snapshot))
    host.audit()
    filler.exit()
    mm.restore(snapshot)
    for (const [page, content] of [1, 1, 2, 0, 3].entries()) expectContent(mm, RAM + page * PAGE, content)
    host.audit()
  })
})

describe('going back', () => {
  it('that finds no room for tables says so, and goes on when there is some', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    mm.munmap(RAM, 5 * PAGE)
    const { core } = host.memory.arena
    const slab: number[] = []
    for (let table = core.slabAlloc(0); table !== 0; table = core.slabAlloc(0)) slab.push(table)
    expect(errnoOf(() => mm.restore(snapshot))).toBe('ENOMEM')
    for (const table of slab) core.slabFree(0, table)
    mm.restore(snapshot)
    expect(mm.changedSince(snapshot)).toEqual([])
    expectContent(mm, RAM + 2 * PAGE, 2)
    host.audit()
  })

  it('shares the pages again rather than copying them, merged ones too', async () => {
    const { host, mm } = await scene([1, 1, 2, 3])
    fullScans(host, 3)
    const snapshot = mm.snapshot()
    const [free, counters] = [host.frames.free, counted(host)]
    for (const [page, content] of [7, 8, 9].entries()) mm.write(RAM + page * PAGE, contentBytes(content))
    mm.restore(snapshot)
    expect(host.frames.free).toBe(free)
    expect(counted(host)).toEqual(counters)
    mm.munmap(RAM, 4 * PAGE)
    mm.mmap(4 * PAGE, { address: RAM })
    mm.madvise(RAM, 4 * PAGE, 'MADV_MERGEABLE')
    mm.restore(snapshot)
    expect(host.frames.free, 'mapped anew').toBe(free)
    for (const [page, content] of [1, 1, 2, 3].entries()) expectContent(mm, RAM + page * PAGE, content)
    host.audit()
  })

  it('keeps to each mapping where two lie side by side', async () => {
    const { host, mm } = await scene([1, 2])
    addRange(mm, [3, 4], { address: RAM + 2 * PAGE, mergeable: false })
    const snapshot = mm.snapshot()
    const { free } = host.frames
    for (let page = 0; page < 4; page++) mm.write(RAM + page * PAGE, contentBytes(9))
    mm.restore(snapshot)
    for (let page = 0; page < 4; page++) expectContent(mm, RAM + page * PAGE, page + 1)
    expect(host.frames.free).toBe(free)
    host.audit()
  })

  it('leaves a mapping that never had a page as it is, and shares what it has to have', async () => {
    const { host, mm } = await scene()
    const at = mm.mmap(2 * PAGE)
    const empty = mm.snapshot()
    mm.write(at, contentBytes(5))
    const full = mm.snapshot()
    mm.restore(empty)
    expect(mm.pfn(at)).toBeUndefined()
    const { free } = host.frames
    mm.restore(full)
    expect(host.frames.free).toBe(free)
    expectContent(mm, at, 5)
    host.audit()
  })

  it('fills a pinned page from swap, and says EIO if the store has lost it', async () => {
    for (const lost of [false, true]) {
      const { host, mm } = await scene()
      const store = memorySwapStore(16)
      let broken = false
      host.swapOn({
        slots: 16,
        write: (slot, page) => store.write(slot, page),
        read: (slot, into) => {
          if (broken) throw new Error('lost')
          store.read(slot, into)
        },
      })
      const pin = mm.pin(RAM, PAGE, { write: true })
      const snapshot = mm.snapshot()
      const copy = snapshot.mm
      const at = ptePfn(getPte(copy, RAM / PAGE))
      expect(host.reclaim(at)).toBeUndefined()
      pin.write(0, contentBytes(9))
      broken = lost
      expect(errnoOf(() => mm.restore(snapshot))).toBe(lost ? 'EIO' : undefined)
      expectContent(mm, RAM, lost ? 9 : 1)
      expect(mm.pfn(RAM)).toBe(pin.pfns[0])
      host.audit()
    }
  })

  it('tells notifiers of pages that are others, and not of those that may be used otherwise', async () => {
    const { mm } = await scene()
    const snapshot = mm.snapshot()
    mm.registerUserfault(RAM, 5 * PAGE, { onWriteProtect() {} })
    mm.userfaultWriteProtect(RAM, 2 * PAGE, true)
    pokeByte(mm, RAM + 4 * PAGE, 9)
    const told: number[][] = []
    mm.registerNotifier({
      invalidateRangeStart({ start, end }) {
        told.push([(start - RAM) / PAGE, (end - RAM) / PAGE])
      },
      invalidateRangeEnd() {},
    })
    mm.restore(snapshot)
    expect(told).toEqual([[4, 5]])
  })

  it('tells them nothing of a page of zeros that ksmd has put in the place of one', async () => {
    const { host, mm } = await scene([1, undefined])
    host.ksm.set('use_zero_pages', 1)
    expectContent(mm, RAM + PAGE, 0)
    const snapshot = mm.snapshot()
    mm.write(RAM + PAGE, contentBytes(0))
    fullScans(host, 2)
    expect(host.ksm.counters().ksm_zero_pages).toBe(1)
    const told: number[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ start }) => void told.push(start),
      invalidateRangeEnd() {},
    })
    mm.restore(snapshot)
    expect(told).toEqual([])
    host.audit()
  })

  it('brings back what ksmd had let go of meanwhile: it is merged again', async () => {
    const { host, mm } = await scene([1, 1])
    const snapshot = mm.snapshot()
    mm.munmap(RAM, 2 * PAGE)
    fullScans(host, 2)
    mm.restore(snapshot)
    fullScans(host, 2)
    expect(counted(host), 'the snapshot’s own pages too').toEqual([1, 3, 0, 0])
    host.audit()
  })

  it('does not take a page of a file for changed because it has been read since', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const file = contentBytes(7)
    const at = mm.mmap(PAGE, { file })
    const snapshot = mm.snapshot()
    expectContent(mm, at, 7)
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.write(at, contentBytes(7))
    expect(mm.changedSince(snapshot), 'a copy with the same bytes').toEqual([])
    mm.write(at, contentBytes(8))
    expect(mm.changedSince(snapshot)).toEqual([{ address: at, length: PAGE }])
  })

  it('compares no page in swap with another', async () => {
    const { host, mm } = await scene([1, 0])
    host.swapOn(memorySwapStore(8))
    const snapshot = mm.snapshot()
    for (const page of [0, 1]) host.reclaim(mm.pfn(RAM + page * PAGE)!)
    expect(mm.changedSince(snapshot), 'both have the same one').toEqual([])
    mm.write(RAM, contentBytes(2))
    host.reclaim(mm.pfn(RAM)!)
    expect(pagesChanged(mm, snapshot), 'each has its own there').toEqual([0])
    mm.restore(snapshot)
    expectContent(mm, RAM, 1)
    host.audit()
  })

  it('is taken again of pages to which the earlier one has no way', async () => {
    const { host, mm } = await scene([1, 2])
    const snapshot = mm.snapshot()
    mm.munmap(RAM, 2 * PAGE)
    addRange(mm, [3, 4], { address: RAM })
    mm.snapshot(snapshot)
    host.audit()
    mm.write(RAM, contentBytes(5))
    mm.restore(snapshot)
    expectContent(mm, RAM, 3)
    expectContent(mm, RAM + PAGE, 4)
    for (const page of [0, 1])
      expect(host.migrate(mm.pfn(RAM + page * PAGE)!, { node: 0 })).toBeGreaterThan(0)
    host.audit()
  })

  it('works where one side has a table of ptes and the other has none', async () => {
    const { host, mm } = await scene([1])
    const far = RAM + 2 ** 26
    const at = mm.mmap(8 * 2 ** 20, { address: far })
    mm.write(at, contentBytes(1))
    mm.write(at + 7 * 2 ** 20, contentBytes(2))
    const before = mm.snapshot()
    mm.write(at + 3 * 2 ** 20, contentBytes(3))
    mm.madvise(at + 7 * 2 ** 20, 2 ** 20, 'MADV_DONTNEED')
    const changed = [
      { address: at + 3 * 2 ** 20, length: PAGE },
      { address: at + 7 * 2 ** 20, length: PAGE },
    ]
    expect(mm.changedSince(before)).toEqual(changed)
    mm.restore(before)
    expect(mm.changedSince(before)).toEqual([])
    expectContent(mm, at + 7 * 2 ** 20, 2)
    expectContent(mm, at + 3 * 2 ** 20, 0)
    host.audit()
  })

  it('is to a snapshot of a moment: one whose taking failed half way is none, until it is taken again', async () => {
    const { host, mm } = await scene()
    const snapshot = mm.snapshot()
    mm.pin(mm.mmap(PAGE), PAGE, { write: true })
    const filler = useUpFrames(host)
    expect(errnoOf(() => mm.snapshot(snapshot))).toBe('ENOMEM')
    expect(errnoOf(() => mm.restore(snapshot))).toBe('EINVAL')
    expect(errnoOf(() => mm.changedSince(snapshot))).toBe('EINVAL')
    filler.exit()
    mm.snapshot(snapshot)
    expect(mm.changedSince(snapshot)).toEqual([])
    host.audit()
  })
})

describe('what has changed', () => {
  it.each([255, 256, 257])(
    'is found where one table of ptes ends and the next begins: page %i',
    async (page) => {
      const host = await makeHost({ frames: 512 })
      const mm = host.createMm()
      mm.mmap(300 * PAGE, { address: RAM })
      for (const touched of [0, 1, 255, 256, 257, 299]) pokeByte(mm, RAM + touched * PAGE, 1)
      const snapshot = mm.snapshot()
      pokeByte(mm, RAM + page * PAGE, 2)
      expect(pagesChanged(mm, snapshot)).toEqual([page])
      mm.restore(snapshot)
      expect(byteAt(mm, RAM + page * PAGE)).toBe(1)
      host.audit()
    },
  )

  it('is told in the order of addresses, mappings that came and went among it', async () => {
    const { mm } = await scene()
    const [low, high] = [RAM - 64 * PAGE, RAM + 64 * PAGE]
    mm.mmap(2 * PAGE, { address: low })
    const snapshot = mm.snapshot()
    mm.munmap(low, 2 * PAGE)
    mm.mmap(3 * PAGE, { address: high })
    mm.write(RAM + PAGE, contentBytes(9))
    expect(mm.changedSince(snapshot)).toEqual([
      { address: low, length: 2 * PAGE },
      { address: RAM + PAGE, length: PAGE },
      { address: high, length: 3 * PAGE },
    ])
  })

  it('is a mapping that shows another part of its file, and not one that shows the same', async () => {
    const { mm } = await scene()
    const file = new Uint8Array(4 * PAGE).map((_, i) => i >> 12)
    const at = mm.mmap(2 * PAGE, { file, address: RAM + 64 * PAGE })
    const snapshot = mm.snapshot()
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.munmap(at, 2 * PAGE)
    mm.mmap(2 * PAGE, { file, address: at })
    expect(mm.changedSince(snapshot)).toEqual([])
    mm.munmap(at, 2 * PAGE)
    mm.mmap(2 * PAGE, { file, offset: PAGE, address: at })
    expect(mm.changedSince(snapshot)).toEqual([{ address: at, length: 2 * PAGE }])
  })
})

describe('any history', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('comes back, seed %i', async (seed) => {
    const draw = random(seed)
    const host = await makeHost({ frames: 512 })
    host.swapOn(memorySwapStore(256))
    const mm = host.createMm()
    const pages = 24
    addRange(
      mm,
      Array.from({ length: pages }, () => draw.below(4)),
      { address: RAM },
    )
    let truth = mm.read(RAM, pages * PAGE)
    let snapshot = mm.snapshot()
    for (let step = 0; step < 150; step++) {
      const at = RAM + draw.below(pages) * PAGE
      const action = draw.below(12)
      if (action < 4) mm.write(at, contentBytes(draw.below(4)))
      else if (action === 4) host.ksm.scan(1)
      else if (action === 5) mm.madvise(at, PAGE, 'MADV_DONTNEED')
      else if (action === 6) mm.madvise(at, PAGE, 'MADV_PAGEOUT')
      else if (action === 7) mm.fork().exit()
      else if (action === 8) {
        mm.munmap(at, PAGE)
        mm.mmap(PAGE, { address: at })
      } else if (action === 9) {
        snapshot = draw.below(2) === 0 ? mm.snapshot(snapshot) : mm.snapshot()
        truth = mm.read(RAM, pages * PAGE)
      } else {
        const now = mm.read(RAM, pages * PAGE)
        const differing = Array.from({ length: pages }, (_, page) => page).filter(
          (page) =>
            !Buffer.from(now.subarray(page * PAGE, (page + 1) * PAGE)).equals(
              truth.subarray(page * PAGE, (page + 1) * PAGE),
            ),
        )
        expect(pagesChanged(mm, snapshot)).toEqual(expect.arrayContaining(differing))
        mm.restore(snapshot)
        expect(Buffer.from(mm.read(RAM, pages * PAGE)).equals(truth)).toBe(true)
      }
      host.audit()
    }
  })
})
