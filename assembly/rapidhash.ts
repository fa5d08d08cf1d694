// rapidhash V3 of one page, 64 bits: wyhash's successor, by Nicolas De Carli (https://github.com/Nicoshev/rapidhash).
//
// It lives on multiplications of 64 by 64 bits with all 128 bits of the product, which wasm lacks: each is made of four
// of 32 by 32 bits, so here it is not the fastest hash that it is elsewhere.

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const SECRET_0: u64 = 0x2d358dccaa6c78a5
const SECRET_1: u64 = 0x8bb84b93962eacc9
const SECRET_2: u64 = 0x4b33a62ed433d4a3
const SECRET_3: u64 = 0x4d5a2da51de1aa47
const SECRET_4: u64 = 0xa0761d6478bd642f
const SECRET_5: u64 = 0xe7037ed1a0b428db
const SECRET_6: u64 = 0x90ed1765281c388c
const SECRET_7: u64 = 0xaaaaaaaaaaaaaaaa

/** Seven lanes read 16 bytes each; what is left of a page after 36 rounds of them: */
const ROUND: u32 = 112
const REST: u32 = PAGE_SIZE % ROUND

/** Hashes one page with rapidhash. */
export function rapidhash(pfn: u32, seed: u64): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let lane0 = seed ^ mix(seed ^ SECRET_2, SECRET_1)
  let lane1 = lane0
  let lane2 = lane0
  let lane3 = lane0
  let lane4 = lane0
  let lane5 = lane0
  let lane6 = lane0
  for (let left: u32 = PAGE_SIZE; left > ROUND; left -= ROUND) {
    lane0 = mix(load<u64>(p) ^ SECRET_0, load<u64>(p, 8) ^ lane0)
    lane1 = mix(load<u64>(p, 16) ^ SECRET_1, load<u64>(p, 24) ^ lane1)
    lane2 = mix(load<u64>(p, 32) ^ SECRET_2, load<u64>(p, 40) ^ lane2)
    lane3 = mix(load<u64>(p, 48) ^ SECRET_3, load<u64>(p, 56) ^ lane3)
    lane4 = mix(load<u64>(p, 64) ^ SECRET_4, load<u64>(p, 72) ^ lane4)
    lane5 = mix(load<u64>(p, 80) ^ SECRET_5, load<u64>(p, 88) ^ lane5)
    lane6 = mix(load<u64>(p, 96) ^ SECRET_6, load<u64>(p, 104) ^ lane6)
    p += ROUND
  }
  let hash = lane0 ^ lane1 ^ lane2 ^ lane3 ^ lane4 ^ lane5 ^ lane6
  // The rest is 64 bytes: three steps of 16, and the last 16 close.
  hash = mix(load<u64>(p) ^ SECRET_2, load<u64>(p, 8) ^ hash)
  hash = mix(load<u64>(p, 16) ^ SECRET_2, load<u64>(p, 24) ^ hash)
  hash = mix(load<u64>(p, 32) ^ SECRET_1, load<u64>(p, 40) ^ hash)
  const a = load<u64>(p, 48) ^ REST ^ SECRET_1
  const b = load<u64>(p, 56) ^ hash
  return mix((a * b) ^ SECRET_7, high(a, b) ^ SECRET_1 ^ REST)
}

/** Both halves of the 128-bit product, folded into one. */
function mix(a: u64, b: u64): u64 {
  return (a * b) ^ high(a, b)
}

/** The upper 64 bits of a product. */
function high(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff
  const bLow = b & 0xffffffff
  const aHigh = a >> 32
  const bHigh = b >> 32
  const middle = aHigh * bLow + ((aLow * bLow) >> 32)
  const carry = aLow * bHigh + (middle & 0xffffffff)
  return aHigh * bHigh + (middle >> 32) + (carry >> 32)
}
