// The map of memory: all images small, one large, what their colours mean, a panel about one page, and a search for it. One page
// is pointed at, by pointer, keys, search, legend or address; everything else follows from which.

import type { PageState } from '../../lab/states/page-state.ts'
import type { MapSection } from '../section.ts'
import { type Address, readAddress, writeAddress } from './address.ts'
import { answer } from './answer.ts'
import { element, freshId } from './dom.ts'
import { ImageDetail } from './image-detail.ts'
import { countKinds, type Layer, layersOf, nextOf } from './layer.ts'
import { Legend } from './legend.ts'
import { Overview } from './overview.ts'
import { type Pages, unpack } from './page-map.ts'
import { describePlace, PagePanel } from './page-panel.ts'
import { pause } from './pause.ts'
import { onRoom } from './room.ts'
import { findPage } from './search.ts'
import { SearchForm } from './search-form.ts'
import { STATE_LABELS } from './state-labels.ts'
import { type Columns, foldedTable } from './table.ts'
import { onThemeChange } from './theme.ts'

const PAGE_ROWS = 16
const NOBODY = new Uint32Array()
/** Browsers take it amiss if the address changes at every key that is held down. */
const ADDRESS_DELAY = 200

/** Makes the map; rejects if its data is damaged. `id`: what stands in front of its addresses, nothing if it is the only one. */
export async function memoryMap({ title, map }: MapSection, id: string): Promise<HTMLElement> {
  const pages = await unpack(map)
  await pause()
  return new MemoryMap(title, id, pages).element
}

class MemoryMap {
  readonly element: HTMLElement
  private readonly id: string
  private readonly pages: Pages
  private readonly overview: Overview
  private readonly detail: ImageDetail
  private readonly legend: Legend
  private readonly panel: PagePanel
  private readonly search: SearchForm
  /** Said aloud, for who does not see the panel. */
  private readonly spoken = element('p', { class: 'unseen', 'aria-live': 'polite' })
  private layer: Layer
  /** The image that is seen large. */
  private image = 0
  /** Where the keys are; what a pointer touches in passing comes and goes above it. */
  private cursor: number | undefined = undefined
  /** Of the large picture; 0 until it has a place on the screen. */
  private width = 0
  private addressTimer: ReturnType<typeof setTimeout> | undefined = undefined

  constructor(title: string, id: string, pages: Pages) {
    this.id = id
    this.pages = pages
    const layers = layersOf(pages)
    this.layer = layers[0]!
    const hintId = freshId()
    const hint = element(
      'p',
      { id: hintId, class: 'unseen' },
      'Arrow keys move from page to page, Page Up and Page Down by 16 rows, Home and End within a row, with Control within the image; plus and minus zoom.',
    )
    this.detail = new ImageDetail(pages.images[0]!, this.layer, hintId, () => this.frame())
    this.overview = new Overview(pages, (image, page) => this.choose(image, page))
    this.panel = new PagePanel(pages, id)
    this.legend = new Legend(
      layers,
      (layer) => this.colour(layer),
      (kind) => this.goTo(nextOf(this.layer, kind, this.cursor ?? -1)),
    )
    this.search = new SearchForm(pages, (index) => this.goTo(index))
    const side = element('div', { class: 'side' }, this.search.element, this.panel.element)
    const large = element('div', { class: 'large' }, this.detail.element)
    this.element = element(
      'div',
      { class: 'memory' },
      hint,
      this.legend.element,
      this.overview.element,
      element('div', { class: 'map' }, large, side),
      this.spoken,
      foldedTable(title, () => countTable(pages, layers[0]!), { total: pages.images.length > 1 }),
    )
    this.listen()
    onRoom(this.element, () => this.layOut(large.clientWidth))
    onThemeChange(() => this.colour(this.layer))
    addEventListener('hashchange', () => this.follow())
    this.panel.show(undefined)
  }

  /** Takes the room there is, `width` for the large picture. */
  private layOut(width: number): void {
    if (width === 0 || width === this.width) return
    const first = this.width === 0
    this.width = width
    this.overview.layOut(this.overview.element.clientWidth, this.layer)
    this.detail.layOut(width)
    if (first) this.follow()
    else if (this.cursor !== undefined) this.detail.reveal(this.pages.placeOf(this.cursor).page)
    this.show(this.cursor)
    this.frame()
  }

  private listen(): void {
    const { area } = this.detail
    let pointed: MouseEvent | undefined
    area.addEventListener('pointermove', (event) => {
      if (event.pointerType === 'touch') return
      if (pointed === undefined) {
        requestAnimationFrame(() => {
          if (pointed !== undefined) this.show(this.under(pointed) ?? this.cursor)
          pointed = undefined
        })
      }
      pointed = event
    })
    area.addEventListener('pointerleave', () => {
      pointed = undefined
      this.show(this.cursor)
    })
    area.addEventListener('click', (event) => {
      const index = this.under(event)
      if (index !== undefined) this.moveTo(index)
    })
    area.addEventListener('keydown', (event) => {
      if (event.key === '+' || event.key === '-') {
        this.detail.zoom(event.key === '+')
        this.frame()
        return
      }
      const to = this.target(event)
      if (to === undefined) return
      event.preventDefault()
      this.moveTo(to)
      this.say(to)
    })
  }

