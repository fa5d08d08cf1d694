// Guests placed by what they have in common: against all placements there are, and against chance.

import { describe, expect, it } from 'vitest'
import { placeAtRandom, placeGuests, savedBy } from '../../src/lab/index.ts'
import { random as seeded } from '../support/random.ts'

/** The most that any placement saves, by trying all. */
function best(guests: readonly number[][], hosts: readonly number[]): number {
  const hostOf: number[] = []
  const free = [...hosts]
  let most = 0
  const place = (guest: number): void => {
    if (guest === guests.length) {
      most = Math.max(most, savedBy({ guests }, hostOf))
      return
    }
    for (let host = 0; host < free.length; host++) {
      if (free[host] === 0) continue
      free[host]!--
      hostOf[guest] = host
      place(guest + 1)
      free[host]!++
    }
  }
  place(0)
  return most
}

describe('placement', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('reaches the optimum of small fleets, seed %i', (seed) => {
    const random = seeded(seed)
    for (let round = 0; round < 12; round++) {
      const contents = 4 + random.below(20)
      const guests = Array.from({ length: 3 + random.below(5) }, () =>
        Array.from({ length: contents }, (_, content) => content).filter(() => random.chance(0.4)),
      )
      const hosts = [1 + random.below(3), 1 + random.below(3), guests.length]
      const placed = placeGuests({ guests, contents, hosts })
      expect(placed.saved).toBe(best(guests, hosts))
      expect(placed.saved).toBe(savedBy({ guests }, placed.hostOf))
      for (const [host, room] of hosts.entries()) {
        expect(placed.hostOf.filter((at) => at === host).length).toBeLessThanOrEqual(room)
      }
    }
  })

  it('puts families together, of many guests too, and saves more than chance', () => {
    const families = 20
    const guests = Array.from({ length: 200 }, (_, guest) =>
      Array.from({ length: 30 }, (_, i) => (guest % families) * 30 + i),
    )
    const task = { guests, contents: families * 30, hosts: Array.from({ length: families }, () => 10) }
    const placed = placeGuests(task)
    expect(placed.saved).toBe(families * 9 * 30)
    expect(placeAtRandom(task, 1).saved).toBeLessThan(placed.saved / 2)
  })

  it('leaves where they are those who cannot be placed better, and calls hosts what they were called', () => {
    const guests = [[1], [1], [2], [2], [3], [3]]
    const hosts = [2, 2, 2]
    expect(placeGuests({ guests, contents: 4, hosts, now: [2, 2, 0, 0, 1, 1] }).hostOf).toEqual([
      2, 2, 0, 0, 1, 1,
    ])
    const { hostOf } = placeGuests({ guests, contents: 4, hosts, now: [2, 2, 0, 1, 1, 0] })
    expect(hostOf.slice(0, 2)).toEqual([2, 2])
    expect(hostOf.filter((host, guest) => host !== [2, 2, 0, 1, 1, 0][guest])).toHaveLength(2)
  })

  it('refuses more guests than fit', () => {
    expect(() => placeGuests({ guests: [[1], [2]], contents: 3, hosts: [1] })).toThrow(
      '2 guests for hosts that take 1',
    )
  })
})
