// MurmurHash3_x64_128 of one page, of which the first 64 bits are kept. By Austin Appleby; described in
// https://github.com/aappleby/smhasher/wiki/MurmurHash3
//
// A seed above 32 bits, which the original does not take, goes into both halves whole.

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const FACTOR_1: u64 = 0x87c37b91114253d5
const FACTOR_2: u64 = 0x4cf5ad432745937f

/** Hashes one page with MurmurHash3_x64_128. */
export function murmur3(pfn: u32, seed: u64): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let h1 = seed
  let h2 = seed
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 16) {
    h1 ^= rotl<u64>(load<u64>(p) * FACTOR_1, 31) * FACTOR_2
    h1 = (rotl<u64>(h1, 27) + h2) * 5 + 0x52dce729
    h2 ^= rotl<u64>(load<u64>(p, 8) * FACTOR_2, 33) * FACTOR_1
    h2 = (rotl<u64>(h2, 31) + h1) * 5 + 0x38495ab5
    p += 16
  }
  h1 ^= PAGE_SIZE
  h2 ^= PAGE_SIZE
  h1 += h2
  h2 += h1
  return avalanche(h1) + avalanche(h2)
}

function avalanche(half: u64): u64 {
  let mixed = (half ^ (half >> 33)) * 0xff51afd7ed558ccd
  mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53
  return mixed ^ (mixed >> 33)
}
