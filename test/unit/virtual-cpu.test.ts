// A virtual CPU on the engine's own thread: what it reads and writes is what the mm holds, it writes only where a write is seen, and
// nothing that goes wrong in it leads into memory that is nobody's guest's.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as abi from '../../assembly/abi.ts'
import { FRAME_TABLE } from '../../assembly/abi.ts'
import * as layout from '../../assembly/hypervisor/layout.ts'
import { GuestMemory, type VirtualCpu } from '../../src/hypervisor/index.ts'
import type { Host, Mm } from '../../src/index.ts'
import { runCpu } from '../support/cpu-core.ts'
import { contentBytes, counted, errnoOf, fullScans, makeHost, PAGE } from '../support/world.ts'

const RAM = 0x1000_0000
const MIB = 2 ** 20

interface Scene {
  readonly host: Host
  readonly mm: Mm
  readonly cpu: VirtualCpu
}

async function scene(pages = 16, length = 2 * MIB): Promise<Scene> {
  const host = await makeHost({ frames: 256 })
  const mm = host.createMm({ name: 'guest' })
  mm.mmap(pages * PAGE, { address: RAM })
  mm.madvise(RAM, pages * PAGE, 'MADV_MERGEABLE')
  return { host, mm, cpu: mm.attachCpu({ address: RAM, length, scratch: 100 }) }
}

/** A CPU in WebAssembly and one in JavaScript, behind the same words. */
const SIDES = {
  WebAssembly(cpu: VirtualCpu) {
    const core = runCpu(cpu)
    const bytes = new Uint8Array(cpu.shared.memory.buffer)
    return {
      forRead: (offset: number) => core.forRead(BigInt(offset)) >>> 0,
      forWrite: (offset: number) => core.forWrite(BigInt(offset)) >>> 0,
      failed: () => core.failed(),
      stale: () => core.stale() !== 0,
      bytes,
    }
  },
  JavaScript(cpu: VirtualCpu) {
    const memory = new GuestMemory(cpu.shared, cpu.imports)
    return {
      forRead: (offset: number) => memory.forRead(offset),
      forWrite: (offset: number) => memory.forWrite(offset),
      failed: () => memory.failed,
      stale: () => memory.stale(),
      bytes: memory.bytes,
    }
  },
}
const NAMES = Object.keys(SIDES) as (keyof typeof SIDES)[]

describe('the contract', () => {
  const NUMBERS = Object.entries(layout) as [string, number][]

  it('has the pte bits of the engine', () => {
    const shared = NUMBERS.filter(([name]) => name in abi)
    expect(shared.length).toBeGreaterThan(5)
    for (const [name, value] of shared) expect(value, name).toBe((abi as Record<string, number>)[name])
    expect(layout.READABLE).toBe(abi.PTE_PRESENT | abi.PTE_READ)
    expect(layout.WRITABLE).toBe(abi.PTE_PRESENT | abi.PTE_WRITE | abi.PTE_DIRTY | abi.PTE_SOFT_DIRTY)
    expect(layout.LEAF_ENTRIES).toBe(abi.TABLE_ENTRIES)
    expect(layout.LEAF_SHIFT).toBe(abi.PAGE_SHIFT + abi.TABLE_SHIFT)
  })

  it('has a new version whenever it changes', () => {
    const text = NUMBERS.filter(([name]) => name !== 'HYPERVISOR_VERSION').map(
      ([name, value]) => `${name}=${value}`,
    )
    const digest = createHash('sha256').update(text.sort().join('\n')).digest('hex').slice(0, 16)
    expect({ version: layout.HYPERVISOR_VERSION, digest }).toEqual({ version: 1, digest: DIGEST })
  })

  it('has each field of a record in a place of its own', () => {
    const fields = NUMBERS.filter(([name]) => name.startsWith('CPU_') && name !== 'CPU_BYTES')
    const places = fields.map(([, at]) => at)
    expect(new Set(places).size).toBe(places.length)
    for (const at of places) expect(at % 4 === 0 && at < layout.CPU_BYTES).toBe(true)
  })

  it('is exported whole', () => {
    const door = readFileSync(resolve(import.meta.dirname, '../../src/hypervisor/index.ts'), 'utf8')
    for (const [name] of NUMBERS) expect(door).toMatch(new RegExp(`^ {2}${name},$`, 'm'))
  })
})

const DIGEST = 'e05ae651945805f7'

