// One image as a picture: a dot a page, in rows of a power of two, so that what is aligned in memory is aligned here.

import { element } from './dom.ts'
import type { Pages } from './page-map.ts'
import { colour } from './theme.ts'
import { hex, plural } from './units.ts'

/** Dots are squares of whole pixels, as large as fits. */
const LARGEST_DOT = 12
/** How high an image may become, in pixels; one of very many pages higher, because single pixels are hard to point at. */
const HIGHEST = 420
const HIGHEST_OF_MANY = 1200
const SMALLEST_EASY_DOT = 2
const FEWEST_COLUMNS = 32
const PAGE_KIB = 4

export class ImageCanvas {
  readonly element: HTMLElement
  /** Takes the focus and the pointer. */
  readonly area: HTMLElement
  columns = FEWEST_COLUMNS
  private dot = 1
  private readonly pages: Pages
  private readonly image: number
  private readonly picture = element('canvas', { 'aria-hidden': 'true' })
  private readonly marks = element('canvas', { 'aria-hidden': 'true', class: 'marks' })
  private readonly cursor = element('div', { class: 'cursor', hidden: '' })
  private readonly rowSize = element('span', { class: 'soft' })

  constructor(pages: Pages, image: number, hintId: string) {
    this.pages = pages
    this.image = image
    const { source, pages: count } = pages.images[image]!
    this.area = element(
      'div',
      {
        class: 'area',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': 'map of memory',
        'aria-label': `${source}, ${plural(count, 'page')}`,
        'aria-describedby': hintId,
      },
      this.picture,
      this.marks,
      this.cursor,
    )
    const caption = element(
      'figcaption',
      {},
      element('b', {}, source),
      ` ${plural(count, 'page')} `,
      this.rowSize,
    )
    this.element = element('figure', {}, caption, this.area)
  }

  /** Chooses the size of a dot for the room there is, and draws. */
  layOut(width: number): void {
    const { pages: count } = this.pages.images[this.image]!
    for (let dot = LARGEST_DOT; dot >= 1; dot--) {
      this.dot = dot
      this.columns = Math.max(FEWEST_COLUMNS, 2 ** Math.floor(Math.log2(width / dot)))
      const fits = this.columns * dot <= width
      const highest = dot > SMALLEST_EASY_DOT ? HIGHEST : HIGHEST_OF_MANY
      if (fits && Math.ceil(count / this.columns) * dot <= highest) break
    }
    const rows = Math.ceil(count / this.columns)
    for (const canvas of [this.picture, this.marks]) {
      canvas.width = this.columns
      canvas.height = rows
    }
    this.area.style.width = `${this.columns * this.dot}px`
    this.area.style.height = `${rows * this.dot}px`
    this.rowSize.textContent = `in rows of ${plural(this.columns, 'page')} (${rowName(this.columns * PAGE_KIB)})`
    this.draw()
  }

  draw(): void {
    const context = this.picture.getContext('2d')!
    const { first, pages: count } = this.pages.images[this.image]!
    const dots = context.createImageData(this.picture.width, this.picture.height)
    const words = new Uint32Array(dots.data.buffer)
    const colours = new Map<string, number>()
    for (let page = 0; page < count; page++) {
      const state = this.pages.state(first + page)
      let word = colours.get(state)
      if (word === undefined) {
        word = wordOf(colour(`--state-${state.replaceAll('_', '-')}`))
        colours.set(state, word)
      }
      words[page] = word
    }
    context.putImageData(dots, 0, 0)
  }

  /** The page under a pointer, by its place among all pages; undefined beside the last. */
  pageUnder(event: PointerEvent): number | undefined {
    const { left, top } = this.area.getBoundingClientRect()
    const column = Math.floor((event.clientX - left) / this.dot)
    const row = Math.floor((event.clientY - top) / this.dot)
    const { first, pages: count } = this.pages.images[this.image]!
    const page = row * this.columns + column
    if (column < 0 || row < 0 || column >= this.columns || page >= count) return undefined
    return first + page
  }

  /** Frames a page, if it is one of this image's, and marks those that belong with it. */
  point(index: number | undefined): void {
    const context = this.marks.getContext('2d')!
    context.clearRect(0, 0, this.marks.width, this.marks.height)
    this.cursor.hidden = true
    if (index === undefined) return
    const { first, pages: count } = this.pages.images[this.image]!
    context.fillStyle = colour('--mark')
    if (this.pages.group(index) !== 0) {
      for (const member of this.pages.membersWith(index)) {
        const page = member - first
        if (page >= 0 && page < count)
          context.fillRect(page % this.columns, Math.floor(page / this.columns), 1, 1)
      }
    }
    const page = index - first
    if (page < 0 || page >= count) return
    this.cursor.hidden = false
    const { style } = this.cursor
    style.left = `${(page % this.columns) * this.dot}px`
    style.top = `${Math.floor(page / this.columns) * this.dot}px`
    style.width = `${this.dot}px`
    style.height = `${this.dot}px`
  }
}

/** A colour `#rrggbb` as a pixel: bytes red, green, blue, alpha. */
function wordOf(text: string): number {
  const rgb = Number.parseInt(text.slice(1), 16)
  const pixel = Uint8Array.of(rgb >> 16, (rgb >> 8) & 0xff, rgb & 0xff, 0xff)
  return new Uint32Array(pixel.buffer)[0]!
}

function rowName(kib: number): string {
  return kib >= 1024 ? `${kib / 1024} MiB` : `${kib} KiB`
}

/** A page in words: where it is. */
export function describePlace(pages: Pages, index: number): string {
  const place = pages.placeOf(index)
  const { source } = pages.images[place.image]!
  return `page ${place.page.toLocaleString('en-US')} of ${source}, at ${hex(pages.addressOf(place))}`
}
