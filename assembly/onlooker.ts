// The store's looks at pages on the memory of another module, where nothing is ours, not even room for a secret: so XXH3's stands in
// globals, which whoever imports it tells word by word, and a hash comes out in halves. Globals have no index: each of the four vectors of a
// stripe goes through the page by itself, with those that it needs as parameters.

import { PAGE_SHIFT, PAGE_SIZE } from './abi'
import {
  avalanche,
  fold,
  PRIME32_1,
  PRIME32_2,
  PRIME32_3,
  PRIME64_1,
  PRIME64_2,
  PRIME64_3,
  PRIME64_4,
  PRIME64_5,
  product,
  scramble,
  swapLanes,
} from './xxh3'

export { isZeroPage } from './page'

/** The word of the secret at a byte: imported. */
declare function word(at: i32): u64

// Two words of the secret, from every eighth byte on, which blocks take; those of the last stripe; and those that fold.
let s0 = i64x2.splat(0)
let s1 = i64x2.splat(0)
let s2 = i64x2.splat(0)
let s3 = i64x2.splat(0)
let s4 = i64x2.splat(0)
let s5 = i64x2.splat(0)
let s6 = i64x2.splat(0)
let s7 = i64x2.splat(0)
let s8 = i64x2.splat(0)
let s9 = i64x2.splat(0)
let s10 = i64x2.splat(0)
let s11 = i64x2.splat(0)
let s12 = i64x2.splat(0)
let s13 = i64x2.splat(0)
let s14 = i64x2.splat(0)
let s15 = i64x2.splat(0)
let s16 = i64x2.splat(0)
let s17 = i64x2.splat(0)
let s18 = i64x2.splat(0)
let s19 = i64x2.splat(0)
let s20 = i64x2.splat(0)
let s21 = i64x2.splat(0)
let s22 = i64x2.splat(0)
let last0 = i64x2.splat(0)
let last1 = i64x2.splat(0)
let last2 = i64x2.splat(0)
let last3 = i64x2.splat(0)
let fold0 = i64x2.splat(0)
let fold1 = i64x2.splat(0)
let fold2 = i64x2.splat(0)
let fold3 = i64x2.splat(0)

let hash: u64 = 0

/** Asks for the secret. To be called before anything is hashed. */
export function begin(): void {
  s0 = two(0)
  s1 = two(8)
  s2 = two(16)
  s3 = two(24)
  s4 = two(32)
  s5 = two(40)
  s6 = two(48)
  s7 = two(56)
  s8 = two(64)
  s9 = two(72)
  s10 = two(80)
  s11 = two(88)
  s12 = two(96)
  s13 = two(104)
  s14 = two(112)
  s15 = two(120)
  s16 = two(128)
  s17 = two(136)
  s18 = two(144)
  s19 = two(152)
  s20 = two(160)
  s21 = two(168)
  s22 = two(176)
  last0 = two(121)
  last1 = two(137)
  last2 = two(153)
  last3 = two(169)
  fold0 = two(11)
  fold1 = two(27)
  fold2 = two(43)
  fold3 = two(59)
}

/** Hashes a page by all its bytes: the lower half of the hash. */
export function digest(pfn: u32): u32 {
  const p: usize = pfn << PAGE_SHIFT
  const acc0 = vector(
    p,
    i64x2(PRIME32_3, PRIME64_1),
    s0,
    s1,
    s2,
    s3,
    s4,
    s5,
    s6,
    s7,
    s8,
    s9,
    s10,
    s11,
    s12,
    s13,
    s14,
    s15,
    s16,
    last0,
  )
  const acc1 = vector(
    p + 16,
    i64x2(PRIME64_2, PRIME64_3),
    s2,
    s3,
    s4,
    s5,
    s6,
    s7,
    s8,
    s9,
    s10,
    s11,
    s12,
    s13,
    s14,
    s15,
    s16,
    s17,
    s18,
    last1,
  )
  const acc2 = vector(
    p + 32,
    i64x2(PRIME64_4, PRIME32_2),
    s4,
    s5,
    s6,
    s7,
    s8,
    s9,
    s10,
    s11,
    s12,
    s13,
    s14,
    s15,
    s16,
    s17,
    s18,
    s19,
    s20,
    last2,
  )
  const acc3 = vector(
    p + 48,
    i64x2(PRIME64_5, PRIME32_1),
    s6,
    s7,
    s8,
    s9,
    s10,
    s11,
    s12,
    s13,
    s14,
    s15,
    s16,
    s17,
    s18,
    s19,
    s20,
    s21,
    s22,
    last3,
  )
  const sum = folded(acc0, fold0) + folded(acc1, fold1) + folded(acc2, fold2) + folded(acc3, fold3)
  hash = avalanche(<u64>PAGE_SIZE * PRIME64_1 + sum)
  return <u32>hash
}