  private under(event: MouseEvent): number | undefined {
    const page = this.detail.pageUnder(event)
    return page === undefined ? undefined : this.pages.indexOf({ image: this.image, page })
  }

  /** Where a key leads from the cursor, which starts at the image's first page; undefined: it leads nowhere. */
  private target(event: KeyboardEvent): number | undefined {
    const { first, pages: count } = this.pages.images[this.image]!
    const inside = this.cursor !== undefined && this.cursor >= first && this.cursor < first + count
    const page = inside ? this.cursor! - first : -1
    const { columns } = this.detail
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

  /** Shows the layer's colours everywhere. */
  private colour(layer: Layer): void {
    this.layer = layer
    this.legend.show(layer)
    this.detail.show(this.pages.images[this.image]!, layer)
    this.overview.draw(layer)
    this.show(this.cursor)
  }

  /** Shows an image large, from the page on that was pointed at. */
  private choose(image: number, page: number | undefined): void {
    this.view(image)
    if (page !== undefined) this.detail.reveal(page)
    this.show(this.cursor)
    this.frame()
  }

  private view(image: number): void {
    if (image === this.image) return
    this.image = image
    this.search.choose(image)
    this.detail.show(this.pages.images[image]!, this.layer)
  }

  /** Puts the cursor on a page. */
  private moveTo(index: number): void {
    this.cursor = index
    const { image, page } = this.pages.placeOf(index)
    this.view(image)
    this.detail.reveal(page)
    this.show(index)
    this.frame()
    clearTimeout(this.addressTimer)
    const address = writeAddress({ map: this.id, image, page: String(page) })
    this.addressTimer = setTimeout(() => history.replaceState(null, '', address), ADDRESS_DELAY)
  }

  /** Moves the cursor from outside the pictures: brings it into view, too. */
  private goTo(index: number): void {
    this.moveTo(index)
    this.say(index)
    this.detail.element.scrollIntoView({ block: 'nearest' })
  }

  /** Goes where the address of the report leads. */
  private follow(): void {
    const address = readAddress(location.hash)
    if (address === undefined || address.map !== this.id) return
    if (this.width === 0) {
      // Out of sight it has no place yet; when it has, it comes here again.
      this.element.scrollIntoView()
      return
    }
    const found = this.find(address)
    if (typeof found === 'number') this.goTo(found)
    else {
      this.panel.complain(found)
      this.element.scrollIntoView({ block: 'nearest' })
    }
  }

  private find({ image, page, sharedWith }: Address): number | string {
    const { images } = this.pages
    const missing = [image, sharedWith ?? image].find((number) => number >= images.length)
    if (missing !== undefined)
      return `There is no image ${missing}: they are numbered from 0 to ${images.length - 1}.`
    if (sharedWith === undefined) return findPage(this.pages, image, page!)
    const index = this.pages.nextShared(image, sharedWith, this.cursor ?? -1)
    return index >= 0
      ? index
      : `No page of ${images[image]!.name} shares its frame with one of ${images[sharedWith]!.name}.`
  }

  /** Points at a page everywhere. */
  private show(index: number | undefined): void {
    const { pages } = this
    const alone = index === undefined || pages.group(index) === 0
    const members = alone ? NOBODY : pages.membersWith(index)
    const place = index === undefined ? undefined : pages.placeOf(index)
    this.detail.point(place?.image === this.image ? place.page : undefined, members)
    this.overview.mark(members)
    this.panel.show(index)
  }

  /** Tells the overview what is seen large. */
  private frame(): void {
    this.overview.frame(this.image, this.detail.seen())
  }

  private say(index: number): void {
    const label = STATE_LABELS[this.pages.state(index) as PageState]
    this.spoken.textContent = `${label}: ${describePlace(this.pages, index)}. ${answer(this.pages, index)}`
  }
}

/** How many pages of each image are of each kind. */
function countTable({ images, count }: Pages, layer: Layer): Columns {
  const all = countKinds(layer, 0, count)
  const rows = [
    ...images.map(({ first, pages }) => countKinds(layer, first, pages)),
    ...(images.length > 1 ? [all] : []),
  ]
  return [
    {
      label: 'image',
      values: [...images.map(({ name }) => name), ...(images.length > 1 ? ['all'] : [])],
      titles: images.map(({ source }) => source),
    },
    {
      label: 'pages',
      unit: 'count',
      values: [...images.map(({ pages }) => pages), ...(images.length > 1 ? [count] : [])],
    },
    ...layer.kinds.flatMap(({ label }, kind) =>
      all[kind] === 0 ? [] : [{ label, unit: 'count' as const, values: rows.map((counts) => counts[kind]!) }],
    ),
  ]
}
