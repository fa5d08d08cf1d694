// Grace periods: what the engine takes away, a CPU on another thread may be using still. Each path stops a CPU between a pte and its use,
// is driven past it, and has to wait; and where the CPU does not come, nothing it holds goes to anybody else.

import { afterEach, describe, expect, it } from 'vitest'
import { EAGAIN, READABLE, type VirtualCpu } from '../../src/hypervisor/index.ts'
import { type Host, type HostOptions, type Mm, memorySwapStore } from '../../src/index.ts'
import { GatedCpu, type Step } from '../support/gated-cpu.ts'
import { byteAt, contentBytes, errnoOf, makeHost, PAGE, useUpFrames } from '../support/world.ts'

const RAM = 0x1000_0000
const MIB = 2 ** 20

interface Scene {
  readonly host: Host
  readonly mm: Mm
  readonly other: Mm
  readonly cpu: VirtualCpu
}

async function scene(options: Partial<HostOptions> = {}): Promise<Scene> {
  const host = await makeHost({ frames: 64, numaNodes: 2, changes: 'checksum', ...options })
  host.swapOn(memorySwapStore(64))
  const [mm, other] = ['guest', 'other'].map((name) => {
    const made = host.createMm({ name })
    made.mmap(4 * PAGE, { address: RAM })
    made.madvise(RAM, 4 * PAGE, 'MADV_MERGEABLE')
    made.write(RAM, contentBytes(7))
    made.write(RAM + 3 * PAGE, contentBytes(name === 'guest' ? 8 : 9))
    return made
  }) as [Mm, Mm]
  return { host, mm, other, cpu: mm.attachCpu({ length: 4 * MIB, thread: true }) }
}

const running: GatedCpu[] = []
function start(cpu: VirtualCpu, ...steps: Step[]): GatedCpu {
  const gated = new GatedCpu(cpu, steps)
  running.push(gated)
  return gated
}
afterEach(async () => {
  for (const gated of running.splice(0)) {
    gated.finish()
    await gated.end()
  }
})

/** What changes a translation of the guest's first page. Everything that does has its line. */
const PATHS: Record<
  string,
  { readonly act: (scene: Scene) => unknown; readonly log?: true; readonly asks?: number }
> = {
  'a mark that is cleared': { act: ({ host }) => host.ksm.scan(1), log: true },
  'write-protecting before a merge': { act: ({ host }) => host.ksm.scan(2) },
  'switching to the merged page': { act: ({ host }) => host.ksm.scan(2), asks: 2 },
  'a copy on write': {
    act: ({ mm }) => {
      mm.fork()
      mm.write(RAM, Uint8Array.of(1))
    },
    asks: 2,
  },
  unsharing: {
    act: ({ host, mm }) => {
      host.ksm.scan(2)
      mm.madvise(RAM, 4 * PAGE, 'MADV_UNMERGEABLE')
    },
    asks: 3,
  },
  DONTNEED: { act: ({ mm }) => mm.madvise(RAM, PAGE, 'MADV_DONTNEED') },
  FREE: { act: ({ mm }) => mm.madvise(RAM, PAGE, 'MADV_FREE') },
  PAGEOUT: { act: ({ mm }) => mm.madvise(RAM, PAGE, 'MADV_PAGEOUT') },
  munmap: { act: ({ mm }) => mm.munmap(RAM, PAGE) },
  'a table that goes': { act: ({ mm }) => mm.munmap(RAM, 4 * PAGE), asks: 2 },
  exit: { act: ({ mm }) => mm.exit() },
  replace: { act: ({ mm }) => mm.replace() },
  fork: { act: ({ mm }) => mm.fork() },
  // Its table stays: another page is in it.
  mremap: {
    act: ({ mm }) => mm.mremap(RAM, PAGE, PAGE, { address: RAM + MIB }),
  },
  mprotect: { act: ({ mm }) => mm.mprotect(RAM, PAGE, 'PROT_READ') },
  userfault: {
    act: ({ mm }) => {
      mm.registerUserfault(RAM, PAGE, { onWriteProtect() {} })
      mm.userfaultWriteProtect(RAM, PAGE, true)
    },
  },
  'swap-out': { act: ({ host, mm }) => host.reclaim(mm.pfn(RAM)!) },
  migration: { act: ({ host, mm }) => host.migrate(mm.pfn(RAM)!, { node: 1 }) },
  'a snapshot that is taken again': {
    act: ({ mm }) => {
      const snapshot = mm.snapshot()
      mm.write(RAM, Uint8Array.of(1))
      mm.snapshot(snapshot)
    },
    asks: 3,
  },
  'memory failure': { act: ({ host, mm }) => host.memoryFailure(mm.pfn(RAM)!) },
  'memory failure, moved to an equal page': {
    act: ({ host, mm, other }) => {
      host.ksm.set('max_page_sharing', 2)
      for (const _ of [1, 2]) other.fork().write(RAM, contentBytes(7))
      host.ksm.scan(3)
      expect(host.memoryFailure(mm.pfn(RAM)!, { recover: true })).toEqual({ told: [], recovered: 2 })
    },
    asks: 3,
  },
}

