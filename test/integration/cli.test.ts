// The command line as a user meets it: a process, its output, its exit code.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { MergeResult } from '../../src/lab/index.ts'
import type { HashReport, Report } from '../../src/report/index.ts'
import { butBusy } from '../support/busy.ts'
import { elfCore, file, lime, pages, scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

interface Said {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function pagefoldWith(variables: NodeJS.ProcessEnv, ...args: string[]): Said {
  const { NO_COLOR: _, FORCE_COLOR: __, COLUMNS: ___, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...env, ...variables },
  })
  return { code: status, out: stdout, err: stderr }
}

/** As a build machine has it, where no terminal is. */
function pagefold(...args: string[]): Said {
  return pagefoldWith({ CI: 'true' }, ...args)
}

function scanJson(...args: string[]): MergeResult {
  const { code, out, err } = pagefold('scan', '--json', ...args)
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(out.trim().split('\n').length).toBe(1)
  return JSON.parse(out) as MergeResult
}

/** The figures a report carries. */
function reportIn(path: string): Report {
  const html = readFileSync(path, 'utf8')
  return JSON.parse(/<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)![1]!) as Report
}

describe('pagefold scan', () => {
  const a = () => file('a.raw', Buffer.concat([pages(10), pages(10), Buffer.alloc(4 * 4096)]))
  const b = () => file('b.raw', Buffer.concat([pages(10), pages(6, 100)]))

  it('prints one JSON object of the promised shape', () => {
    const [first, second] = [a(), b()]
    const result = scanJson(first, second)
    expect(result).toMatchObject({
      pages: 40,
      images: [
        { source: first, format: 'raw', pages: 24 },
        { source: second, format: 'raw', pages: 16 },
      ],
      knobs: { max_page_sharing: 256, use_zero_pages: 0, smart_scan: 0, merge_across_nodes: 1 },
      index: 'hash',
      checksum: 'xxh3',
      bytes_saved: 23 * 4096,
    })
    expect(result.after_each_scan).toHaveLength(3)
    expect(result.after_each_scan[1]).toMatchObject({
      pages_shared: 11,
      pages_sharing: 23,
      pages_unshared: 6,
      pages_volatile: 0,
      ksm_zero_pages: 0,
      pages_skipped: 0,
      stable_node_chains: 0,
      stable_node_dups: 0,
      general_profit: 23 * 4096 - 40 * 64,
      elapsed_ms: expect.any(Number),
      cpu_ms: expect.any(Number),
    })
    expect(result.sharing).toEqual({ zero: 3, within: 10, between: 10 })
    expect(result.metadata_bytes).toBeGreaterThan(0)
  })

  it('obeys its options', () => {
    const result = scanJson(
      a(),
      '--scans',
      '4',
      '--knob',
      'use_zero_pages=1',
      '--knob',
      'max_page_sharing=2',
      '--index',
      'content',
      '--checksum',
      'xxh64',
    )
    expect(result).toMatchObject({
      index: 'content',
      checksum: 'xxh64',
      knobs: { use_zero_pages: 1, max_page_sharing: 2 },
    })
    expect(result.after_each_scan).toHaveLength(4)
    expect(result.after_each_scan[3]).toMatchObject({
      ksm_zero_pages: 4,
      pages_shared: 10,
      pages_sharing: 10,
    })
  })

  it('writes what a later moment has different', () => {
    const before = a()
    const bytes = Buffer.concat([pages(10), pages(10), Buffer.alloc(4 * 4096)])
    bytes.fill(200, 5 * 4096, 7 * 4096)
    const result = scanJson(before, '--scans', '2', '--then', file('a.raw', bytes), '--scans-after', '2')
    expect(result.pages_written).toBe(2)
    expect(result.after_each_scan.map((row) => [row.pages_shared, row.pages_sharing])).toEqual([
      [0, 0],
      [11, 13],
      [11, 11],
      [12, 12],
    ])
  })

  it('merges the same from raw, ELF and LiME', () => {
    const bytes = Buffer.concat([pages(9), pages(9)])
    const results = [
      file('guest', bytes),
      file('guest', elfCore([{ physical: 0x1000, bytes }])),
      file('guest', lime([{ first: 0, bytes }])),
    ].map((path) => scanJson(path))
    expect(results.map((result) => result.images[0]!.format)).toEqual(['raw', 'elf', 'lime'])
    for (const result of results) {
      expect(result.after_each_scan.at(-1)).toMatchObject({ pages_shared: 9, pages_sharing: 9 })
    }
  })

  it('says on stderr that a partial page was filled up', () => {
    const odd = file('odd.raw', pages(2).subarray(0, 5000))
    const { code, out, err } = pagefold('scan', '--json', '--format', 'raw', odd)
    expect(code).toBe(0)
    expect(err).toMatch(/904 of 4096 bytes/)
    expect(JSON.parse(out).pages).toBe(2)
  })

  it('writes a report beside the result, over an older one, and says where', () => {
    const path = file('report.html', Buffer.alloc(0))
    const result = scanJson(a(), b(), '--report', path)
    expect(result.pages).toBe(40)
    expect(reportIn(path).result).toEqual(result)
    const { code, out, err } = pagefold('scan', a(), '--report', path)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain(`A page to look at is in ${path}`)
    expect(reportIn(path).result).toMatchObject({ pages: 24 })
  })

  it('tells a person what merging saves, without colours or bars where there is no terminal', () => {
    const { code, out, err } = pagefold('scan', 'synth:demo,pages=256')
    expect(code).toBe(0)
    expect(err).toBe('')
    expect(out).toContain('pages_sharing')
    expect(out).toMatch(/Merging saves .* MiB/)
    expect(out).toMatch(/pages of zeros/)
    expect(out).toMatch(/bytes a page/)
    expect(out).not.toContain('\x1b')
  })

  it('leaves out nothing in a pipe, and in 80 columns what does not fit', () => {
    const args = ['scan', 'synth:demo,pages=64'] as const
    const titles = ({ out }: Said): string[] =>
      out
        .split('\n')
        .find((line) => line.startsWith('scan '))!
        .trim()
        .split(/ +/)
    expect(titles(pagefold(...args))).toHaveLength(10)
    const narrow = pagefoldWith({ COLUMNS: '80' }, ...args)
    expect(titles(narrow)).toEqual([
      'scan',
      'pages_shared',
      'pages_sharing',
      'pages_unshared',
      'pages_volatile',
      'profit',
    ])
    expect(narrow.out).toContain('\nno room for ksm_zero_pages, pages_skipped, chains/dups, ms\n')
    for (const line of narrow.out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('has colours where FORCE_COLOR wants them and NO_COLOR does not forbid it', () => {
    const args = ['scan', 'synth:demo,pages=64'] as const
    expect(pagefoldWith({ FORCE_COLOR: '1' }, ...args).out).toContain('\x1b[32m')
    expect(pagefoldWith({ FORCE_COLOR: '1', NO_COLOR: '1' }, ...args).out).not.toContain('\x1b')
  })
})

describe('pagefold scan, strategies', () => {
  const source = 'synth:demo,pages=200'

  it('merges still guests in one scan', () => {
    const running = scanJson(source, '--scans', '2')
    const still = scanJson(source, '--scans', '1', '--guests', 'still')
    expect(still.after_each_scan[0]!.pages_sharing).toBe(running.after_each_scan[1]!.pages_sharing)
    expect(running.after_each_scan[0]!.pages_sharing).toBe(0)
  })

  it('comes to the same with helper threads', () => {
    const counters = (result: MergeResult): unknown =>
      result.after_each_scan.map(({ elapsed_ms: _, cpu_ms: __, ...row }) => row)
    const [alone, helped] = [scanJson(source), scanJson(source, '--workers', '2')]
    expect(counters(helped)).toEqual(counters(alone))
    expect(helped.sharing).toEqual(alone.sharing)
  })

  it('takes any width and seed', () => {
    const plain = scanJson(source)
    const odd = scanJson(source, '--checksum-bits', '7', '--seed', 'random')
    expect(odd.sharing).toEqual(plain.sharing)
  })
})

describe('pagefold hash', () => {
  it('compares what it is asked to compare', () => {
    const { code, out, err } = pagefold(
      'hash',
      'synth:demo,pages=256',
      '--checksum',
      'xxh3,sampled,none',
      '--json',
    )
    expect(butBusy(err)).toBe('')
    expect(code).toBe(0)
    expect(out.trim().split('\n')).toHaveLength(1)
    const report = JSON.parse(out)
    expect(report.costs.map(({ checksum }: { checksum: string }) => checksum)).toEqual([
      'xxh3',
      'sampled',
      'none',
      'xxhash-wasm',
    ])
    for (const { hot, cold } of report.costs) {
      for (const time of [hot, cold]) {
        expect(time).toMatchObject({ unit: 'ns', rank: expect.any(Number), median_ns: time.median })
        expect(time.samples).toHaveLength(report.timing_load.rounds.length)
        expect(time.samples).toContain(time.median)
        expect(time.low).toBeLessThanOrEqual(time.median)
        expect(time.high).toBeGreaterThanOrEqual(time.median)
        expect(time.benchmark_js.ns > 0 && time.benchmark_js.samples > 0).toBe(true)
      }
    }
    for (const { time } of report.strategies) expect(time.samples).toHaveLength(15)
    expect(report.merging_load.rounds).toHaveLength(15)
    // Where it is, libxxhash stands beside what it has too, and nothing else.
    const beside = report.costs.filter((cost: object) => 'native' in cost)
    if ('unavailable' in report.native) expect(report.native.unavailable).toMatch(/\w/)
    else expect(beside.map(({ checksum }: { checksum: string }) => checksum)).toEqual(['xxh3'])
    expect(report.strategies).toHaveLength(6)
    const merged = report.strategies.map(({ pages_merged }: { pages_merged: number }) => pages_merged)
    expect(new Set(merged).size).toBe(1)
    expect(merged[0]).toBeGreaterThan(100)
  })

  it('writes a report beside the result', () => {
    const path = join(scratch(), 'hash.html')
    const few = ['hash', 'synth:demo,pages=64', '--checksum', 'xxh3', '--index', 'hash', '--report', path]
    const { code, out, err } = pagefold(...few, '--json')
    expect({ code, err: butBusy(err) }).toEqual({ code: 0, err: '' })
    const { result, sections } = reportIn(path)
    expect(result).toEqual(JSON.parse(out))
    const { costs, strategies } = result as HashReport
    const shown = (title: string, label: string): Record<string, (number | null | undefined)[]> => {
      const section = sections.find((one) => one.title === title)
      if (section?.kind !== 'bars') throw new Error(`no bars ${title}`)
      const { values, low, high } = section.series.find((one) => one.label === label)!
      return Object.fromEntries(section.labels.map((name, i) => [name, [values[i], low?.[i], high?.[i]]]))
    }
    for (const when of ['cold', 'hot'] as const) {
      expect(shown('Time a page', when)).toEqual(
        Object.fromEntries(
          costs.map((cost) => [cost.checksum, [cost[when].median, cost[when].low, cost[when].high]]),
        ),
      )
    }
    expect(shown('Time to converge', 'a page')).toEqual(
      Object.fromEntries(
        strategies.map(({ checksum, index, time }) => [
          `${checksum}, ${index}`,
          [time.median, time.low, time.high],
        ]),
      ),
    )
    expect(pagefold(...few).out).toContain(`A page to look at is in ${path}`)
  })

  const SMALL_HASH = ['hash', 'synth:demo,pages=64', '--checksum', 'xxh64', '--index', 'hash'] as const

  it('says what it leaves out of its tables on a narrow terminal', () => {
    const { code, out } = pagefoldWith({ COLUMNS: '80' }, ...SMALL_HASH)
    expect(code).toBe(0)
    expect(out).toMatch(/\nno room for random [^:]*pointer-rich \(4,096\), sparse\s\(4,096\)\n/)
    expect(out).toMatch(/\nno room for [^\n]*comparisons, failed, metadata\/page/)
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('has tables for people', () => {
    const { code, out, err } = pagefold(...SMALL_HASH)
    expect(code).toBe(0)
    expect(butBusy(err)).toBe('')
    for (const word of [
      'ns cold',
      'from..to',
      'rank',
      'B.js cold',
      'by chance',
      'Changes missed',
      'probes/search',
      'xxhash-wasm',
    ])
      expect(out).toContain(word)
    expect(out).not.toContain('\x1b')
  })
})

describe('bad input', () => {
  const good = () => file('good.raw', pages(4))
  const dir = () => {
    const path = join(scratch(), 'folder')
    mkdirSync(path)
    return path
  }
  const cases: [string, () => string[], RegExp][] = [
    ['no command', () => [], /no command given/],
    ['an unknown command', () => ['fold'], /no command "fold"/],
    ['no source', () => ['scan'], /no SOURCE/],
    ['a missing file', () => ['scan', '/no/such/file'], /no such file/],
    ['a directory', () => ['scan', dir()], /directory/],
    ['an empty file', () => ['scan', file('empty', Buffer.alloc(0))], /empty/],
    ['a program', () => ['scan', process.execPath], /no core/],
    [
      'a truncated core',
      () => ['scan', file('x', elfCore([{ bytes: pages(2) }]).subarray(0, 3000))],
      /truncated/,
    ],
    [
      'a truncated LiME dump',
      () => ['scan', file('x', lime([{ first: 0, bytes: pages(2) }]).subarray(0, 99))],
      /truncated/,
    ],
    [
      'an absurd range',
      () => ['scan', file('x', elfCore([{ bytes: pages(1), memoryBytes: 2n ** 62n }]))],
      /absurd/,
    ],
    [
      'a backward range',
      () => ['scan', file('x', lime([{ first: 9, last: 3, bytes: pages(1) }]))],
      /backward/,
    ],
    [
      'more pages than an arena holds',
      () => ['scan', '--absent', 'zero', file('x', elfCore([{ bytes: pages(1), memoryBytes: 2n ** 33n }]))],
      /2,097,152 pages/,
    ],
    ['an unknown knob', () => ['scan', good(), '--knob', 'speed=9'], /no knob "speed"/],
    ['a knob without value', () => ['scan', good(), '--knob', 'smart_scan'], /NAME=VALUE/],
    [
      'a knob out of range',
      () => ['scan', good(), '--knob', 'max_page_sharing=1'],
      /max_page_sharing takes an integer/,
    ],
    ['an unknown index', () => ['scan', good(), '--index', 'btree'], /--index takes one of/],
    ['an unknown checksum', () => ['scan', good(), '--checksum', 'md5'], /--checksum takes one of/],
    ['no scans', () => ['scan', good(), '--scans', '0'], /--scans takes an integer/],
    ['an unknown option', () => ['scan', good(), '--fast'], /--fast/],
    ['--then without sources', () => ['scan', good(), '--then'], /--then names no SOURCE/],
    ['--then of another number', () => ['scan', good(), '--then', good(), good()], /names 2 images/],
    ['--then of another size', () => ['scan', good(), '--then', file('x', pages(5))], /5 pages/],
    ['--scans-after without --then', () => ['scan', good(), '--scans-after', '1'], /--scans-after/],
    ['a report without a name', () => ['scan', good(), '--report', ''], /--report takes the name/],
    ['a report nowhere', () => ['scan', good(), '--report', '/no/such/folder/r.html'], /no directory/],
    ['a report below a file', () => ['scan', good(), '--report', join(good(), 'r.html')], /no directory/],
    ['a report that is a directory', () => ['scan', good(), '--report', dir()], /not a regular file/],
    ['a report over an image', () => ['scan', '--report', good(), good()], /something else than a report/],
    ...['hash', 'bench'].flatMap((command): [string, () => string[], RegExp][] => [
      [`a report of ${command} without a name`, () => [command, '--report', ''], /--report takes the name/],
      [`a report of ${command} nowhere`, () => [command, '--report', '/no/such/r.html'], /no directory/],
      [`a report of ${command} in a directory's place`, () => [command, '--report', dir()], /not a regular/],
      [
        `a report of ${command} over an image`,
        () => [command, '--report', good(), good()],
        /something else than a report/,
      ],
    ]),
    ['an unknown preset', () => ['scan', 'synth:dream'], /no such preset/],
    ['a preset setting that is none', () => ['scan', 'synth:demo,colour=1'], /colour=1/],
    ['more bits than there are', () => ['scan', good(), '--checksum-bits', '65'], /checksumBits.*1\.\.64/],
    ['a seed for none', () => ['scan', good(), '--checksum', 'crc32c', '--seed', '1'], /takes none/],
    ['a seed that is no number', () => ['scan', good(), '--seed', 'x'], /--seed takes an integer/],
    ['unknown guests', () => ['scan', good(), '--guests', 'asleep'], /--guests takes one of/],
    [
      'more workers than can be had',
      () => ['scan', good(), '--workers', '65'],
      /--workers .* from 0 to 64, got/,
    ],
    ['workers that are no number', () => ['bench', '--workers', 'all'], /--workers takes an integer/],
    ['an unknown checksum to compare', () => ['hash', '--checksum', 'xxh3,md5'], /got "md5"/],
    ['a sample larger than a page', () => ['hash', '--sample-words', '1025'], /at most 1024/],
    ['nothing to hash', () => ['hash', '/no/such/file'], /no such file/],
    ['no baseline', () => ['bench', '--baseline', '/no/such/file'], /--baseline .* cannot be read/],
    [
      'a baseline that is none',
      () => ['bench', '--baseline', good()],
      /not what pagefold bench --json prints/,
    ],
    ['more written than there is', () => ['bench', '--written', '1,101'], /--written takes .*; got "101"/],
    ['a share twice', () => ['bench', '--written', '1,1.0'], /--written takes different .*; got "1.0"/],
    ['a share that is none', () => ['bench', '--written', '1,,2'], /--written takes .*; got ""/],
    ['an unknown peer', () => ['bench', '--peers', 'windows'], /no peer "windows"/],
  ]

  it.each(cases)('%s: one line, exit 2, nothing on stdout', (_, args, message) => {
    const { code, out, err } = pagefold(...args())
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(message)
    expect(err.trim().split('\n')).toHaveLength(1)
    expect(err).toMatch(/^pagefold: /)
  })
})

describe('pagefold bench', () => {
  it('compares what is available and says why the rest is not', () => {
    const { code, out } = pagefold(
      'bench',
      'synth:demo,pages=256',
      '--trials',
      '1',
      '--peers',
      'js,native',
      '--json',
    )
    expect(code).toBe(0)
    const result = JSON.parse(out)
    expect(result).toMatchObject({ pages: 768, digest: expect.stringMatching(/^[0-9a-f]{32}$/) })
    for (const name of ['pagefold', 'js', 'native']) {
      const peer = result.peers[name]
      if ('unavailable' in peer) expect(peer.unavailable).toMatch(/\w/)
      else expect(peer.samples).toHaveLength(1)
    }
    expect(result.peers.js.converge_ns_per_page).toBeGreaterThan(0)
  })

  it('shows how pagefold gets there, and what changed since another run', () => {
    const args = ['bench', 'synth:demo,pages=256', '--trials', '3', '--peers', 'js']
    const first = pagefold(...args, '--json')
    const result = JSON.parse(first.out)
    const { curve } = result
    expect(curve.best).toMatchObject({ pages: 768, bytes_saved: expect.any(Number) })
    expect(curve.bytes_saved).toBe(curve.best.bytes_saved)
    expect(curve.net_profit).toBe(curve.bytes_saved - curve.metadata_bytes)
    expect(curve.samples).toHaveLength(3)
    for (const { points, area } of curve.samples) {
      expect(points.at(-1)[2]).toBe(curve.bytes_saved)
      expect(area).toBeGreaterThan(0.2)
      for (let i = 1; i < points.length; i++) {
        expect(points[i][0]).toBeGreaterThanOrEqual(points[i - 1][0])
        expect(points[i][1]).toBeGreaterThanOrEqual(points[i - 1][1])
      }
    }
    expect(result.machine.cores).toBeGreaterThan(0)
    expect(result.input_digest).toMatch(/^[0-9a-f]{64}$/)

    // As if it had once been a hundred times as fast.
    for (const sample of result.peers.pagefold.samples) sample.converge_ns_per_page /= 100
    const baseline = file('fast.json', Buffer.from(JSON.stringify(result)))
    const second = pagefold(...args, '--baseline', baseline)
    expect(second.code).toBe(1)
    expect(second.out).toMatch(/converge_ns_per_page.*slower/)
    expect(second.out).toContain('as multiples of js')
  })

  it('merges in one scan what holds still, and says how it compares', () => {
    const result = JSON.parse(
      pagefold('bench', 'synth:demo,pages=256', '--trials', '2', '--peers', 'pagefold-still', '--json').out,
    )
    const { still, curve, counters, peers } = result
    expect(Object.keys(peers)).toEqual(['pagefold', 'pagefold-still'])
    expect(still).toEqual({
      scanned_bytes: 768 * 4096,
      bytes_saved: counters.pages_sharing * 4096,
      of_best: 1,
      linux_over: null,
      linux_over_cpu: null,
      points: expect.any(Array),
    })
    expect(still.bytes_saved).toBe(curve.best.bytes_saved)
    // All of it is there when each page has been read once.
    const [, , onceRead] = still.points.find(([scanned]: number[]) => scanned! >= still.scanned_bytes)
    expect(onceRead).toBe(still.bytes_saved)
    const [ours, theirs] = [peers['pagefold-still'].samples, peers.pagefold.samples]
    const ratios = [0, 1].map((i) => ours[i].converge_ns_per_page / theirs[i].converge_ns_per_page)
    expect(peers['pagefold-still'].over_pagefold.samples).toEqual(
      ratios.map((ratio) => expect.closeTo(ratio, 9)),
    )
    expect(result.ratios['pagefold-still']).toBeCloseTo((ratios[0]! + ratios[1]!) / 2, 9)
    const few = ['bench', 'synth:demo,pages=64', '--trials', '1', '--peers', 'pagefold-still']
    const { out } = pagefold(...few)
    expect(out).toMatch(
      /pagefold-still has read each page once, 768.0 KiB, and saved .*: 100.0 % of the best/,
    )
    expect(out).not.toContain('helper')
    expect(result.workers).toBe(0)
    expect(pagefold(...few, '--workers', '1').out).toContain('pagefold with 1 helper thread; every peer')
    expect(
      JSON.parse(pagefold('bench', 'synth:demo,pages=64', '--peers', 'js', '--trials', '1', '--json').out)
        .still,
    ).toBeUndefined()
  })

  it('measures scans after writes, beside whoever is there', () => {
    // More than 256 pages of zeros: every peer has to choose the same of several copies.
    const source = 'synth:thp-sparse,pages=4096,images=2'
    const args = ['bench', source, '--trials', '1', '--written', '0,2.5,10,30,100', '--running', '0']
    const { code, out } = pagefold(...args, '--json')
    expect(code).toBe(0)
    const { written, counters, peers, pages } = JSON.parse(out)
    const kinds = written.map((row: Record<string, unknown>) => [row.written_percent, row.written_with])
    expect(kinds).toEqual([
      [0, 'nothing'],
      [2.5, 'same bytes'],
      [2.5, 'other bytes'],
      [10, 'same bytes'],
      [10, 'other bytes'],
      [30, 'same bytes'],
      [30, 'other bytes'],
      [100, 'same bytes'],
      [100, 'other bytes'],
    ])
    const writers = Object.keys(peers).filter((name) => 'samples' in peers[name] && name !== 'pagefold-still')
    for (const row of written) {
      expect(Object.keys(row.peers)).toEqual(writers)
      expect(row.pages_written).toBe(Math.round((pages * row.written_percent) / 100))
      // What was written with something else is in no tree; the rest is where it was.
      expect(row.counters.pages_volatile).toBe(row.written_with === 'other bytes' ? row.pages_written : 0)
    }
    expect(written[0].counters).toEqual(counters)
    expect(written.at(-1).counters).toMatchObject({ pages_shared: 0, pages_sharing: 0, pages_unshared: 0 })
    const text = pagefold('bench', 'synth:demo,pages=64', '--trials', '1', '--peers', 'js').out
    expect(text).toMatch(/written +bytes +pagefold +js\n +0 % .*\n +1 % +same .*\n +1 % +other .*\n/)
    const none = pagefold(
      'bench',
      'synth:demo,pages=64',
      '--trials',
      '1',
      '--peers',
      'js',
      '--written',
      'none',
    )
    expect(none.out).not.toContain('written')
  })

  it('has guests run while it scans, beside ksmd if it is there, which saves the same in the same order of the trees', () => {
    const args = ['bench', 'synth:demo,pages=2048', '--trials', '1', '--peers', 'linux', '--written', 'none']
    const { code, out } = pagefold(...args, '--running', '3', '--index', 'content', '--json')
    const { running, pages, curve } = JSON.parse(out)
    expect(running).toMatchObject({ batches: 60, batch_pages: Math.ceil(pages / 20), writes: 60 * 31 })
    for (const [name, peer] of Object.entries(running.peers) as [string, Record<string, never>][]) {
      if ('unavailable' in peer) continue
      expect([name, peer.points]).toEqual([name, expect.any(Array)])
      expect(peer.points).toHaveLength(60)
    }
    expect(code).toBe(0)
    const { points, bytes_saved, mean_bytes_saved } = running.peers.pagefold
    const saved = points.map(([, bytes]: number[]) => bytes)
    expect(saved.slice(0, 20)).toEqual(Array(20).fill(0))
    expect(bytes_saved).toBe(saved.at(-1))
    expect(bytes_saved).toBeGreaterThan(0)
    expect(bytes_saved).toBeLessThan(curve.best.bytes_saved)
    expect(mean_bytes_saved).toBeCloseTo(saved.reduce((sum: number, bytes: number) => sum + bytes, 0) / 60, 6)
  })

  it('has help for every command', () => {
    for (const command of ['scan', 'bench', 'hash', 'synth']) {
      const { code, out } = pagefold(command, '--help')
      expect(code).toBe(0)
      expect(out).toContain(`usage: pagefold ${command}`)
    }
    expect(pagefold('--help')).toMatchObject({ code: 0, out: expect.stringContaining('scan') })
  })
})

it('knows a file by its content, not its name', () => {
  const path = join(scratch(), 'core.elf')
  writeFileSync(path, pages(3))
  expect(scanJson(path).images[0]!.format).toBe('raw')
})

describe('the benches', () => {
  it('still run', () => {
    const bench = new URL('../../dist/bench.js', import.meta.url).pathname
    const { status, stdout } = spawnSync(process.execPath, [bench, 'micro', '--smoke'], { encoding: 'utf8' })
    expect(status).toBe(0)
    for (const name of ['comparePages, cold', 'xxh3, cached', 'insert and erase', 'call into the core']) {
      expect(stdout).toContain(name)
    }
    const memory = spawnSync(process.execPath, [bench, 'memory', '--smoke'], { encoding: 'utf8' })
    expect(memory.stdout + memory.stderr).toMatch(/comparePages +\d+ ns|no C compiler/)
    const scale = spawnSync(process.execPath, [bench, 'scale', '--smoke'], { encoding: 'utf8' })
    expect(scale.stdout).toMatch(
      /nothing written .* ns of many, ratio \d.*\n.*\nevery page written .*ratio \d/,
    )
    expect(spawnSync(process.execPath, [bench, 'cold', file('a.raw', pages(8))]).status).toBeTypeOf('number')
  })
})