/** The upper half of the last hash. */
export function upper(): u32 {
  return <u32>(hash >> 32)
}

/** One of the four vectors of each stripe of a page: s0 to s15 are its secrets in a block, `end` that behind one. */
function vector(
  p: usize,
  acc: v128,
  s0: v128,
  s1: v128,
  s2: v128,
  s3: v128,
  s4: v128,
  s5: v128,
  s6: v128,
  s7: v128,
  s8: v128,
  s9: v128,
  s10: v128,
  s11: v128,
  s12: v128,
  s13: v128,
  s14: v128,
  s15: v128,
  end: v128,
  last: v128,
): v128 {
  // Four blocks of sixteen stripes. What is summed raw is swapped once a block; the last stripe has a secret of its own.
  for (let block: u32 = 3; ; block--) {
    let raw = v128.load(p)
    acc = i64x2.add(acc, product(v128.xor(raw, s0)))
    const data1 = v128.load(p, 64)
    raw = i64x2.add(raw, data1)
    acc = i64x2.add(acc, product(v128.xor(data1, s1)))
    const data2 = v128.load(p, 128)
    raw = i64x2.add(raw, data2)
    acc = i64x2.add(acc, product(v128.xor(data2, s2)))
    const data3 = v128.load(p, 192)
    raw = i64x2.add(raw, data3)
    acc = i64x2.add(acc, product(v128.xor(data3, s3)))
    const data4 = v128.load(p, 256)
    raw = i64x2.add(raw, data4)
    acc = i64x2.add(acc, product(v128.xor(data4, s4)))
    const data5 = v128.load(p, 320)
    raw = i64x2.add(raw, data5)
    acc = i64x2.add(acc, product(v128.xor(data5, s5)))
    const data6 = v128.load(p, 384)
    raw = i64x2.add(raw, data6)
    acc = i64x2.add(acc, product(v128.xor(data6, s6)))
    const data7 = v128.load(p, 448)
    raw = i64x2.add(raw, data7)
    acc = i64x2.add(acc, product(v128.xor(data7, s7)))
    const data8 = v128.load(p, 512)
    raw = i64x2.add(raw, data8)
    acc = i64x2.add(acc, product(v128.xor(data8, s8)))
    const data9 = v128.load(p, 576)
    raw = i64x2.add(raw, data9)
    acc = i64x2.add(acc, product(v128.xor(data9, s9)))
    const data10 = v128.load(p, 640)
    raw = i64x2.add(raw, data10)
    acc = i64x2.add(acc, product(v128.xor(data10, s10)))
    const data11 = v128.load(p, 704)
    raw = i64x2.add(raw, data11)
    acc = i64x2.add(acc, product(v128.xor(data11, s11)))
    const data12 = v128.load(p, 768)
    raw = i64x2.add(raw, data12)
    acc = i64x2.add(acc, product(v128.xor(data12, s12)))
    const data13 = v128.load(p, 832)
    raw = i64x2.add(raw, data13)
    acc = i64x2.add(acc, product(v128.xor(data13, s13)))
    const data14 = v128.load(p, 896)
    raw = i64x2.add(raw, data14)
    acc = i64x2.add(acc, product(v128.xor(data14, s14)))
    if (block == 0) {
      acc = i64x2.add(acc, swapLanes(raw))
      break
    }
    const data15 = v128.load(p, 960)
    raw = i64x2.add(raw, data15)
    acc = i64x2.add(acc, product(v128.xor(data15, s15)))
    acc = scramble(i64x2.add(acc, swapLanes(raw)), end)
    p += 1024
  }
  const data = v128.load(p, 960)
  return i64x2.add(acc, i64x2.add(swapLanes(data), product(v128.xor(data, last))))
}

function two(at: i32): v128 {
  return i64x2.replace_lane(i64x2.splat(word(at)), 1, word(at + 8))
}

function folded(acc: v128, secret: v128): u64 {
  return fold(acc, i64x2.extract_lane(secret, 0), i64x2.extract_lane(secret, 1))
}
