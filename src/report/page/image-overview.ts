// One image as a small picture: where little room is, a dot is the mixed colour of several pages. It shows which part of the
// image is seen large, and where the sharers of a page are.

import { paint, pixel, pixels, rgb } from './colours.ts'
import { element } from './dom.ts'
import type { Layer } from './layer.ts'
import { type MapImage, within } from './page-map.ts'
import { colour } from './theme.ts'
import { plural } from './units.ts'

/** Dots are squares of whole pixels, as large as fits. */
const LARGEST_DOT = 6
/** Rows are of so many dots or a multiple: what is aligned in memory shall look aligned. */
const COLUMN_STEP = 16
/** A mark of a single dot would be overlooked. */
const MARK = 3
const NO_MARKS = new Uint32Array()

export class ImageOverview {
  readonly element: HTMLButtonElement
  private readonly image: MapImage
  private readonly picture = element('canvas', { 'aria-hidden': 'true' })
  private readonly band = element('span', { class: 'band', hidden: '' })
  private readonly area = element('span', { class: 'small' }, this.picture, this.band)
  private dot = 1
  private columns = COLUMN_STEP
  /** Pages a dot. */
  private block = 1
  private words = new Uint32Array()
  private marked = false

  constructor(image: MapImage) {
    this.image = image
    const { name, source, pages } = image
    this.element = element(
      'button',
      {
        type: 'button',
        role: 'radio',
        tabindex: -1,
        'aria-checked': 'false',
        title: source,
        'aria-label': `${name}, ${plural(pages, 'page')}`,
      },
      this.area,
      element('span', { class: 'name' }, name),
    )
  }

  /** Chooses how many pages a dot is and how large. */
  layOut(width: number, height: number): void {
    const { pages } = this.image
    for (this.block = 1; ; this.block *= 2) {
      const dots = Math.ceil(pages / this.block)
      for (this.dot = LARGEST_DOT; this.dot >= 1; this.dot--) {
        const most = Math.max(1, Math.floor(width / this.dot / COLUMN_STEP)) * COLUMN_STEP
        this.columns = Math.min(most, Math.ceil(dots / COLUMN_STEP) * COLUMN_STEP)
        const fits = this.columns * this.dot <= width || this.dot === 1
        if (fits && Math.ceil(dots / this.columns) * this.dot <= height) {
          this.area.style.width = `${this.columns * this.dot}px`
          this.area.style.height = `${Math.ceil(dots / this.columns) * this.dot}px`
          return
        }
      }
    }
  }

  draw({ kinds, of }: Layer): void {
    const { first, pages } = this.image
    const { columns, block } = this
    const dots = Math.ceil(pages / block)
    this.words = new Uint32Array(columns * Math.ceil(dots / columns))
    const { words } = this
    if (block === 1) {
      const colours = pixels(kinds.map((kind) => kind.colour))
      for (let dot = 0; dot < dots; dot++) words[dot] = colours[of[first + dot]!]!
    } else {
      const parts = Uint8Array.from(kinds.flatMap((kind) => rgb(kind.colour)))
      for (let dot = 0; dot < dots; dot++) {
        const from = first + dot * block
        const to = Math.min(from + block, first + pages)
        let [red, green, blue] = [0, 0, 0]
        for (let page = from; page < to; page++) {
          const at = 3 * of[page]!
          red += parts[at]!
          green += parts[at + 1]!
          blue += parts[at + 2]!
        }
        words[dot] = pixel(red / (to - from), green / (to - from), blue / (to - from))
      }
    }
    this.show(NO_MARKS)
  }

  /** Marks pages of all images, in ascending order: those that are this one's. */
  mark(members: Uint32Array): void {
    const own = within(members, this.image)
    if (own.length > 0 || this.marked) this.show(own)
  }

  private show(marks: Uint32Array): void {
    const { columns, dot, block, words } = this
    // Drawn in pieces: it may not have come to this one.
    if (words.length === 0) return
    this.marked = marks.length > 0
    paint(this.picture, columns, words.length / columns, words)
    if (!this.marked) return
    const context = this.picture.getContext('2d')!
    context.fillStyle = colour('--mark')
    const size = Math.ceil(MARK / dot)
    for (const page of marks) {
      const at = Math.floor((page - this.image.first) / block)
      context.fillRect(at % columns, Math.floor(at / columns), size, size)
    }
  }

  /** Shows which of its pages are seen large; undefined: none. */
  frame(seen: { readonly from: number; readonly to: number } | undefined): void {
    this.band.hidden = seen === undefined
    this.element.setAttribute('aria-checked', String(seen !== undefined))
    this.element.tabIndex = seen === undefined ? -1 : 0
    if (seen === undefined) return
    const rowOf = (page: number): number => Math.floor(page / this.block / this.columns)
    const [top, bottom] = [rowOf(seen.from), rowOf(Math.max(seen.to - 1, seen.from)) + 1]
    this.band.style.top = `${top * this.dot}px`
    this.band.style.height = `${(bottom - top) * this.dot}px`
  }

  /** The page of the image under a pointer; undefined if it is beside. */
  pageUnder({ clientX, clientY }: MouseEvent): number | undefined {
    const { left, top } = this.area.getBoundingClientRect()
    const [column, row] = [Math.floor((clientX - left) / this.dot), Math.floor((clientY - top) / this.dot)]
    if (column < 0 || row < 0 || column >= this.columns) return undefined
    const page = (row * this.columns + column) * this.block
    return page < this.image.pages ? page : undefined
  }
}
