// A small seeded generator, so that a failing test can be run again exactly.

export interface Random {
  /** An integer in [0, below). */
  below(below: number): number
  chance(probability: number): boolean
  pick<Item>(items: readonly Item[]): Item
  fill(bytes: Uint8Array): void
}

export function random(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    below: (below) => next() % below,
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (items) => items[next() % items.length]!,
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next() & 255
    },
  }
}
