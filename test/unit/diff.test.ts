// Two results compared: what is noise and what is not, what was asked otherwise, and of what else.

import { describe, expect, it } from 'vitest'
import { diffReport, diffResults, type FigureChange, type Section } from '../../src/report/index.ts'

const ROW = { pages_shared: 1, pages_sharing: 5, ksm_zero_pages: 0, elapsed_ms: 3, cpu_ms: 2 }
const scan = (changes: object = {}) => ({
  version: '1.0.0',
  schema: 1,
  machine: { cores: 2 },
  pages: 8,
  images: [{ source: 'a', format: 'raw', pages: 8 }],
  knobs: { max_page_sharing: 256, use_zero_pages: 0 },
  index: 'hash',
  after_each_scan: [{ ...ROW, pages_sharing: 0 }, ROW],
  bytes_saved: 20_480,
  ...changes,
})
const bench = (...[median, low, high]: readonly [number, number, number]) => ({
  peers: {
    js: { converge: { median, low, high, samples: [1, 2], unit: 'ns' } },
    linux: { unavailable: 'why' },
  },
})
const figure = (figures: readonly FigureChange[], name: string) => figures.find((one) => one.name === name)

describe('a comparison', () => {
  it('finds nothing between a result and itself', () => {
    const { figures, settings, inputs, warnings, same } = diffResults(scan(), scan())
    expect({ figures, settings, inputs, warnings }).toEqual({
      figures: [],
      settings: [],
      inputs: [],
      warnings: [],
    })
    expect(same).toBe(7)
  })

  it('tells settings, inputs and figures apart', () => {
    const after = scan({
      knobs: { max_page_sharing: 2, use_zero_pages: 0 },
      images: [{ source: 'b', format: 'raw', pages: 8 }],
      bytes_saved: 10_240,
    })
    const { settings, inputs, figures, warnings } = diffResults(scan(), after)
    expect(settings).toEqual([{ name: 'knobs.max_page_sharing', before: 256, after: 2 }])
    expect(inputs).toEqual([{ name: 'images.0.source', before: 'a', after: 'b' }])
    expect(figures).toEqual([
      { name: 'bytes_saved', before: 20_480, after: 10_240, unit: 'bytes', change: -0.5, verdict: 'less' },
    ])
    expect(warnings).toEqual([expect.stringMatching(/^the inputs differ \(images\.0\.source\)/)])
  })

  it('knows a scan after writes by what was written', () => {
    const row = (with_: string, ns: number) => ({
      ...{ written_percent: 10, written_with: with_, pages_written: 5 },
      peers: { js: { scan: { unit: 'ns', median: ns, low: ns, high: ns, confidence: 0.97 } } },
    })
    const run = (ns: number) => ({
      ...bench(1, 1, 1),
      written: [row('same bytes', 1), row('other bytes', ns)],
    })
    expect(diffResults(run(2), run(3)).figures).toMatchObject([
      { name: 'written.10 other bytes.peers.js.scan', unit: 'ns', verdict: 'more', change: 0.5 },
    ])
  })

  it('takes a policy for a setting, and what a bench said of its baseline for nothing', () => {
    const [before, after] = [bench(1, 1, 1), { ...bench(1, 1, 1), policy: 'rare' }]
    const changes = [{ metric: 'converge_ns_per_page', over: 'js', change: 0.5, verdict: 'slower' }]
    const { settings, figures } = diffResults(before, { ...after, changes })
    expect(settings).toEqual([{ name: 'policy', before: null, after: 'rare' }])
    expect(figures).toEqual([])
    expect(diffResults(scan(), scan({ changes: 'checksum' })).settings).toEqual([
      { name: 'changes', before: null, after: 'checksum' },
    ])
  })

  it('says what it cannot know of a time that was measured once', () => {
    const after = scan({ after_each_scan: [{ ...ROW, pages_sharing: 0 }, { ...ROW, elapsed_ms: 9 }, ROW] })
    const { figures } = diffResults(scan(), after)
    expect(figure(figures, 'scanning.elapsed_ms')).toMatchObject({
      before: 6,
      after: 15,
      unit: 'ms',
      verdict: 'once',
    })
    expect(figure(figures, 'scans')).toMatchObject({ before: 2, after: 3, verdict: 'more' })
  })

  it('knows as little of the figure of a single trial, and of what else the machine did', () => {
    const once = (median: number, others: number) => ({
      peers: {
        js: { converge: { unit: 'ns', median, low: median, high: median, confidence: 0, samples: [median] } },
      },
      load: { others },
    })
    const { figures } = diffResults(once(100, 0.5), once(50, 0.25))
    expect(figures).toMatchObject([
      { name: 'peers.js.converge', before: 100, after: 50, unit: 'ns', change: -0.5, verdict: 'once' },
      { name: 'load.others', verdict: 'once' },
    ])
    const [trials] = diffResults(bench(100, 90, 110), once(50, 0)).figures
    expect(trials).toMatchObject({ name: 'peers.js.converge', after: 50, verdict: 'once' })
  })

  const cases: [before: [number, number, number], after: [number, number, number], verdict: string][] = [
    [[100, 90, 110], [105, 95, 120], 'noise'],
    [[100, 90, 110], [120, 110, 130], 'noise'],
    [[100, 90, 110], [120, 111, 130], 'more'],
    [[100, 90, 110], [80, 70, 89.9], 'less'],
    [[100, 90, 110], [100, 80, 110], 'noise'],
  ]
  it.each(cases)('of %j with %j is %s', (before, after, verdict) => {
    const { figures } = diffResults(bench(...before), bench(...after))
    expect(figures).toMatchObject([{ name: 'peers.js.converge', unit: 'ns', verdict }])
  })

  it('takes the samples beside a number for its interval, and a margin of error', () => {
    const sampled = (times: number[]) => ({
      peers: { js: { ns_per_page: times[1], samples: times.map((ns_per_page) => ({ ns_per_page })) } },
    })
    const verdicts = (before: object, after: object) =>
      diffResults(before, after).figures.map(({ verdict }) => verdict)
    expect(verdicts(sampled([1, 2, 3]), sampled([3, 4, 5]))).toEqual(['noise'])
    expect(verdicts(sampled([1, 2, 3]), sampled([4, 5, 6]))).toEqual(['more'])
    expect(verdicts(sampled([1, 2, 3]), { peers: { js: { ns_per_page: 9 } } })).toEqual(['once'])
    const cost = (ns: number) => ({ costs: [{ checksum: 'xxh3', hot: { ns, rme: 10, samples: 5 } }] })
    expect(verdicts(cost(100), cost(120))).toEqual(['noise'])
    expect(verdicts(cost(100), cost(130))).toEqual(['more'])
  })

  it('calls the elements of a list by their names, whatever their order', () => {
    const costs = (...names: string[]) => ({
      costs: names.map((checksum) => ({ checksum, bytes: checksum.length })),
    })
    const { figures, same } = diffResults(costs('xxh3', 'none'), costs('none', 'crc32c', 'xxh3'))
    expect(same).toBe(4)
    expect(figures.map(({ name, verdict }) => [name, verdict])).toEqual([
      ['costs.crc32c.checksum', 'new'],
      ['costs.crc32c.bytes', 'new'],
    ])
    expect(diffResults(costs('xxh3', 'none'), costs('none')).figures[0]).toMatchObject({
      verdict: 'gone',
      after: null,
    })
  })

  it('says collisions by the set they were counted in, and that a random seed is left to chance', () => {
    const hash = (pairs: number) => ({
      costs: [],
      sets: [{ name: 'images' }, { name: 'images', random_seed: true }],
      checksums: [{ checksum: 'xxh3', collisions: [{ 16: pairs }, { 16: pairs }] }],
    })
    expect(diffResults(hash(3), hash(4)).figures.map(({ name, verdict }) => [name, verdict])).toEqual([
      ['checksums.xxh3.collisions.images.16', 'more'],
      ['checksums.xxh3.collisions.images random_seed.16', 'once'],
    ])
  })

  it('warns of other machines and versions', () => {
    const { warnings } = diffResults(scan(), scan({ machine: { cores: 4 }, version: '2.0.0' }))
    expect(warnings).toEqual([
      'the machines differ: times do not compare',
      'made by pagefold 1.0.0 and 2.0.0',
    ])
  })

  it('is refused for results of two commands, of later versions, and for what is none', () => {
    expect(() => diffResults(scan(), bench(1, 1, 1))).toThrow(/EINVAL.*one is of scan, the other of bench/)
    expect(() => diffResults(scan(), scan({ schema: 4 }))).toThrow(/EINVAL.*schema 4.*a later pagefold/)
    expect(() => diffResults(scan(), {})).toThrow(TypeError)
  })
})

