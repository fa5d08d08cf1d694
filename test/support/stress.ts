// Guests on threads of their own that check what they wrote, while everything that can happen to their pages does: merging at full speed, forks
// that come and go, swap, migration, unmerging, snapshots. What must come out of it: not one word is wrong.

import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { VirtualCpu } from '../../src/hypervisor/index.ts'
import { type Host, type Mm, memorySwapStore, PagefoldError, type Snapshot } from '../../src/index.ts'
import { cpuModule } from './cpu-core.ts'
import { random } from './random.ts'
import { makeHost, PAGE } from './world.ts'

const RAM = 0x1000_0000
const MIB = 2 ** 20
const PAGES = 96
const PROGRAM = join(import.meta.dirname, 'stress-cpu.mjs')
const [STOP, WRONG, ROUNDS, ENDED, BAD_PAGE, ERRNO] = [0, 1, 2, 3, 4, 5] as const

/** What came of it. */
export interface StressResult {
  /** Pages that were not what their guest had written, and faults that failed. */
  readonly wrong: number
  readonly where: string
  /** Handfuls of steps, of all guests. */
  readonly rounds: number
  readonly merged: number
  readonly copied: number
  readonly forks: number
  readonly swapped: number
  readonly moved: number
  readonly faults: number
}

interface Running {
  readonly cpu: VirtualCpu
  readonly words: Int32Array
  readonly ended: Promise<unknown>
}

/** Runs so many CPUs for so long; with two and more the first two are of one mm. `quiet`: nothing happens but ksmd. */
export async function stress(cpus: number, ms: number, seed: number): Promise<StressResult> {
  const host = await makeHost({ frames: 4096, numaNodes: 2, mappings: 65_536, graceTimeout: 20_000 })
  host.swapOn(memorySwapStore(4096))
  const draw = random(seed)
  const mms: Mm[] = []
  const running: Running[] = []
  for (let i = 0; i < cpus; i++) {
    const shares = i === 1
    const mm = shares ? mms[0]! : host.createMm({ name: `guest-${i}` })
    if (!shares) {
      mm.mmap(2 * MIB, { address: RAM })
      mm.madvise(RAM, 2 * MIB, 'MADV_MERGEABLE')
      mms.push(mm)
    }
    running.push(start(mm, shares ? PAGES : 0, i, seed + 17 * i))
  }
  const counts = { forks: 0, swapped: 0, moved: 0, faults: 0 }
  let wrong = 0
  let where = ''
  const end = performance.now() + ms
  let nextAudit = performance.now() + 500
  while (performance.now() < end && wrong === 0) {
    counts.faults += host.serveFaults(draw.below(3) === 0 ? 1 : 0)
    act(host, mms, draw, counts)
    for (const { words } of running) {
      if (words[WRONG] === 0) continue
      wrong += words[WRONG]!
      where = `page ${words[BAD_PAGE]}, errno ${words[ERRNO]}`
    }
    if (performance.now() > nextAudit) {
      for (const { cpu } of running) cpu.stop()
      host.audit()
      for (const { cpu } of running) cpu.resume()
      nextAudit = performance.now() + 2000
    }
  }
  for (const { words } of running) Atomics.store(words, STOP, 1)
  while (running.some(({ words }) => Atomics.load(words, ENDED) === 0)) host.serveFaults(10)
  await Promise.all(running.map(({ ended }) => ended))
  for (const { words } of running) if (wrong === 0 && words[WRONG]! > 0) wrong += words[WRONG]!
  for (const { cpu } of running) cpu.detach()
  host.audit()
  const { cow_ksm } = host.vmstat()
  const rounds = running.reduce((sum, { words }) => sum + words[ROUNDS]!, 0)
  const merged = host.ksm.counters().pages_sharing
  host.close()
  return { wrong, where, rounds, merged, copied: cow_ksm, ...counts }
}

function start(mm: Mm, first: number, index: number, seed: number): Running {
  const cpu = mm.attachCpu({ scratch: PAGE, thread: true })
  const words = new Int32Array(new SharedArrayBuffer(32))
  const module = index % 2 === 0 ? undefined : cpuModule()
  const worker = new Worker(PROGRAM, {
    workerData: { shared: cpu.shared, control: words.buffer, module, first, pages: PAGES, seed },
  })
  const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  ended.catch(() => Atomics.add(words, WRONG, 1))
  return { cpu, words, ended }
}

const snapshots = new WeakMap<Mm, Snapshot>()

/** One of the things that happen to guests. */
function act(
  host: Host,
  mms: readonly Mm[],
  draw: ReturnType<typeof random>,
  counts: { forks: number; swapped: number; moved: number },
): void {
  const mm = draw.pick(mms)
  const at = RAM + draw.below(2 * PAGES) * PAGE
  const pfn = mm.pfn(at)
  const isFrame = pfn !== undefined && pfn >= host.memory.arena.firstPfn
  const roll = draw.below(24)
  if (roll < 14) host.ksm.scanPages(draw.pick([10, 100, 300]))
  else if (roll < 16) {
    const child = mm.fork()
    counts.forks++
    const before = child.read(RAM, 4 * PAGE)
    host.ksm.scanPages(20)
    host.serveFaults()
    if (!Buffer.from(before).equals(child.read(RAM, 4 * PAGE))) throw new Error('a child has changed')
    child.exit()
  } else if (roll < 18 && isFrame) {
    if (host.reclaim(pfn) === undefined) counts.swapped++
  } else if (roll === 18) mm.madvise(at, PAGE, 'MADV_PAGEOUT')
  else if (roll < 21 && isFrame) {
    if (orRefused(() => host.migrate(pfn, { node: draw.below(2) }))) counts.moved++
  } else if (roll === 21) {
    mm.madvise(RAM, 2 * MIB, 'MADV_UNMERGEABLE')
    mm.madvise(RAM, 2 * MIB, 'MADV_MERGEABLE')
  } else if (roll === 22) snapshots.set(mm, mm.snapshot(snapshots.get(mm)))
  else {
    // Next to what guests use: its frames go round among everybody.
    const spare = mm.mmap(32 * PAGE)
    for (let page = 0; page < 32; page++) mm.write(spare + page * PAGE, new Uint8Array(PAGE).fill(0xee))
    mm.munmap(spare, 32 * PAGE)
  }
}

function orRefused(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (error instanceof PagefoldError && ['EAGAIN', 'EINVAL', 'ENOMEM'].includes(error.code)) return false
    throw error
  }
}
