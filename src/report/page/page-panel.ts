// What there is to know about one page, with a link to it and to each page that shares its frame.

import type { PageState } from '../../lab/states/page-state.ts'
import { writeAddress } from './address.ts'
import { answer, countOf, describeSharers, type Sharers, sharersOf, someSharers } from './answer.ts'
import { element } from './dom.ts'
import { stateColour } from './layer.ts'
import type { Pages } from './page-map.ts'
import { STATE_LABELS } from './state-labels.ts'
import { grouped, hex } from './units.ts'

/** Sharers that are links at first, and after asking for more. */
const LINKS = 8
const MORE_LINKS = 256

export class PagePanel {
  readonly element = element('div', { class: 'panel', role: 'region', 'aria-label': 'The page pointed at' })
  private readonly pages: Pages
  private readonly map: string
  /** Why no page is pointed at, if there is a reason. */
  private problem: string | undefined = undefined

  /** `map`: what stands in front of its addresses. */
  constructor(pages: Pages, map: string) {
    this.pages = pages
    this.map = map
  }

  /** Of no page it says why there is none, where that was said before. */
  show(index: number | undefined): void {
    const { pages } = this
    if (index === undefined) {
      if (this.problem === undefined)
        this.element.replaceChildren(element('p', { class: 'soft' }, 'No page is pointed at.'))
      return
    }
    this.problem = undefined
    const place = pages.placeOf(index)
    const { name, source } = pages.images[place.image]!
    const sharers = sharersOf(pages, index)
    const facts: [string, ...(Node | string)[]][] = [
      ['Image', element('span', { title: source }, name)],
      ['Page', this.link(index, grouped(place.page))],
      ['Address', hex(pages.addressOf(place))],
      ['State', ...state(pages.state(index))],
      ...this.change(index),
      ['Sharers', ...this.links(index, sharers)],
    ]
    const list = facts.flatMap(([name, ...value]) => [element('dt', {}, name), element('dd', {}, ...value)])
    this.element.replaceChildren(
      element('p', { class: 'answer' }, answer(pages, index, sharers)),
      element('dl', {}, ...list),
    )
  }

  /** Says why there is no page. */
  complain(problem: string): void {
    this.problem = problem
    this.element.replaceChildren(element('p', { class: 'problem', role: 'alert' }, problem))
  }

  private change(index: number): [string, ...(Node | string)[]][] {
    const { before, written, names } = this.pages
    if (before === undefined || written === undefined) return []
    return [
      ['Before', ...state(names[before[index]!]!)],
      ['Since', written[index] === 0 ? 'not written' : 'written'],
    ]
  }

  private links(index: number, sharers: Sharers): (Node | string)[] {
    const total = countOf(sharers)
    if (total === 0) return ['none']
    const links = element('span', { class: 'sharers' })
    this.fill(links, index, total, LINKS)
    return [`${grouped(total)}: ${describeSharers(this.pages, sharers)}`, links]
  }

  private fill(links: HTMLElement, index: number, total: number, most: number): void {
    const found = someSharers(this.pages, index, most)
    links.replaceChildren(...found.flatMap((member) => [this.link(member), ' ']))
    if (total <= found.length) return
    if (most === MORE_LINKS) {
      links.append(`and ${grouped(total - found.length)} more`)
      return
    }
    const more = element('button', { type: 'button' }, 'more')
    more.addEventListener('click', () => {
      this.fill(links, index, total, MORE_LINKS)
      links.querySelectorAll('a')[LINKS]?.focus()
    })
    links.append(more)
  }

  private link(index: number, text?: string): HTMLElement {
    const { image, page } = this.pages.placeOf(index)
    const { name } = this.pages.images[image]!
    const href = writeAddress({ map: this.map, image, page: String(page) })
    return element('a', { href, title: 'A link to this page' }, text ?? `${name}/${page}`)
  }
}

/** A state in its colour and in words. */
function state(name: string): Node[] {
  const swatch = element('span', { class: 'swatch', style: `background: var(${stateColour(name)})` })
  return [swatch, document.createTextNode(STATE_LABELS[name as PageState])]
}

/** A page in words: where it is. */
export function describePlace(pages: Pages, index: number): string {
  const place = pages.placeOf(index)
  const { name } = pages.images[place.image]!
  return `page ${grouped(place.page)} of ${name}, at ${hex(pages.addressOf(place))}`
}
