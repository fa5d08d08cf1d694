// Helper threads hash pages ahead of the scan: whatever they do, and whenever they stop, the scan comes to the same end.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import {
  HEADER_HELPERS,
  HELPERS_AWAKE,
  HELPERS_CLOSING,
  HELPERS_STATE,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_OWN,
  TICKET_SHIFT,
  TICKET_TAKEN,
  TICKET_WRITING,
  WINDOW,
  WINDOW_CHECKSUM,
  WINDOW_ENTRY_BYTES,
  WINDOW_LENGTH,
  WINDOW_TICKET,
} from '../../assembly/abi.ts'
import type { Arena } from '../../src/core/arena.ts'
import { RmapItems } from '../../src/core/rmap-items.ts'
import { Window } from '../../src/core/window.ts'
import { openSource } from '../../src/images/index.ts'
import { Host, INDEX_NAMES, type IndexName, type Mm, SecondaryMmu, stillClock } from '../../src/index.ts'
import { bareArena } from '../support/arena.ts'
import { memoryOf } from '../support/inside.ts'
import { random } from '../support/random.ts'
import { PAGE } from '../support/world.ts'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))
/** What a guest unmaps; nobody writes to it or behind it. */
const HOLE = { page: 1300, pages: 200 }

describe('a page in the window', () => {
  let arena: Arena
  let window: Window
  let words: Int32Array
  let pfn: number

  beforeEach(async () => {
    arena = await bareArena()
    window = new Window(arena)
    words = new Int32Array(arena.memory.buffer)
    pfn = arena.firstPfn
    const { below } = random(3)
    for (let i = 0; i < PAGE; i++) arena.page(pfn)[i] = below(256)
    offer()
  })

  function offer(): void {
    window.push(new RmapItems(arena).alloc(1, 0), pfn, 'page', true)
  }

  const entry = (at: number): number => WINDOW + (at & (WINDOW_LENGTH - 1)) * WINDOW_ENTRY_BYTES
  const phase = (at: number): number => words[(entry(at) + WINDOW_TICKET) / 4]! & ((1 << TICKET_SHIFT) - 1)

  /** What a helper does to a ticket. False if it came too late. */
  function move(at: number, from: number, to: number): boolean {
    const position = at << TICKET_SHIFT
    const word = (entry(at) + WINDOW_TICKET) / 4
    return Atomics.compareExchange(words, word, position | from, position | to) === (position | from)
  }

  function hash(at: number): bigint {
    const roots = arena.allocRoots()
    arena.core.hashWindow(at, 1, roots, roots)
    arena.core.checksumChanged(at)
    return new BigUint64Array(arena.memory.buffer)[window.keyOf(at) / 8]!
  }

  it('is hashed by the scan if no helper came', () => {
    expect(hash(0)).toBe(arena.checksum(pfn))
    expect(phase(0)).toBe(TICKET_OWN)
    expect(move(0, TICKET_OFFERED, TICKET_TAKEN)).toBe(false)
  })

  it('is not hashed again if a helper is through with it', () => {
    for (const [from, to] of [
      [TICKET_OFFERED, TICKET_TAKEN],
      [TICKET_TAKEN, TICKET_WRITING],
      [TICKET_WRITING, TICKET_DONE],
    ] as const) {
      expect(move(0, from, to)).toBe(true)
    }
    new BigUint64Array(arena.memory.buffer)[(entry(0) + WINDOW_CHECKSUM) / 8] = 42n
    expect(hash(0)).toBe(42n)
  })

  it('is taken from a helper that has gone to sleep over it, and whatever that finds when it wakes is not written', () => {
    expect(move(0, TICKET_OFFERED, TICKET_TAKEN)).toBe(true)
    expect(hash(0)).toBe(arena.checksum(pfn))
    expect(move(0, TICKET_TAKEN, TICKET_WRITING)).toBe(false)
  })

  it('is not mistaken for the one that comes to its place in the ring later', () => {
    expect(move(0, TICKET_OFFERED, TICKET_TAKEN)).toBe(true)
    arena.core.takeBack(0, 1)
    window.drop(1)
    for (let at = 1; at < WINDOW_LENGTH; at++) {
      offer()
      window.drop(1)
    }
    offer()
    expect(move(WINDOW_LENGTH, TICKET_OFFERED, TICKET_TAKEN)).toBe(true)
    expect(move(0, TICKET_TAKEN, TICKET_WRITING)).toBe(false)
    expect(phase(WINDOW_LENGTH)).toBe(TICKET_TAKEN)
  })

  it('is waited for while a helper writes its checksum down', async () => {
    expect(move(0, TICKET_OFFERED, TICKET_TAKEN)).toBe(true)
    expect(move(0, TICKET_TAKEN, TICKET_WRITING)).toBe(true)
    const late = `
      const { workerData: { buffer, checksum, ticket, done }, parentPort } = require('node:worker_threads')
      parentPort.postMessage('ready')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
      new BigUint64Array(buffer)[checksum] = 42n
      Atomics.store(new Int32Array(buffer), ticket, done)`
    const places = { checksum: (entry(0) + WINDOW_CHECKSUM) / 8, ticket: (entry(0) + WINDOW_TICKET) / 4 }
    const worker = new Worker(late, {
      eval: true,
      workerData: { buffer: arena.memory.buffer, ...places, done: TICKET_DONE },
    })
    await new Promise((resolve) => worker.once('message', resolve))
    expect(hash(0)).toBe(42n)
  })

  it('may stand where positions begin anew', () => {
    const last = 2 ** 31 - 1
    Object.assign(window, { head: last, end: last })
    for (let i = 0; i < 3; i++) offer()
    expect(window.length).toBe(3)
    expect([0, 1, 2].map((i) => window.position(i))).toEqual([last, -(2 ** 31), 1 - 2 ** 31])
    expect(move(window.position(1), TICKET_OFFERED, TICKET_TAKEN)).toBe(true)
    const roots = arena.allocRoots()
    arena.core.hashWindow(window.position(0), 3, roots, roots)
    expect([0, 1, 2].map((i) => phase(window.position(i)))).toEqual([TICKET_OWN, TICKET_OWN, TICKET_OWN])
    window.drop(2)
    expect(window.position(0)).toBe(1 - 2 ** 31)
  })

  it('is nobody else’s business once it has been taken back', () => {
    arena.core.takeBack(0, 1)
    expect(phase(0)).toBe(TICKET_OWN)
    expect(move(0, TICKET_OFFERED, TICKET_TAKEN)).toBe(false)
  })
})

