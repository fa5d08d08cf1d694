// The census's own binary, apart from the core: fingerprints of pages, and a table of those that were seen. It has a memory of its
// own, because what it counts is more than an arena holds; nothing of it is shared, so a thread that reads has one, the table another.
//
// A fingerprint is made in two steps. NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC", 1999; there NHS, signed, of 16-bit words) adds a
// secret to every word, multiplies neighbours and adds up; six times, each with the secret shifted by one block (Toeplitz). Two different
// pages come to the same with a chance of at most 2^-15 each time, 2^-90 in all, whatever they hold. What they come to would tell
// something of them, so SipHash-2-4 (Aumasson, Bernstein: 2012), of 128 bits, hides it: without the key a fingerprint says nothing.
//
//     0      keys: the page's SipHash, 16 bytes at 0; the fingerprint of zeros, 16 bytes at 16; the table's words, from 32; SipHash's, from 128
//     1024   NH's secret: 128 blocks of 32 bytes, and five more for the shifts
//     8192   fingerprints, 16 bytes each
//     16384  pages, in a memory that makes fingerprints; slots, in one that keeps them

import { PAGE_SHIFT, PAGE_SIZE } from './abi'
import { isZeroPage } from './page'

const SIP_KEY: usize = 0
const ZERO_PRINT: usize = 16
const SECRET: usize = 1024
const PRINTS: usize = 8192
const PRINT_BYTES: usize = 16
const PAGES: usize = 16_384
const BLOCK: usize = 32
const SHIFTS: usize = 5
const SECRET_END: usize = SECRET + PAGE_SIZE + SHIFTS * BLOCK

/** What SipHash is made of: four words, and four that are 0. */
const SIP_WORDS: usize = 128
/** Words of the table. */
const STRIDE: usize = 32
const CAPACITY: usize = 36
const USED: usize = 40
const LIMIT: usize = 44
/** Where its slots end. The last one is always empty. */
const END: usize = 48
const SLOTS: usize = PAGES
/** In a slot, behind the fingerprint: what the caller keeps there; 0: the slot is empty. */
const INFO: usize = 16
const WASM_PAGE: usize = 65_536
/** Bytes that are moved by a call. */
const LONG_MOVE: usize = 512
/** Bytes that a table's slots may take: all that 32 bits address, but for what growing needs. */
const MOST: u64 = 4_294_967_296 - 4 * 65_536
/** A table of fewer slots doubles; a larger one grows so that 20 bytes a slot are never more than 24 a fingerprint. */
const SMALL: u32 = 65_536

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

// The table: slots in ascending order of their fingerprints, each at the place its leading bits say or behind it, with as few gaps
// as may be. Nearly full it is still searched in a handful of steps, because a search ends at the first greater one; and it
// grows in place, by packing all slots at the new end and laying them out anew from there.

/** Begins an empty table of slots of so many bytes, 20 or more. */
export function initTable(stride: u32, capacity: u32): void {
  store<u32>(STRIDE, stride)
  store<u32>(USED, 0)
  setCapacity(capacity)
  const end = SLOTS + <usize>capacity * stride + stride
  reach(end)
  store<u32>(END, <u32>end)
}

export function used(): u32 {
  return load<u32>(USED)
}

export function slotsEnd(): usize {
  return load<u32>(END)
}

/**
 * Finds a fingerprint among those at PRINTS, or takes it in with `info`, which is not 0. Returns where its slot begins, and 1 more if
 * it was there; 0 if there is no memory.
 */
export function add(print: u32, info: u32): usize {
  const stride = <usize>load<u32>(STRIDE)
  const from = PRINTS + <usize>print * PRINT_BYTES
  const high = load<u64>(from)
  const low = load<u64>(from, 8)
  let at = SLOTS + <usize>home(high, load<u32>(CAPACITY)) * stride
  while (load<u32>(at, INFO) != 0) {
    const there = load<u64>(at)
    if (there >= high) {
      const rest = load<u64>(at, 8)
      if (there == high && rest == low) return at | 1
      if (there > high || rest > low) break
    }
    at += stride
  }
  if (load<u32>(USED) >= load<u32>(LIMIT)) return grow(stride) ? add(print, info) : 0
  if (!makeRoom(at, stride)) return 0
  store<u64>(at, high)
  store<u64>(at, low, 8)
  store<u32>(at, info, INFO)
  store<u32>(USED, load<u32>(USED) + 1)
  return at
}

