// Curves, drawn by uPlot: in the reader's colours, as wide as there is room, readable by keyboard too.

import type uPlot from 'uplot'
import type { LinesSection, Series, Unit } from '../section.ts'
import { element } from './dom.ts'
import { onRoom } from './room.ts'
import { padded } from './scale.ts'
import { colour, onThemeChange } from './theme.ts'
import { format } from './units.ts'

const HEIGHT = 280
const FONT = '12px system-ui, sans-serif'
/** About as wide as a digit of that font, in pixels. */
const DIGIT = 7
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]

/** Steps between gridlines that are round in bytes. */
const BYTE_STEPS = Array.from({ length: 53 }, (_, power) => 2 ** power)

/** Draws the curves of a section. */
export function lineChart(section: LinesSection): HTMLElement {
  const drawn = section.series.filter((series) => !series.tableOnly)
  const { x } = section
  const many = x.values.length > 40
  return chart(section.title, [x.values, ...drawn.map(({ values }) => values)], () => ({
    scales: { x: { time: false, range: (_, low, high) => padded(low, high, x.unit) } },
    axes: [
      {
        ...axis(),
        ...(x.unit === 'count' ? { incrs: WHOLE_STEPS } : {}),
        ...(x.unit === 'bytes' ? { incrs: BYTE_STEPS } : {}),
        space: (_, __, low, high) => apart(low, high, x.unit),
        values: (_, splits) => splits.map((at) => format(at, x.unit)),
      },
      valueAxis(drawn[0]?.unit ?? 'count'),
    ],
    series: [
      { label: x.label, value: (_, at) => (at === null ? '–' : format(at, x.unit)) },
      ...drawn.map((series, i) => ({
        ...seriesOptions(series),
        stroke: colour(`--series-${i + 1}`),
        width: 2,
        dash: DASHES[i % DASHES.length]!,
        points: { show: !many, size: 6, fill: colour('--paper') },
      })),
    ],
  }))
}

/** How far gridlines have to be apart, in pixels, so that what stands under them does not run together. */
function apart(low: number, high: number, unit: Unit): number {
  // A step between may be written longer than its ends: 0.5 beside 0 and 1.
  const longest = Math.max(...[low, (low + high) / 2, high].map((at) => format(at, unit).length))
  return DIGIT * longest + 16
}

const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

type Drawing = Pick<uPlot.Options, 'scales' | 'axes' | 'series'>
type Row = readonly (number | null)[]

/** `draw` is asked anew whenever the colours change. */
function chart(title: string, rows: readonly Row[], draw: () => Drawing): HTMLElement {
  const data = rows.map((row) => [...row]) as uPlot.AlignedData
  const last = data[0].length - 1
  const spoken = element('p', { class: 'unseen', 'aria-live': 'polite' })
  const place = element('div', {
    class: 'chart',
    tabindex: 0,
    role: 'group',
    'aria-label': `${title}. Arrow keys step through the points; all figures are in the table below.`,
  })
  let plot: uPlot | undefined
  const rest = (shown: uPlot): void => {
    if (shown.cursor.idx === null || shown.cursor.idx === undefined) shown.setLegend({ idx: last })
  }
  const make = async (): Promise<void> => {
    // Not before a curve comes into sight: it takes a while to come alive.
    const { default: Plot } = await import('uplot')
    plot?.destroy()
    plot = new Plot(
      {
        ...draw(),
        width: Math.max(place.clientWidth, 200),
        height: HEIGHT,
        padding: [12, 40, 0, 0],
        cursor: { y: false, drag: { x: false, y: false } },
        hooks: { setCursor: [rest], ready: [rest] },
      },
      data,
      place,
    )
    plot.root.querySelector('.u-legend')?.setAttribute('aria-hidden', 'true')
  }
  place.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (step === undefined || plot === undefined) return
    event.preventDefault()
    const from = plot.cursor.idx ?? (step > 0 ? -1 : last + 1)
    const to = Math.min(Math.max(from + step, 0), last)
    plot.setCursor({ left: plot.valToPos(data[0][to]!, 'x'), top: 0 })
    spoken.textContent = readOut(plot, to)
  })
  let making: Promise<void> | undefined
  onRoom(place, () => {
    making ??= make()
    if (plot === undefined) return
    if (place.clientWidth !== plot.width && place.clientWidth > 0) {
      plot.setSize({ width: place.clientWidth, height: HEIGHT })
    }
  })
  onThemeChange(() => {
    if (making !== undefined) making = make()
  })
  return element('div', {}, place, spoken)
}

/** The figures at a point, as a sentence. */
function readOut(plot: uPlot, point: number): string {
  return plot.series
    .map((series, i) => {
      const value = series.value as (plot: uPlot, raw: number, series: number, point: number) => string
      return `${series.label} ${value(plot, plot.data[i]![point]!, i, point)}`
    })
    .join(', ')
}

function seriesOptions({ label, unit }: Series): uPlot.Series {
  return { label, value: (_, value) => format(value, unit) }
}

function axis(): uPlot.Axis {
  return {
    stroke: colour('--ink-soft'),
    font: FONT,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1, size: 6 },
    size: 32,
  }
}

function valueAxis(unit: Unit): uPlot.Axis {
  return {
    ...axis(),
    ...(unit === 'bytes' ? { incrs: BYTE_STEPS } : {}),
    values: (_, splits) => splits.map((at) => format(at, unit)),
    size: (_, labels) => 20 + DIGIT * Math.max(4, ...(labels ?? []).map((label) => label.length)),
  }
}