describe.each(NAMES)('a virtual CPU in %s', (name) => {
  it('reads and writes what the mm holds', async () => {
    const { host, mm, cpu } = await scene()
    const side = SIDES[name](cpu)
    mm.write(RAM + 5 * PAGE, contentBytes(7))
    expect(side.bytes[side.forRead(5 * PAGE)]).toBe(7)
    side.bytes[side.forWrite(6 * PAGE + 9)] = 42
    expect(mm.read(RAM + 6 * PAGE + 9, 1)).toEqual(Uint8Array.of(42))
    expect(side.failed()).toBe(0)
    host.audit()
  })

  it('is told of every write fault that ksmd needs: a merged page stays what it is for the others', async () => {
    const { host, mm, cpu } = await scene()
    const side = SIDES[name](cpu)
    for (let page = 0; page < 8; page++) side.bytes.set(contentBytes(3), side.forWrite(page * PAGE))
    fullScans(host, 3)
    expect(counted(host).slice(0, 2)).toEqual([1, 7])
    side.bytes[side.forWrite(2 * PAGE)] = 9
    expect(mm.read(RAM + 2 * PAGE, 1)[0]).toBe(9)
    expect(side.bytes[side.forRead(3 * PAGE)]).toBe(3)
    expect(mm.read(RAM + 3 * PAGE, PAGE)).toEqual(contentBytes(3))
    host.audit()
    // What was written without a fault, through the pte, is seen by the next scan.
    side.bytes[side.forWrite(2 * PAGE)] = 3
    fullScans(host, 3)
    expect(counted(host).slice(0, 2)).toEqual([1, 7])
    host.audit()
  })

  it('may write only through a pte that is writable, dirty and marked', async () => {
    const { host, mm, cpu } = await scene()
    const side = SIDES[name](cpu)
    side.forWrite(0)
    const memory = new GuestMemory(cpu.shared, cpu.imports)
    const writable = (): boolean => (memory.pteAt(memory.pteAddress(0)) & layout.WRITABLE) === layout.WRITABLE
    expect(writable()).toBe(true)
    fullScans(host, 1)
    expect(writable()).toBe(false)
    side.forWrite(0)
    expect(writable()).toBe(true)
    mm.madvise(RAM, PAGE, 'MADV_FREE')
    expect(writable()).toBe(false)
    side.forWrite(0)
    mm.mprotect(RAM, PAGE, 'PROT_READ')
    expect(writable()).toBe(false)
    host.audit()
  })

  it('does not read what the mapping may not be read for', async () => {
    const { mm, cpu, host } = await scene()
    const side = SIDES[name](cpu)
    side.bytes[side.forWrite(0)] = 77
    side.forRead(PAGE)
    mm.mprotect(RAM, 2 * PAGE, 'PROT_NONE')
    for (const offset of [0, PAGE]) {
      expect(side.bytes[side.forRead(offset)]).toBe(0)
      expect(side.failed()).toBe(layout.EFAULT)
    }
    host.audit()
    mm.mprotect(RAM, 2 * PAGE, 'PROT_READ')
    expect(side.bytes[side.forRead(0)]).toBe(77)
    expect(side.failed()).toBe(0)
    host.audit()
  })

  it('finds nothing beyond its window, below its mappings, or once the mm has exited', async () => {
    const { mm, cpu, host } = await scene(2, MIB)
    const side = SIDES[name](cpu)
    side.bytes[side.forWrite(0)] = 77
    side.bytes[side.forWrite(PAGE + 5)] = 77
    for (const offset of [MIB, MIB + 5, 2 ** 32, 2 ** 32 + PAGE + 5, 2 ** 32 + 3, 2 ** 40, 2 * PAGE]) {
      expect(side.bytes[side.forRead(offset)], `${offset}`).toBe(0)
      expect(side.failed()).toBe(layout.EFAULT)
    }
    side.bytes[side.forWrite(0)] = 1
    mm.exit()
    expect(side.bytes[side.forRead(0)]).toBe(0)
    expect(side.failed()).toBe(layout.ESRCH)
    // Its page table may be another's by now.
    const other = host.createMm()
    other.mmap(PAGE, { address: RAM })
    other.write(RAM, Uint8Array.of(99))
    expect(side.bytes[side.forRead(0)]).toBe(0)
    cpu.detach()
    host.audit()
  })

  it('does not come back to its record when the handler of its fault has detached it', async () => {
    const { host, mm, cpu } = await scene(2)
    const side = SIDES[name](cpu)
    side.bytes[side.forWrite(0)] = 1
    mm.registerUserfault(RAM, PAGE, {
      onWriteProtect() {
        cpu.detach()
        mm.userfaultWriteProtect(RAM, PAGE, false)
      },
    })
    mm.userfaultWriteProtect(RAM, PAGE, true)
    expect(errnoOf(() => side.forWrite(0))).toBe('ESRCH')
    host.audit()
  })

  it('is told when leaves have gone, and never sees another guest through one', async () => {
    const { host, mm, cpu } = await scene(2)
    const side = SIDES[name](cpu)
    const memory = new GuestMemory(cpu.shared, cpu.imports)
    side.bytes[side.forWrite(0)] = 1
    side.stale()
    const place = memory.pteAddress(0)
    mm.munmap(RAM, 2 * PAGE)
    expect(side.stale()).toBe(true)
    expect(side.stale()).toBe(false)
    expect(memory.pteAddress(0)).not.toBe(place)
    const other = host.createMm({ name: 'other' })
    other.mmap(PAGE, { address: RAM })
    other.write(RAM, Uint8Array.of(99))
    expect(side.bytes[side.forRead(0)]).toBe(0)
    expect(side.failed()).toBe(layout.EFAULT)
    host.audit()
  })
})

