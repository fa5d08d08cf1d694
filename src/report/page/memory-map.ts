// The map of memory: the images' pictures, what their colours mean, a panel about one page, and a search for it. One
// page is pointed at, by pointer, keys, search or legend; everything else follows from which.

import { PAGE_STATES, type PageState } from '../../lab/states/page-state.ts'
import type { MapSection } from '../section.ts'
import { answer, countOf, describeSharers, LABELS, sharersOf } from './answer.ts'
import { element, freshId } from './dom.ts'
import { describePlace, ImageCanvas } from './image-canvas.ts'
import { type Pages, unpack } from './page-map.ts'
import { findPage } from './search.ts'
import { type Columns, foldedTable } from './table.ts'
import { onThemeChange } from './theme.ts'
import { format, hex } from './units.ts'

const PAGE_ROWS = 16

/** Makes the map; rejects if its data is damaged. */
export async function memoryMap({ title, map }: MapSection): Promise<HTMLElement> {
  return new MemoryMap(title, await unpack(map)).element
}

class MemoryMap {
  readonly element: HTMLElement
  private readonly pages: Pages
  private readonly canvases: readonly ImageCanvas[]
  private readonly panel = new Panel()
  /** Said aloud, for who does not see the panel. */
  private readonly spoken = element('p', { class: 'unseen', 'aria-live': 'polite' })
  /** Where the keys are; what a pointer touches in passing comes and goes above it. */
  private cursor: number | undefined
  private width = 0

  constructor(title: string, pages: Pages) {
    this.pages = pages
    const hintId = freshId()
    const hint = element(
      'p',
      { id: hintId, class: 'unseen' },
      'Arrow keys move from page to page, Page Up and Page Down by 16 rows, Home and End within a row, with Control within the image.',
    )
    this.canvases = pages.images.map((_, image) => new ImageCanvas(pages, image, hintId))
    const pictures = element('div', { class: 'pictures' }, ...this.canvases.map((canvas) => canvas.element))
    const counts = pages.images.map((_, image) => pages.countsOf(image))
    this.element = element(
      'div',
      {},
      hint,
      this.legend(counts),
      element('div', { class: 'map' }, this.search(), pictures, this.panel.element),
      this.spoken,
      foldedTable(title, countTable(pages, counts)),
    )
    for (const [image, canvas] of this.canvases.entries()) this.listen(canvas, image)
    new ResizeObserver(() => this.layOut(pictures.clientWidth)).observe(pictures)
    onThemeChange(() => {
      for (const canvas of this.canvases) canvas.draw()
      this.show(this.cursor)
    })
    this.show(undefined)
  }

  private layOut(width: number): void {
    if (width === this.width || width === 0) return
    this.width = width
    for (const canvas of this.canvases) canvas.layOut(width)
    this.show(this.cursor)
  }

  private listen(canvas: ImageCanvas, image: number): void {
    const { area } = canvas
    area.addEventListener('pointermove', (event) => this.show(canvas.pageUnder(event) ?? this.cursor))
    area.addEventListener('pointerleave', () => this.show(this.cursor))
    area.addEventListener('pointerdown', (event) => {
      const index = canvas.pageUnder(event)
      if (index !== undefined) this.moveTo(index)
    })
    area.addEventListener('keydown', (event) => {
      const to = this.target(event, canvas, image)
      if (to === undefined) return
      event.preventDefault()
      this.moveTo(to)
      this.say(to)
    })
  }

  /** Where a key leads from the cursor, which starts at the image's first page; undefined: it leads nowhere. */
  private target(event: KeyboardEvent, canvas: ImageCanvas, image: number): number | undefined {
    const { first, pages: count } = this.pages.images[image]!
    const inside = this.cursor !== undefined && this.cursor >= first && this.cursor < first + count
    const page = inside ? this.cursor! - first : -1
    const { columns } = canvas
    const row = page - (page % columns)
    const whole = event.ctrlKey || event.metaKey
    const targets: Record<string, number> = {
      ArrowLeft: page - 1,
      ArrowRight: page + 1,
      ArrowUp: page - columns,
      ArrowDown: page + columns,
      PageUp: page - PAGE_ROWS * columns,
      PageDown: page + PAGE_ROWS * columns,
      Home: whole ? 0 : row,
      End: whole ? count - 1 : row + columns - 1,
    }
    const wanted = targets[event.key]
    if (wanted === undefined) return undefined
    return first + (inside ? Math.min(Math.max(wanted, 0), count - 1) : 0)
  }

  private moveTo(index: number): void {
    this.cursor = index
    this.show(index)
  }

  /** Points at a page everywhere. */
  private show(index: number | undefined): void {
    for (const canvas of this.canvases) canvas.point(index)
    this.panel.show(this.pages, index)
  }

