// Calls of virtual CPUs, of snapshots, and of whoever looks at memory without a copy. A CPU runs on the engine's thread here: it looks its
// translations up by itself, and writes where it may, as a core would. (CPUs on other threads have a test of their own.)

import {
  EAGAIN,
  EFAULT,
  EHWPOISON,
  EIO,
  ENOMEM,
  ESRCH,
  GuestMemory,
  type VirtualCpu,
} from '../../src/hypervisor/index.ts'
import type { ChangedRange, PagefoldError, Snapshot } from '../../src/index.ts'
import { isSwapPte } from '../../src/mm/page/pte.ts'
import { memoryOf } from '../support/inside.ts'
import type { Random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'
import { type Attempt, NO_ADDRESS, NO_BOOLEAN, NO_BYTES, noOptions, notIn } from './attempt.ts'
import { accessErrnos, contentOf, drawPlace, isOver, orGone } from './draws.ts'
import type { Draw } from './generators.ts'
import { onGuest, onOwner, read } from './mm-calls.ts'
import { type Guest, patch } from './shadow.ts'
import type { World } from './world.ts'

const MIB = 2 ** 20
const NUMBERS: Record<string, number> = { EAGAIN, EFAULT, EHWPOISON, EIO, ENOMEM, ESRCH }

const NO_CPU_OPTIONS = noOptions({
  address: [...NO_ADDRESS, 1, 4096],
  length: [...notIn(1, 2 ** 32), 0],
  scratch: notIn(0, 2 ** 30),
  thread: NO_BOOLEAN,
})

function attachCpu(_: World, draw: Random, guest: Guest): Attempt | undefined {
  if (guest.cpu !== undefined) return undefined
  const vpn = drawPlace(draw, guest)
  const address = Math.floor((vpn * PAGE) / MIB) * MIB
  return {
    call: (options) => guest.mm.attachCpu(options as object),
    args: [{ address, length: MIB, scratch: draw.below(3) * PAGE }],
    hostile: [NO_CPU_OPTIONS],
    errnos: orGone(guest, ['ENOMEM']),
    ...isOver(guest),
    done: (cpu) => {
      guest.cpu = cpu
    },
  }
}

function onCpu(make: (world: World, draw: Random, guest: Guest, cpu: VirtualCpu) => Attempt): Draw[1] {
  return onGuest((world, draw, guest) => {
    return guest.cpu === undefined ? undefined : make(world, draw, guest, guest.cpu)
  })
}

/** A fault, and then what a core does with its answer. */
function fault(world: World, draw: Random, guest: Guest, cpu: VirtualCpu): Attempt {
  const near = drawPlace(draw, guest)
  const inWindow = near * PAGE >= cpu.address && near * PAGE < cpu.address + cpu.length
  const vpn = inWindow ? near : cpu.address / PAGE + draw.below(256)
  const write = draw.below(2) === 0
  const bytes = contentOf(draw)
  const { errnos, impossible } = guest.gone
    ? { errnos: ['ESRCH' as const], impossible: true }
    : accessErrnos(world, guest, vpn, vpn + 1, write ? 'write' : 'read')
  const answers = [...errnos, 'EAGAIN' as const].map((name) => NUMBERS[name])
  return {
    call: (offset, toWrite) => cpu.fault(offset as number, toWrite as boolean),
    args: [vpn * PAGE - cpu.address, write],
    hostile: [NO_ADDRESS, [...NO_BOOLEAN, undefined]],
    errnos: [],
    done: (errno) => {
      const where = `${guest.mm.name}, page ${vpn}`
      if (errno !== 0 ? !answers.includes(errno) : impossible === true)
        world.fail(`${where}: fault answered ${errno}`)
      if (errno !== 0 || world.isInside) return
      const memory = new GuestMemory(cpu.shared, { pagefold: { fault: () => EFAULT } })
      const at = write ? memory.forWrite(vpn * PAGE - cpu.address) : memory.forRead(vpn * PAGE - cpu.address)
      const page = guest.pages.get(vpn)
      if (memory.failed !== 0 || page === undefined) return
      world.compare(guest, vpn, page)
      if (!write) return
      memory.bytes.set(bytes, at)
      patch(page.cell, 0, bytes)
      world.settle(guest, vpn, page)
    },
  }
}

const ofCpu = (method: 'stop' | 'resume'): Draw[1] =>
  onCpu((_, __, ___, cpu) => ({ call: () => cpu[method](), args: [], errnos: [] }))

/** A snapshot of now, and what is done with it: nothing has changed since, and nothing changes. */
function withSnapshot(guest: Guest, use: (snapshot: Snapshot, given: unknown) => unknown): Attempt['call'] {
  return (given) => {
    const snapshot = guest.mm.snapshot()
    try {
      return use(snapshot, given)
    } finally {
      try {
        snapshot.release()
      } catch (error) {
        if ((error as PagefoldError).code !== 'EUCLEAN') guest.mm.memory.gate.expectSound()
      }
    }
  }
}

const NO_SNAPSHOT: readonly unknown[] = [null, 7, {}, 'snapshot']

function readInto(world: World, draw: Random, guest: Guest): Attempt {
  const attempt = read(world, draw, guest)
  const [address, length] = attempt.args as [number, number]
  const into = new Uint8Array(length)
  return {
    ...attempt,
    call: (...args) => {
      guest.mm.readInto(...(args as [number, Uint8Array]))
      return into
    },
    args: [address, into],
    hostile: [NO_ADDRESS, NO_BYTES],
  }
}

function view(world: World, draw: Random, guest: Guest): Attempt {
  const vpn = drawPlace(draw, guest)
  const write = draw.below(3) === 0
  const access = accessErrnos(world, guest, vpn, vpn + 1, write ? 'write' : 'read')
  return {
    call: (...args) => guest.mm.view(...(args as [number, { write: boolean }])),
    args: [vpn * PAGE, { write }],
    hostile: [NO_ADDRESS, noOptions({ write: NO_BOOLEAN })],
    errnos: [...access.errnos, 'EPERM', 'EAGAIN'],
    ...(access.impossible ? { impossible: true } : {}),
    done: (bytes) => {
      const page = guest.pages.get(vpn)
      if (page === undefined || world.isInside) return
      world.compare(guest, vpn, page)
      if (bytes.length !== PAGE) world.fail(`a view of ${bytes.length} bytes`)
    },
  }
}

const TAKEN = ['ENOMEM', 'EAGAIN'] as const

/** Is each page of a range in swap? Those are not looked at, and may be told though nothing has changed. */
function isInSwap(world: World, { mm }: Guest, { address, length }: ChangedRange): boolean {
  const { pageTables } = memoryOf(world.host)
  const ptes = Array.from({ length: length / PAGE }, (_, i) => pageTables.get(mm.pgd, address / PAGE + i))
  return ptes.every(isSwapPte)
}

export const CPU_CALLS = {
  'Mm.readInto': [15, onOwner(readInto)],
  'Mm.view': [6, onOwner(view)],
  'Mm.snapshot': [
    3,
    onOwner((_, draw, guest) => ({
      call: withSnapshot(guest, (snapshot, given) =>
        guest.mm.snapshot(given === 'again' ? snapshot : (given as undefined)),
      ),
      args: [draw.below(2) === 0 ? 'again' : undefined],
      hostile: [NO_SNAPSHOT],
      errnos: orGone(guest, TAKEN),
      ...isOver(guest),
      done: (snapshot: Snapshot) => snapshot.release(),
    })),
  ],
  'Mm.restore': [
    3,
    onOwner((_, __, guest) => ({
      call: withSnapshot(guest, (snapshot, given) =>
        guest.mm.restore(given === undefined ? snapshot : (given as Snapshot)),
      ),
      args: [undefined],
      hostile: [NO_SNAPSHOT],
      errnos: orGone(guest, TAKEN),
      ...isOver(guest),
    })),
  ],
  'Mm.changedSince': [
    3,
    onOwner((world, _, guest) => ({
      call: withSnapshot(guest, (snapshot, given) =>
        guest.mm.changedSince(given === undefined ? snapshot : (given as Snapshot)),
      ),
      args: [undefined],
      hostile: [NO_SNAPSHOT],
      errnos: orGone(guest, TAKEN),
      ...isOver(guest),
      done: (ranges: readonly ChangedRange[]) => {
        if (ranges.some((range) => !isInSwap(world, guest, range)))
          world.fail(`${guest.mm.name}: changed since a snapshot of now`)
      },
    })),
  ],
  'Snapshot.release': [
    1,
    onOwner((_, __, guest) => ({
      call: withSnapshot(guest, (snapshot) => snapshot.release()),
      args: [],
      errnos: orGone(guest, TAKEN),
      ...isOver(guest),
    })),
  ],
  'Mm.attachCpu': [4, onGuest(attachCpu)],
  'VirtualCpu.fault': [30, onCpu(fault)],
  'VirtualCpu.stop': [1, ofCpu('stop')],
  'VirtualCpu.resume': [1, ofCpu('resume')],
  'VirtualCpu.isParked': [
    1,
    onCpu((world, _, __, cpu) => ({
      call: () => cpu.isParked,
      args: [],
      errnos: [],
      done: (parked) => {
        if (!parked) world.fail('a CPU on this thread runs while the engine does')
      },
    })),
  ],
  'VirtualCpu.detach': [
    2,
    onCpu((_, __, guest, cpu) => ({
      call: () => cpu.detach(),
      args: [],
      errnos: [],
      done: () => {
        guest.cpu = undefined
      },
    })),
  ],
  'Host.serveFaults': [
    1,
    ({ host }: World): Attempt => ({
      call: (ms) => host.serveFaults(ms as number),
      args: [0],
      hostile: [['1', null, -1, Number.NaN, {}]],
      errnos: [],
    }),
  ],
} satisfies Record<string, Draw>
