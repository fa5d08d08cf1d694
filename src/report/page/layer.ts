// What the colours of the map can show: what became of each page, what had become of it before a later moment was written, and
// what that changed.

import { PAGE_STATES, type PageState } from '../../lab/states/page-state.ts'
import type { Pages } from './page-map.ts'
import { STATE_LABELS } from './state-labels.ts'

/** Every page is of one kind, and every kind has a colour. */
export interface Layer {
  /** What a reader chooses it by. */
  readonly label: string
  readonly kinds: readonly Kind[]
  /** The kind of every page, as a number. */
  readonly of: Uint8Array
}

export interface Kind {
  readonly label: string
  /** The name of its colour in the style sheet. */
  readonly colour: string
}

const STATE_KINDS: readonly Kind[] = PAGE_STATES.map((state) => ({
  label: STATE_LABELS[state],
  colour: stateColour(state),
}))

const CHANGE_KINDS: readonly Kind[] = [
  { label: 'as before', colour: '--change-none' },
  { label: 'written', colour: '--change-written' },
  { label: 'written, and of another class since', colour: '--change-both' },
  { label: 'of another class, though not written', colour: '--change-class' },
]
const [AS_BEFORE, WRITTEN, BOTH, CLASS] = [0, 1, 2, 3]

/** The layers a map has: one, or three if a later moment was written. */
export function layersOf({ states, before, written, count }: Pages): readonly Layer[] {
  const now: Layer = { label: 'what became of each page', kinds: STATE_KINDS, of: states }
  if (before === undefined || written === undefined) return [now]
  const changes = new Uint8Array(count)
  for (let page = 0; page < count; page++) {
    const other = before[page] !== states[page]
    if (written[page] === 0) changes[page] = other ? CLASS : AS_BEFORE
    else changes[page] = other ? BOTH : WRITTEN
  }
  return [
    now,
    { label: 'what changed', kinds: CHANGE_KINDS, of: changes },
    { label: 'the moment before', kinds: STATE_KINDS, of: before },
  ]
}

/** How many pages are of each kind, from `first` on. */
export function countKinds({ kinds, of }: Layer, first: number, pages: number): Uint32Array {
  const counts = new Uint32Array(kinds.length)
  for (let page = first; page < first + pages; page++) counts[of[page]!]!++
  return counts
}

/** The next page of a kind behind `index`, from the beginning again if there is none; -1 if no page is. */
export function nextOf({ of }: Layer, kind: number, index: number): number {
  const behind = of.indexOf(kind, index + 1)
  return behind >= 0 ? behind : of.indexOf(kind)
}

/** The name of a state's colour. */
export function stateColour(state: PageState | string): string {
  return `--state-${state.replaceAll('_', '-')}`
}
