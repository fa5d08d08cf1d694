// The question that a report is for: why was this page not merged?

import { element, freshId } from './dom.ts'
import type { Pages } from './page-map.ts'
import { findPage } from './search.ts'

export class SearchForm {
  readonly element: HTMLElement
  private readonly image = element('select', { id: freshId() })

  /** `found` is called with the page that was asked for. */
  constructor(pages: Pages, found: (index: number) => void) {
    const [inputId, problemId] = [freshId(), freshId()]
    const input = element('input', {
      id: inputId,
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      placeholder: '0x1f000 or 31',
      'aria-describedby': problemId,
    })
    for (const [number, { name, source }] of pages.images.entries()) {
      this.image.append(element('option', { value: number, title: source }, name))
    }
    const choice = [element('label', { for: this.image.id }, 'Image'), this.image]
    const problem = element('p', { id: problemId, class: 'problem', role: 'alert' })
    this.element = element(
      'form',
      { role: 'search' },
      element('h3', {}, 'Why was this page not merged?'),
      element('label', { for: inputId }, 'Address or page number'),
      input,
      ...(pages.images.length > 1 ? choice : []),
      element('button', { type: 'submit' }, 'Find'),
      problem,
    )
    this.element.addEventListener('submit', (event) => {
      event.preventDefault()
      const index = findPage(pages, Number(this.image.value), input.value)
      problem.textContent = typeof index === 'string' ? index : ''
      if (typeof index === 'number') found(index)
    })
  }

  /** Asks for pages of this image from now on. */
  choose(image: number): void {
    this.image.value = String(image)
  }
}
