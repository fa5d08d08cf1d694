// The question that a report is for: why was this page not merged?

import { element, freshId } from './dom.ts'
import type { Pages } from './page-map.ts'
import { findPage } from './search.ts'

/** Makes the form; `found` is called with the page that was asked for. */
export function searchForm(pages: Pages, found: (index: number) => void): HTMLElement {
  const [inputId, imageId, problemId] = [freshId(), freshId(), freshId()]
  const input = element('input', {
    id: inputId,
    type: 'text',
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: '0x1f000 or 31',
    'aria-describedby': problemId,
  })
  const names = pages.images.map(({ name, source }, image) =>
    element('option', { value: image, title: source }, name),
  )
  const choice = element('select', { id: imageId }, ...names)
  const problem = element('p', { id: problemId, class: 'problem', role: 'alert' })
  const form = element(
    'form',
    { role: 'search' },
    element('h3', {}, 'Why was this page not merged?'),
    element('label', { for: inputId }, 'Address or page number'),
    input,
    ...(names.length > 1 ? [element('label', { for: imageId }, 'Image'), choice] : []),
    element('button', { type: 'submit' }, 'Find'),
    problem,
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const index = findPage(pages, Number(choice.value), input.value)
    problem.textContent = typeof index === 'string' ? index : ''
    if (typeof index === 'number') found(index)
  })
  return form
}
