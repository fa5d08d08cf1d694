// Which mutant is at work. The instrumented sources ask here at every place that has mutants, and count what they reach
// while somebody wants to know.

/** Thrown by a mutant that is reached so often that its test would never end. */
export class Endless extends Error {}

class Switch {
  /** The mutant at work; -1: none. One that is in force while modules are loaded is named by the environment. */
  active = Number(process.env.PAGEFOLD_MUTANT ?? -1)
  hits = 0
  limit = Number.POSITIVE_INFINITY
  wasEndless = false

  /** The mutant at work was reached. */
  hit(): true {
    if (++this.hits > this.limit) {
      this.wasEndless = true
      throw new Endless()
    }
    return true
  }

  activate(mutant: number, limit: number): void {
    this.active = mutant
    this.hits = 0
    this.limit = limit
    this.wasEndless = false
  }
}

export const theSwitch = new Switch()

/** How often each place that has mutants was reached, by the first mutant there. */
export const counts = new Uint32Array(1 << 16)

/** What was counted since the last time. */
export function takeCounts(): [mutant: number, hits: number][] {
  const reached: [number, number][] = []
  for (const [mutant, hits] of counts.entries()) if (hits > 0) reached.push([mutant, hits])
  counts.fill(0)
  return reached
}
