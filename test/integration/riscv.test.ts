// examples/riscv: what bare programs print; generated programs against QEMU, or against what it printed once; guests whose memory ksmd merges
// under them, forked and booted apart; and Linux, where it has been fetched.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
// @ts-expect-error: no types, and none needed
import { buildMain, readyCpu } from '../../examples/riscv/build.mjs'
import { EXPANDED, X } from '../../examples/riscv/cpu/state.ts'
import { flatBoard } from '../../examples/riscv/machine/board.ts'
import { readElf } from '../../examples/riscv/machine/elf.ts'
import { Guest } from '../../examples/riscv/machine/guest.ts'
import { Machine, RAM_BASE } from '../../examples/riscv/machine/machine.ts'
import { Fleet, isAsking } from '../../examples/riscv/run/fleet.ts'
import { readAllSaved, writeSaved } from '../../examples/riscv/run/saved.ts'
import { Saver } from '../../examples/riscv/run/saver.ts'
import { bareProgram, linux } from '../../examples/riscv/run/software.ts'
import { Threads } from '../../examples/riscv/run/threads.ts'
import { openSources } from '../../src/images/index.ts'
import { Host } from '../../src/index.ts'
import { scratch } from '../support/files.ts'
import { ROOT } from '../support/package.ts'
import { Code } from '../support/riscv/encode.ts'
import { onOurs, onQemu, qemuUnavailable } from '../support/riscv/machines.ts'
import { generate, PRINTED } from '../support/riscv/programs.ts'
import recorded from '../support/riscv/recorded.json' with { type: 'json' }

const RISCV = join(ROOT, 'examples/riscv')
const MIB = 1 << 20
const RAM = 4 * MIB
const SLICE = 200_000

let cpu: WebAssembly.Module
let flat: WebAssembly.Module

beforeAll(async () => {
  await readyCpu()
  const binary = (name: string) => new WebAssembly.Module(readFileSync(join(RISCV, 'build', name)))
  cpu = binary('cpu.wasm')
  flat = binary('cpu-flat.wasm')
}, 120_000)

const program = (name: string): Uint8Array => readFileSync(join(RISCV, 'programs', `${name}.elf`))
const pagesProgram = () => bareProgram('pages', program('pages'), RAM)
/** Of what each program of an image printed. */
function digestsOf(printed: Uint8Array): string[] {
  return Array.from({ length: printed.length / PRINTED }, (_, i) => {
    const bytes = printed.subarray(i * PRINTED, (i + 1) * PRINTED)
    return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  })
}

function flatMachine(print: (byte: number) => void): Machine {
  return new Machine((devices) => flatBoard(flat, RAM, devices), { print })
}

/** Runs a program on one block of memory. */
function onFlat(name: string, argument: number): string[] {
  let text = ''
  const machine = flatMachine((byte) => {
    text += String.fromCharCode(byte)
  })
  const { entry, segments } = readElf(program(name))
  for (const { address, bytes } of segments) machine.board.write(address, bytes)
  machine.start(entry, argument)
  while (machine.run(SLICE) !== 'stopped') if (!machine.wake()) throw new Error(`${name} sleeps for ever`)
  expect(machine.exitCode, text).toBe(0)
  return text.trim().split('\n')
}

/** Runs all guests to their end, with a scan of ksmd's after each turn. */
function runAll(fleet: Fleet): void {
  const { host } = fleet
  host.ksm.set('run', 1)
  while (fleet.turn(SLICE) !== undefined) host.ksm.scanPages(256)
  expect(fleet.wrong.map(({ name, lines }) => [name, ...lines])).toEqual([])
  host.audit()
}

const said = (guest: Guest): string[] => guest.lines.filter((line) => line.startsWith('guest '))

describe('bare programs', () => {
  it('compute', () => {
    expect(onFlat('primes', 0)).toEqual(['78498 primes below 1000000'])
  })

  it('meet exceptions, interrupts, page tables and user mode', () => {
    const lines = onFlat('traps', 0)
    expect(lines.slice(0, -1).every((line) => line.startsWith('ok '))).toBe(true)
    expect(lines).toHaveLength(12)
    expect(lines.at(-1)).toBe('done')
  })

  it('find their own memory under ksmd as they left it, and what they share is merged', async () => {
    const host = await Host.create({ frames: 4096 })
    const fleet = new Fleet(host, cpu)
    for (let number = 1; number <= 3; number++) fleet.boot(pagesProgram(), number)
    runAll(fleet)
    for (const [i, guest] of fleet.guests.entries())
      expect(said(guest)).toEqual(onFlat('pages', i + 1).filter((line) => line.startsWith('guest ')))
    const { pages_shared, pages_sharing } = host.ksm.counters()
    expect(pages_shared).toBeGreaterThan(0)
    expect(pages_sharing).toBeGreaterThan(pages_shared)
    expect(host.vmstat().cow_ksm).toBeGreaterThan(0)
    for (const guest of fleet.guests) guest.exit()
    host.ksm.scan(2)
    expect(host.frames.free).toBe(4096)
    host.close()
  })

  it('are forked while they run, and each goes on as if it had been alone', async () => {
    const host = await Host.create({ frames: 4096 })
    const fleet = new Fleet(host, cpu)
    const first = fleet.boot(pagesProgram(), 0)
    while (!isAsking(first)) fleet.turn(1000)
    fleet.fork(first, 1, 3)
    runAll(fleet)
    for (const [i, guest] of fleet.guests.entries())
      expect(said(guest)).toEqual(onFlat('pages', i + 1).filter((line) => line.startsWith('guest ')))
    host.close()
  })
})