describe('what goes wrong in a CPU', () => {
  it.each([
    layout.EFAULT,
    layout.ENOMEM,
    layout.EIO,
    layout.EAGAIN,
    layout.EHWPOISON,
    layout.ESRCH,
    -1,
    4096,
  ])(
    'an answer of %i to every fault leads nowhere: neither to address 0 nor into metadata',
    async (answer) => {
      const { host, cpu } = await scene()
      const imports = { ...cpu.imports, pagefold: { fault: () => answer } }
      const { arena } = host.memory
      const before = arena.u8.slice(0, PAGE)
      const sides = [SIDES.WebAssembly(Object.assign(Object.create(cpu), { imports }))]
      const memory = new GuestMemory(cpu.shared, imports)
      for (const offset of [0, 5, PAGE, 100 * PAGE + 4095, MIB, 2 ** 32, 2 ** 40]) {
        for (const { bytes, forRead, forWrite } of [
          ...sides,
          {
            bytes: memory.bytes,
            forRead: (at: number) => memory.forRead(at),
            forWrite: (at: number) => memory.forWrite(at),
          },
        ]) {
          expect(bytes[forRead(offset)]).toBe(0)
          const at = forWrite(offset)
          bytes[at] = 255
          bytes[at] = 0
        }
      }
      expect(memory.failed).not.toBe(0)
      expect(arena.u8.slice(0, PAGE)).toEqual(before)
      host.audit()
    },
  )

  it('no word of the array of leaves is ever 0, and what the header says is no table', async () => {
    const { host, mm, cpu } = await scene(2, 64 * MIB)
    const words = host.memory.arena.u32
    const leaves = words[(cpu.shared.record + layout.CPU_LEAVES) / 4]!
    const all = (): number[] => Array.from({ length: 64 }, (_, i) => words[leaves / 4 + i]!)
    for (const leaf of all()) expect(leaf).toBeGreaterThanOrEqual(FRAME_TABLE)
    // The first of its table of leaves, and one further up in it.
    mm.mmap(PAGE, { address: RAM + 5 * MIB })
    for (const at of [RAM, RAM + 5 * MIB]) mm.write(at, contentBytes(1))
    expect(new Set(all()).size).toBe(3)
    for (const at of [RAM, RAM + 5 * MIB]) mm.munmap(at, PAGE)
    expect(new Set(all()).size).toBe(1)
  })
})

