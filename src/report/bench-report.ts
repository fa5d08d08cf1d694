// The report of pagefold bench: the peers side by side, how pagefold gets there, and what changed since a baseline.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type Figure, howToRead, isEnough } from '../lab/measure/figure.ts'
import { median } from '../lab/median.ts'
import { type BenchResult, hasTimes, type MetricChange, whyMissing } from './bench-result.ts'
import { listed, type Measured, parted } from './interval.ts'
import { format, plural } from './page/units.ts'
import { runningSections } from './running-report.ts'
import type {
  BarsSection,
  FiguresSection,
  LinesSection,
  Report,
  Section,
  Series,
  TableSection,
} from './section.ts'
import { shortNames } from './short-names.ts'
import { writtenSections } from './written-report.ts'

/** Makes the report; `changes` if there was a baseline. */
export function benchReport(result: BenchResult, changes?: readonly MetricChange[]): Report {
  const { sources, pages, index, checksum, workers } = result
  const images =
    sources.length > NAMED_IMAGES ? plural(sources.length, 'image') : shortNames(sources).join(', ')
  return {
    title: 'pagefold bench',
    verdict: verdict(result),
    subtitle: `${images}: ${pages.toLocaleString('en-US')} pages; index ${index}, checksum ${checksum}${workers === 0 ? '' : `, workers ${workers}`}`,
    sections: [
      outcome(result),
      peers(result),
      ...unavailable(result),
      ...writtenSections(result),
      ...runningSections(result),
      overBytes(result),
      overTime(result),
      ...(changes === undefined ? [] : comparison(changes)),
      settings(result),
    ],
    result: changes === undefined ? result : { ...result, changes },
  }
}

/** More images than these are only counted. */
const NAMED_IMAGES = 4

/** How pagefold stands beside its peers, as far as it can be told. */
function verdict(result: BenchResult): string {
  const { peers, ratios, curve } = result
  const own = peers.pagefold
  const best = curve.best.bytes_saved
  const saved =
    best === 0
      ? 'There is nothing to merge.'
      : `It saves ${format(curve.bytes_saved, 'bytes')}, ${format(curve.bytes_saved / best, 'share')} of the best possible.`
  if (!hasTimes(own)) return saved
  const others = Object.entries(peers).flatMap(([name, peer]) =>
    name !== 'pagefold' && hasTimes(peer) ? [{ name, value: trusted(peer.converge) }] : [],
  )
  const mine = trusted(own.converge)
  const time = `pagefold merges everything in ${format(mine.median, 'ns')} a page`
  const known = others
    .filter(({ value }) => parted(mine, value))
    .sort((a, b) => b.value.median - a.value.median)
  const unknown = others.filter(({ value }) => !parted(mine, value)).map(({ name }) => name)
  const told = known.map(({ name }) => `${name} takes ${format(ratios[name]!, 'ratio')} that`)
  const why = isEnough(own.converge)
    ? 'their intervals overlap'
    : `${plural(own.samples.length, 'trial')} cannot tell`
  const doubt = unknown.length === 0 ? [] : [`not to be ranked against ${listed(unknown)}: ${why}`]
  return `${[[time, ...told].join(', '), ...doubt].join('; ')}. ${saved}`
}

/** A figure, as far as it is one of enough trials. */
function trusted(figure: Figure): Measured['value'] {
  return isEnough(figure) ? figure : { median: figure.median }
}

function outcome({ curve, still, ratios }: BenchResult): FiguresSection {
  const { best, bytes_saved } = curve
  const ofBest = (saved: number): string =>
    best.bytes_saved === 0
      ? 'nothing to save'
      : `${((100 * saved) / best.bytes_saved).toFixed(1)} % of the best`
  const linux = ratios.linux
  return {
    kind: 'figures',
    title: 'What came of it',
    figures: [
      { label: 'Best possible', value: best.bytes_saved, unit: 'bytes', note: 'every content once' },
      { label: 'Saved', value: bytes_saved, unit: 'bytes', note: ofBest(bytes_saved) },
      { label: 'Net', value: curve.net_profit, unit: 'bytes', note: "less pagefold's records" },
      {
        label: 'Saved on average',
        value: curve.area,
        unit: 'share',
        note: 'of the best, over three full scans',
      },
      ...(linux === undefined
        ? []
        : [{ label: "ksmd's time over pagefold's", value: linux, unit: 'ratio' } as const]),
      ...(still === undefined
        ? []
        : [
            {
              label: 'Saved after one scan of still guests',
              value: still.bytes_saved,
              unit: 'bytes',
              note: ofBest(still.bytes_saved),
            } as const,
          ]),
      ...overScan("ksmd's time over that scan's", still?.linux_over),
      ...overScan('In processor time', still?.linux_over_cpu),
    ],
  }
}

function overScan(label: string, times: Figure | null | undefined): FiguresSection['figures'] {
  if (times === null || times === undefined) return []
  const note = `to the same point; ${times.low.toFixed(1)} to ${times.high.toFixed(1)}`
  return [{ label, value: times.median, unit: 'ratio', note }]
}

