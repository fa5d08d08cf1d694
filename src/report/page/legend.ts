// What the colours of the map mean and how many pages have each; every entry leads to the next page of its kind. Where there
// are several layers, they are chosen here.

import { element, freshId } from './dom.ts'
import { countKinds, type Layer } from './layer.ts'
import { format } from './units.ts'

export class Legend {
  readonly element = element('div')
  private readonly list = element('ul', {
    class: 'legend',
    'aria-label': 'Colours; each leads to the next such page',
  })
  private readonly goTo: (kind: number) => void

  /** `choose` is called with the layer to be shown, `goTo` with the kind of page to go to. */
  constructor(layers: readonly Layer[], choose: (layer: Layer) => void, goTo: (kind: number) => void) {
    this.goTo = goTo
    if (layers.length > 1) this.element.append(chooser(layers, choose))
    this.element.append(this.list)
    this.show(layers[0]!)
  }

  show(layer: Layer): void {
    const counts = countKinds(layer, 0, layer.of.length)
    const entries = layer.kinds.flatMap(({ label, colour }, kind) => {
      const count = counts[kind]!
      if (count === 0) return []
      const button = element(
        'button',
        { type: 'button', title: 'Go to the next one' },
        element('span', { class: 'swatch', style: `background: var(${colour})` }),
        element('span', {}, label),
        element('span', { class: 'soft number', 'data-value': count }, format(count, 'count')),
        element('span', { class: 'soft number' }, format(count / layer.of.length, 'share')),
      )
      button.addEventListener('click', () => this.goTo(kind))
      return [element('li', {}, button)]
    })
    this.list.replaceChildren(...entries)
  }
}

function chooser(layers: readonly Layer[], choose: (layer: Layer) => void): HTMLElement {
  const name = freshId()
  const choices = layers.map((layer, i) => {
    const input = element('input', {
      type: 'radio',
      name,
      value: i,
      ...(i === 0 ? { checked: '' } : {}),
    })
    input.addEventListener('change', () => choose(layer))
    return element('label', {}, input, layer.label)
  })
  return element('fieldset', { class: 'layers' }, element('legend', {}, 'Colours show'), ...choices)
}
