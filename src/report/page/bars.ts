// Bars below each other, as long as they are much, from 0 on, with the figure beside each and whiskers where there are any. They
// are text and boxes: a reader's program reads them as they stand.

import type { BarsSection, Series } from '../section.ts'
import { element } from './dom.ts'
import { fromZero } from './scale.ts'
import { format, formatRange } from './units.ts'

/** Draws the bars of a section. */
export function barChart({ labels, series }: BarsSection): HTMLElement {
  const drawn = series.filter((one) => !one.tableOnly)
  const ends = drawn.flatMap(({ values, low = [], high = [] }) => [...values, ...low, ...high])
  const numbers = ends.filter((value) => value !== null)
  const scale = fromZero(Math.min(0, ...numbers), Math.max(0, ...numbers))
  const groups = labels.map((label, i) =>
    element(
      'div',
      { class: 'bars-group' },
      element('div', { class: 'bars-label' }, label),
      element('div', { class: 'bars-of' }, ...drawn.map((one, number) => bar(one, number, i, scale))),
    ),
  )
  const ranged = drawn.some(({ low }) => low !== undefined)
  const names = drawn.map(({ label }, number) =>
    element('li', {}, element('span', { class: 'swatch', style: `background: ${colourOf(number)}` }), label),
  )
  return element(
    'div',
    {},
    ...(drawn.length > 1 ? [element('ul', { class: 'bars-names' }, ...names)] : []),
    element('div', { class: ranged ? 'bars ranged' : 'bars' }, ...groups),
  )
}

function bar(
  { label, unit, values, low, high }: Series,
  number: number,
  at: number,
  [least, most]: readonly [number, number],
): HTMLElement {
  const value = values[at] ?? null
  const place = (amount: number): number => (100 * (amount - least)) / (most - least)
  const between = (from: number, to: number): string => {
    const [start, end] = [place(Math.min(from, to)), place(Math.max(from, to))]
    return `left: ${start.toFixed(3)}%; width: ${(end - start).toFixed(3)}%`
  }
  const [from, to] = [low?.[at] ?? null, high?.[at] ?? null]
  const track = element('div', { class: 'bar-track' })
  if (value !== null) {
    const style = `${between(0, value)}; background: ${colourOf(number)}`
    track.append(element('div', { class: 'bar', style }))
  }
  if (from !== null && to !== null)
    track.append(element('div', { class: 'whisker', style: between(from, to) }))
  track.append(element('div', { class: 'bar-zero', style: `left: ${place(0).toFixed(3)}%` }))
  return element(
    'div',
    { class: 'bar-row' },
    track,
    element(
      'div',
      { class: 'bar-value number', 'data-value': value ?? undefined },
      element('span', { class: 'unseen' }, `${label} `),
      format(value, unit),
      ...(from === null || to === null
        ? []
        : [' ', element('span', { class: 'soft' }, formatRange(from, to, unit))]),
    ),
  )
}

function colourOf(number: number): string {
  return `var(--series-${(number % 8) + 1})`
}