describe('a CPU between a pte and its use is waited for', () => {
  it.each(Object.entries(PATHS))('by %s', async (_, { act, log, asks = 1 }) => {
    const made = await scene(log ? { changes: 'log' } : {})
    const echoes = Array.from({ length: asks - 1 }, (): Step[] => [['until asked'], ['safe point']]).flat()
    const gated = start(
      made.cpu,
      ['safe point'],
      ...echoes,
      ['load', 0],
      ['until asked'],
      ['acted'],
      ['safe point'],
    )
    gated.untilDone(asks === 1 ? 2 : 1)
    act(made)
    expect(gated.acted).toBe(true)
    gated.finish()
    made.host.audit()
  })

  it('by nothing while it is parked', async () => {
    for (const { act, log } of Object.values(PATHS)) {
      const made = await scene({ graceTimeout: 20_000, ...(log ? { changes: 'log' } : {}) })
      act(made)
      made.host.audit()
    }
  })
})

describe('what it does meanwhile', () => {
  it('a write before a merge is no merge', async () => {
    const { host, mm, other, cpu } = await scene()
    const gated = start(cpu, ['load', 0], ['until asked'], ['write', 9, 1], ['safe point'])
    gated.untilDone(1)
    host.ksm.scan(2)
    gated.finish()
    expect([byteAt(mm, RAM + 9), byteAt(other, RAM + 9)]).toEqual([1, contentBytes(7)[9]])
    expect(host.ksm.counters().pages_sharing).toBe(0)
    host.audit()
  })

  it('a write before the page is read is in its checksum', async () => {
    const { host, cpu } = await scene({ changes: 'log' })
    const gated = start(cpu, ['load', 0], ['until asked'], ['write', 9, 1], ['safe point'])
    gated.untilDone(1)
    host.ksm.scan(1)
    gated.finish()
    host.audit()
  })

  it('a write before it is written to swap is in swap', async () => {
    const { host, mm, cpu } = await scene()
    const gated = start(cpu, ['load', 0], ['until asked'], ['write', 9, 1], ['safe point'])
    gated.untilDone(1)
    expect(host.reclaim(mm.pfn(RAM)!)).toBeUndefined()
    gated.finish()
    expect(byteAt(mm, RAM + 9)).toBe(1)
  })

  it('a write before it moves goes along', async () => {
    const { host, mm, cpu } = await scene()
    const gated = start(cpu, ['load', 0], ['until asked'], ['write', 9, 1], ['safe point'])
    gated.untilDone(1)
    host.migrate(mm.pfn(RAM)!, { node: 1 })
    gated.finish()
    expect(byteAt(mm, RAM + 9)).toBe(1)
  })

  it("a write before the fork is the parent's and the child's", async () => {
    const { host, mm, cpu } = await scene()
    const gated = start(cpu, ['load', 0], ['until asked'], ['write', 9, 1], ['safe point'])
    gated.untilDone(1)
    const child = mm.fork()
    const then = byteAt(child, RAM + 9)
    gated.finish()
    expect([then, byteAt(child, RAM + 9), byteAt(mm, RAM + 9)]).toEqual([1, 1, 1])
    host.audit()
  })

  it("a page that was copied for one and is the other's alone is read by nobody else", async () => {
    const { mm, cpu } = await scene()
    const child = mm.fork()
    const gated = start(cpu, ['load', 0], ['until asked'], ['read', 0], ['safe point'])
    gated.untilDone(1)
    mm.write(RAM + 100, Uint8Array.of(1))
    child.write(RAM, Uint8Array.of(99))
    gated.finish()
    expect(gated.value).toBe(7)
  })

  it("a pte's address leads to nobody else's table", async () => {
    const { host, mm, cpu } = await scene()
    const gated = start(
      cpu,
      ['keep', 0],
      ['until asked'],
      ['safe point'],
      ['until asked'],
      ['load kept'],
      ['note pte'],
    )
    gated.untilDone(1)
    mm.munmap(RAM, 4 * PAGE)
    const fresh = host.createMm()
    fresh.mmap(MIB, { address: 0 })
    for (let page = 0; page < 8; page++) fresh.write(page * PAGE, contentBytes(1))
    gated.finish()
    expect(gated.value & READABLE).not.toBe(READABLE)
  })
})