describe('a guest that is saved', () => {
  /** Files of a guest that is saved after two rounds; meanwhile it runs on. */
  async function savedWhileRunning(host: Host): Promise<{ guest: Guest; folder: string }> {
    const guest = new Fleet(host, cpu).boot(pagesProgram(), 7)
    host.ksm.set('run', 1)
    while (said(guest).length < 2) {
      guest.run(SLICE)
      host.ksm.scanPages(256)
    }
    const { state, release } = guest.save()
    const folder = scratch()
    let written = false
    const writing = writeSaved(folder, state).then(() => {
      written = true
    })
    const then = guest.machine.instructions
    while (!written) {
      // Enough to come by pages that it writes.
      guest.run(40 * SLICE)
      host.ksm.scanPages(50)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await writing
    release()
    expect(guest.machine.instructions).toBeGreaterThan(then + 100 * SLICE)
    return { guest, folder }
  }

  /** Its registers and its memory. */
  const whole = ({ machine: { board } }: Guest): string =>
    createHash('sha256')
      .update(new Uint8Array(board.hart.buffer, board.hartAt, EXPANDED))
      .update(board.read(RAM_BASE, board.ramBytes))
      .digest('hex')

  it('goes on elsewhere and comes to the same end, to the bit, as the one that ran on', async () => {
    const host = await Host.create({ frames: 4096 })
    const { guest, folder } = await savedWhileRunning(host)
    const elsewhere = await Host.create({ frames: 4096 })
    elsewhere.ksm.set('run', 1)
    const [copy] = readAllSaved(folder).map((saved) => new Fleet(elsewhere, cpu).restore(saved))
    expect(copy!.machine.instructions).toBeLessThan(guest.machine.instructions)
    for (const one of [guest, copy!]) while (one.run(SLICE) !== 'stopped') elsewhere.ksm.scanPages(256)
    expect(said(copy!)).toEqual(onFlat('pages', 7).filter((line) => line.startsWith('guest ')))
    expect(copy!.lines).toEqual(guest.lines)
    expect(copy!.machine.exitCode).toBe(0)
    expect(whole(copy!)).toBe(whole(guest))
    expect(() => guest.save()).toThrow('pages-7 has stopped')
    for (const one of [host, elsewhere]) {
      one.audit()
      one.close()
    }
  })

  it('is an image of its RAM beside, and half of one is refused', async () => {
    const host = await Host.create({ frames: 4096 })
    const { folder } = await savedWhileRunning(host)
    const [image] = openSources([join(folder, 'pages-7.raw')])
    expect(image!.pages).toBe(RAM / 4096)
    image!.close()
    const state = join(folder, 'pages-7.json')
    const text = readFileSync(state, 'utf8')
    truncateSync(join(folder, 'pages-7.raw'), RAM - 4096)
    expect(() => readAllSaved(folder)).toThrow(/pages-7\.raw: has 4190208 bytes/)
    writeFileSync(state, text.replace('"format":1', '"format":2'))
    expect(() => readAllSaved(folder)).toThrow('format 2')
    rmSync(state)
    expect(readAllSaved(folder)).toEqual([])
    host.close()
  })

  it('may be on another thread, before and afterwards', async () => {
    await buildMain()
    const folder = scratch()
    const run = async (prepare: (fleet: Fleet) => void, after: number): Promise<string[][]> => {
      const host = await Host.create({ frames: 8192 })
      const threads = new Threads(join(RISCV, 'build/thread.js'), 2)
      const fleet = new Fleet(host, cpu, threads)
      const saver = new Saver(folder, after, threads)
      host.ksm.set('run', 1)
      prepare(fleet)
      while (fleet.guests.some(({ state }) => state !== 'stopped')) {
        host.serveFaults(1)
        host.ksm.scanPages(256)
        saver.look(fleet)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await saver.done()).toBe(after === Infinity ? 0 : 2)
      await threads.close()
      expect(fleet.wrong).toEqual([])
      host.audit()
      host.close()
      return fleet.guests.map(said)
    }
    const ran = await run((fleet) => {
      for (const number of [1, 2]) fleet.boot(pagesProgram(), number)
    }, 10e6)
    const saved = readAllSaved(folder)
    expect(saved.map(({ options }) => options.name)).toEqual(['pages-1', 'pages-2'])
    const again = await run((fleet) => {
      for (const guest of saved) fleet.restore(guest)
    }, Infinity)
    expect(again).toEqual(ran)
    expect(ran[0]).toEqual(onFlat('pages', 1).filter((line) => line.startsWith('guest ')))
  })

  it('by the commands that README has', async () => {
    await buildMain()
    const folder = scratch()
    const command = (...args: string[]): string => {
      const report = join(folder, 'guests.html')
      const all = [join(RISCV, 'build/main.js'), ...args, '--report', report]
      const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: folder, encoding: 'utf8' })
      expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' })
      return stdout
    }
    const [, save, restore] =
      /example:riscv -- (.* --save .*?) {2}.*\n.*example:riscv -- (--restore .*?) {2}/.exec(
        readFileSync(join(RISCV, 'README.md'), 'utf8'),
      )!
    const first = command(...save!.split(' '))
    expect(first).toMatch(/^3 guests saved in saved$/m)
    const apart = toldAtTheEnd(first)
    expect(toldAtTheEnd(command(...restore!.split(' ')))).toEqual(apart)
    const three = ['--guests', '3', '--program', 'pages']
    expect(toldAtTheEnd(command(...three, '--threads', '2'))).toEqual(apart)
    expect(toldAtTheEnd(command(...three, '--fork')).digests).toEqual(apart.digests)
    expect(toldAtTheEnd(command(...three, '--no-ksm'))).toEqual({ ...apart, merged: false })
  })

  /** What the command says when all guests have stopped, of which frames depend on how far ksmd had come. */
  function toldAtTheEnd(output: string): { pages: number; digests: string; merged: boolean } {
    const memory = [...output.matchAll(/: (\d+) pages in (\d+) frames, with (\d+) distinct contents$/gm)]
    const [stopped, scanned] = memory.map(([, ...numbers]) => numbers.map(Number))
    const [pages, frames, contents] = stopped as [number, number, number]
    expect(frames).toBeLessThanOrEqual(pages)
    expect(contents).toBeLessThanOrEqual(frames)
    if (scanned !== undefined) {
      expect([scanned[0], scanned[2]], 'scans change neither').toEqual([pages, contents])
      expect(scanned[1]).toBeLessThan(pages)
      expect(scanned[1]).toBeGreaterThanOrEqual(contents)
    }
    expect(output).toMatch(/^0 of 3 guests wrong;/m)
    const digests = /^([1-9]\d* digests of guests' own, all together [0-9a-f]{16})$/m.exec(output)![1]!
    return { pages, digests, merged: scanned !== undefined }
  }
})

