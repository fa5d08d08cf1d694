import { describe, expect, it } from 'vitest'
import { Host, type HostOptions, type Mm, SecondaryMmu } from '../../src/index.ts'
import { memoryOf, objectsOf } from '../support/inside.ts'
import { errnoOf, fill, PAGE } from '../support/world.ts'

async function host(options: Partial<HostOptions> = {}): Promise<Host> {
  return Host.create({ frames: 64, ...options })
}

/** start..end in pages relative to the first vma, with flags, for eyes. */
function ranges(mm: Mm): string[] {
  const [first] = [...mm.vmas]
  return [...mm.vmas].map((vma) => `${vma.start - first!.start}..${vma.end - first!.start}:${vma.flags}`)
}

describe('guest memory', () => {
  it('reads zeros where nothing was written, and back what was', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(3 * PAGE)
    expect(mm.read(at, 3 * PAGE).every((byte) => byte === 0)).toBe(true)
    expect(machine.frames.free).toBe(64)
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i & 255)
    mm.write(at + 3000, bytes)
    expect(mm.read(at + 3000, 5000)).toEqual(bytes)
    expect(mm.read(at, 3000).every((byte) => byte === 0)).toBe(true)
    expect(machine.frames.free).toBe(62)
    machine.audit()
  })

  it('has no frame before the first write, and the zero page after a read', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 * PAGE)
    expect(mm.pfn(at)).toBeUndefined()
    mm.read(at, 1)
    mm.read(at + PAGE, 1)
    expect(mm.pfn(at)).toBe(mm.pfn(at + PAGE))
    mm.write(at, Uint8Array.of(1))
    expect(mm.pfn(at)).not.toBe(mm.pfn(at + PAGE))
    expect(machine.frame(mm.pfn(at)!)).toMatchObject({
      refcount: 1,
      mapcount: 1,
      flags: ['exclusive'],
      mapping: { kind: 'anon' },
    })
    machine.audit()
  })

  it('refuses what is not mapped, and changes nothing then', async () => {
    const mm = (await host()).createMm()
    const at = mm.mmap(PAGE)
    expect(errnoOf(() => mm.read(at + PAGE, 1))).toBe('EFAULT')
    expect(errnoOf(() => mm.write(at - 1, Uint8Array.of(1)))).toBe('EFAULT')
    const readOnly = mm.mmap(PAGE, { prot: 1 })
    expect(errnoOf(() => mm.write(readOnly, Uint8Array.of(1)))).toBe('EFAULT')
    expect(errnoOf(() => mm.read(mm.mmap(PAGE, { prot: 0 }), 1))).toBe('EFAULT')
    expect(() => mm.read(-1, 1)).toThrow(RangeError)
    expect(() => mm.mmap(0)).toThrow(RangeError)
    expect(() => mm.mmap(PAGE, { address: 5 })).toThrow(/multiple of 4096/)
    expect(() => mm.mmap(PAGE, { address: 2 ** 44 })).toThrow(RangeError)
    expect(errnoOf(() => mm.mmap(2 * PAGE, { address: at }))).toBe('EEXIST')
  })

  it('runs out of frames with ENOMEM, keeps what was written before, and goes on when some are freed', async () => {
    const machine = await host({ frames: 4 })
    const mm = machine.createMm()
    const at = mm.mmap(8 * PAGE)
    expect(errnoOf(() => fill(mm, at, 8, 7))).toBe('ENOMEM')
    expect(mm.read(at, 4 * PAGE).every((byte) => byte === 7)).toBe(true)
    expect(machine.frames.free).toBe(0)
    mm.munmap(at, 2 * PAGE)
    expect(machine.frames.free).toBe(2)
    fill(mm, at + 4 * PAGE, 2, 8)
    expect(mm.read(at + 2 * PAGE, 1)).toEqual(Uint8Array.of(7))
    machine.audit()
  })

  it('hands freed frames out zeroed', async () => {
    const machine = await host({ frames: 1 })
    const mm = machine.createMm()
    const at = mm.mmap(PAGE)
    fill(mm, at, 1, 9)
    mm.munmap(at, PAGE)
    const other = mm.mmap(PAGE)
    mm.write(other, Uint8Array.of(1))
    expect(mm.read(other, PAGE).filter((byte) => byte !== 0)).toEqual(Uint8Array.of(1))
  })

  it('splits and joins its ranges', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(10 * PAGE)
    mm.madvise(at + 2 * PAGE, 3 * PAGE, 'MADV_MERGEABLE')
    expect(ranges(mm)).toEqual(['0..2:3', '2..5:19', '5..10:3'])
    mm.madvise(at + 5 * PAGE, PAGE, 'MADV_MERGEABLE')
    expect(ranges(mm)).toEqual(['0..2:3', '2..6:19', '6..10:3'])
    mm.madvise(at, 10 * PAGE, 'MADV_MERGEABLE')
    expect(ranges(mm)).toEqual(['0..10:19'])
    mm.madvise(at, 10 * PAGE, 'MADV_UNMERGEABLE')
    mm.munmap(at + 4 * PAGE, PAGE)
    expect(ranges(mm)).toEqual(['0..4:3', '5..10:3'])
    mm.mmap(PAGE, { address: at + 4 * PAGE })
    expect(ranges(mm)).toEqual(['0..10:3'])
    machine.audit()
  })

  it('joins adjacent maps, written or not, under one anon_vma', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 * PAGE)
    mm.write(at, Uint8Array.of(1))
    const next = mm.mmap(2 * PAGE)
    expect(next).toBe(at + 2 * PAGE)
    mm.write(next, Uint8Array.of(1))
    expect(ranges(mm)).toHaveLength(1)
    expect(memoryOf(machine).anonVmas.live).toBe(1)
    mm.munmap(at, 4 * PAGE)
    expect(memoryOf(machine).anonVmas.live).toBe(0)
    machine.audit()
  })

  it('discards with MADV_DONTNEED', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(4 * PAGE)
    fill(mm, at, 4, 5)
    mm.madvise(at + PAGE, 2 * PAGE, 'MADV_DONTNEED')
    expect(machine.frames.free).toBe(62)
    expect(mm.read(at + PAGE, 2 * PAGE).every((byte) => byte === 0)).toBe(true)
    expect(mm.read(at + 3 * PAGE, 1)).toEqual(Uint8Array.of(5))
    expect(errnoOf(() => mm.madvise(at, 9 * PAGE, 'MADV_DONTNEED'))).toBe('ENOMEM')
    expect(() => mm.madvise(at, PAGE, 'MADV_HUGEPAGE' as never)).toThrow(/MADV_MERGEABLE/)
    machine.audit()
  })

  it('gives everything back at exit, and refuses to be used after', async () => {
    const machine = await host()
    const mm = machine.createMm({ name: 'guest' })
    mm.write(mm.mmap(5 * PAGE), new Uint8Array(5 * PAGE).fill(1))
    mm.exit()
    expect(machine.frames.free).toBe(64)
    expect(objectsOf(machine)).toMatchObject({ pageTables: 0, rmapItems: 0, stableNodes: 0 })
    expect(errnoOf(() => mm.mmap(PAGE))).toBe('ESRCH')
    expect(() => mm.exit()).toThrow(/guest has exited/)
    machine.audit()
  })

  it('has no page table once it has exited: the tables that were its are another mm’s by then', async () => {
    const machine = await host()
    const other = machine.createMm()
    const first = machine.createMm()
    fill(other, other.mmap(PAGE), 1, 7)
    other.exit()
    const at = first.mmap(PAGE, { address: 0 })
    first.madvise(at, PAGE, 'MADV_MERGEABLE')
    fill(first, at, 1, 7)
    machine.ksm.set('run', 1)
    machine.ksm.scan(2)
    first.exit()
    // Its item is still there, and is looked at.
    machine.audit()
    const second = machine.createMm()
    expect(second.pfn(at)).toBeUndefined()
    machine.audit()
  })

  it('costs what is mapped, not what is spanned: a page in the middle of a tebibyte', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 ** 40)
    mm.madvise(at, 2 ** 40, 'MADV_MERGEABLE')
    mm.write(at + 2 ** 39, Uint8Array.of(1))
    machine.ksm.set('run', 1)
    machine.ksm.scan(3)
    mm.madvise(at, 2 ** 40, 'MADV_UNMERGEABLE')
    mm.munmap(at, 2 ** 40)
    // Page by page this would take minutes and time out.
    expect(machine.ksm.counters().pages_scanned).toBe(3)
    expect(machine.frames.free).toBe(64)
  })

  it('copies a pinned page for a forked child, with no more rights than its range has', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(PAGE)
    mm.write(at, Uint8Array.of(7))
    const pin = mm.pin(at, 1)
    mm.mprotect(at, PAGE, 'PROT_READ')
    const child = mm.fork()
    expect(child.pfn(at)).not.toBe(mm.pfn(at))
    const mmu = new SecondaryMmu(child)
    mmu.translate(at)
    expect(mmu.peek(at)).toMatchObject({ writable: false })
    pin.release()
    machine.audit()
  })

  it('is never merged where it is shared', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 * PAGE, { shared: true })
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    expect(mm.ksmStat()).toMatchObject({ ksm_mergeable: 'no' })
  })
})

