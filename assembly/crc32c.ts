// CRC32C of one page: the Castagnoli polynomial, reflected, 32 bits. An old acquaintance of storage, and the one that
// processors have an instruction for; WebAssembly has not.
//
// A page is read as rows of 16 words, and the rows are added up with Horner's rule: the sum so far times x^512, plus the
// next row. Multiplying by a fixed polynomial is linear, so the product is the sum of the products of the word's eight
// nibbles, each looked up among sixteen: that is what a byte shuffle does, for sixteen words at a time. Words are kept
// taken apart into four vectors of bytes for it. What is left in the end is a message of 16 words with the same CRC.
//
// The two small tables lie in the arena's table page; `src/core` writes them there.

import { PAGE_SHIFT, PAGE_SIZE, TABLE_CRC_ROW, TABLE_CRC_WORD, TABLES } from './abi'

const ROW: u32 = 64
const ROW_TABLE: usize = TABLES + TABLE_CRC_ROW
const WORD_TABLE: usize = TABLES + TABLE_CRC_WORD

/** Hashes one page with CRC32C. */
export function crc32c(pfn: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  // The first word starts from all ones.
  let w0 = v128.xor(v128.load(p), i32x4(-1, 0, 0, 0))
  let w1 = v128.load(p, 16)
  let w2 = v128.load(p, 32)
  let w3 = v128.load(p, 48)
  for (let left: u32 = PAGE_SIZE - ROW; left != 0; left -= ROW) {
    p += ROW
    // Bytes of the same rank together, then the 4 by 4 groups of four transposed.
    const g0 = gather(w0)
    const g1 = gather(w1)
    const g2 = gather(w2)
    const g3 = gather(w3)
    const low01 = v128.shuffle<i32>(g0, g1, 0, 4, 1, 5)
    const low23 = v128.shuffle<i32>(g2, g3, 0, 4, 1, 5)
    const high01 = v128.shuffle<i32>(g0, g1, 2, 6, 3, 7)
    const high23 = v128.shuffle<i32>(g2, g3, 2, 6, 3, 7)
    const bytes0 = v128.shuffle<i64>(low01, low23, 0, 2)
    const bytes1 = v128.shuffle<i64>(low01, low23, 1, 3)
    const bytes2 = v128.shuffle<i64>(high01, high23, 0, 2)
    const bytes3 = v128.shuffle<i64>(high01, high23, 1, 3)
    const n0 = lowNibbles(bytes0)
    const n1 = highNibbles(bytes0)
    const n2 = lowNibbles(bytes1)
    const n3 = highNibbles(bytes1)
    const n4 = lowNibbles(bytes2)
    const n5 = highNibbles(bytes2)
    const n6 = lowNibbles(bytes3)
    const n7 = highNibbles(bytes3)
    const product0 = productByte(0, n0, n1, n2, n3, n4, n5, n6, n7)
    const product1 = productByte(16, n0, n1, n2, n3, n4, n5, n6, n7)
    const product2 = productByte(32, n0, n1, n2, n3, n4, n5, n6, n7)
    const product3 = productByte(48, n0, n1, n2, n3, n4, n5, n6, n7)
    // And the bytes back into words.
    const low = v128.shuffle<i8>(product0, product1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
    const lowUpper = v128.shuffle<i8>(
      product2,
      product3,
      0,
      16,
      1,
      17,
      2,
      18,
      3,
      19,
      4,
      20,
      5,
      21,
      6,
      22,
      7,
      23,
    )
    const high = v128.shuffle<i8>(
      product0,
      product1,
      8,
      24,
      9,
      25,
      10,
      26,
      11,
      27,
      12,
      28,
      13,
      29,
      14,
      30,
      15,
      31,
    )
    const highUpper = v128.shuffle<i8>(
      product2,
      product3,
      8,
      24,
      9,
      25,
      10,
      26,
      11,
      27,
      12,
      28,
      13,
      29,
      14,
      30,
      15,
      31,
    )
    w0 = v128.xor(v128.load(p), v128.shuffle<i16>(low, lowUpper, 0, 8, 1, 9, 2, 10, 3, 11))
    w1 = v128.xor(v128.load(p, 16), v128.shuffle<i16>(low, lowUpper, 4, 12, 5, 13, 6, 14, 7, 15))
    w2 = v128.xor(v128.load(p, 32), v128.shuffle<i16>(high, highUpper, 0, 8, 1, 9, 2, 10, 3, 11))
    w3 = v128.xor(v128.load(p, 48), v128.shuffle<i16>(high, highUpper, 4, 12, 5, 13, 6, 14, 7, 15))
  }
  return <u64>~fourWords(fourWords(fourWords(fourWords(0, w0), w1), w2), w3)
}

/** The bytes of four words, those of the same rank side by side. */
function gather(words: v128): v128 {
  return v128.shuffle<i8>(words, words, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
}

function lowNibbles(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(15))
}

function highNibbles(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15))
}

/** One byte of sixteen products, from the nibbles of the factors. */
function productByte(
  rank: usize,
  n0: v128,
  n1: v128,
  n2: v128,
  n3: v128,
  n4: v128,
  n5: v128,
  n6: v128,
  n7: v128,
): v128 {
  const table = ROW_TABLE + rank
  const sum01 = v128.xor(i8x16.swizzle(v128.load(table), n0), i8x16.swizzle(v128.load(table, 64), n1))
  const sum23 = v128.xor(i8x16.swizzle(v128.load(table, 128), n2), i8x16.swizzle(v128.load(table, 192), n3))
  const sum45 = v128.xor(i8x16.swizzle(v128.load(table, 256), n4), i8x16.swizzle(v128.load(table, 320), n5))
  const sum67 = v128.xor(i8x16.swizzle(v128.load(table, 384), n6), i8x16.swizzle(v128.load(table, 448), n7))
  return v128.xor(v128.xor(sum01, sum23), v128.xor(sum45, sum67))
}

function fourWords(crc: u32, words: v128): u32 {
  crc = word(crc ^ i32x4.extract_lane(words, 0))
  crc = word(crc ^ i32x4.extract_lane(words, 1))
  crc = word(crc ^ i32x4.extract_lane(words, 2))
  return word(crc ^ i32x4.extract_lane(words, 3))
}

/** A word times x^32. */
function word(factor: u32): u32 {
  const low = at(0, factor) ^ at(1, factor >> 4) ^ at(2, factor >> 8) ^ at(3, factor >> 12)
  return low ^ at(4, factor >> 16) ^ at(5, factor >> 20) ^ at(6, factor >> 24) ^ at(7, factor >> 28)
}

function at(nibble: u32, value: u32): u32 {
  return load<u32>(WORD_TABLE + nibble * 64 + (value & 15) * 4)
}
