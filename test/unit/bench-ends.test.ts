// A bench in which something goes wrong: a peer that fails or merges otherwise, a signal while ksmd's knobs are changed.

import { existsSync } from 'node:fs'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type BenchOptions, bench, NothingToCompare } from '../../bench/macro/bench.ts'
import { type RunTrial, TrialFailed } from '../../bench/macro/children.ts'
import { PEERS } from '../../bench/peers/index.ts'
import { withKsmd } from '../../bench/peers/ksmd.ts'
import { openSource } from '../../src/images/index.ts'
import { hasTimes, type PeerResult, type RunningTimes } from '../../src/report/index.ts'
import { FakeKsmd } from '../support/fake-ksmd.ts'

const COUNTERS = { pages_shared: 1, pages_sharing: 2, pages_unshared: 3, pages_volatile: 0 }
const TRIAL = {
  converge_ns: 160,
  converge_cpu_ns: 100,
  rescan_ns: 16,
  rescan_cpu_ns: 10,
  counters: COUNTERS,
  digest: 'as it should be',
}
/** What a trial says of a scan after guests have written. */
const written = (ns: number, counters = COUNTERS) => ({
  ...TRIAL,
  written: [
    {
      percent: 10,
      written_with: 'other bytes',
      pages_written: 5,
      scan_ns: 3 * ns,
      scan_cpu_ns: ns,
      after: { counters, digest: 'then' },
      settled: { counters: COUNTERS, digest: 'later' },
    },
  ],
})
const CURVE = {
  points: [
    [0, 0, 0],
    [4096, 1, 4096],
  ],
  bytes_saved: 4096,
  metadata: { total: 64 },
  rescan_cpu_ms: 1,
}

function run(
  peers: Record<string, () => unknown>,
  trials = 3,
  taken: string[] = [],
  workers = 0,
  more: Partial<BenchOptions> = {},
) {
  const trial: RunTrial = async (name) => {
    taken.push(name)
    return name.startsWith('curve') ? CURVE : (peers[name]?.() ?? TRIAL)
  }
  return bench({
    images: openSource('synth:demo,pages=16'),
    peers: ['pagefold-still', 'js', 'native'],
    index: 'hash',
    checksum: 'xxh3',
    trials,
    workers,
    trial,
    ...more,
  })
}

describe('a peer', () => {
  it('that merges otherwise than pagefold is named, and the others keep their times', async () => {
    let trials = 0
    const other = { ...TRIAL, counters: { ...COUNTERS, pages_sharing: 9 } }
    const { peers, ratios } = await run({ js: () => (++trials === 2 ? other : TRIAL) })
    expect(peers.js).toEqual({
      failed: expect.stringMatching(/merged otherwise than pagefold: .*"pages_sharing":9/),
    })
    expect(trials).toBe(2)
    expect(peers.pagefold).toMatchObject({ samples: [{}, {}, {}] })
    expect(peers['pagefold-still']).toMatchObject({ samples: [{}, {}, {}] })
    expect(ratios).not.toHaveProperty('js')
  })

  it('that fails is named too', async () => {
    const { peers, still } = await run({
      js: () => {
        throw new TrialFailed('SIGSEGV: it said nothing')
      },
    })
    expect(peers.js).toEqual({ failed: 'SIGSEGV: it said nothing' })
    expect(peers.pagefold).toMatchObject({ samples: [{}, {}, {}] })
    expect(still).toBeDefined()
  })

  it('that is pagefold itself leaves nothing to compare', async () => {
    const failing = run({
      pagefold: () => {
        throw new TrialFailed('exit 1')
      },
    })
    await expect(failing).rejects.toBeInstanceOf(NothingToCompare)
  })
})

