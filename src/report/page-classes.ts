// Every page by what became of it, with the frames that are left of its class: so what is saved can be added up from the
// classes that the map shows.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PAGE_STATES, type PageState } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import { STATE_LABELS } from './page/state-labels.ts'
import type { Column, TableSection } from './section.ts'

/** What one class of pages comes to. Every page but the first in a frame saves one. */
export interface StateSavings {
  readonly state: PageState
  pages: number
  /** Saved: pages that need no frame of their own. */
  readonly saved: { zero: number; within: number; between: number }
}

/** How many pages of a frame are in how many images. */
interface FrameUse {
  readonly state: number
  pages: number
  images: number
  lastImage: number
}

/** Counts them, in the order of PAGE_STATES; `zero`: how many pages of zeros are saved, which no group tells. */
export function pageClasses(
  sizes: readonly number[],
  { states, groups }: PageStates,
  zero: number,
): StateSavings[] {
  const classes = PAGE_STATES.map((state) => ({ state, pages: 0, saved: { zero: 0, within: 0, between: 0 } }))
  const shared = new Set([PAGE_STATES.indexOf('shared_within'), PAGE_STATES.indexOf('shared_between')])
  const uses: FrameUse[] = []
  let page = 0
  for (const [image, size] of sizes.entries()) {
    for (const end = page + size; page < end; page++) {
      const state = states[page]!
      classes[state]!.pages++
      if (!shared.has(state)) continue
      uses[groups[page]!] ??= { state, pages: 0, images: 0, lastImage: -1 }
      const use = uses[groups[page]!]!
      use.pages++
      if (use.lastImage !== image) use.images++
      use.lastImage = image
    }
  }
  for (const { state, pages, images } of uses.filter((use) => use !== undefined)) {
    classes[state]!.saved.within += pages - images
    classes[state]!.saved.between += images - 1
  }
  classes[PAGE_STATES.indexOf('zero')]!.saved.zero = zero
  return classes.filter(({ pages }) => pages > 0)
}

/** The same as a table whose last row is what the merge saves in all. */
export function classTable(classes: readonly StateSavings[]): TableSection {
  const sum = (of: (one: StateSavings) => number): number =>
    classes.reduce((total, one) => total + of(one), 0)
  const counted = (
    label: string,
    unit: 'count' | 'share' | 'bytes',
    of: (one: StateSavings) => number,
  ): Column => ({
    label,
    unit,
    values: [...classes.map(of), sum(of)],
  })
  const savedBy = ({ saved }: StateSavings): number => saved.zero + saved.within + saved.between
  const all = sum(({ pages }) => pages)
  return {
    kind: 'table',
    title: 'From pages to savings',
    note:
      'What became of each page, in the colours of the map. Of the pages that share a frame all but one are saved: in the same ' +
      'image, if an earlier page of the image has the frame; else only in another.',
    states: classes.map(({ state }) => state),
    total: true,
    columns: [
      { label: 'class', values: [...classes.map(({ state }) => STATE_LABELS[state]), 'all'] },
      counted('pages', 'count', ({ pages }) => pages),
      counted('saved', 'bytes', (one) => savedBy(one) * PAGE_SIZE),
      counted('zeros', 'bytes', ({ saved }) => saved.zero * PAGE_SIZE),
      counted('same image', 'bytes', ({ saved }) => saved.within * PAGE_SIZE),
      counted('another image', 'bytes', ({ saved }) => saved.between * PAGE_SIZE),
      counted('frames left', 'count', (one) => (one.state === 'absent' ? 0 : one.pages - savedBy(one))),
      counted('of all pages', 'share', ({ pages }) => pages / all),
    ],
  }
}
