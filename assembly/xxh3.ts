// XXH3 (64 bits) of one page, in 128-bit lanes.
// Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, section "XXH3 algorithm (large inputs)".
//
// The secret stands in the arena's header (the core has no static data); `src/core` writes it there, and a seed has gone
// into it already.
//
// Two liberties with the order of things, neither of which changes the result:
//
// - the specification adds to each accumulator a product of its own lane and the raw input of the neighbouring lane.
//   Addition commutes with swapping lanes, so raw inputs are summed unswapped and swapped once per block;
// - the halves of the words of two vectors are sorted together, lower with lower and upper with upper: that takes two
//   shuffles where each vector for itself would take two. Measured against three vectors each for itself and two lanes in
//   scalar registers: 0.93 times the time on cached pages. Unrolling makes it slower again.

import { HEADER_SECRET, PAGE_SHIFT, PAGE_SIZE, SECRET_BYTES } from './abi'

export const PRIME32_1: u64 = 0x9e3779b1
export const PRIME32_2: u64 = 0x85ebca77
export const PRIME32_3: u64 = 0xc2b2ae3d
export const PRIME64_1: u64 = 0x9e3779b185ebca87
export const PRIME64_2: u64 = 0xc2b2ae3d27d4eb4f
export const PRIME64_3: u64 = 0x165667b19e3779f9
export const PRIME64_4: u64 = 0x85ebca77c2b2ae63
export const PRIME64_5: u64 = 0x27d4eb2f165667c5
const PRIME_MX1: u64 = 0x165667919e3779f9

const STRIPE: u32 = 64
const SCRAMBLE_SECRET: usize = HEADER_SECRET + SECRET_BYTES - STRIPE
const LAST_STRIPE_SECRET: usize = HEADER_SECRET + SECRET_BYTES - STRIPE - 7
const MERGE_SECRET: usize = HEADER_SECRET + 11

/** Hashes one page with XXH3. */
export function xxh3(pfn: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let acc0 = i64x2(PRIME32_3, PRIME64_1)
  let acc1 = i64x2(PRIME64_2, PRIME64_3)
  let acc2 = i64x2(PRIME64_4, PRIME32_2)
  let acc3 = i64x2(PRIME64_5, PRIME32_1)

  // Four blocks of sixteen stripes. The very last stripe belongs to no block: it has a secret of its own, so the last
  // block is one stripe short and not scrambled.
  for (let block: u32 = 3; ; block--) {
    let raw0 = i64x2.splat(0)
    let raw1 = i64x2.splat(0)
    let raw2 = i64x2.splat(0)
    let raw3 = i64x2.splat(0)
    let secret: usize = HEADER_SECRET
    const secretEnd: usize = HEADER_SECRET + 8 * (block == 0 ? 15 : 16)
    do {
      const data0 = v128.load(p)
      const data1 = v128.load(p, 16)
      const data2 = v128.load(p, 32)
      const data3 = v128.load(p, 48)
      raw0 = i64x2.add(raw0, data0)
      raw1 = i64x2.add(raw1, data1)
      raw2 = i64x2.add(raw2, data2)
      raw3 = i64x2.add(raw3, data3)
      const key0 = v128.xor(data0, v128.load(secret))
      const key1 = v128.xor(data1, v128.load(secret, 16))
      const key2 = v128.xor(data2, v128.load(secret, 32))
      const key3 = v128.xor(data3, v128.load(secret, 48))
      const low01 = lowHalves(key0, key1)
      const high01 = highHalves(key0, key1)
      const low23 = lowHalves(key2, key3)
      const high23 = highHalves(key2, key3)
      acc0 = i64x2.add(acc0, i64x2.extmul_low_i32x4_u(low01, high01))
      acc1 = i64x2.add(acc1, i64x2.extmul_high_i32x4_u(low01, high01))
      acc2 = i64x2.add(acc2, i64x2.extmul_low_i32x4_u(low23, high23))
      acc3 = i64x2.add(acc3, i64x2.extmul_high_i32x4_u(low23, high23))
      p += STRIPE
      secret += 8
    } while (secret != secretEnd)
    acc0 = i64x2.add(acc0, swapLanes(raw0))
    acc1 = i64x2.add(acc1, swapLanes(raw1))
    acc2 = i64x2.add(acc2, swapLanes(raw2))
    acc3 = i64x2.add(acc3, swapLanes(raw3))
    if (block == 0) break
    acc0 = scramble(acc0, v128.load(SCRAMBLE_SECRET))
    acc1 = scramble(acc1, v128.load(SCRAMBLE_SECRET + 16))
    acc2 = scramble(acc2, v128.load(SCRAMBLE_SECRET + 32))
    acc3 = scramble(acc3, v128.load(SCRAMBLE_SECRET + 48))
  }

  acc0 = accumulate(acc0, p, LAST_STRIPE_SECRET)
  acc1 = accumulate(acc1, p + 16, LAST_STRIPE_SECRET + 16)
  acc2 = accumulate(acc2, p + 32, LAST_STRIPE_SECRET + 32)
  acc3 = accumulate(acc3, p + 48, LAST_STRIPE_SECRET + 48)

  let hash: u64 = <u64>PAGE_SIZE * PRIME64_1
  hash += foldAt(acc0, MERGE_SECRET)
  hash += foldAt(acc1, MERGE_SECRET + 16)
  hash += foldAt(acc2, MERGE_SECRET + 32)
  hash += foldAt(acc3, MERGE_SECRET + 48)
  return avalanche(hash)
}

/** What ends a hash. */
export function avalanche(hash: u64): u64 {
  hash ^= hash >> 37
  hash *= PRIME_MX1
  return hash ^ (hash >> 32)
}

/** The low 32 bits of the 64-bit lanes of two vectors. */
function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6)
}

/** The high 32 bits of the same. */
function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7)
}

/** In each 64-bit lane: its low 32 bits times its high 32 bits. */
export function product(key: v128): v128 {
  return i64x2.extmul_low_i32x4_u(lowHalves(key, key), highHalves(key, key))
}

/** One step for one vector, as the specification words it. */
function accumulate(acc: v128, data: usize, secret: usize): v128 {
  const raw = v128.load(data)
  return i64x2.add(acc, i64x2.add(swapLanes(raw), product(v128.xor(raw, v128.load(secret)))))
}

export function swapLanes(a: v128): v128 {
  return v128.shuffle<i64>(a, a, 1, 0)
}

/** What ends a block, for one vector. */
export function scramble(acc: v128, secret: v128): v128 {
  const mixed = v128.xor(v128.xor(acc, i64x2.shr_u(acc, 47)), secret)
  return i64x2.mul(mixed, i64x2.splat(PRIME32_1))
}

function foldAt(acc: v128, secret: usize): u64 {
  return fold(acc, load<u64>(secret), load<u64>(secret, 8))
}

/** The 128-bit product of a vector's two lanes, each xored with a word of its secret, folded to 64 bits. */
export function fold(acc: v128, first: u64, second: u64): u64 {
  const a = <u64>i64x2.extract_lane(acc, 0) ^ first
  const b = <u64>i64x2.extract_lane(acc, 1) ^ second
  const low = (a & 0xffffffff) * (b & 0xffffffff)
  const middleA = (a >> 32) * (b & 0xffffffff)
  const middleB = (a & 0xffffffff) * (b >> 32)
  const carry = (low >> 32) + (middleA & 0xffffffff) + middleB
  const high = (a >> 32) * (b >> 32) + (middleA >> 32) + (carry >> 32)
  return ((carry << 32) | (low & 0xffffffff)) ^ high
}
