// The census's own binary, apart from the core: fingerprints of pages, and a table of those that were met (contents.ts). It has a memory of
// its own, because what it counts is more than an arena holds; nothing of it is shared, so a thread that reads has one, the table another.
//
// A fingerprint is made in two steps. NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC", 1999; there NHS, signed, of 16-bit words) adds a
// secret to every word, multiplies neighbours and adds up; six times, each with the secret shifted by one block (Toeplitz). Two different
// pages come to the same with a chance of at most 2^-15 each time, 2^-90 in all, whatever they hold. What they come to would tell
// something of them, so SipHash-2-4 (Aumasson, Bernstein: 2012), of 128 bits, hides it: without the key a fingerprint says nothing.
//
//     0      keys: the page's SipHash, 16 bytes at 0; the fingerprint of zeros, 16 bytes at 16; the table's words, from 32; SipHash's, from 128
//     1024   NH's secret: 128 blocks of 32 bytes, and five more for the shifts
//     8192   fingerprints, 16 bytes each
//     16384  pages, in a memory that makes fingerprints; what belongs to the table, in one that keeps them

import { PAGE_SHIFT, PAGE_SIZE } from './abi'
import { PRINT_BYTES, PRINTS, ZERO_PRINT } from './census-layout'
import { isZeroPage } from './page'

export { gather, initTable, settle, used } from './contents'

const SIP_KEY: usize = 0
const SECRET: usize = 1024
const PAGES: usize = 16_384
const BLOCK: usize = 32
const SHIFTS: usize = 5
const SECRET_END: usize = SECRET + PAGE_SIZE + SHIFTS * BLOCK

/** What SipHash is made of: four words, and four that are 0. */
const SIP_WORDS: usize = 128

/** Makes all secrets of a key of 128 bits. The first page of the memory is used. */
export function setKey(low: u64, high: u64): void {
  let number: u64 = 0
  for (let at: usize = SECRET; at < SECRET_END; at += 16) sipHash(low, high, number++, 1, 0, at)
  sipHash(low, high, 0, 2, 0, SIP_KEY)
  memory.fill(PAGES, 0, PAGE_SIZE)
  fingerprint(PAGES, ZERO_PRINT)
}

/** Fingerprints of the first pages, in their order. */
export function fingerprints(count: u32): void {
  let page = PAGES
  let print = PRINTS
  for (let i: u32 = 0; i < count; i++) {
    if (isZeroPage(<u32>(page >>> PAGE_SHIFT))) memory.copy(print, ZERO_PRINT, PRINT_BYTES)
    else fingerprint(page, print)
    page += PAGE_SIZE
    print += PRINT_BYTES
  }
}

/**
 * SipHash-2-4 of 128 bits, of the 24 bytes of three words. Eight times the same without a branch: three words and the length, two rounds
 * each, then four rounds to either half of the result.
 */
export function sipHash(low: u64, high: u64, first: u64, second: u64, third: u64, out: usize): void {
  store<u64>(SIP_WORDS, first)
  store<u64>(SIP_WORDS, second, 8)
  store<u64>(SIP_WORDS, third, 16)
  store<u64>(SIP_WORDS, (<u64>24) << 56, 24)
  let v0 = low ^ 0x736f6d6570736575
  let v1 = high ^ 0x646f72616e646f6d ^ 0xee
  let v2 = low ^ 0x6c7967656e657261
  let v3 = high ^ 0x7465646279746573
  for (let step: usize = 0; step < 8; step++) {
    const word = load<u64>(SIP_WORDS + step * 8)
    v1 ^= step == 6 ? 0xdd : 0
    v2 ^= step == 4 ? 0xee : 0
    v3 ^= word
    v0 += v1
    v2 += v3
    v1 = rotl<u64>(v1, 13) ^ v0
    v3 = rotl<u64>(v3, 16) ^ v2
    v0 = rotl<u64>(v0, 32)
    v2 += v1
    v0 += v3
    v1 = rotl<u64>(v1, 17) ^ v2
    v3 = rotl<u64>(v3, 21) ^ v0
    v2 = rotl<u64>(v2, 32)
    v0 += v1
    v2 += v3
    v1 = rotl<u64>(v1, 13) ^ v0
    v3 = rotl<u64>(v3, 16) ^ v2
    v0 = rotl<u64>(v0, 32)
    v2 += v1
    v0 += v3
    v1 = rotl<u64>(v1, 17) ^ v2
    v3 = rotl<u64>(v3, 21) ^ v0
    v2 = rotl<u64>(v2, 32)
    v0 ^= word
    store<u64>(out + (step > 5 ? 8 : 0), v0 ^ v1 ^ v2 ^ v3)
  }
}

/** Two blocks at a time: the secret of one, shifted, is that of the other, so each is loaded half as often. */
function fingerprint(page: usize, out: usize): void {
  let sum0 = i32x4.splat(0)
  let sum1 = sum0
  let sum2 = sum0
  let sum3 = sum0
  let sum4 = sum0
  let sum5 = sum0
  let key: usize = SECRET
  const end = page + PAGE_SIZE
  for (; page < end; page += 2 * BLOCK) {
    const a = v128.load(page)
    const b = v128.load(page, 16)
    const c = v128.load(page, 32)
    const d = v128.load(page, 48)
    let x = v128.load(key)
    let y = v128.load(key, 16)
    sum0 = i32x4.add(sum0, products(a, b, x, y))
    x = v128.load(key, 32)
    y = v128.load(key, 48)
    sum1 = i32x4.add(sum1, products(a, b, x, y))
    sum0 = i32x4.add(sum0, products(c, d, x, y))
    x = v128.load(key, 64)
    y = v128.load(key, 80)
    sum2 = i32x4.add(sum2, products(a, b, x, y))
    sum1 = i32x4.add(sum1, products(c, d, x, y))
    x = v128.load(key, 96)
    y = v128.load(key, 112)
    sum3 = i32x4.add(sum3, products(a, b, x, y))
    sum2 = i32x4.add(sum2, products(c, d, x, y))
    x = v128.load(key, 128)
    y = v128.load(key, 144)
    sum4 = i32x4.add(sum4, products(a, b, x, y))
    sum3 = i32x4.add(sum3, products(c, d, x, y))
    x = v128.load(key, 160)
    y = v128.load(key, 176)
    sum5 = i32x4.add(sum5, products(a, b, x, y))
    sum4 = i32x4.add(sum4, products(c, d, x, y))
    x = v128.load(key, 192)
    y = v128.load(key, 208)
    sum5 = i32x4.add(sum5, products(c, d, x, y))
    key += 2 * BLOCK
  }
  const low = load<u64>(SIP_KEY)
  const high = load<u64>(SIP_KEY, 8)
  sipHash(low, high, both(sum0, sum1), both(sum2, sum3), both(sum4, sum5), out)
}

/** Signed words of 16 bits, each with its secret, those of one half of the block times those of the other; neighbours added. */
function products(a: v128, b: v128, x: v128, y: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.add(a, x), i16x8.add(b, y))
}

function both(low: v128, high: v128): u64 {
  return ((<u64>total(high)) << 32) | <u64>total(low)
}

function total(sum: v128): u32 {
  return (
    i32x4.extract_lane(sum, 0) +
    i32x4.extract_lane(sum, 1) +
    i32x4.extract_lane(sum, 2) +
    i32x4.extract_lane(sum, 3)
  )
}
