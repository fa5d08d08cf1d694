// The memory map: a small canvas a guest, a dot a page, and one page that is looked at, by pointer or by arrow keys.

import { PAGE_STATES } from 'pagefold/lab'
import type { Picture } from './protocol.ts'

const COLUMNS = 32
const MOVES: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowRight: 1,
  ArrowUp: -COLUMNS,
  ArrowDown: COLUMNS,
}

/** What a state is called, and what it means to somebody who has never heard of it. */
const LABELS: Readonly<Record<string, string>> = {
  volatile: 'new or changing',
  unique: 'nobody else has it',
  waiting: 'has an equal, not merged yet',
  shared_between: 'shared by guests',
  shared_within: 'shared within a guest',
  alone: 'merged, alone again',
  zero: 'zeros',
  skipped: 'passed over',
  absent: 'never written',
}

interface Tile {
  readonly figure: HTMLElement
  readonly canvas: HTMLCanvasElement
  readonly caption: HTMLElement
}

export class MemoryMap {
  private readonly parent: HTMLElement
  private readonly inspected: HTMLElement
  private readonly tiles: Tile[] = []
  private colours = new Uint32Array(PAGE_STATES.length)
  private mark = 0
  private picture: Picture | undefined
  private looked: { guest: number; page: number } | undefined

  constructor(parent: HTMLElement, inspected: HTMLElement, legend: HTMLElement) {
    this.parent = parent
    this.inspected = inspected
    legend.replaceChildren(
      ...Object.entries(LABELS).map(([state, label]) => {
        const item = document.createElement('li')
        item.dataset.state = state
        item.textContent = label
        return item
      }),
    )
    this.readColours()
  }

  /** To be called when the page has other colours. */
  readColours(): void {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => packed(style.getPropertyValue(name))
    this.colours = Uint32Array.from(PAGE_STATES, (state) => colour(`--state-${state.replaceAll('_', '-')}`))
    this.mark = colour('--mark')
    if (this.picture !== undefined) this.draw(this.picture)
  }

  draw(picture: Picture): void {
    this.picture = picture
    while (this.tiles.length < picture.guests.length) this.tiles.push(this.makeTile(this.tiles.length))
    for (const { figure } of this.tiles.splice(picture.guests.length)) figure.remove()
    const group = this.lookedGroup()
    for (const [i, { name, said }] of picture.guests.entries()) {
      const { canvas, caption } = this.tiles[i]!
      caption.textContent = name
      canvas.setAttribute('aria-label', `Memory of ${name}`)
      canvas.title = said
      this.paint(canvas, picture, i, group)
    }
    this.describe()
  }

  private paint(canvas: HTMLCanvasElement, picture: Picture, guest: number, group: number): void {
    const { pagesPerGuest, states, groups } = picture
    const rows = Math.ceil(pagesPerGuest / COLUMNS)
    if (canvas.height !== rows) canvas.height = rows
    const context = canvas.getContext('2d', { willReadFrequently: true })!
    const image = context.createImageData(COLUMNS, rows)
    const dots = new Uint32Array(image.data.buffer)
    const from = guest * pagesPerGuest
    for (let page = 0; page < pagesPerGuest; page++) {
      const looked = this.looked?.guest === guest && this.looked.page === page
      const lit = looked || (group !== 0 && groups[from + page] === group)
      dots[page] = lit ? this.mark : this.colours[states[from + page]!]!
    }
    context.putImageData(image, 0, 0)
  }

  private makeTile(guest: number): Tile {
    const figure = document.createElement('figure')
    const caption = document.createElement('figcaption')
    const canvas = document.createElement('canvas')
    canvas.width = COLUMNS
    canvas.tabIndex = 0
    canvas.setAttribute('role', 'img')
    canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
      const column = Math.floor((offsetX / canvas.clientWidth) * COLUMNS)
      const row = Math.floor((offsetY / canvas.clientHeight) * canvas.height)
      this.look(guest, row * COLUMNS + column)
    })
    canvas.addEventListener('focus', () => {
      if (this.looked?.guest !== guest) this.look(guest, 0)
    })
    canvas.addEventListener('keydown', (event) => {
      const move = MOVES[event.key]
      if (move === undefined) return
      event.preventDefault()
      this.look(guest, (this.looked?.guest === guest ? this.looked.page : 0) + move)
    })
    figure.append(canvas, caption)
    this.parent.append(figure)
    return { figure, canvas, caption }
  }

  private look(guest: number, page: number): void {
    if (this.picture === undefined || page < 0 || page >= this.picture.pagesPerGuest) return
    this.looked = { guest, page }
    this.draw(this.picture)
  }

  private lookedGroup(): number {
    if (this.looked === undefined || this.picture === undefined) return 0
    return this.picture.groups[this.looked.guest * this.picture.pagesPerGuest + this.looked.page] ?? 0
  }

  private describe(): void {
    const { looked, picture } = this
    if (looked === undefined || picture === undefined) return
    const guest = picture.guests[looked.guest]
    if (guest === undefined) return
    const state = PAGE_STATES[picture.states[looked.guest * picture.pagesPerGuest + looked.page]!]!
    const group = this.lookedGroup()
    const members = group === 0 ? 1 : picture.groups.reduce((sum, of) => sum + Number(of === group), 0)
    const others = members > 1 ? `; ${members} pages have this content` : ''
    this.inspected.textContent = `${guest.name}, page ${looked.page}: ${LABELS[state] ?? state}${others}`
  }
}

/** A colour of the style sheet, as a pixel. */
function packed(colour: string): number {
  const hex = Number.parseInt(colour.trim().slice(1), 16)
  return (0xff000000 | ((hex & 255) << 16) | (hex & 0xff00) | (hex >>> 16)) >>> 0
}
