// Random numbers from seeds, the same on every machine: only integer arithmetic, nothing of Math.random.

/** Gives the next number, an unsigned 32-bit integer. */
export type Next = () => number

/** Marsaglia's xorshift128 from two seeds. */
export function xorshift(seed: number, stream: number): Next {
  let x = Math.imul(seed ^ 0x85ebca6b, 0xcc9e2d51)
  let y = Math.imul(stream ^ 0xc2b2ae35, 0x1b873593)
  let z = 0x6c078965
  let w = 0x9908b0df | 0
  return () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    return w >>> 0
  }
}

/** How often a generator for plans is stepped before use: its first numbers hardly depend on its seeds. */
const WARM_UP = 16

/** A generator for decisions, one stream for each kind of them. */
export function decisions(seed: number, stream: number): Next {
  const next = xorshift(seed, stream)
  for (let i = 0; i < WARM_UP; i++) next()
  return next
}

/** An integer in [0, end). */
export function below(next: Next, end: number): number {
  return Math.floor((next() / 2 ** 32) * end)
}

/** True with a probability. */
export function chance(next: Next, probability: number): boolean {
  return next() < probability * 2 ** 32
}

/** A bijection of 32-bit numbers that keeps 0: neighbours end up far apart. */
export function mix(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** Puts numbers into a random order, in place. */
export function shuffle(numbers: Uint32Array, next: Next): Uint32Array {
  for (let i = numbers.length - 1; i > 0; i--) {
    const j = next() % (i + 1)
    const other = numbers[j]!
    numbers[j] = numbers[i]!
    numbers[i] = other
  }
  return numbers
}
