// The dups of chains that are worth a look, in their order, beside a list that is gone through.

import { describe, expect, it } from 'vitest'
import { DupOrder } from '../../src/ksm/dup-order.ts'
import { random } from '../support/random.ts'

/** All dups of a chain, the one in front first; those that are noted. */
class Obvious {
  readonly chains = new Map<number, number[]>()
  readonly noted = new Set<number>()

  chainOf(dup: number): number | undefined {
    return [...this.chains].find(([, dups]) => dups.includes(dup))?.[0]
  }

  front(chain: number): number {
    return this.chains.get(chain)?.find((dup) => this.noted.has(dup)) ?? 0
  }
}

const CHAINS = [101, 102]
const DUPS = Array.from({ length: 12 }, (_, i) => i + 1)

describe('the dups that are noted', () => {
  it.each([1, 2, 3])('are taken in the order of their chain: seed %i', (seed) => {
    const { below, pick, chance } = random(seed)
    const [dups, obvious] = [new DupOrder(), new Obvious()]
    let longest = 0
    for (let step = 0; step < 1200; step++) {
      const [dup, chain] = [pick(DUPS), pick(CHAINS)]
      const on = obvious.chainOf(dup)
      const act = below(6)
      if (act < 2) {
        // Of those that hang on a chain, as when one is moved to the front of it.
        if (on !== undefined) {
          dups.taken(dup)
          obvious.chains.set(
            on,
            obvious.chains.get(on)!.filter((each) => each !== dup),
          )
        }
        dups.pushed(dup, chain)
        obvious.chains.set(chain, [dup, ...(obvious.chains.get(chain) ?? [])])
        obvious.noted.add(dup)
      } else if (act === 2 && on !== undefined) {
        dups.note(dup, on)
        obvious.noted.add(dup)
      } else if (act === 3 && obvious.chains.has(chain)) {
        const expected = obvious.front(chain)
        expect(dups.take(chain), `step ${step}`).toBe(expected)
        obvious.noted.delete(expected)
      } else if (act === 4 && on !== undefined && chance(0.3)) {
        dups.taken(dup)
        obvious.chains.set(
          on,
          obvious.chains.get(on)!.filter((each) => each !== dup),
        )
        obvious.noted.delete(dup)
      } else if (act === 5 && chance(0.02)) {
        // Its dups were taken off before.
        for (const each of obvious.chains.get(chain) ?? []) {
          dups.taken(each)
          obvious.noted.delete(each)
        }
        dups.ended(chain)
        obvious.chains.delete(chain)
      }
      for (const each of DUPS)
        expect(dups.isNoted(each), `step ${step}, dup ${each}`).toBe(obvious.noted.has(each))
      for (const each of obvious.chains.keys()) {
        expect(dups.front(each), `step ${step}, chain ${each}`).toBe(obvious.front(each))
        longest = Math.max(longest, obvious.chains.get(each)!.length)
      }
    }
    expect(longest).toBeGreaterThan(6)
  })
})
