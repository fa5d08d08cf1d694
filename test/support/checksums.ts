// Slow, obvious versions of the checksums that no package here has, written from their descriptions with BigInt and for
// any length, so that the vectors their authors published can be held against them.

const U64 = 2n ** 64n - 1n
const U32 = 2n ** 32n - 1n

const rotate = (value: bigint, by: bigint, bits: bigint): bigint =>
  ((value << by) | (value >> (bits - by))) & (2n ** bits - 1n)

/** Little-endian number of `length` bytes. */
function read(bytes: Uint8Array, at: number, length: number): bigint {
  let value = 0n
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!)
  return value
}

/** FNV-1a, 64 bits. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & U64
  return hash
}

/** Bob Jenkins' lookup3, hashlittle(); on whole words it is the kernel's jhash2(). */
export function lookup3(bytes: Uint8Array, initial: bigint): bigint {
  const state = new Array<bigint>(3).fill((0xdeadbeefn + BigInt(bytes.length) + initial) & U32)
  const set = (i: number, value: bigint): void => {
    state[i] = value & U32
  }
  const mixStep = (x: number, y: number, z: number, by: bigint): void => {
    // x -= z; x ^= rot(z, by); z += y
    set(x, state[x]! - state[z]!)
    set(x, state[x]! ^ rotate(state[z]!, by, 32n))
    set(z, state[z]! + state[y]!)
  }
  let at = 0
  for (; bytes.length - at > 12; at += 12) {
    for (let i = 0; i < 3; i++) set(i, state[i]! + read(bytes, at + 4 * i, 4))
    const [a, b, c] = [0, 1, 2]
    mixStep(a, b, c, 4n)
    mixStep(b, c, a, 6n)
    mixStep(c, a, b, 8n)
    mixStep(a, b, c, 16n)
    mixStep(b, c, a, 19n)
    mixStep(c, a, b, 4n)
  }
  if (at === bytes.length) return state[2]!
  const rest = new Uint8Array(12)
  rest.set(bytes.subarray(at))
  for (let i = 0; i < 3; i++) set(i, state[i]! + read(rest, 4 * i, 4))
  const lastStep = (x: number, y: number, by: bigint): void => {
    set(x, state[x]! ^ state[y]!)
    set(x, state[x]! - rotate(state[y]!, by, 32n))
  }
  lastStep(2, 1, 14n)
  lastStep(0, 2, 11n)
  lastStep(1, 0, 25n)
  lastStep(2, 1, 16n)
  lastStep(0, 2, 4n)
  lastStep(1, 0, 14n)
  lastStep(2, 1, 24n)
  return state[2]!
}

