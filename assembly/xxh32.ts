// XXH32 of one page: 32 bits, made for 32-bit processors.
// Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const PRIME_1: u32 = 0x9e3779b1
const PRIME_2: u32 = 0x85ebca77
const PRIME_3: u32 = 0xc2b2ae3d

/** Hashes one page with XXH32. */
export function xxh32(pfn: u32, seed: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let v1: u32 = seed + PRIME_1 + PRIME_2
  let v2: u32 = seed + PRIME_2
  let v3: u32 = seed
  let v4: u32 = seed - PRIME_1
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 16) {
    v1 = round(v1, load<u32>(p))
    v2 = round(v2, load<u32>(p, 4))
    v3 = round(v3, load<u32>(p, 8))
    v4 = round(v4, load<u32>(p, 12))
    p += 16
  }
  let hash = rotl<u32>(v1, 1) + rotl<u32>(v2, 7) + rotl<u32>(v3, 12) + rotl<u32>(v4, 18)
  hash += PAGE_SIZE
  hash ^= hash >> 15
  hash *= PRIME_2
  hash ^= hash >> 13
  hash *= PRIME_3
  return hash ^ (hash >> 16)
}

function round(accumulator: u32, input: u32): u32 {
  return rotl<u32>(accumulator + input * PRIME_2, 13) * PRIME_1
}
