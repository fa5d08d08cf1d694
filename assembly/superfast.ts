// SuperFastHash of one page: 32 bits, Paul Hsieh's, against which UKSM's authors measured theirs.
// Described in http://www.azillionmonkeys.com/qed/hash.html

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

/** Hashes one page with SuperFastHash. */
export function superfast(pfn: u32): u64 {
  let p: usize = pfn << PAGE_SHIFT
  let hash: u32 = PAGE_SIZE
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 4) {
    const word = load<u32>(p)
    hash += word & 0xffff
    hash = (hash << 16) ^ ((word >> 16) << 11) ^ hash
    hash += hash >> 11
    p += 4
  }
  hash ^= hash << 3
  hash += hash >> 5
  hash ^= hash << 4
  hash += hash >> 17
  hash ^= hash << 25
  hash += hash >> 6
  return hash
}