describe('the report of a comparison', () => {
  const kinds = (sections: readonly Section[]) => sections.map(({ kind, title }) => `${kind}: ${title}`)
  const map = { states: [], images: [], max_page_sharing: 256, packed: '' }

  it('has what differs, and the maps of two scans beside each other', () => {
    const { sections, result } = diffReport(scan({ map }), scan({ map, index: 'content' }), ['A', 'B'])
    expect(kinds(sections)).toEqual([
      'figures: What differs',
      'table: What was asked',
      'table: What came out otherwise',
      'lines: Pages saved after every full scan',
      'map: Memory of A',
      'map: Memory of B',
      'table: Where they are from',
    ])
    expect(result).toEqual(diffResults(scan(), scan({ index: 'content' })))
    const [, , , lines] = sections
    expect(lines).toMatchObject({
      series: [
        { label: 'A', values: [0, 5] },
        { label: 'B', values: [0, 5] },
      ],
    })
  })

  it('shows no map of an earlier schema, which is packed otherwise', () => {
    const old = { states: [], images: [], max_page_sharing: 256, data: '' }
    const { sections } = diffReport(scan({ map: old, schema: 2 }), scan({ map }), ['A', 'B'])
    expect(kinds(sections).filter((kind) => kind.startsWith('map'))).toEqual(['map: Memory of B'])
  })

  it('draws times that have intervals', () => {
    const { sections } = diffReport(bench(100, 90, 110), bench(120, 111, 130), ['A', 'B'])
    expect(sections.find(({ kind }) => kind === 'bars')).toMatchObject({
      labels: ['peers.js.converge'],
      series: [
        { values: [100] },
        { values: [120] },
        { values: [90] },
        { values: [111] },
        { values: [110] },
        { values: [130] },
      ],
    })
  })
})