function peers(result: BenchResult): BarsSection {
  const present = Object.entries(result.peers)
    .flatMap(([name, peer]) => (hasTimes(peer) ? [[name, peer] as const] : []))
    .sort(([, a], [, b]) => a.converge.median - b.converge.median)
  const figures = (of: 'converge' | 'rescan' | 'over_pagefold') => present.map(([, peer]) => peer[of])
  const series = (label: string, of: 'converge' | 'rescan', tableOnly = false): Series[] => {
    const [median, low, high] = (['median', 'low', 'high'] as const).map((what) =>
      figures(of).map((figure) => figure[what]),
    ) as [number[], number[], number[]]
    return [
      { label, unit: 'ns', values: median, low, high, tableOnly },
      { label: `${label}, from`, unit: 'ns', values: low, tableOnly: true },
      { label: `${label}, to`, unit: 'ns', values: high, tableOnly: true },
    ]
  }
  const ratio = (label: string, of: (figure: Figure) => number): Series => ({
    label,
    unit: 'ratio',
    values: figures('over_pagefold').map(of),
    tableOnly: true,
  })
  return {
    kind: 'bars',
    title: 'Time a page',
    note:
      `${result.clock === 'processor' ? 'Processor time' : 'Time as it passes, of ksmd processor time,'} until everything mergeable is ` +
      'merged, two full scans (one for pagefold-still), and of a scan more, which finds nothing. Medians of trials in turns; ' +
      `over pagefold's in the same round. ${present[0] === undefined ? '' : howToRead(present[0][1].converge)} ` +
      'All shown here merged the same pages with the same.',
    label: 'peer',
    labels: present.map(([name]) => name),
    series: [
      ...series('converge', 'converge'),
      ...series('rescan', 'rescan'),
      ratio('over pagefold', ({ median }) => median),
      ratio('over pagefold, from', ({ low }) => low),
      ratio('over pagefold, to', ({ high }) => high),
      { label: 'rank', unit: 'count', values: present.map(([, { rank }]) => rank), tableOnly: true },
    ],
  }
}

function unavailable(result: BenchResult): TableSection[] {
  const missing = Object.entries(result.peers).flatMap(([name, peer]) =>
    hasTimes(peer) ? [] : [[name, whyMissing(peer)] as const],
  )
  if (missing.length === 0) return []
  return [
    {
      kind: 'table',
      title: 'Without times',
      columns: [
        { label: 'peer', values: missing.map(([name]) => name) },
        { label: 'why', values: missing.map(([, why]) => why) },
      ],
    },
  ]
}

function overBytes({ curve, still }: BenchResult): LinesSection {
  const { points } = curve.samples[0]!
  return {
    kind: 'lines',
    title: 'Saved over bytes scanned',
    note: 'Three full scans: the first learns checksums, the second merges, the third finds nothing new.',
    x: { label: 'scanned', unit: 'bytes', values: points.map(([scanned]) => scanned) },
    series: [
      ...savedAndBest(curve),
      ...(still === undefined
        ? []
        : [
            { label: 'saved, guests that hold still', unit: 'bytes', values: savedAt(still.points) } as const,
          ]),
    ],
  }
}

function overTime({ curve }: BenchResult): LinesSection {
  const { points } = curve.samples[0]!
  return {
    kind: 'lines',
    title: 'Saved over processor time',
    note: 'Medians of the trials.',
    x: {
      label: 'processor time',
      unit: 'ms',
      values: points.map((_, i) => median(curve.samples.map((sample) => sample.points[i]![1]))),
    },
    series: savedAndBest(curve),
  }
}

function savedAt(points: BenchResult['curve']['samples'][0]['points']): number[] {
  return points.map(([, , saved]) => saved)
}

function savedAndBest({ samples, best }: BenchResult['curve']): LinesSection['series'] {
  const { points } = samples[0]!
  return [
    { label: 'saved', unit: 'bytes', values: savedAt(points) },
    { label: 'best possible', unit: 'bytes', values: points.map(() => best.bytes_saved) },
  ]
}

function comparison(changes: readonly MetricChange[]): Section[] {
  const labels = changes.map(({ metric }) => metric)
  const times = (label: string, of: (change: MetricChange) => number) => ({ label, values: changes.map(of) })
  return [
    {
      kind: 'bars',
      title: 'Against the baseline',
      note: 'Change of the medians. More is slower, and of the area missed more is worse.',
      label: 'metric',
      labels,
      series: [
        {
          label: 'change',
          unit: 'share',
          values: changes.map(({ change }) => (Number.isFinite(change) ? change : null)),
        },
      ],
    },
    {
      kind: 'table',
      title: 'Against the baseline, in figures',
      note: 'Slower or faster: every trial of one run lies beyond every trial of the other, and the medians are more than 2 % apart.',
      columns: [
        { label: 'metric', values: labels },
        { label: 'as a multiple of', values: changes.map(({ over }) => over) },
        ...(['before', 'after'] as const).flatMap((when) =>
          (['median', 'min', 'max'] as const).map((which) => ({
            ...times(`${when}, ${which}`, (change) => change[when][which]),
            unit: 'count' as const,
          })),
        ),
        { label: 'verdict', values: changes.map(({ verdict }) => verdict) },
      ],
    },
  ]
}

function settings({ counters, ...result }: BenchResult): TableSection {
  const rows: [string, string | number][] = [
    ...Object.entries(counters),
    ['size', `${result.pages * PAGE_SIZE} bytes`],
    ['input digest', result.input_digest],
    ['digest of who shares with whom', result.digest],
  ]
  return {
    kind: 'table',
    title: 'What was merged',
    columns: [
      { label: 'what', values: rows.map(([name]) => name) },
      { label: 'value', values: rows.map(([, value]) => value) },
    ],
  }
}