describe('coming and going', () => {
  it('one more CPU has to see what the others see, and is told what that is', async () => {
    const { mm } = await scene(2, 4 * MIB)
    expect(() => mm.attachCpu({ address: RAM, length: 2 * MIB })).toThrow(/EEXIST.*0x10000000\+0x400000/)
  })

  it('never sees a table that is not one of ptes, though memory ran out between the two', async () => {
    const { host, mm, cpu } = await scene(2, 64 * MIB)
    const { core, u32 } = host.memory.arena
    const leaves = u32[(cpu.shared.record + layout.CPU_LEAVES) / 4]! / 4
    const slab: number[] = []
    for (let table = core.slabAlloc(0); table !== 0; table = core.slabAlloc(0)) slab.push(table)
    expect(slab.length).toBeGreaterThan(2)
    for (const left of [0, 1]) {
      expect(errnoOf(() => mm.write(RAM, contentBytes(1)))).toBe('ENOMEM')
      expect(new Set(u32.slice(leaves, leaves + 64)).size, `${left} to be had`).toBe(1)
      core.slabFree(0, slab.pop()!)
    }
    for (const table of slab) core.slabFree(0, table)
    mm.write(RAM, contentBytes(1))
    expect(new Set(u32.slice(leaves, leaves + 64)).size).toBe(2)
    host.audit()
  })

  it('gives everything back', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    mm.mmap(PAGE, { address: RAM })
    const cpus = [mm.attachCpu({ scratch: 5 * PAGE }), mm.attachCpu()]
    const { virtualCpus } = host.metadata()
    expect(cpus[0]!.address).toBe(RAM)
    expect(cpus[1]!.length).toBe(MIB)
    expect(errnoOf(() => mm.attachCpu({ length: 2 * MIB }))).toBe('EEXIST')
    for (const cpu of cpus) cpu.detach()
    cpus[0]!.detach()
    expect(host.metadata().virtualCpus).toBeLessThan(virtualCpus)
    const again = [mm.attachCpu({ scratch: 5 * PAGE, length: 2 * MIB }), mm.attachCpu()]
    expect(host.metadata().virtualCpus).toBe(virtualCpus)
    mm.exit()
    for (const cpu of again) cpu.detach()
    host.audit()
  })

  it('finds what was mapped before it came', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    mm.mmap(4 * MIB, { address: RAM })
    mm.write(RAM + 3 * MIB, Uint8Array.of(5))
    const cpu = mm.attachCpu()
    const memory = new GuestMemory(cpu.shared)
    expect(memory.bytes[memory.forRead(3 * MIB)]).toBe(5)
    expect(() => memory.forRead(0)).toThrow(/EINVAL.*imports/)
  })

  it('refuses what it cannot be', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    expect(() => mm.attachCpu()).toThrow(RangeError)
    expect(() => mm.attachCpu({ address: 5 })).toThrow(/multiple of a MiB/)
    expect(() => mm.attachCpu({ length: 2 ** 33 })).toThrow(RangeError)
    expect(() => mm.attachCpu({ scratch: -1 })).toThrow(RangeError)
    expect(errnoOf(() => mm.attachCpu({ length: MIB, scratch: 2 ** 29 }))).toBe('ENOMEM')
    host.audit()
  })
})

it('what a device copies to a guest goes to no merged page', async () => {
  const { host, mm, cpu } = await scene()
  for (const page of [0, 1, 2, 3]) mm.write(RAM + page * PAGE, contentBytes(3))
  fullScans(host, 3)
  expect(counted(host).slice(0, 2)).toEqual([1, 3])
  const core = runCpu(cpu)
  new Uint8Array(cpu.shared.memory.buffer)[core.scratch()] = 9
  expect(core.copyToGuest(BigInt(PAGE), core.scratch(), 1)).toBe(0)
  expect(new GuestMemory(cpu.shared, cpu.imports).write(2 * PAGE, Uint8Array.of(8))).toBe(0)
  expect([0, 1, 2, 3].map((page) => mm.read(RAM + page * PAGE, 1)[0])).toEqual([3, 9, 8, 3])
  host.audit()
})

it('a core counts words up, and copies across borders of pages', async () => {
  const { host, mm, cpu } = await scene()
  const core = runCpu(cpu)
  for (let round = 0; round < 5; round++) {
    expect(core.increment(0, 16 * 1024, 4)).toBe(16 * 1024)
    fullScans(host, 2)
  }
  expect(counted(host).slice(0, 2)).toEqual([1, 15])
  expect(core.sum(0, 16 * 1024, 4)).toBe(5 * 16 * 1024)
  expect(core.scratchBytes()).toBe(PAGE)
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i)
  new Uint8Array(cpu.shared.memory.buffer).set(bytes, core.scratch())
  expect(core.copyToGuest(BigInt(PAGE - 50), core.scratch(), 100)).toBe(0)
  expect(mm.read(RAM + PAGE - 50, 100)).toEqual(bytes)
  new Uint8Array(cpu.shared.memory.buffer).fill(0, core.scratch(), core.scratch() + 100)
  expect(core.copyFromGuest(core.scratch(), BigInt(PAGE - 50), 100)).toBe(0)
  expect(new Uint8Array(cpu.shared.memory.buffer).slice(core.scratch(), core.scratch() + 100)).toEqual(bytes)
  expect(core.copyToGuest(BigInt(16 * PAGE - 50), core.scratch(), 100)).toBe(layout.EFAULT)
  host.audit()
})