describe('a scan after guests have written', () => {
  it('is a row with every peer whose guests write, over pagefold in the same round', async () => {
    let [ours, theirs] = [0, 0]
    const slowing = {
      pagefold: () => written(1000 * ++ours),
      js: () => written(3000 * ++theirs),
    }
    const { written: rows, pages, writer_seed } = await run(slowing, 6)
    expect(writer_seed).toBe(1)
    expect(rows).toEqual([
      {
        written_percent: 10,
        written_with: 'other bytes',
        pages_written: 5,
        counters: COUNTERS,
        digest: 'then',
        peers: { pagefold: expect.anything(), js: expect.anything() },
      },
    ])
    const { scan, over_pagefold } = rows![0]!.peers.js!
    expect(scan.samples).toEqual([1, 2, 3, 4, 5, 6].map((round) => (3000 * round) / pages))
    expect(over_pagefold).toMatchObject({ unit: 'ratio', median: 3, samples: Array(6).fill(3) })
    const wall = await run({ pagefold: () => written(1000), js: () => written(3000) }, 6, [], 2)
    expect(wall.written![0]!.peers.js!.scan.median).toBe(9000 / pages)
  })

  it('that took less than the clock tells is taken to be as long as that', async () => {
    const { written: rows } = await run({ pagefold: () => written(0), js: () => written(2000) }, 6)
    expect(rows![0]!.peers.js!.over_pagefold.median).toBe(2)
  })

  it.each([
    [
      'at once',
      () => written(1, { ...COUNTERS, pages_volatile: 7 }),
      /written with other bytes: .*"pages_volatile":7/,
    ],
    [
      'later',
      () => {
        const trial = written(1)
        return {
          ...trial,
          written: [
            { ...trial.written[0]!, settled: { counters: { ...COUNTERS, pages_shared: 8 }, digest: 'x' } },
          ],
        }
      },
      /after 10 % of the pages were written with other bytes and two more scans: .*"pages_shared":8.* not .*"pages_shared":1/,
    ],
  ])('and merges otherwise %s is a failure', async (_, other, says) => {
    const { peers, written: rows } = await run({ pagefold: () => written(1), js: other })
    expect(peers.js).toEqual({ failed: expect.stringMatching(says) })
    expect(Object.keys(rows![0]!.peers)).toEqual(['pagefold'])
  })

  it.each([
    ['content', 'linux', /other bytes: .*"digest":"elsewhere"/],
    ['hash', 'linux', undefined],
    ['content', 'js', undefined],
  ] as const)(
    'in the order %s, %s has to have each page where pagefold has it: %s',
    async (index, name, says) => {
      vi.spyOn(PEERS.find((peer) => peer.name === 'linux')!, 'unavailable').mockReturnValue(undefined)
      onTestFinished(() => void vi.restoreAllMocks())
      const [row] = written(1).written
      const elsewhere = { ...TRIAL, written: [{ ...row!, after: { ...row!.after, digest: 'elsewhere' } }] }
      const peers = [name, 'pagefold']
      const result = await run({ pagefold: () => written(1), [name]: () => elsewhere }, 3, [], 0, {
        index,
        peers,
      })
      if (says === undefined) expect(result.peers[name]).toMatchObject({ samples: [{}, {}, {}] })
      else expect(result.peers[name]).toEqual({ failed: expect.stringMatching(says) })
    },
  )

  it('is not there if nobody was asked for it', async () => {
    const result = await run({})
    expect(result).not.toHaveProperty('written')
    expect(result).not.toHaveProperty('writer_seed')
  })
})

describe('guests that run', () => {
  const batches = 20
  const ran = (cpu: number, saved = 4096) => ({
    cpu_ms: Array.from({ length: batches }, (_, i) => cpu * (i + 1)),
    bytes_saved: [...Array(batches - 1).fill(0), saved],
    elapsed_ms: 1,
    merged: { counters: COUNTERS, digest: 'in the end' },
  })
  const linux = PEERS.find(({ name }) => name === 'linux')!
  const runBeside = (index: 'hash' | 'content', theirs: () => unknown) => {
    vi.spyOn(linux, 'unavailable').mockReturnValue(undefined)
    onTestFinished(() => void vi.restoreAllMocks())
    const trials = { 'running-pagefold': () => ran(1), 'running-linux': theirs }
    return run(trials, 6, [], 0, { peers: ['linux'], index, running: 1 })
  }

  it('are scanned by pagefold and ksmd, in the same schedule', async () => {
    let trial = 0
    const { running, pages } = await runBeside('hash', () => ran(++trial, 8192))
    expect(running).toMatchObject({ batches, batch_pages: Math.ceil(pages / batches), writes: batches })
    const { pagefold: ours, linux: theirs } = running!.peers as Record<string, RunningTimes>
    expect(ours).toMatchObject({
      cpu: { median: 20, unit: 'ms' },
      over_pagefold: { median: 1 },
      bytes_saved: 4096,
      mean_bytes_saved: 4096 / batches,
    })
    expect(ours!.points).toEqual(
      Array.from({ length: batches }, (_, i) => [i + 1, i + 1 === batches ? 4096 : 0]),
    )
    expect(theirs).toMatchObject({
      over_pagefold: { samples: [1, 2, 3, 4, 5, 6], median: 3.5 },
      bytes_saved: 8192,
    })
    expect(theirs!.points.at(-1)).toEqual([70, 8192])
  })

  it('must have merged the same with the same order of the trees', async () => {
    const { running, peers } = await runBeside('content', () => ran(1, 8192))
    expect(running!.peers.linux).toEqual({
      failed: 'merged otherwise than pagefold while guests ran: 8192 bytes saved after batch 20, not 4096',
    })
    expect(hasTimes(peers.linux)).toBe(true)
    const end = await runBeside('content', () => ({
      ...ran(1),
      merged: { counters: COUNTERS, digest: 'other' },
    }))
    expect(end.running!.peers.linux).toEqual({ failed: expect.stringContaining('"other"') })
  })

  it('are not scanned by whom something goes wrong', async () => {
    const failing = () => {
      throw new TrialFailed('NotAlone: somebody else')
    }
    const { running } = await runBeside('hash', failing)
    expect(running!.peers.linux).toEqual({ failed: 'NotAlone: somebody else' })
    expect(
      Object.keys((await run({ 'running-pagefold': () => ran(1) }, 3, [], 0, { running: 1 })).running!.peers),
    ).toEqual(['pagefold'])
    await expect(run({ 'running-pagefold': failing }, 3, [], 0, { running: 1 })).rejects.toBeInstanceOf(
      NothingToCompare,
    )
  })
})

