// Tables: numbers right-aligned and written by their unit, with the exact figure kept beside what is shown. A column's head sorts by
// it: numbers from the greatest, names from the first; once more turns it round.

import type { Column, TableSection, Unit } from '../section.ts'
import { element, freshId } from './dom.ts'
import { stateColour } from './layer.ts'
import { format, grouped } from './units.ts'

export type Columns = readonly Column[]
/** How a table is shown, beside its columns. */
export type TableLook = Pick<TableSection, 'states' | 'total'>

/** Makes a table that scrolls by itself where it is too wide. The first column names the rows. */
export function table(caption: string, columns: Columns, { states, total }: TableLook = {}): HTMLElement {
  const count = columns[0]?.values.length ?? 0
  const rows = Array.from({ length: count }, (_, row) => {
    const state = states?.[row]
    const cells = columns.map((column, i) => cell(column, row, i === 0, i === 0 ? state : undefined))
    return element('tr', { class: total && row === count - 1 ? 'total' : undefined }, ...cells)
  })
  const body = element('tbody', {}, ...rows)
  const sortable = total ? rows.slice(0, -1) : rows
  const heads = columns.map((column, i) => head(column, i, body, sortable))
  const captionId = freshId()
  const made = element(
    'table',
    {},
    element('caption', { id: captionId, class: 'unseen' }, caption),
    element('thead', {}, element('tr', {}, ...heads)),
    body,
  )
  // Whoever has no mouse scrolls with the arrow keys, so it must take the focus.
  return element('div', { class: 'wide', tabindex: 0, role: 'group', 'aria-labelledby': captionId }, made)
}

/** A table behind a line that opens it, made when it does: what a picture shows, in figures. */
export function foldedTable(caption: string, columns: () => Columns, look: TableLook = {}): HTMLElement {
  const details = element('details', {}, element('summary', {}, 'As a table'))
  details.addEventListener('toggle', () => details.append(table(caption, columns(), look)), { once: true })
  return details
}

function head(
  { label, unit, values }: Column,
  column: number,
  body: HTMLElement,
  rows: readonly HTMLElement[],
): HTMLElement {
  const shape = unit === undefined ? undefined : 'number'
  if (rows.length < 2) return element('th', { scope: 'col', class: shape }, label)
  const button = element('button', { type: 'button' }, label)
  const made = element('th', { scope: 'col', class: shape }, button)
  button.addEventListener('click', () => {
    const falling = made.ariaSort === null ? unit !== undefined : made.ariaSort === 'ascending'
    for (const other of made.parentElement!.children) other.removeAttribute('aria-sort')
    made.setAttribute('aria-sort', falling ? 'descending' : 'ascending')
    const order = rows.map((row, i) => ({ row, value: values[i] ?? null }))
    order.sort((a, b) => compare(a.value, b.value, falling))
    body.prepend(...order.map(({ row }) => row))
  })
  button.title = `Sort by ${label}`
  button.dataset.column = String(column)
  return made
}

/** What is not there is last, whichever way round. */
function compare(a: number | string | null, b: number | string | null, falling: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  const order =
    typeof a === 'number' && typeof b === 'number'
      ? a - b
      : String(a).localeCompare(String(b), 'en', { numeric: true })
  return falling ? -order : order
}

function cell(
  { values, unit, titles }: Column,
  row: number,
  isHead: boolean,
  state: string | undefined,
): HTMLElement {
  const value = values[row] ?? null
  const text = typeof value === 'string' ? value : format(value, unit ?? 'count')
  const attributes = {
    class: unit === undefined ? undefined : 'number',
    'data-value': typeof value === 'number' ? value : undefined,
    title: titles?.[row] ?? inFull(value, unit),
  }
  const swatch =
    state === undefined
      ? []
      : [element('span', { class: 'swatch', style: `background: var(${stateColour(state)})` })]
  return isHead
    ? element('th', { scope: 'row', ...attributes }, ...swatch, ...breakable(text))
    : element('td', attributes, ...breakable(text))
}

/** A name that ends a line at its dots, strokes and slashes, where it has to. */
function breakable(text: string): (string | HTMLElement)[] {
  return text.split(/(?<=[._/])/).flatMap((part, i) => (i === 0 ? [part] : [element('wbr', {}), part]))
}

function inFull(value: number | string | null, unit: Unit | undefined): string | undefined {
  return unit === 'bytes' && typeof value === 'number' ? `${grouped(value)} bytes` : undefined
}