  private say(index: number): void {
    const label = LABELS[this.pages.state(index) as PageState]
    this.spoken.textContent = `${label}: ${describePlace(this.pages, index)}. ${answer(this.pages, index)}`
  }

  /** What the colours mean; each entry leads to the next page of its kind. */
  private legend(counts: readonly Map<string, number>[]): HTMLElement {
    const entries = statesIn(counts).map((state) => {
      const total = sum(counts.map((count) => count.get(state) ?? 0))
      const share = format(total / this.pages.count, 'share')
      const button = element(
        'button',
        { type: 'button', title: 'Go to the next one', 'data-state': state },
        element('span', { class: 'swatch', style: `background: var(--state-${state.replaceAll('_', '-')})` }),
        element('span', {}, LABELS[state]),
        element('span', { class: 'soft number', 'data-value': total }, format(total, 'count')),
        element('span', { class: 'soft number' }, share),
      )
      button.addEventListener('click', () => this.goTo(this.pages.nextIn(state, this.cursor ?? -1)))
      return element('li', {}, button)
    })
    return element(
      'ul',
      { class: 'legend', 'aria-label': 'Colours; each leads to the next such page' },
      ...entries,
    )
  }

  private search(): HTMLElement {
    const [inputId, imageId, problemId] = [freshId(), freshId(), freshId()]
    const input = element('input', {
      id: inputId,
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      placeholder: '0x1f000 or 31',
      'aria-describedby': problemId,
    })
    const names = this.pages.images.map(({ source }, image) => element('option', { value: image }, source))
    const choice = element('select', { id: imageId }, ...names)
    const problem = element('p', { id: problemId, class: 'problem', role: 'alert' })
    const form = element(
      'form',
      { role: 'search' },
      element('h3', {}, 'Why was this page not merged?'),
      element('label', { for: inputId }, 'Address or page number'),
      input,
      ...(names.length > 1 ? [element('label', { for: imageId }, 'Image')] : []),
      ...(names.length > 1 ? [choice] : []),
      element('button', { type: 'submit' }, 'Find'),
      problem,
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const found = findPage(this.pages, Number(choice.value), input.value)
      problem.textContent = typeof found === 'string' ? found : ''
      if (typeof found === 'number') this.goTo(found)
    })
    return form
  }

  /** Moves the cursor from outside the pictures: brings it into view, too. */
  private goTo(index: number): void {
    this.moveTo(index)
    this.say(index)
    this.canvases[this.pages.placeOf(index).image]!.area.scrollIntoView({ block: 'nearest' })
  }
}

/** What there is to know about one page. */
class Panel {
  readonly element = element('div', { class: 'panel', role: 'region', 'aria-label': 'The page pointed at' })

  show(pages: Pages, index: number | undefined): void {
    if (index === undefined) {
      this.element.replaceChildren(element('p', { class: 'soft' }, 'No page is pointed at.'))
      return
    }
    const place = pages.placeOf(index)
    const state = pages.state(index) as PageState
    const sharers = sharersOf(pages, index)
    const total = countOf(sharers)
    const swatch = element('span', {
      class: 'swatch',
      style: `background: var(--state-${state.replaceAll('_', '-')})`,
    })
    const facts: [string, ...(Node | string)[]][] = [
      ['Image', pages.images[place.image]!.source],
      ['Page', place.page.toLocaleString('en-US')],
      ['Address', hex(pages.addressOf(place))],
      ['State', swatch, LABELS[state]],
      [
        'Sharers',
        total === 0 ? 'none' : `${total.toLocaleString('en-US')}: ${describeSharers(pages, sharers)}`,
      ],
    ]
    const list = facts.flatMap(([name, ...value]) => [element('dt', {}, name), element('dd', {}, ...value)])
    this.element.replaceChildren(
      element('dl', {}, ...list),
      element('p', { class: 'answer' }, answer(pages, index)),
    )
  }
}

/** The states that occur, in their order. */
function statesIn(counts: readonly Map<string, number>[]): PageState[] {
  return PAGE_STATES.filter((state) => counts.some((count) => count.has(state)))
}

function countTable(pages: Pages, counts: readonly Map<string, number>[]): Columns {
  const states = statesIn(counts)
  const column = (label: string, of: readonly Map<string, number>[]): Columns[number] => ({
    label,
    unit: 'count',
    values: states.map((state) => sum(of.map((count) => count.get(state) ?? 0))),
  })
  return [
    { label: 'state', values: states.map((state) => LABELS[state]) },
    ...pages.images.map(({ source }, image) => column(source, [counts[image]!])),
    ...(counts.length > 1 ? [column('all', counts)] : []),
  ]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
