// What it costs to run guests on the arena: a translation beside a plain load, a fault from another thread, a grace period, a snapshot beside
// a fork, and a scan that a secondary MMU is told of. Each is a median of rounds with the range that half of them lie in.

import { fileURLToPath } from 'node:url'
import { Host, type Mm, PAGE_SIZE, SecondaryMmu, stillClock } from '../../src/index.ts'
import { compileGuestCore, type GuestCore } from './core.ts'
import { BenchCpu } from './threads.ts'

const DOOR = new URL('./hypervisor.js', import.meta.url).href
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A line for each figure, as it comes. */
export async function* cpuFigures(smoke: boolean): AsyncGenerator<string> {
  const rounds = smoke ? 3 : 31
  yield* translations(rounds, smoke)
  yield* await faults(smoke ? 64 : 4096)
  for (const cpus of smoke ? [0, 1] : [0, 1, 2, 4]) yield await gracePeriods(cpus, smoke ? 20 : 2000)
  yield* await snapshots(rounds, smoke ? 512 : 16_384)
  yield await mirroredScans(rounds, smoke ? 256 : 8192)
}

async function* translations(rounds: number, smoke: boolean): AsyncGenerator<string> {
  const { host, mm } = await makeGuest(64, 1024)
  const cpu = mm.attachCpu({ scratch: 256 * PAGE_SIZE })
  const core = new WebAssembly.Instance(compileGuestCore(ROOT), cpu.imports as never)
    .exports as unknown as GuestCore
  core.attach(cpu.shared.record)
  const count = smoke ? 1e5 : 2e7
  for (const [what, stride, words] of [
    ['words of one page', 4, 1024],
    ['words of 64 pages, a page apart', 4096 + 4, 63],
  ] as const) {
    const loops = Math.floor(count / words)
    const run = (sum: (at: number, count: number, stride: number) => number, at: number): number =>
      timed(() => {
        for (let i = 0; i < loops; i++) sum(at, words, stride)
      }) /
      (loops * words)
    core.sum(0, words, stride)
    run(core.sum, 0)
    run(core.sumFlat, core.scratch())
    const guest: number[] = []
    const flat: number[] = []
    for (let i = 0; i < rounds; i++) {
      guest.push(run(core.sum, 0) * 1e6)
      flat.push(run(core.sumFlat, core.scratch()) * 1e6)
    }
    const ratio = (quantile(guest, 0.5) / quantile(flat, 0.5)).toFixed(2)
    yield line(`a load in WebAssembly, ${what}`, guest, 'ns', `flat ${describe(flat, 'ns')}, ratio ${ratio}`)
  }
  host.close()
}

async function faults(count: number): Promise<string[]> {
  const lines: string[] = []
  for (const [what, serve] of [
    ['while the engine waits for it', (host: Host) => void host.serveFaults(10)],
    ['by the event loop', () => new Promise((resolve) => setTimeout(resolve, 1))],
  ] as const) {
    const { host, mm } = await makeGuest(0, count)
    const running = new BenchCpu(mm.attachCpu({ thread: true }), DOOR, count)
    while (!running.ended) await serve(host)
    lines.push(line(`a fault from another thread, answered ${what}`, await running.times, 'us'))
    await running.stop()
    host.close()
  }
  return lines
}

async function gracePeriods(cpus: number, rounds: number): Promise<string> {
  const { host, mm, at } = await makeGuest(16, 16)
  const running = Array.from({ length: cpus }, () => new BenchCpu(mm.attachCpu({ thread: true }), DOOR))
  for (const cpu of running) cpu.untilStarted()
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const prot = i % 2 === 0 ? 'PROT_READ' : 'PROT_READ|PROT_WRITE'
    times.push(timed(() => mm.mprotect(at, PAGE_SIZE, prot)) * 1000)
  }
  await Promise.all(running.map((cpu) => cpu.stop()))
  host.close()
  return line(`mprotect of a page, with ${cpus} CPUs that run`, times, 'us')
}

async function snapshots(rounds: number, pages: number): Promise<string[]> {
  const { host, mm, at } = await makeGuest(pages, pages)
  const bytes = new Uint8Array(8)
  const dirty = (round: number): void => {
    for (let page = round % 100; page < pages; page += 100) mm.write(at + page * PAGE_SIZE, bytes.fill(round))
  }
  const [taken, restored, forked]: [number[], number[], number[]] = [[], [], []]
  const snapshot = mm.snapshot()
  for (let round = 0; round < rounds; round++) {
    dirty(round)
    restored.push(timed(() => mm.restore(snapshot)) * 1000)
    dirty(round + 1)
    taken.push(timed(() => void mm.snapshot(snapshot)) * 1000)
    const children: Mm[] = []
    forked.push(timed(() => void children.push(mm.fork())) * 1000)
    for (const child of children) child.exit()
  }
  host.close()
  const size = `${(pages * PAGE_SIZE) / 2 ** 20} MiB`
  return [
    line(`a snapshot taken again, ${size}, 1 % changed`, taken, 'us'),
    line(`going back to it, ${size}, 1 % changed`, restored, 'us'),
    line(`a fork, ${size}`, forked, 'us'),
  ]
}

async function mirroredScans(rounds: number, pages: number): Promise<string> {
  const plain: number[] = []
  const mirrored: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const [times, mirror] of [
      [plain, false],
      [mirrored, true],
    ] as const) {
      const { host, mm, at } = await makeGuest(pages, pages)
      if (mirror) {
        const mmu = new SecondaryMmu(mm)
        for (let page = 0; page < pages; page++) mmu.translate(at + page * PAGE_SIZE, true)
      }
      host.ksm.set('run', 1)
      host.ksm.set('smart_scan', 0)
      times.push(timed(() => void host.ksm.scan(2)))
      host.close()
    }
  }
  const ratio = quantile(
    mirrored.map((ms, round) => ms / plain[round]!),
    0.5,
  ).toFixed(2)
  return line(
    `two scans of ${pages} pages, with a secondary MMU`,
    mirrored,
    'ms',
    `without ${describe(plain, 'ms')}, ratio ${ratio}`,
  )
}

/** A guest with `written` pages of words, two thirds of them distinct, in a range of `pages`. */
async function makeGuest(written: number, pages: number): Promise<{ host: Host; mm: Mm; at: number }> {
  const host = await Host.create({ frames: 3 * pages + 256, clock: stillClock, graceTimeout: 60_000 })
  const mm = host.createMm()
  const at = mm.mmap(pages * PAGE_SIZE, { address: 2 ** 28 })
  mm.madvise(at, pages * PAGE_SIZE, 'MADV_MERGEABLE')
  const words = new Uint32Array(PAGE_SIZE / 4)
  for (let page = 0; page < written; page++) {
    words.fill(page % 3 === 0 ? page % 100 : page)
    words[7] = page % 3 === 0 ? 0 : page
    mm.write(at + page * PAGE_SIZE, new Uint8Array(words.buffer))
  }
  return { host, mm, at }
}

function timed(work: () => void): number {
  const begin = performance.now()
  work()
  return performance.now() - begin
}

function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))]!
}

function describe(values: readonly number[], unit: string): string {
  const [low, median, high, late] = [0.25, 0.5, 0.75, 0.99].map((at) => quantile(values, at).toFixed(2))
  return `${median} ${unit} (${low} to ${high}, p99 ${late})`
}

function line(what: string, values: readonly number[], unit: string, more?: string): string {
  return `${what.padEnd(64)} ${describe(values, unit)}${more === undefined ? '' : `; ${more}`}`
}