describe('a CPU that does not come', () => {
  const LATE = { graceTimeout: 30 }

  const NOTHING = (): void => {}
  const KEPT: [string, prepare: (scene: Scene) => unknown, act: (scene: Scene) => unknown, freed: boolean][] =
    [
      ['DONTNEED', NOTHING, ({ mm }) => mm.madvise(RAM, PAGE, 'MADV_DONTNEED'), true],
      ['munmap', NOTHING, ({ mm }) => mm.munmap(RAM, 4 * PAGE), true],
      ['exit', NOTHING, ({ mm }) => mm.exit(), true],
      [
        'a copy on write',
        ({ mm }) => mm.fork({ name: 'child' }),
        ({ host, mm }) => {
          mm.write(RAM, Uint8Array.of(1))
          for (const { name, users } of host.memory.mms()) if (name === 'child') expect(users).toBe(1)
          const [child] = [...host.memory.mms()].filter(({ name }) => name === 'child')
          ;(child as Mm).exit()
        },
        true,
      ],
      [
        'a merge',
        ({ host }) => host.ksm.scan(1),
        ({ host, other }) => {
          host.memory.cpus.graceTimeout = 1
          host.ksm.scan(2)
          other.exit()
        },
        false,
      ],
      [
        'discarding what was given up',
        ({ mm }) => mm.madvise(RAM, PAGE, 'MADV_FREE'),
        ({ host, mm }) => expect(host.reclaim(mm.pfn(RAM)!)).toBe('referenced'),
        true,
      ],
      ['swap-out', NOTHING, ({ host, mm }) => expect(host.reclaim(mm.pfn(RAM)!)).toBe('referenced'), false],
    ]

  it.each(KEPT)('keeps what it may be using from everybody else: %s', async (_, prepare, act, freed) => {
    const made = await scene(LATE)
    const { host, cpu } = made
    prepare(made)
    const gated = start(cpu, ['load', 0], ['until over'], ['read', 0])
    gated.untilDone(1)
    act(made)
    host.audit()
    useUpFrames(host)
    gated.finish()
    expect(gated.value).toBe(7)
    host.serveFaults()
    host.audit()
    expect(host.frames.free > 0).toBe(freed)
    cpu.detach()
    host.audit()
  })

  it('between write-protecting and switching keeps the page that it reads from everybody else', async () => {
    const { host, mm, cpu } = await scene()
    host.ksm.scan(1)
    const pfn = mm.pfn(RAM)
    const gated = start(
      cpu,
      ['safe point'],
      ['until asked'],
      // As one would right after the safe point: then the engine might have switched it already.
      ['load', 0],
      ['safe point'],
      ['until over'],
      ['read', 0],
    )
    gated.untilDone(1)
    host.memory.cpus.graceTimeout = 300
    host.ksm.scan(1)
    expect(mm.pfn(RAM)).not.toBe(pfn)
    host.audit()
    useUpFrames(host)
    gated.finish()
    expect(gated.value).toBe(7)
    host.serveFaults()
    host.audit()
  })

  it('has fork, migration and a scan take back what they began', async () => {
    const { host, mm, other, cpu } = await scene(LATE)
    const gated = start(cpu, ['load', 0], ['until over'], ['write', 9, 1])
    gated.untilDone(1)
    const pfn = mm.pfn(RAM)!
    expect(errnoOf(() => mm.fork())).toBe('EAGAIN')
    host.audit()
    expect(errnoOf(() => host.migrate(pfn, { node: 1 }))).toBe('EAGAIN')
    expect(mm.pfn(RAM)).toBe(pfn)
    host.audit()
    host.ksm.scan(2)
    expect(host.ksm.counters().pages_sharing).toBe(0)
    expect(errnoOf(() => mm.oomReap())).toBe('EAGAIN')
    expect(mm.pfn(RAM)).toBe(pfn)
    gated.finish()
    expect([byteAt(mm, RAM + 9), byteAt(other, RAM + 9)]).toEqual([1, contentBytes(7)[9]])
    host.ksm.scan(3)
    host.audit()
  })

  it('has its write read, though the mark was to be cleared before', async () => {
    const { host, mm, cpu } = await scene({ ...LATE, changes: 'log' })
    const gated = start(cpu, ['load', 0], ['until over'], ['write', 9, 1])
    gated.untilDone(1)
    host.ksm.scan(1)
    gated.finish()
    host.serveFaults()
    host.audit()
    host.ksm.scan(3)
    expect(byteAt(mm, RAM + 9)).toBe(1)
    expect(host.ksm.counters().pages_sharing).toBe(0)
    host.audit()
  })

  it('has its write kept, though the page was to be given up', async () => {
    const { host, mm, cpu } = await scene(LATE)
    const gated = start(cpu, ['load', 0], ['until over'], ['write', 9, 1])
    gated.untilDone(1)
    const pfn = mm.pfn(RAM)!
    mm.madvise(RAM, PAGE, 'MADV_FREE')
    gated.finish()
    host.serveFaults()
    host.reclaim(pfn)
    expect(byteAt(mm, RAM + 9)).toBe(1)
    host.audit()
  })

  it('refuses going back in time while it runs', async () => {
    const { host, mm, cpu } = await scene({ graceTimeout: 5000 })
    const snapshot = mm.snapshot()
    const gated = start(cpu, ['load', 0], ['until over'])
    gated.untilDone(1)
    expect(errnoOf(() => mm.restore(snapshot))).toBe('EBUSY')
    gated.finish()
    mm.restore(snapshot)
    host.audit()
  })

  it('has its write in swap, if it comes later', async () => {
    const { host, mm, cpu } = await scene(LATE)
    const gated = start(cpu, ['load', 0], ['until over'], ['write', 9, 1])
    gated.untilDone(1)
    const pfn = mm.pfn(RAM)!
    expect(host.reclaim(pfn)).toBe('referenced')
    gated.finish()
    host.serveFaults()
    expect(host.reclaim(pfn)).toBeUndefined()
    expect(byteAt(mm, RAM + 9)).toBe(1)
    host.audit()
  })

  it('and whose thread was killed is waited for no longer once it is detached', async () => {
    const { host, mm, cpu } = await scene(LATE)
    const gated = new GatedCpu(cpu, [['load', 0], ['until over']])
    gated.untilDone(1)
    await gated.kill()
    const free = host.frames.free
    mm.madvise(RAM, PAGE, 'MADV_DONTNEED')
    expect(host.frames.free).toBe(free)
    cpu.detach()
    expect(host.frames.free).toBe(free + 1)
    host.audit()
    mm.fork()
  })

  it('is stopped, and goes on', async () => {
    const { host, mm, cpu } = await scene({ graceTimeout: 5000 })
    const gated = start(cpu)
    cpu.stop()
    expect(cpu.isParked).toBe(true)
    mm.fork()
    cpu.resume()
    gated.finish()
    host.audit()
  })
})

