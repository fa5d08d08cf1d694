// FNV-1a of one page, 64 bits, byte by byte: the simplest of all, and the slowest, because each byte waits for the
// multiplication of the one before. Specification: http://www.isthe.com/chongo/tech/comp/fnv/

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

const OFFSET_BASIS: u64 = 0xcbf29ce484222325
const PRIME: u64 = 0x100000001b3

/** Hashes one page with FNV-1a. */
export function fnv1a(pfn: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let hash = OFFSET_BASIS
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 8) {
    let word = load<u64>(p)
    for (let byte = 0; byte < 8; byte++) {
      hash = (hash ^ (word & 0xff)) * PRIME
      word >>= 8
    }
    p += 8
  }
  return hash
}
