// Which checksum is in force: the one switch over CHECKSUM_*. One algorithm per file beside this one.

import { CHECKSUM_XXH3, CHECKSUM_XXH64 } from './abi'
import { Header } from './struct'
import { xxh3 } from './xxh3'
import { xxh64 } from './xxh64'

/** Hashes a page into the 64 bits at `out` with the arena's own checksum. Linux: calc_checksum() */
export function checksum(pfn: u32, out: usize): void {
  store<u64>(out, hashPage(pfn))
}

export function hashPage(pfn: u32): u64 {
  switch (changetype<Header>(0).checksum) {
    case CHECKSUM_XXH64:
      return xxh64(pfn)
    case CHECKSUM_XXH3:
      return xxh3(pfn)
    default:
      unreachable()
  }
  return 0
}
