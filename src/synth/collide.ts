// Pages with equal checksums and unequal bytes: what an index by checksum must survive, and a checksum that is not keyed
// cannot prevent. Both families are made, not searched for: each member differs from the next in two words of the page,
// of which the second takes back what the first did to the hash's state. Each family is one chain of equal 64-bit
// checksums, so of equal 32-bit ones too.

const PRIME_1 = 0x9e3779b185ebca87n
const PRIME_2 = 0xc2b2ae3d27d4eb4fn
const LANE_START = BigInt.asUintN(64, PRIME_1 + PRIME_2)
/** Multiplying by it undoes multiplying by PRIME_2. */
const PRIME_2_INVERSE = inverse(PRIME_2)
/** What every member brings the first lane to, before the second round's rotation. Any number would do. */
const MEETING_POINT = 0x0123456789abcdefn

/**
 * Makes a page, given as its words, collide under XXH64 (seed 0) with every other page that is equal but for these four
 * words. The first lane takes in 8 bytes of each 32: the member's number first, then what brings all to one state.
 */
export function collideXxh64(words: Uint32Array, at: number, id: number): void {
  const first = BigInt(id)
  const sum = BigInt.asUintN(64, LANE_START + first * PRIME_2)
  const state = BigInt.asUintN(64, ((sum << 31n) | (sum >> 33n)) * PRIME_1)
  const second = BigInt.asUintN(64, (MEETING_POINT - state) * PRIME_2_INVERSE)
  words[at] = id
  words[at + 1] = 0
  words[at + 8] = Number(second & 0xffffffffn)
  words[at + 9] = Number(second >> 32n)
}

/** Low words of XXH3's default secret at the first lane of stripes 0 and 1. */
const SECRET_STRIPE_0 = 0x396cfeb8
const SECRET_STRIPE_1 = 0x2c81017c
const STRIPE_WORDS = 16

/**
 * The same under XXH3. A lane whose low half equals the secret's adds a product of zero to its own accumulator, and its
 * eight bytes as they are to its neighbour's: so two such lanes may hold anything in their high halves, as long as the
 * sum stays.
 */
export function collideXxh3(words: Uint32Array, at: number, id: number): void {
  words[at] = SECRET_STRIPE_0
  words[at + 1] = id
  words[at + STRIPE_WORDS] = SECRET_STRIPE_1
  words[at + STRIPE_WORDS + 1] = -id
}

/** The inverse of an odd number modulo 2^64: Newton's iteration doubles the correct bits each time. */
function inverse(odd: bigint): bigint {
  let result = odd
  for (let bits = 3; bits < 64; bits *= 2) result = BigInt.asUintN(64, result * (2n - odd * result))
  return result
}
