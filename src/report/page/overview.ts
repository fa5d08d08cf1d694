// All images side by side, small. One of them is seen large; choosing another, or a place in it, shows that.

import { element } from './dom.ts'
import { ImageOverview } from './image-overview.ts'
import type { Layer } from './layer.ts'
import type { Pages } from './page-map.ts'

const GAP = 12
/** Of the screen's height: so far below and above it a picture is drawn already. */
const NEAR = '50%'
/** Few images are drawn large, many small. */
const FEW = 4
const SIZES = { few: { width: 260, height: 220 }, many: { width: 96, height: 64 } }

export class Overview {
  readonly element: HTMLElement
  private readonly images: readonly ImageOverview[]
  private members: Uint32Array = new Uint32Array()
  private shown = -1
  private layer: Layer | undefined = undefined
  /** Those that are not drawn in the layer's colours yet. */
  private readonly stale = new Set<ImageOverview>()
  private readonly inSight = new Set<ImageOverview>()

  /** `choose` is called with an image, and the page pointed at if one was. */
  constructor(pages: Pages, choose: (image: number, page: number | undefined) => void) {
    this.images = pages.images.map((image) => new ImageOverview(image))
    this.element = element(
      'div',
      { class: 'overview', role: 'radiogroup', 'aria-label': 'Images' },
      ...this.images.map((image) => image.element),
    )
    for (const [i, image] of this.images.entries()) {
      image.element.addEventListener('click', (event) => {
        // Of a key there is no place.
        choose(i, event.detail === 0 ? undefined : image.pageUnder(event))
      })
      image.element.addEventListener('keydown', (event) => {
        const to = this.target(event.key, i)
        if (to === undefined) return
        event.preventDefault()
        choose(to, undefined)
        this.images[to]!.element.focus()
      })
    }
    this.watch()
  }

  /** Takes the room there is. */
  layOut(width: number, layer: Layer): void {
    const { length } = this.images
    const size = length <= FEW ? SIZES.few : SIZES.many
    const columns = Math.max(1, Math.floor((width + GAP) / (size.width + GAP)))
    const each = Math.floor((width + GAP) / Math.min(columns, length)) - GAP
    this.element.style.setProperty('--columns', String(Math.min(columns, length)))
    for (const image of this.images) image.layOut(each - 2, size.height)
    this.draw(layer)
  }

  /** Draws those in sight; the others when they are scrolled to. */
  draw(layer: Layer): void {
    this.layer = layer
    for (const image of this.images) this.stale.add(image)
    this.refresh()
  }

  private refresh(): void {
    const { layer } = this
    if (layer === undefined) return
    for (const image of this.inSight) {
      if (!this.stale.delete(image)) continue
      image.draw(layer)
      image.mark(this.members)
    }
  }

  private watch(): void {
    const look = (entries: readonly IntersectionObserverEntry[]): void => {
      for (const { target, isIntersecting } of entries) {
        const image = this.images.find(({ element }) => element === target)!
        if (isIntersecting) this.inSight.add(image)
        else this.inSight.delete(image)
      }
      this.refresh()
    }
    const observer = new IntersectionObserver(look, { rootMargin: NEAR })
    for (const { element } of this.images) observer.observe(element)
    addEventListener('beforeprint', () => {
      // On paper all of them are in sight; they may have no place yet, and are drawn then when they are given one.
      for (const image of this.images) this.inSight.add(image)
      this.refresh()
    })
  }

  /** Marks pages in all of them. */
  mark(members: Uint32Array): void {
    const before = this.members
    if (members.length === before.length && members[0] === before[0]) return
    this.members = members
    for (const image of this.images) image.mark(members)
  }

  /** Shows which image is seen large, and which part of it. */
  frame(shown: number, seen: { readonly from: number; readonly to: number }): void {
    const { element, images } = this
    images[shown]!.frame(seen)
    if (shown === this.shown) return
    images[this.shown]?.frame(undefined)
    this.shown = shown
    const { offsetTop, offsetHeight } = images[shown]!.element
    if (offsetTop < element.scrollTop) element.scrollTop = offsetTop
    else if (offsetTop + offsetHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = offsetTop + offsetHeight - element.clientHeight
    }
  }

  private target(key: string, from: number): number | undefined {
    const last = this.images.length - 1
    const targets: Record<string, number> = {
      ArrowLeft: from - 1,
      ArrowUp: from - 1,
      ArrowRight: from + 1,
      ArrowDown: from + 1,
      Home: 0,
      End: last,
    }
    const to = targets[key]
    return to === undefined ? undefined : Math.min(Math.max(to, 0), last)
  }
}
