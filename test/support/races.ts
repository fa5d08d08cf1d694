// Actors at race points: others who do something in the middle of what a host does.

import type { Host, Mm } from '../../src/index.ts'
import type { RacePoint } from '../../src/mm/watch/tracepoints.ts'
import { memoryOf } from './inside.ts'

/** Acts once at a race point, and never again. Returns how often the point was passed, read after the fact. */
export function once(host: Host, point: RacePoint, action: () => void): { passed: number } {
  const seen = { passed: 0 }
  memoryOf(host).race = (here) => {
    if (here !== point || seen.passed++ > 0) return
    action()
  }
  return seen
}

/** Acts, with whatever it likes, when the notifiers of an mm have heard that a range begins, or that it has ended. */
export function atNotifiers(host: Host, mm: Mm, act: { start?: () => void; end?: () => void }): void {
  mm.registerNotifier({})
  const memory = memoryOf(host)
  const others = memory.notified
  let acting = false
  memory.notified = (step, who) => {
    others?.(step, who)
    if (acting || who !== mm) return
    acting = true
    try {
      act[step]?.()
    } finally {
      acting = false
    }
  }
}

/** Acts at every race point in turn, and lets nobody act inside the action. */
export function always(host: Host, action: (point: RacePoint) => void): void {
  let acting = false
  memoryOf(host).race = (point) => {
    if (acting) return
    acting = true
    try {
      action(point)
    } finally {
      acting = false
    }
  }
}
