// A matrix of many columns as a picture: a square a number. One is pointed at, by pointer or keys, and told below.

import type { MatrixSection } from '../section.ts'
import { writeAddress } from './address.ts'
import { paint, ramp } from './colours.ts'
import { element } from './dom.ts'
import { onRoom } from './room.ts'
import { onThemeChange } from './theme.ts'
import { format } from './units.ts'

const LARGEST_CELL = 16
/** However few there are, it need not be larger. */
const LARGEST = 640
/** Shades of colour that are told apart. */
const STEPS = 256

export class MatrixCanvas {
  readonly element: HTMLElement
  private readonly section: MatrixSection
  private readonly most: number
  private readonly depth: (value: number | null) => number
  private readonly picture = element('canvas', { 'aria-hidden': 'true' })
  private readonly cursor = element('div', { class: 'cross', hidden: '' })
  private readonly area: HTMLElement
  private readonly told = element('p', { class: 'told', 'aria-live': 'polite' })
  private cell = 1
  private isDrawn = false
  private chosen: readonly [row: number, column: number] | undefined = undefined

  /** `most`: the greatest value; `depth`: how dark each is, 0 to 1. */
  constructor(section: MatrixSection, most: number, depth: (value: number | null) => number) {
    this.section = section
    this.most = most
    this.depth = depth
    this.area = element(
      'div',
      {
        class: 'matrix-area',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': 'matrix',
        'aria-label': `${section.title}: ${section.rows.names.length} rows. Arrow keys move from number to number.`,
      },
      this.picture,
      this.cursor,
    )
    this.element = element(
      'div',
      { class: 'matrix matrix-canvas' },
      this.area,
      element('div', { class: 'matrix-told' }, this.told, this.scale()),
    )
    this.listen()
    onThemeChange(() => this.draw())
    onRoom(this.element, () => this.layOut(this.element.clientWidth))
    this.tell(undefined)
  }

  private layOut(width: number): void {
    if (!this.isDrawn) this.draw()
    const { columns, rows } = this.section
    this.cell = Math.max(
      1,
      Math.min(LARGEST_CELL, Math.floor(Math.min(width, LARGEST) / columns.names.length)),
    )
    this.area.style.width = `${this.cell * columns.names.length}px`
    this.area.style.height = `${this.cell * rows.names.length}px`
    this.point(this.chosen)
  }

  private draw(): void {
    this.isDrawn = true
    const { values, rows, columns } = this.section
    const colours = ramp('--matrix-none', '--matrix-all', STEPS)
    const words = new Uint32Array(rows.names.length * columns.names.length)
    for (const [i, row] of values.entries()) {
      for (let j = 0; j < row.length; j++) {
        words[i * columns.names.length + j] = colours[Math.round(this.depth(row[j]!) * (STEPS - 1))]!
      }
    }
    paint(this.picture, columns.names.length, rows.names.length, words)
  }

  private listen(): void {
    const { area } = this
    area.addEventListener('pointermove', (event) => {
      if (event.pointerType !== 'touch') this.tell(this.under(event) ?? this.chosen)
    })
    area.addEventListener('pointerleave', () => this.tell(this.chosen))
    area.addEventListener('click', (event) => {
      this.chosen = this.under(event)
      this.tell(this.chosen)
    })
    area.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
      if (step === undefined) return
      event.preventDefault()
      const { rows, columns } = this.section
      const [row, column] = this.chosen ?? [-step[0]!, -step[1]!]
      const inside = (at: number, { length }: readonly string[]): number =>
        Math.min(Math.max(at, 0), length - 1)
      this.chosen = [inside(row + step[0]!, rows.names), inside(column + step[1]!, columns.names)]
      this.tell(this.chosen)
    })
  }

  private under({ clientX, clientY }: MouseEvent): readonly [number, number] | undefined {
    const { left, top } = this.area.getBoundingClientRect()
    const [column, row] = [Math.floor((clientX - left) / this.cell), Math.floor((clientY - top) / this.cell)]
    const { rows, columns } = this.section
    if (row < 0 || column < 0 || row >= rows.names.length || column >= columns.names.length) return undefined
    return [row, column]
  }

  /** Says what stands in a cell. */
  private tell(at: readonly [row: number, column: number] | undefined): void {
    this.point(at)
    if (at === undefined) {
      this.told.replaceChildren('Point at a square, or move with the arrow keys.')
      return
    }
    const { rows, columns, unit, values, linked } = this.section
    const [row, column] = at
    const value = values[row]?.[column] ?? null
    const name = (side: MatrixSection['rows'], i: number): HTMLElement =>
      element('b', { title: side.titles?.[i] }, side.names[i]!)
    const figure = element('b', { class: 'number', 'data-value': value ?? undefined }, format(value, unit))
    const href = writeAddress({ map: '', image: row, sharedWith: column })
    this.told.replaceChildren(
      figure,
      ` ${rows.label} `,
      name(rows, row),
      ` ${columns.label} `,
      name(columns, column),
      ...(linked && value ? [' ', element('a', { href }, 'show them')] : []),
    )
  }

  private point(at: readonly [row: number, column: number] | undefined): void {
    this.cursor.hidden = at === undefined
    if (at === undefined) return
    const { style } = this.cursor
    style.left = `${at[1] * this.cell}px`
    style.top = `${at[0] * this.cell}px`
    style.width = `${this.cell}px`
    style.height = `${this.cell}px`
  }

  /** What the colours run from and to. */
  private scale(): HTMLElement {
    const { unit } = this.section
    return element(
      'p',
      { class: 'soft matrix-scale' },
      format(0, unit),
      element('span', { class: 'ramp', 'aria-hidden': 'true' }),
      format(this.most, unit),
    )
  }
}