describe('faults from another thread', () => {
  it('are answered while this one waits, and by the event loop', async () => {
    const { host, mm, cpu } = await scene({ graceTimeout: 5000 })
    const gated = start(cpu, ['fault', 2 * PAGE, 1], ['fault', 3 * MIB, 0], ['until over'])
    while (mm.pfn(RAM + 2 * PAGE) === undefined) host.serveFaults(1000)
    await new Promise((resolve) => setTimeout(resolve, 1))
    for (let turns = 0; gated.value !== 14 && turns < 1000; turns++)
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect(gated.value).toBe(14)
    gated.finish()
    host.audit()
  })

  it('are answered between the pages of a scan', async () => {
    const { host, mm, cpu } = await scene({ graceTimeout: 5000 })
    start(cpu, ['fault', 2 * PAGE, 1], ['until over'])
    for (let scans = 0; scans < 20_000 && mm.pfn(RAM + 2 * PAGE) === undefined; scans++) host.ksm.scan(1)
    expect(mm.pfn(RAM + 2 * PAGE)).toBeDefined()
    host.audit()
  })

  it('are told to try again if a handler throws, and the host works on', async () => {
    const { host, mm, cpu } = await scene({ graceTimeout: 5000 })
    mm.registerUserfault(RAM, PAGE, {
      onWriteProtect() {
        throw new Error('mine')
      },
    })
    mm.userfaultWriteProtect(RAM, PAGE, true)
    const gated = start(cpu, ['fault', 0, 1], ['until over'])
    expect(() => {
      for (;;) host.serveFaults(5000)
    }).toThrow('mine')
    gated.finish()
    expect(gated.value).toBe(EAGAIN)
    host.audit()
  })
})
