// Results in the forms of other programs: cells that need quotes, metrics that a parser of Prometheus's format reads.

// @ts-expect-error: no types, and none needed
import parse from 'parse-prometheus-text-format'
import { describe, expect, it } from 'vitest'
import { Host, isKnob, prometheusText } from '../../src/index.ts'
import { csvText, type ResultDiff } from '../../src/report/index.ts'

describe('a table for spreadsheets', () => {
  it('quotes what needs it, and has the ends of an interval in columns of their own', () => {
    const figures: ResultDiff['figures'] = [
      { name: 'a "b", c', before: 1, after: null, unit: 'count', change: null, verdict: 'gone' },
      {
        name: 'time',
        before: { median: 2, low: 1, high: 3 },
        after: 4,
        unit: 'ns',
        change: 1,
        verdict: 'once',
      },
    ]
    const empty = { before: {}, after: {}, warnings: [], settings: [], inputs: [], same: 0 }
    expect(csvText('diff', { of: 'scan', ...empty, figures })).toBe(
      'figure,unit,before,after,change,verdict,before_low,before_high\n' +
        '"a ""b"", c",count,1,,,gone,,\n' +
        'time,ns,2,4,1,once,1,3\n',
    )
  })

  it('of nothing is its names', () => {
    expect(csvText('scan', { after_each_scan: [] })).toBe('scan,pages_shared\n')
  })
})

describe('metrics', () => {
  it('are every counter of a host, as a parser reads them', async () => {
    const host = await Host.create({ frames: 16 })
    const counters = host.ksm.counters()
    const metrics = parse(prometheusText(counters)) as {
      name: string
      type: string
      help: string
      metrics: object[]
    }[]
    host.close()
    const knobs: string[] = Object.keys(counters).filter(isKnob)
    expect(knobs.length).toBeGreaterThan(5)
    const names = Object.keys(counters).filter((name) => !knobs.includes(name))
    expect(metrics.map(({ name }) => name).sort()).toEqual(names.map((name) => `pagefold_ksm_${name}`).sort())
    for (const { help } of metrics) expect(help).toMatch(/\.$/)
    expect(
      metrics
        .filter(({ type }) => type === 'COUNTER')
        .map(({ name }) => name.slice('pagefold_ksm_'.length))
        .sort(),
    ).toEqual(['full_scans', 'pages_scanned', 'pages_skipped'])
  })

  it('have the values, those below nothing too, and labels with anything in them', () => {
    const labels = { guest: 'a "b"\\\nc', run: '1' }
    const text = prometheusText({ pages_sharing: 7, general_profit: -64 }, labels)
    expect(text).toMatch(/^# HELP pagefold_ksm_pages_sharing .*\n# TYPE pagefold_ksm_pages_sharing gauge\n/)
    expect(text.endsWith('\n')).toBe(true)
    const [sharing, profit] = parse(text) as { metrics: { value: string; labels: object }[] }[]
    expect(sharing!.metrics).toEqual([{ value: '7', labels }])
    expect(profit!.metrics).toEqual([{ value: '-64', labels }])
  })

  it('refuse labels that there cannot be', () => {
    for (const name of ['', '1st', 'a-b', '__name__'])
      expect(() => prometheusText({ pages_shared: 1 }, { [name]: 'x' })).toThrow(TypeError)
    expect(() => prometheusText({ pages_shared: 1 }, { run: 1 as never })).toThrow(/label run/)
  })
})
