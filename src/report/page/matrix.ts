// A matrix: how much every row has with every column, the darker the more. Few columns are a table with the figures in it; many
// are a picture that is pointed at.

import type { MatrixSection } from '../section.ts'
import { writeAddress } from './address.ts'
import { element, freshId } from './dom.ts'
import { MatrixCanvas } from './matrix-canvas.ts'
import { format } from './units.ts'

/** More columns than these have no room for figures. */
const MOST_FIGURES = 12

/** Makes the picture; for many columns as wide as there is room. */
export function matrix(section: MatrixSection): HTMLElement {
  const most = greatest(section.values)
  const depth = depthsOf(section, most)
  const isLarge = section.columns.names.length > MOST_FIGURES
  return isLarge ? new MatrixCanvas(section, most, depth).element : figures(section, depth)
}

/** How dark each cell is, 0 to 1. */
function depthsOf({ scale }: MatrixSection, most: number): (value: number | null) => number {
  const spread = scale === 'log' ? Math.log1p : (value: number): number => value
  return (value) => (most === 0 || value === null ? 0 : Math.max(0, spread(value)) / spread(most))
}

/** The greatest of all values, 0 if none is above it. */
function greatest(values: MatrixSection['values']): number {
  return values.reduce(
    (most, row) => row.reduce((found: number, value) => Math.max(found, value ?? 0), most),
    0,
  )
}

/** Of the accent colour behind a figure, at most: it must still be read. */
const DARKEST = 42

function figures(
  { title, rows, columns, unit, values, linked }: MatrixSection,
  depth: (value: number | null) => number,
): HTMLElement {
  const captionId = freshId()
  const heads = columns.names.map((name, j) =>
    element('th', { scope: 'col', title: columns.titles?.[j] ?? name }, name),
  )
  const body = rows.names.map((name, i) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row', title: rows.titles?.[i] ?? name }, name),
      ...columns.names.map((_, j) => {
        const value = values[i]?.[j] ?? null
        const share = (DARKEST * depth(value)).toFixed(1)
        const style = `background: color-mix(in srgb, var(--accent) ${share}%, var(--paper))`
        return element('td', { style, 'data-value': value ?? undefined }, ...figure(i, j, value))
      }),
    ),
  )
  function figure(i: number, j: number, value: number | null): (Node | string)[] {
    const text = format(value, unit)
    if (!linked || value === null || value === 0) return [text]
    return [element('a', { href: writeAddress({ map: '', image: i, sharedWith: j }) }, text)]
  }
  const corner = element('td', { class: 'soft corner' }, `${rows.label} ↓ ${columns.label} →`)
  return element(
    'div',
    { class: 'wide matrix', tabindex: 0, role: 'group', 'aria-labelledby': captionId },
    element(
      'table',
      {},
      element('caption', { id: captionId, class: 'unseen' }, title),
      element('thead', {}, element('tr', {}, corner, ...heads)),
      element('tbody', {}, ...body),
    ),
  )
}
