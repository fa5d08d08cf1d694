// From where to where an axis goes.

import type { Unit } from '../section.ts'

/** A scale needs a width even where there is a single point; amounts are seen from 0 on, numbers of things are not. */
export function padded(low: number, high: number, unit: Unit): [number, number] {
  if (unit !== 'count') return [Math.min(low, 0), Math.max(high, 1)]
  return low === high ? [low - 1, high + 1] : [low, high]
}

/** What is as long as it is much begins at 0, or a little more would look like many times as much. */
export function fromZero(low: number, high: number): [number, number] {
  const most = Math.max(high, 0)
  const least = Math.min(low, 0)
  return most === least ? [0, 1] : [least * 1.05, most * 1.05]
}
