// XXH64 of one page: with seed 0 the checksum of Linux's KSM, which keeps its low 32 bits to notice change.
// Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const PRIME_1: u64 = 0x9e3779b185ebca87
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f
const PRIME_3: u64 = 0x165667b19e3779f9
const PRIME_4: u64 = 0x85ebca77c2b2ae63

/** Hashes one page with XXH64. */
export function xxh64(pfn: u32, seed: u64): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let v1: u64 = seed + PRIME_1 + PRIME_2
  let v2: u64 = seed + PRIME_2
  let v3: u64 = seed
  let v4: u64 = seed - PRIME_1
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 32) {
    v1 = round(v1, load<u64>(p))
    v2 = round(v2, load<u64>(p, 8))
    v3 = round(v3, load<u64>(p, 16))
    v4 = round(v4, load<u64>(p, 24))
    p += 32
  }
  let hash = rotl<u64>(v1, 1) + rotl<u64>(v2, 7) + rotl<u64>(v3, 12) + rotl<u64>(v4, 18)
  hash = mergeRound(hash, v1)
  hash = mergeRound(hash, v2)
  hash = mergeRound(hash, v3)
  hash = mergeRound(hash, v4)
  hash += PAGE_SIZE
  hash ^= hash >> 33
  hash *= PRIME_2
  hash ^= hash >> 29
  hash *= PRIME_3
  return hash ^ (hash >> 32)
}

function round(accumulator: u64, input: u64): u64 {
  return rotl<u64>(accumulator + input * PRIME_2, 31) * PRIME_1
}

function mergeRound(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4
}
