// Tables: numbers right-aligned and written by their unit, with the exact figure kept beside what is shown.

import type { TableSection, Unit } from '../section.ts'
import { element, freshId } from './dom.ts'
import { format } from './units.ts'

export type Columns = TableSection['columns']

/** Makes a table that scrolls by itself where it is too wide. The first column names the rows. */
export function table(caption: string, columns: Columns): HTMLElement {
  const rows = Array.from({ length: columns[0]?.values.length ?? 0 }, (_, row) =>
    element('tr', {}, ...columns.map(({ values, unit }, i) => cell(values[row] ?? null, unit, i === 0))),
  )
  const head = columns.map(({ label, unit }) =>
    element('th', { scope: 'col', class: unit === undefined ? undefined : 'number' }, label),
  )
  const captionId = freshId()
  const made = element(
    'table',
    {},
    element('caption', { id: captionId, class: 'unseen' }, caption),
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  )
  // Whoever has no mouse scrolls with the arrow keys, so it must take the focus.
  return element('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-labelledby': captionId }, made)
}

/** A table behind a line that opens it: what a picture shows, in figures. */
export function foldedTable(caption: string, columns: Columns): HTMLElement {
  return element('details', {}, element('summary', {}, 'As a table'), table(caption, columns))
}

function cell(value: number | string | null, unit: Unit | undefined, isHead: boolean): HTMLElement {
  const text = typeof value === 'string' ? value : format(value, unit ?? 'count')
  const attributes = {
    class: unit === undefined ? undefined : 'number',
    'data-value': typeof value === 'number' ? value : undefined,
    title: unit === 'bytes' && value !== null ? `${value.toLocaleString('en-US')} bytes` : undefined,
  }
  return isHead ? element('th', { scope: 'row', ...attributes }, text) : element('td', attributes, text)
}