describe.each(INDEX_NAMES)('with index %s', (index) => {
  it.each([1, 3])('%i helpers change nothing but the time', { timeout: 120_000 }, async (workers) => {
    const alone = await Scene.create(index, 0)
    const helped = await Scene.create(index, workers)
    for (let round = 0; round < 12; round++) {
      for (const scene of [alone, helped]) scene.act(round)
      expect(helped.seen(), `round ${round}`).toEqual(alone.seen())
    }
    helped.host.audit()
    for (const { host } of [alone, helped]) host.close()
  })

  it.each([0, 1])(
    'they help beside notifiers and tracepoints; smart_scan=%i',
    { timeout: 120_000 },
    async (smart) => {
      const alone = await Scene.create(index, 0)
      const told = await Scene.create(index, 1)
      for (const { host } of [alone, told]) host.ksm.set('smart_scan', smart)
      const wake = vi.spyOn(told.host.ksm.batch.helpers, 'wake')
      let events = 0
      told.host.on('ksm_merge_with_ksm_page', () => void events++)
      for (let round = 0; round < 12; round++) {
        told.mirror()
        for (const scene of [alone, told]) scene.act(round)
        expect(told.seen(), `round ${round}`).toEqual(alone.seen())
        told.expectNoStaleTranslation()
      }
      expect(wake.mock.calls.length).toBeGreaterThanOrEqual(12)
      expect(events).toBeGreaterThan(0)
      told.host.audit()
      for (const { host } of [alone, told]) host.close()
    },
  )
})

/** Guests that write, fork, lose pages and exit between scans, the same in every scene. */
class Scene {
  readonly host: Host
  private readonly mms: Mm[] = []
  private readonly mmus = new Map<Mm, SecondaryMmu>()
  private readonly address: number
  private readonly pages: number

  static async create(index: IndexName, workers: number): Promise<Scene> {
    return new Scene(await Host.create({ frames: 9000, index, workers, clock: stillClock }))
  }

  private constructor(host: Host) {
    this.host = host
    host.ksm.set('max_page_sharing', 16)
    host.ksm.set('stable_node_chains_prune_millisecs', 0)
    host.ksm.set('run', 1)
    const image = openSource('synth:vm-homog-idle,pages=2048,images=1')[0]!
    this.pages = image.pages
    const { mm, address } = host.loadImage(image)
    this.address = address
    mm.madvise(address, image.pages * PAGE, 'MADV_MERGEABLE')
    this.mms.push(mm, mm.fork())
    this.load(1500)
  }

