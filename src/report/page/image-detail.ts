// One image large, as much of it as fits: a square a page, in rows of a power of two, so that what is aligned in memory
// is aligned here. Zooming halves or doubles the rows.

import { paint, pixels } from './colours.ts'
import { element } from './dom.ts'
import type { Layer } from './layer.ts'
import { atLeast, type MapImage } from './page-map.ts'
import { plural } from './units.ts'

/** Squares at least so large are shown first: they can be pointed at. Larger, up to `ROOMY_DOT`, if the image is small. */
const EASY_DOT = 5
const ROOMY_DOT = 14
const HIGHEST = 480
const SMALLEST_DOT = 2
const LARGEST_DOT = 32
const FEWEST_COLUMNS = 16
const PAGE_KIB = 4

export class ImageDetail {
  readonly element: HTMLElement
  /** Takes the focus and the pointer, and scrolls. */
  readonly area: HTMLElement
  columns = FEWEST_COLUMNS
  private image: MapImage
  private layer: Layer
  private members: Uint32Array = new Uint32Array()
  private pointed: number | undefined = undefined
  private width = 0
  private dot = EASY_DOT
  private readonly picture = element('canvas', { 'aria-hidden': 'true' })
  private readonly marks = element('canvas', { 'aria-hidden': 'true', class: 'marks' })
  private readonly lines = element('div', { class: 'lines' })
  private readonly cursor = element('div', { class: 'cursor', hidden: '' })
  private readonly field = element(
    'div',
    { class: 'field' },
    this.picture,
    this.marks,
    this.lines,
    this.cursor,
  )
  private readonly name = element('b')
  private readonly size = element('span', { class: 'soft' })
  private readonly closer = element('button', { type: 'button', 'aria-label': 'Larger pages' }, '+')
  private readonly farther = element('button', { type: 'button', 'aria-label': 'Smaller pages' }, '−')

  /** `onView` is called when other pages come into sight. */
  constructor(image: MapImage, layer: Layer, hintId: string, onView: () => void) {
    this.image = image
    this.layer = layer
    this.area = element(
      'div',
      {
        class: 'area',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': 'map of memory',
        'aria-describedby': hintId,
      },
      this.field,
    )
    const zoom = element('span', { class: 'zoom' }, this.farther, this.closer)
    const caption = element('figcaption', {}, element('span', {}, this.name, ' ', this.size), zoom)
    this.element = element('figure', {}, caption, this.area)
    this.area.addEventListener('scroll', () => {
      this.draw()
      onView()
    })
    this.area.addEventListener(
      'wheel',
      (event) => {
        if (!event.ctrlKey) return
        event.preventDefault()
        this.zoom(event.deltaY < 0)
        onView()
      },
      { passive: false },
    )
    for (const button of [this.closer, this.farther]) {
      button.addEventListener('click', () => {
        this.zoom(button === this.closer)
        onView()
      })
    }
  }

  /** Shows another image, or other colours. */
  show(image: MapImage, layer: Layer): void {
    const other = image !== this.image
    this.image = image
    this.layer = layer
    if (other) {
      this.area.scrollTop = 0
      this.columns = this.fitting()
    }
    this.layOut(this.width)
  }

  /** Takes the room there is. */
  layOut(width: number): void {
    if (width === 0) return
    if (width !== this.width) {
      this.width = width
      this.columns = this.fitting()
    }
    const { name, source, pages } = this.image
    this.dot = Math.min(LARGEST_DOT, Math.floor(width / this.columns))
    const rows = Math.ceil(pages / this.columns)
    const { style } = this.field
    style.width = `${this.columns * this.dot}px`
    style.height = `${rows * this.dot}px`
    style.setProperty('--dot', `${this.dot}px`)
    this.lines.hidden = this.dot < 8
    this.name.textContent = name
    this.name.title = source
    this.size.textContent = `${plural(pages, 'page')} in rows of ${plural(this.columns, 'page')} (${rowName(this.columns * PAGE_KIB)})`
    this.area.setAttribute('aria-label', `${name}, ${plural(pages, 'page')}`)
    this.closer.disabled = this.columns <= FEWEST_COLUMNS
    this.farther.disabled = this.columns >= this.widest(SMALLEST_DOT)
    this.draw()
    this.placeCursor()
  }