describe('trials', () => {
  it('are taken in turns, in an order drawn for each round, always the same', async () => {
    const [taken, again]: [string[], string[]] = [[], []]
    const { order_seed } = await run({}, 6, taken)
    await run({}, 6, again)
    expect(order_seed).toBe(1)
    expect(again).toEqual(taken)
    const peers = new Set(taken.filter((name) => name !== 'curve-still'))
    const rounds = Array.from({ length: 6 }, (_, i) => taken.slice(i * peers.size, (i + 1) * peers.size))
    for (const round of rounds) expect(new Set(round)).toEqual(peers)
    expect(new Set(rounds.map(String)).size).toBeGreaterThan(3)
  })

  it('are processor time where every peer has one thread, with what passed beside it', async () => {
    // Each trial of js takes twice as long as that of pagefold, and the machine ever longer for both.
    let [ours, theirs] = [0, 0]
    const lasting = (cpu: number) => ({ ...TRIAL, converge_cpu_ns: cpu, converge_ns: 3 * cpu })
    const slowing = {
      pagefold: () => lasting(100 * ++ours),
      js: () => lasting(200 * ++theirs),
    }
    const { peers, ratios, clock, pages } = await run(slowing, 6)
    expect(clock).toBe('processor')
    const per = (ns: number): number => ns / pages
    expect(peers.js).toMatchObject({
      converge: { unit: 'ns', median: per(700), low: per(200), high: per(1200), confidence: 0.96875 },
      converge_ns_per_page: per(700),
      rescan: { median: per(10), samples: Array(6).fill(per(10)) },
      over_pagefold: { unit: 'ratio', median: 2, low: 2, high: 2, samples: Array(6).fill(2) },
      rank: 4 - (hasTimes(peers.native) ? 0 : 1),
    })
    expect(peers.pagefold).toMatchObject({ over_pagefold: { median: 1 }, rank: expect.any(Number) })
    const { samples, converge } = peers.js as PeerResult
    expect(converge.samples).toEqual(samples.map((sample) => sample.converge_ns_per_page))
    for (const sample of samples)
      expect(sample.converge_wall_ns_per_page).toBe(3 * sample.converge_ns_per_page)
    expect(ratios.js).toBe(2)
  })

  it('are time as it passes where one has more', async () => {
    const { peers, clock, pages } = await run({}, 6, [], 2)
    expect(clock).toBe('wall')
    expect(peers.pagefold).toMatchObject({
      converge_ns_per_page: 160 / pages,
      converge: { median: 160 / pages },
    })
  })

  it('that waited for a processor are said to have', async () => {
    const { load } = await run({ js: () => ({ ...TRIAL, converge_ns: 1e9 }) }, 6)
    expect(load).toMatchObject({ busy: true, busy_rounds: 6, waited: expect.closeTo(1, 2) })
  })
})

describe("ksmd's knobs", () => {
  function machine() {
    const fake = new FakeKsmd()
    onTestFinished(() => fake.stop())
    const codes: number[] = []
    const places = { ...fake.places, exit: (code: number) => void codes.push(code) }
    return { fake, before: fake.files(), lock: places.lock, places, codes }
  }

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('are given back when %s comes, and the lock is', async (signal, code) => {
    const { fake, before, lock, places, codes } = machine()
    const heardBefore = process.listenerCount(signal)
    const begun = new Promise<void>((begin) => {
      void withKsmd(
        { max_page_sharing: 2 },
        () => {
          begin()
          return new Promise(() => {})
        },
        places,
      )
    })
    await begun
    expect(fake.files()).toMatchObject({ run: '0', max_page_sharing: '2', sleep_millisecs: '600000' })
    expect(existsSync(lock)).toBe(true)
    process.listeners(signal).at(-1)!(signal)
    expect(fake.files()).toEqual(before)
    expect(existsSync(lock)).toBe(false)
    expect(codes).toEqual([code])
    for (const other of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      if (process.listenerCount(other) > heardBefore)
        process.removeListener(other, process.listeners(other).at(-1)!)
    }
  })

  it('are given back when the work is done, and when it throws', async () => {
    for (const work of [() => 7, () => Promise.reject(new Error('no'))]) {
      const { fake, before, lock, places } = machine()
      const heardBefore = process.listenerCount('SIGINT')
      await withKsmd({ max_page_sharing: 2 }, work as () => number, places).catch(() => {})
      expect(fake.files()).toEqual(before)
      expect(existsSync(lock)).toBe(false)
      expect(process.listenerCount('SIGINT')).toBe(heardBefore)
    }
  })
})
