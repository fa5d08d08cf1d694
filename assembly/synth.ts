// Bytes of synthetic pages: a second, tiny binary beside the core, for src/synth alone. It has a memory of its own and
// not an arena, because images are made before there is a host and for buffers that no host knows; and that memory is not
// shared, because copying out of a shared one takes twice as long. What is written here never changes: truths that were
// recorded depend on every bit.
//
// Each function is one loop over 16 or 32 bytes at a time, and is called for little: that is what makes the engine
// compile it well.

import { PAGE_SIZE } from './abi'

/**
 * Writes random numbers to [at, end), a multiple of 32 bytes: at the speed of memory, not for statistics. Four
 * congruential generators at once, because the steps of one would wait for each other; each number is made of two of
 * them, so that the low bits, which are poor in such generators, meet good ones.
 */
export function fillRandom(at: usize, end: usize, seed: u32, stream: u32): void {
  let state = startOf(seed, stream)
  for (; at < end; at += 32) {
    state = step(state)
    v128.store(at, firstFour(state))
    v128.store(at, lastFour(state), 16)
  }
}

/** Writes a page of letters a to p and spaces; its number is in the first eight letters. */
export function fillText(page: usize, seed: u32, id: u32): void {
  let state = startOf(seed, id)
  const end = page + PAGE_SIZE
  for (let at = page; at < end; at += 32) {
    state = step(state)
    v128.store(at, lettersOf(firstFour(state)))
    v128.store(at, lettersOf(lastFour(state)), 16)
  }
  store<u64>(page, 0x6161616161616161 + fourBitsAByte(id))
}

/** Writes a page of eight-byte words that look like addresses of one heap: aligned, their high halves nearly the same. */
export function fillPointers(page: usize, seed: u32, id: u32): void {
  let state = startOf(seed, id)
  const end = page + PAGE_SIZE
  for (let at = page; at < end; at += 32) {
    state = step(state)
    v128.store(at, pointersOf(firstFour(state)))
    v128.store(at, pointersOf(lastFour(state)), 16)
  }
  store<u64>(page, ((<u64>0x5500) << 32) | ((<u64>id) << 3))
}

/**
 * Writes a page of Marsaglia's xorshift128, as `xorshift` in src/synth/random.ts gives it. The four numbers that are
 * its state make the next four at once. Each is the one before, folded, and a term t that is known from the state alone;
 * to fold a number is to xor it with itself shifted right by 19, and folding twice changes nothing, as 2 * 19 > 31. So
 * each is the last of the four before, all terms up to its own, and shifted by 19 every other one of these.
 */
export function fillXorshift(page: usize, seed: u32, stream: u32): void {
  const zero = i32x4.splat(0)
  let four = i32x4(0, 0, 0x6c078965, 0x9908b0df)
  four = i32x4.replace_lane(four, 0, (seed ^ 0x85ebca6b) * 0xcc9e2d51)
  four = i32x4.replace_lane(four, 1, (stream ^ 0xc2b2ae35) * 0x1b873593)
  const end = page + PAGE_SIZE
  for (let at = page; at < end; at += 16) {
    const shifted = v128.xor(four, i32x4.shl(four, 11))
    const terms = v128.xor(shifted, i32x4.shr_u(shifted, 8))
    const pairs = v128.xor(terms, v128.shuffle<i32>(zero, terms, 0, 4, 5, 6))
    const sums = v128.xor(pairs, v128.shuffle<i32>(zero, pairs, 0, 1, 4, 5))
    const earlier = v128.shuffle<i32>(four, terms, 3, 4, 5, 6)
    const others = v128.xor(earlier, v128.shuffle<i32>(zero, earlier, 0, 1, 4, 5))
    const last = v128.shuffle<i32>(four, four, 3, 3, 3, 3)
    four = v128.xor(v128.xor(last, sums), i32x4.shr_u(others, 19))
    v128.store(at, four)
  }
}

function startOf(seed: u32, stream: u32): v128 {
  const a = ((seed ^ 0x85ebca6b) * 0xcc9e2d51) ^ ((stream ^ 0xc2b2ae35) * 0x1b873593)
  const b = (a ^ (a >> 15)) * 0x2c1b3c6d
  const c = (b ^ (b >> 12)) * 0x297a2d39
  const d = (c ^ (c >> 15)) * 0x85ebca6b
  const ab = i32x4.replace_lane(i32x4.splat(a), 1, b)
  return i32x4.replace_lane(i32x4.replace_lane(ab, 2, c), 3, d)
}

function step(state: v128): v128 {
  const product = i32x4.mul(state, i32x4(0x915f77f5, 0x93d765dd, 0x2c9277b5, 0xac564b05))
  return i32x4.add(product, i32x4(0x6b79, 0x9e37, 0x79b9, 0x85eb))
}

/** Each generator with the high half of the next. */
function firstFour(state: v128): v128 {
  return v128.xor(state, i32x4.shr_u(v128.shuffle<i32>(state, state, 1, 2, 3, 0), 16))
}

/** Each generator, its halves exchanged, with another. */
function lastFour(state: v128): v128 {
  const exchanged = v128.or(i32x4.shl(state, 16), i32x4.shr_u(state, 16))
  return v128.xor(exchanged, v128.shuffle<i32>(state, state, 2, 3, 1, 0))
}

/** Of each byte four bits are the letter; where the other three that count are 0 it is a space. */
function lettersOf(random: v128): v128 {
  const letters = i8x16.add(i8x16.splat(0x61), v128.and(random, i8x16.splat(0x0f)))
  const spaces = i8x16.eq(v128.and(random, i8x16.splat(0x70)), i8x16.splat(0))
  return v128.bitselect(i8x16.splat(0x20), letters, spaces)
}

function fourBitsAByte(number: u32): u64 {
  let spread = <u64>number
  spread = (spread | (spread << 16)) & 0x0000ffff0000ffff
  spread = (spread | (spread << 8)) & 0x00ff00ff00ff00ff
  return (spread | (spread << 4)) & 0x0f0f0f0f0f0f0f0f
}

/** Of every other number: the low three bits become those of the high half. */
function pointersOf(random: v128): v128 {
  const twice = v128.shuffle<i32>(random, random, 0, 0, 2, 2)
  return v128.or(v128.and(twice, i32x4(~7, 7, ~7, 7)), i32x4(0, 0x5500, 0, 0x5500))
}