describe('a host', () => {
  it('says what it expects of its options', async () => {
    await expect(Host.create(undefined as never)).rejects.toThrow(TypeError)
    await expect(Host.create({ frames: -1 })).rejects.toThrow(
      'Expected `frames` to be an integer in 1..1048576, got -1',
    )
    await expect(Host.create({ frames: '9' as never })).rejects.toThrow(
      'Expected `frames` to be a number, got "9"',
    )
    await expect(Host.create({ frames: 2 ** 20 })).rejects.toThrow(/at most .* beside room/)
    await expect(Host.create({ frames: 9, numaNodes: 17 })).rejects.toThrow(RangeError)
    await expect(Host.create({ frames: 9, index: 'btree' as never })).rejects.toThrow(/one of content, hash/)
    await expect(Host.create({ frames: 9, checksum: 'md5' as never })).rejects.toThrow(/one of xxh64, xxh3/)
  })

  it('can be as large as an arena allows', async () => {
    const machine = await Host.create({ frames: 900_000 })
    expect(machine.frames.total).toBe(900_000)
    const mm = machine.createMm()
    mm.write(mm.mmap(PAGE), Uint8Array.of(1))
    machine.close()
  })

  it('refuses knobs it does not have, and scans while stopped', async () => {
    const machine = await host()
    expect(() => machine.ksm.set('speed' as never, 1)).toThrow(/to be one of run, /)
    expect(() => machine.ksm.set('pages_shared' as never, 1)).toThrow(RangeError)
    expect(errnoOf(() => machine.ksm.scan(1))).toBe('EINVAL')
    machine.ksm.set('run', 1)
    expect(machine.ksm.scan(2), 'no mm is registered').toBe(0)
    expect(machine.ksm.get('max_page_sharing')).toBe(256)
    expect(machine.ksm.counters()).toMatchObject({ full_scans: 0, smart_scan: 1, pages_to_scan: 100 })
  })

  it('scans in batches that end with the full scan', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(10 * PAGE)
    fill(mm, at, 10, 3)
    mm.madvise(at, 10 * PAGE, 'MADV_MERGEABLE')
    machine.ksm.set('run', 1)
    expect([4, 4, 4, 4].map((count) => machine.ksm.scanPages(count))).toEqual([4, 4, 2, 4])
    expect(machine.ksm.counters()).toMatchObject({
      full_scans: 1,
      pages_scanned: 14,
      pages_shared: 1,
      pages_sharing: 3,
    })
    machine.ksm.scan(1)
    expect(machine.ksm.counters().full_scans, 'the rest of this one, and one more').toBe(3)
    machine.audit()
  })

  it('reports at its tracepoints, by the kernel names', async () => {
    const machine = await host()
    const seen: string[] = []
    for (const name of [
      'ksm_enter',
      'ksm_start_scan',
      'ksm_stop_scan',
      'ksm_merge_with_ksm_page',
      'ksm_remove_ksm_page',
      'ksm_remove_rmap_item',
      'ksm_exit',
    ] as const) {
      machine.on(name, () => seen.push(name))
    }
    const mm = machine.createMm({ name: 'guest' })
    const at = mm.mmap(3 * PAGE)
    fill(mm, at, 3, 3)
    mm.madvise(at, 3 * PAGE, 'MADV_MERGEABLE')
    machine.ksm.set('run', 1)
    machine.ksm.scan(2)
    mm.exit()
    machine.ksm.scan(1)
    const counts = Object.fromEntries(
      [...new Set(seen)].map((name) => [name, seen.filter((other) => other === name).length]),
    )
    expect(counts).toEqual({
      ksm_enter: 1,
      ksm_start_scan: 3,
      ksm_merge_with_ksm_page: 3,
      ksm_stop_scan: 3,
      ksm_exit: 1,
      ksm_remove_rmap_item: 2,
      ksm_remove_ksm_page: 1,
    })
  })

  it('tells notifiers before and after every change of a translation', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 * PAGE)
    fill(mm, at, 2, 3)
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    const events: string[] = []
    mm.registerNotifier({
      invalidateRangeStart: ({ event, start, end }) =>
        void events.push(`start ${event} ${(start - at) / PAGE}..${(end - at) / PAGE}`),
      invalidateRangeEnd: ({ start, end }) =>
        void events.push(`end ${(start - at) / PAGE}..${(end - at) / PAGE}`),
    })
    machine.ksm.set('run', 1)
    machine.ksm.scan(2)
    mm.write(at, Uint8Array.of(1))
    // both pages about to be read for the first time; write-protect the scanned page; write-protect and replace the other; copy on write
    expect(events).toEqual([
      'start soft_dirty 0..2',
      'end 0..2',
      'start clear 1..2',
      'end 1..2',
      'start clear 0..1',
      'end 0..1',
      'start clear 0..1',
      'end 0..1',
      'start clear 0..1',
      'end 0..1',
    ])
  })

  it('has an audit that sees what is wrong', async () => {
    const machine = await host()
    const mm = machine.createMm()
    const at = mm.mmap(2 * PAGE)
    fill(mm, at, 2, 3)
    mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
    machine.ksm.set('run', 1)
    machine.ksm.scan(2)
    machine.audit()
    const pfn = mm.pfn(at)!
    const { frames, arena, anonVmas } = memoryOf(machine)
    const breakages: [name: RegExp, act: () => void, undo: () => void][] = [
      [/refcount is 3/, () => frames.get(pfn), () => frames.put(pfn)],
      [/mapcount is 3/, () => frames.addMapcount(pfn, 1), () => frames.addMapcount(pfn, -1)],
      [/pages_sharing is 2/, () => arena.counters[1]!++, () => arena.counters[1]!--],
      [/anon_vma 1: refcount/, () => anonVmas.of(1).refcount++, () => anonVmas.of(1).refcount--],
      [/left locked/, () => frames.setFlag(pfn, 1), () => frames.clearFlag(pfn, 1)],
    ]
    for (const [message, act, undo] of breakages) {
      act()
      expect(() => machine.audit()).toThrow(message)
      undo()
      machine.audit()
    }
  })
})
