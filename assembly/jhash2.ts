// jhash2 of one page: Bob Jenkins' lookup3 over words, 32 bits, what Linux's KSM used before 4.20.
// Described in https://burtleburtle.net/bob/hash/doobs.html
//
// Each step needs the one before, so a page takes as long as its chain of 341 steps.

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const WORDS: u32 = PAGE_SIZE / 4
const GOLDEN: u32 = 0xdeadbeef
/** The initial value that KSM gave; a seed of 0 leaves it so. */
const KSM_INITIAL: u32 = 17

/** Hashes one page with jhash2. */
export function jhash2(pfn: u32, seed: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let a: u32 = GOLDEN + WORDS * 4 + (KSM_INITIAL ^ seed)
  let b: u32 = a
  let c: u32 = a
  for (let left = WORDS; left > 3; left -= 3) {
    a += load<u32>(p)
    b += load<u32>(p, 4)
    c += load<u32>(p, 8)
    p += 12
    a = (a - c) ^ rotl<u32>(c, 4)
    c += b
    b = (b - a) ^ rotl<u32>(a, 6)
    a += c
    c = (c - b) ^ rotl<u32>(b, 8)
    b += a
    a = (a - c) ^ rotl<u32>(c, 16)
    c += b
    b = (b - a) ^ rotl<u32>(a, 19)
    a += c
    c = (c - b) ^ rotl<u32>(b, 4)
    b += a
  }
  // 1024 words are 341 times three and one more.
  a += load<u32>(p)
  c = (c ^ b) - rotl<u32>(b, 14)
  a = (a ^ c) - rotl<u32>(c, 11)
  b = (b ^ a) - rotl<u32>(a, 25)
  c = (c ^ b) - rotl<u32>(b, 16)
  a = (a ^ c) - rotl<u32>(c, 4)
  b = (b ^ a) - rotl<u32>(a, 14)
  return (c ^ b) - rotl<u32>(b, 24)
}