  private load(pages: number): void {
    const [image] = openSource(`synth:demo,pages=${pages},images=1`)
    const { mm, address } = this.host.loadImage(image!)
    mm.madvise(address, pages * PAGE, 'MADV_MERGEABLE')
    this.mms.push(mm)
  }

  act(round: number): void {
    const { below } = random(round)
    for (const mm of this.mms.slice(0, 2)) {
      for (let i = 0; i < 40; i++) mm.write(this.address + below(HOLE.page) * PAGE, Uint8Array.of(below(4)))
    }
    if (round === 5) this.mms[0]!.munmap(this.address + HOLE.page * PAGE, HOLE.pages * PAGE)
    if (round === 7) this.mms[1]!.exit()
    if (round === 7) this.mms.splice(1, 1, this.mms[0]!.fork())
    if (round % 3 === 2) this.host.ksm.scanPages(700)
    else this.host.ksm.scan(1)
  }

  /** Has a secondary MMU know all pages that are there, and some for writing what has been written. */
  mirror(): void {
    for (const mm of this.mms.slice(0, 2)) {
      if (!this.mmus.has(mm)) this.mmus.set(mm, new SecondaryMmu(mm))
      const mmu = this.mmus.get(mm)!
      for (let page = 0; page < HOLE.page; page++) {
        const at = this.address + page * PAGE
        if (mm.pfn(at) !== undefined) mmu.translate(at)
      }
    }
  }

  /** What the mirrors know is so. */
  expectNoStaleTranslation(): void {
    for (const [mm, mmu] of this.mmus) {
      if (!this.mms.includes(mm)) continue
      for (let page = 0; page < HOLE.page; page++) {
        const at = this.address + page * PAGE
        const known = mmu.peek(at)
        if (known !== undefined) expect(known.pfn).toBe(mm.pfn(at))
      }
    }
  }

  /** Everything counted, and where every page lies. */
  seen(): unknown {
    const { host, mms } = this
    const frames = mms.map((mm) =>
      Array.from({ length: this.pages }, (_, page) => mm.pfn(this.address + page * PAGE)),
    )
    return { counters: host.ksm.counters(), stats: mms.map((mm) => ({ ...mm.ksmStat() })), frames }
  }
}

describe('a host with helpers', () => {
  const run = (script: string): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
      timeout: 30_000,
    })
  const create = `
    const { Host } = await import(${JSON.stringify(`${DIST}index.js`)})
    const host = await Host.create({ frames: 64, workers: 2 })`

  it('keeps no process alive, closed or not', () => {
    expect(run(`${create}; host.ksm.set('run', 1)`)).toMatchObject({ status: 0, signal: null, stderr: '' })
    expect(run(`${create}; host.close()`)).toMatchObject({ status: 0, signal: null, stderr: '' })
  })

  it.skipIf(process.platform !== 'linux')('has its threads end when it is closed', () => {
    const { stdout } = run(`
      import { readdirSync } from 'node:fs'
      const threads = () => readdirSync('/proc/self/task').length
      ${create}
      const before = threads()
      host.close()
      const deadline = performance.now() + 10_000
      while (threads() > before - 2 && performance.now() < deadline) await new Promise((done) => setTimeout(done, 20))
      console.log(before - threads())`)
    expect(Number(stdout)).toBe(2)
  })

  it('tells those that are to end nothing else', async () => {
    const host = await Host.create({ frames: 8, workers: 1 })
    const { helpers } = host.ksm.batch
    const state = (): number => memoryOf(host).arena.u32[(HEADER_HELPERS + HELPERS_STATE) / 4]!
    helpers.wake()
    expect(state()).toBe(HELPERS_AWAKE)
    host.close()
    helpers.wake()
    helpers.sleep()
    expect(state()).toBe(HELPERS_CLOSING)
  })

  it('says so if one does not start', () => {
    const { stdout } = run(`
      const threads = process.getBuiltinModule('node:worker_threads')
      threads.Worker = class { constructor() { throw new Error('no thread left') } }
      try {${create}} catch (error) { console.log(error.code, error.message) }`)
    expect(stdout).toBe(
      'EAGAIN EAGAIN: a worker did not start: no thread left: create the host without `workers`\n',
    )
  })

  it('takes 0 to 64 of them', async () => {
    for (const workers of [-1, 65, 1.5]) {
      await expect(Host.create({ frames: 1, workers })).rejects.toThrow(/`workers`/)
    }
  })
})
