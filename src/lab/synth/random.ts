// Random numbers from seeds, the same on every machine: only integer arithmetic, nothing of Math.random.

/** Gives the next number, an unsigned 32-bit integer. */
export type Next = () => number

/** Marsaglia's xorshift128 from two seeds. */
export function xorshift(seed: number, stream: number): Next {
  let [x, y, z, w] = startOf(seed, stream)
  return () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    return w >>> 0
  }
}

/** Writes what `xorshift` would give into words [from, to). Written out: a call per word would take twice as long. */
export function fillXorshift(
  words: Uint32Array,
  from: number,
  to: number,
  seed: number,
  stream: number,
): void {
  let [x, y, z, w] = startOf(seed, stream)
  for (let i = from; i < to; i++) {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    words[i] = w
  }
}

/**
 * Writes random numbers into words [from, to), a multiple of eight: at the speed of memory, not for statistics. Four
 * congruential generators at once, because the steps of one would wait for each other; each number is made of two of
 * them, so that the low bits, which are poor in such generators, meet good ones.
 */
export function fillRandom(words: Uint32Array, from: number, to: number, seed: number, stream: number): void {
  let a = Math.imul(seed ^ 0x85ebca6b, 0xcc9e2d51) ^ Math.imul(stream ^ 0xc2b2ae35, 0x1b873593)
  let b = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d)
  let c = Math.imul(b ^ (b >>> 12), 0x297a2d39)
  let d = Math.imul(c ^ (c >>> 15), 0x85ebca6b)
  for (let i = from; i < to; i += 8) {
    a = (Math.imul(a, 0x915f77f5) + 0x6b79) | 0
    b = (Math.imul(b, 0x93d765dd) + 0x9e37) | 0
    c = (Math.imul(c, 0x2c9277b5) + 0x79b9) | 0
    d = (Math.imul(d, 0xac564b05) + 0x85eb) | 0
    words[i] = a ^ (b >>> 16)
    words[i + 1] = b ^ (c >>> 16)
    words[i + 2] = c ^ (d >>> 16)
    words[i + 3] = d ^ (a >>> 16)
    words[i + 4] = ((a << 16) | (a >>> 16)) ^ c
    words[i + 5] = ((b << 16) | (b >>> 16)) ^ d
    words[i + 6] = ((c << 16) | (c >>> 16)) ^ b
    words[i + 7] = ((d << 16) | (d >>> 16)) ^ a
  }
}

function startOf(seed: number, stream: number): [number, number, number, number] {
  const x = Math.imul(seed ^ 0x85ebca6b, 0xcc9e2d51)
  const y = Math.imul(stream ^ 0xc2b2ae35, 0x1b873593)
  return [x, y, 0x6c078965, 0x9908b0df | 0]
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