/** MurmurHash3_x64_128: both halves. */
export function murmur3x64(bytes: Uint8Array, seed: bigint): [bigint, bigint] {
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  const scrambleFirst = (word: bigint): bigint => (rotate((word * c1) & U64, 31n, 64n) * c2) & U64
  const scrambleSecond = (word: bigint): bigint => (rotate((word * c2) & U64, 33n, 64n) * c1) & U64
  let [h1, h2] = [seed, seed]
  const whole = bytes.length - (bytes.length % 16)
  for (let at = 0; at < whole; at += 16) {
    h1 ^= scrambleFirst(read(bytes, at, 8))
    h1 = ((rotate(h1, 27n, 64n) + h2) * 5n + 0x52dce729n) & U64
    h2 ^= scrambleSecond(read(bytes, at + 8, 8))
    h2 = ((rotate(h2, 31n, 64n) + h1) * 5n + 0x38495ab5n) & U64
  }
  const rest = new Uint8Array(16)
  rest.set(bytes.subarray(whole))
  h2 ^= scrambleSecond(read(rest, 8, 8))
  h1 ^= scrambleFirst(read(rest, 0, 8))
  const avalanche = (half: bigint): bigint => {
    let mixed = ((half ^ (half >> 33n)) * 0xff51afd7ed558ccdn) & U64
    mixed = ((mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n) & U64
    return mixed ^ (mixed >> 33n)
  }
  h1 ^= BigInt(bytes.length)
  h2 ^= BigInt(bytes.length)
  h1 = (h1 + h2) & U64
  h2 = (h2 + h1) & U64
  h1 = avalanche(h1)
  h2 = avalanche(h2)
  h1 = (h1 + h2) & U64
  return [h1, (h2 + h1) & U64]
}

/** rapidhash V3, for more than 112 bytes. */
export function rapidhashV3(bytes: Uint8Array, seed: bigint): bigint {
  const secret = [
    0x2d358dccaa6c78a5n,
    0x8bb84b93962eacc9n,
    0x4b33a62ed433d4a3n,
    0x4d5a2da51de1aa47n,
    0xa0761d6478bd642fn,
    0xe7037ed1a0b428dbn,
    0x90ed1765281c388cn,
    0xaaaaaaaaaaaaaaaan,
  ] as const
  const fold = (a: bigint, b: bigint): bigint => ((a * b) & U64) ^ ((a * b) >> 64n)
  const start = seed ^ fold(seed ^ secret[2], secret[1])
  const lanes = new Array<bigint>(7).fill(start)
  let at = 0
  for (; bytes.length - at > 112; at += 112) {
    for (let lane = 0; lane < 7; lane++) {
      const from = at + 16 * lane
      lanes[lane] = fold(read(bytes, from, 8) ^ secret[lane]!, read(bytes, from + 8, 8) ^ lanes[lane]!)
    }
  }
  let hash = lanes.reduce((all, lane) => all ^ lane)
  const left = bytes.length - at
  for (const [i, key] of [2, 2, 1, 1, 2, 1].entries()) {
    if (left <= 16 * (i + 1)) break
    const from = at + 16 * i
    hash = fold(read(bytes, from, 8) ^ secret[key]!, read(bytes, from + 8, 8) ^ hash)
  }
  const a = read(bytes, bytes.length - 16, 8) ^ BigInt(left) ^ secret[1]
  const b = read(bytes, bytes.length - 8, 8) ^ hash
  return fold(((a * b) & U64) ^ secret[7], ((a * b) >> 64n) ^ secret[1] ^ BigInt(left))
}

/** SuperFastHash, for whole words. */
export function superFastHash(bytes: Uint8Array): bigint {
  let hash = BigInt(bytes.length)
  for (let at = 0; at < bytes.length; at += 4) {
    hash = (hash + read(bytes, at, 2)) & U32
    const mixed = (read(bytes, at + 2, 2) << 11n) ^ hash
    hash = ((hash << 16n) ^ mixed) & U32
    hash = (hash + (hash >> 11n)) & U32
  }
  hash ^= (hash << 3n) & U32
  hash = (hash + (hash >> 5n)) & U32
  hash ^= (hash << 4n) & U32
  hash = (hash + (hash >> 17n)) & U32
  hash ^= (hash << 25n) & U32
  return (hash + (hash >> 6n)) & U32
}

/**
 * The places of a page that `sampled` reads, in order: all word offsets, shuffled by SplitMix64 from the seed, then those
 * from each power of two to the next sorted.
 */
export function sampleOrder(seed: bigint): number[] {
  const order = Array.from({ length: 1024 }, (_, word) => 4 * word)
  let state = seed
  const next = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & U64
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & U64
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & U64
    return z ^ (z >> 31n)
  }
  for (let last = order.length - 1; last > 0; last--) {
    const other = Number(next() % BigInt(last + 1))
    const swapped = order[last]!
    order[last] = order[other]!
    order[other] = swapped
  }
  const passes = Array.from({ length: 10 }, (_, i) => order.slice(2 ** i, 2 ** (i + 1)).sort((a, b) => a - b))
  return [order[0]!, ...passes.flat()]
}

/** The hash of the first `words` words of the sample. */
export function sampledHash(page: Uint8Array, seed: bigint, words: number): bigint {
  let state = seed ^ 0xd6e8feb86659fd93n
  for (const at of sampleOrder(seed).slice(0, words)) {
    state = rotate(((state ^ read(page, at, 4)) * 0x9e3779b97f4a7c15n) & U64, 29n, 64n)
  }
  const closed = ((state ^ (state >> 32n)) * 0xd6e8feb86659fd93n) & U64
  return closed ^ (closed >> 32n)
}