  /** Larger or smaller squares; what is at the top stays there, and a page pointed at in sight. */
  zoom(closer: boolean): void {
    const columns = closer ? this.columns / 2 : this.columns * 2
    if (columns < FEWEST_COLUMNS || columns > this.widest(SMALLEST_DOT)) return
    const { from, to } = this.seen()
    const { pointed = -1 } = this
    this.columns = columns
    this.layOut(this.width)
    this.area.scrollTop = Math.floor(from / columns) * this.dot
    if (pointed >= from && pointed < to) this.reveal(pointed)
  }

  /** The pages of the image that can be seen now. */
  seen(): { from: number; to: number } {
    const { scrollTop, clientHeight } = this.area
    const from = Math.floor(scrollTop / this.dot) * this.columns
    const to = Math.ceil((scrollTop + clientHeight) / this.dot) * this.columns
    return { from, to: Math.min(Math.max(to, from + 1), this.image.pages) }
  }

  /** Brings a page of the image into sight; into the middle if it is not. */
  reveal(page: number): void {
    const top = Math.floor(page / this.columns) * this.dot
    const { scrollTop, clientHeight } = this.area
    if (top >= scrollTop && top + this.dot <= scrollTop + clientHeight) return
    this.area.scrollTop = top - (clientHeight - this.dot) / 2
  }

  /** Frames a page, if it is one of this image's, and marks the pages of all images that belong with it. */
  point(page: number | undefined, members: Uint32Array): void {
    this.members = members
    this.pointed = page
    this.drawMarks()
    this.placeCursor()
  }

  private placeCursor(): void {
    const page = this.pointed
    this.cursor.hidden = page === undefined
    if (page === undefined) return
    const { style } = this.cursor
    style.left = `${(page % this.columns) * this.dot}px`
    style.top = `${Math.floor(page / this.columns) * this.dot}px`
  }

  /** The page of the image under a pointer; undefined beside the last. */
  pageUnder({ clientX, clientY }: MouseEvent): number | undefined {
    const { left, top } = this.field.getBoundingClientRect()
    const [column, row] = [Math.floor((clientX - left) / this.dot), Math.floor((clientY - top) / this.dot)]
    const page = row * this.columns + column
    return column < 0 || row < 0 || column >= this.columns || page >= this.image.pages ? undefined : page
  }

  /** Draws what is in sight, and as much above and below, which a scroll shows before it is drawn. */
  private draw(): void {
    const { first } = this.image
    const { from, to } = this.drawn()
    const colours = pixels(this.layer.kinds.map((kind) => kind.colour))
    const rows = Math.ceil((to - from) / this.columns)
    const words = new Uint32Array(rows * this.columns)
    for (let page = from; page < to; page++) words[page - from] = colours[this.layer.of[first + page]!]!
    paint(this.picture, this.columns, rows, words)
    this.place(this.picture, from, rows)
    this.drawMarks()
  }

  private drawMarks(): void {
    const { first } = this.image
    const { from, to } = this.drawn()
    const rows = Math.ceil((to - from) / this.columns)
    const words = new Uint32Array(rows * this.columns)
    const [mark] = pixels(['--mark'])
    const { members } = this
    for (let i = atLeast(members, first + from); i < members.length && members[i]! < first + to; i++) {
      const page = members[i]! - first
      // The one pointed at is framed, and keeps its colour.
      if (page !== this.pointed) words[page - from] = mark!
    }
    paint(this.marks, this.columns, rows, words)
    this.place(this.marks, from, rows)
  }

  private drawn(): { from: number; to: number } {
    const { from, to } = this.seen()
    const more = Math.ceil((to - from) / this.columns) * this.columns
    return { from: Math.max(0, from - more), to: Math.min(this.image.pages, to + more) }
  }

  private place({ style }: HTMLCanvasElement, from: number, rows: number): void {
    style.top = `${(from / this.columns) * this.dot}px`
    style.width = `${this.columns * this.dot}px`
    style.height = `${rows * this.dot}px`
  }

  /** Rows as short as lets all of the image be seen, if they can be. */
  private fitting(): number {
    const { pages } = this.image
    let columns = this.widest(ROOMY_DOT)
    const height = (): number => Math.ceil(pages / columns) * Math.floor(this.width / columns)
    while (columns < this.widest(EASY_DOT) && height() > HIGHEST) columns *= 2
    return columns
  }

  /** The longest rows whose squares are at least so large. */
  private widest(dot: number): number {
    return Math.max(FEWEST_COLUMNS, 2 ** Math.floor(Math.log2(Math.max(this.width / dot, 1))))
  }
}

function rowName(kib: number): string {
  return kib >= 1024 ? `${kib / 1024} MiB` : `${kib} KiB`
}