/** Reads where the first fingerprints will be looked for: one after the other each would wait for memory. */
export function touch(count: u32): u32 {
  const stride = <usize>load<u32>(STRIDE)
  const capacity = load<u32>(CAPACITY)
  let all: u32 = 0
  const end = PRINTS + <usize>count * PRINT_BYTES
  for (let print = PRINTS; print < end; print += PRINT_BYTES) {
    all |= load<u32>(SLOTS + <usize>home(load<u64>(print), capacity) * stride)
  }
  return all
}

function home(high: u64, capacity: u32): u32 {
  return <u32>(((high >> 32) * capacity) >> 32)
}

/** Moves what is in the way one slot on, up to the next gap. */
function makeRoom(at: usize, stride: usize): bool {
  let gap = at
  while (load<u32>(gap, INFO) != 0) gap += stride
  const end = <usize>load<u32>(END)
  if (gap + stride == end) {
    if (!reach(end + stride)) return false
    store<u32>(END, <u32>(end + stride))
  }
  if (gap - at > LONG_MOVE) memory.copy(at + stride, at, gap - at)
  else
    while (gap != at) {
      move(gap, gap - stride, stride)
      gap -= stride
    }
  return true
}

/** Copies a slot, also to where it overlaps itself: for so few bytes a call would take longer. */
function move(to: usize, from: usize, stride: usize): void {
  const print = v128.load(from)
  const rest = load<u32>(from, INFO)
  if (stride > 20) store<u32>(to, load<u32>(from, INFO + 4), INFO + 4)
  v128.store(to, print)
  store<u32>(to, rest, INFO)
}

function grow(stride: usize): bool {
  const old = load<u32>(CAPACITY)
  const capacity = old < SMALL ? old * 2 : <u32>((<u64>old * 114) / 100)
  if (<u64>capacity * stride > MOST) return false
  const oldEnd = <usize>load<u32>(END)
  let end = SLOTS + <usize>capacity * stride + stride
  if (end < oldEnd) end = oldEnd
  // Where chance has put more fingerprints to the end than to the beginning, slots laid out would run into those still packed.
  end += WASM_PAGE
  if (!reach(end)) return false
  let packed = end
  for (let at = oldEnd - stride; at >= SLOTS; at -= stride) {
    if (load<u32>(at, INFO) == 0) continue
    packed -= stride
    move(packed, at, stride)
  }
  let next: usize = SLOTS
  while (packed < end) {
    let at = SLOTS + <usize>home(load<u64>(packed), capacity) * stride
    if (at < next) at = next
    while (at > packed) {
      if (!reach(end + WASM_PAGE)) return false
      memory.copy(packed + WASM_PAGE, packed, end - packed)
      packed += WASM_PAGE
      end += WASM_PAGE
    }
    move(at, packed, stride)
    // Of a gap nothing is read but that its slots are empty.
    for (; next < at; next += stride) store<u32>(next, 0, INFO)
    next = at + stride
    packed += stride
  }
  // As many slots as there are bytes for, the last of them empty.
  if (end - next < 2 * stride) {
    if (!reach(end + WASM_PAGE)) return false
    end += WASM_PAGE
  }
  const slots = (end - SLOTS) / stride
  memory.fill(next, 0, end - next)
  store<u32>(END, <u32>(SLOTS + slots * stride))
  setCapacity(capacity)
  return true
}

function setCapacity(capacity: u32): void {
  store<u32>(CAPACITY, capacity)
  store<u32>(LIMIT, <u32>((<u64>capacity * 95) / 100))
}

/** Has the memory go as far as `end`. False if it cannot. */
function reach(end: usize): bool {
  const have = <usize>memory.size()
  const want = (end + WASM_PAGE - 1) / WASM_PAGE
  return want <= have || memory.grow(<i32>(want - have)) >= 0
}