describe('guests on other threads', () => {
  it('find their own memory as they left it while ksmd merges it under them', async () => {
    await buildMain()
    const host = await Host.create({ frames: 4096 })
    const threads = new Threads(join(RISCV, 'build/thread.js'), 2)
    const fleet = new Fleet(host, cpu, threads)
    host.ksm.set('run', 1)
    // Two are forked from one that has run here, one is booted there.
    const first = fleet.boot(pagesProgram(), 0)
    while (!isAsking(first)) fleet.turn(1000)
    fleet.fork(first, 1, 2)
    fleet.boot(pagesProgram(), 3)
    while (fleet.guests.some(({ state }) => state !== 'stopped')) {
      host.serveFaults(1)
      host.ksm.scanPages(256)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await threads.close()
    expect(fleet.wrong).toEqual([])
    for (const [i, guest] of fleet.guests.entries())
      expect(said(guest)).toEqual(onFlat('pages', i + 1).filter((line) => line.startsWith('guest ')))
    expect(host.ksm.counters().pages_sharing).toBeGreaterThan(0)
    expect(host.vmstat().cow_ksm).toBeGreaterThan(0)
    host.audit()
    for (const guest of fleet.guests) guest.exit()
    host.ksm.scan(2)
    expect(host.frames.free).toBe(4096)
    host.close()
  })
})

describe('generated programs', () => {
  it.each(Object.entries(recorded.digests))('of seed %s print what QEMU printed', (seed, digests) => {
    const { image } = generate(Number(seed), recorded.programs, recorded.steps)
    expect(digestsOf(onOurs(image, flatMachine))).toEqual(digests)
  })

  it('print the same while ksmd merges their memory', async () => {
    const host = await Host.create({ frames: 8192 })
    host.ksm.set('run', 1)
    host.ksm.set('use_zero_pages', 1)
    const options = { name: 'generated', ramBytes: RAM, firmware: false }
    const { image } = generate(1, recorded.programs, recorded.steps)
    // One that does the same, so that there is something to merge.
    const other = Guest.create(host, cpu, options, () => {})
    other.machine.board.write(RAM_BASE, image)
    other.machine.start(RAM_BASE)
    const printed = onOurs(
      image,
      (print) => Guest.create(host, cpu, options, print).machine,
      () => {
        other.run(SLICE)
        host.ksm.scan()
      },
    )
    expect(digestsOf(printed)).toEqual(recorded.digests['1'])
    expect(host.ksm.counters().pages_sharing).toBeGreaterThan(0)
    expect(host.vmstat().cow_ksm).toBeGreaterThan(0)
    host.audit()
    host.close()
  })

  it.skipIf(qemuUnavailable !== undefined)(
    `print what QEMU prints${qemuUnavailable ? ` (skipped: ${qemuUnavailable})` : ''}`,
    () => {
      const seed = Number(process.env.PAGEFOLD_SEED ?? 1000)
      const { image } = generate(seed, 12, 100)
      expect(Buffer.compare(onOurs(image, flatMachine), onQemu(image)), `seed ${seed}`).toBe(0)
    },
  )
})

describe('what QEMU does otherwise', () => {
  /** Runs a few instructions in M mode; returns the cause they end with. */
  function causeOf(write: (code: Code) => void): number {
    const code = new Code()
    code.i(0x17, 0, 1, 0, 0)
    code.addi(1, 1, 256)
    code.csr(1, 0, 0x305, 1)
    write(code)
    while (code.bytes < 256) code.half(1)
    code.csr(2, 10, 0x342, 0)
    code.u(0x37, 1, 0x100)
    code.s(2, 1, 0, 0)
    code.word(0x10500073)
    const machine = flatMachine(() => {})
    machine.board.write(RAM_BASE, code.out())
    machine.start(RAM_BASE)
    machine.run(1000)
    return Number(machine.board.hart.getBigUint64(X + 8 * 10, true))
  }

  it('atomics that are misaligned are refused, an SC too', () => {
    const misaligned = (which: number) => (code: Code) => {
      code.address(5, RAM_BASE + 0x1004)
      code.amo(which, 3, 6, 5, which === 2 ? 0 : 7)
    }
    expect(causeOf(misaligned(2))).toBe(4)
    expect(causeOf(misaligned(3))).toBe(6)
    expect(causeOf(misaligned(0))).toBe(6)
  })

  it('a write to a register that is for reading only is refused, whatever is written', () => {
    expect(causeOf((code) => code.csr(2, 6, 0xf14, 7))).toBe(2)
  })
})

const kernels = existsSync(join(RISCV, 'build/linux'))
  ? readdirSync(join(RISCV, 'build/linux')).filter((name) => name.startsWith('vmlinu'))
  : []
const [kernel] = kernels

describe.skipIf(kernel === undefined)(
  `Linux${kernel === undefined ? ' (skipped: examples/riscv/linux/fetch.sh has not been run)' : ''}`,
  () => {
    it('boots to an init of ours, is forked there, and checks its memory right to the end', async () => {
      const host = await Host.create({ frames: 40_000 })
      const work = { pages: 128, rounds: 2, pause: 1 }
      const image = readFileSync(join(RISCV, 'build/linux', kernel!))
      const init = readFileSync(join(RISCV, 'linux/init.elf'))
      const fleet = new Fleet(host, cpu)
      const first = fleet.boot(linux(image, init, 96 * MIB, work), 0)
      while (!isAsking(first) && fleet.turn(5_000_000) !== undefined) {}
      fleet.fork(first, 1, 2)
      host.ksm.set('run', 1)
      while (fleet.turn(2_000_000) !== undefined) host.ksm.scanPages(4000)
      expect(fleet.wrong.map(({ name, lines }) => [name, ...lines])).toEqual([])
      expect(
        fleet.guests.map((guest) => said(guest).map((line) => line.split(' ').slice(0, 4).join(' '))),
      ).toEqual([
        ['guest 1 round 0', 'guest 1 round 1'],
        ['guest 2 round 0', 'guest 2 round 1'],
      ])
      for (const { lines } of fleet.guests) expect(lines.some((line) => line === 'init: done')).toBe(true)
      host.audit()
      host.close()
    })
  },
)
