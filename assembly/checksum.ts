// Which checksum is in force: the one switch over CHECKSUM_*, and the one place where its bits are cut. One algorithm
// per file beside this one.

import {
  CHECKSUM_CRC32C,
  CHECKSUM_FNV1A,
  CHECKSUM_JHASH2,
  CHECKSUM_MURMUR3,
  CHECKSUM_NONE,
  CHECKSUM_OWN,
  CHECKSUM_RAPIDHASH,
  CHECKSUM_SAMPLED,
  CHECKSUM_SUPERFAST,
  CHECKSUM_XXH3,
  CHECKSUM_XXH32,
  CHECKSUM_XXH64,
  HEADER_STRATEGY,
  PAGE_SHIFT,
} from './abi'
import { crc32c } from './crc32c'
import { fnv1a } from './fnv1a'
import { jhash2 } from './jhash2'
import { murmur3 } from './murmur3'
import { none } from './none'
import { own } from './own'
import { rapidhash } from './rapidhash'
import { sampled } from './sampled'
import { Header, Strategy } from './struct'
import { superfast } from './superfast'
import { xxh3 } from './xxh3'
import { xxh32 } from './xxh32'
import { xxh64 } from './xxh64'

/** An odd factor: what is kept of a checksum times it is different for different ones. */
const SPREAD: u64 = 0x9e3779b97f4a7c15

/** Hashes a page into the 64 bits at `out` with the arena's own checksum. Linux: calc_checksum() */
export function checksum(pfn: u32, out: usize): void {
  store<u64>(out, hashPage(pfn))
}

/** Hashes a page into the 64 bits at `out` by all its bytes, whatever the arena's checksum: for telling damage. */
export function digest(pfn: u32, out: usize): void {
  store<u64>(out, xxh3(pfn))
}

export function hashPage(pfn: u32): u64 {
  // The default first, outside the function that all the others are compiled into.
  if (changetype<Header>(0).checksum == CHECKSUM_XXH3) return narrow(xxh3(pfn))
  return narrow(wholeHash(pfn))
}

/** Does the checksum in force read every byte of a page? What an embedder's does nobody knows. */
export function readsWholePages(): bool {
  return changetype<Header>(0).checksum < CHECKSUM_SAMPLED
}

/** By any checksum but XXH3. */
function wholeHash(pfn: u32): u64 {
  const seed = changetype<Strategy>(HEADER_STRATEGY).seed
  switch (changetype<Header>(0).checksum) {
    case CHECKSUM_XXH64:
      return xxh64(pfn, seed)
    case CHECKSUM_XXH32:
      return xxh32(pfn, <u32>seed)
    case CHECKSUM_CRC32C:
      return crc32c(pfn)
    case CHECKSUM_JHASH2:
      return jhash2(pfn, <u32>seed)
    case CHECKSUM_MURMUR3:
      return murmur3(pfn, seed)
    case CHECKSUM_RAPIDHASH:
      return rapidhash(pfn, seed)
    case CHECKSUM_FNV1A:
      return fnv1a(pfn)
    case CHECKSUM_SUPERFAST:
      return superfast(pfn)
    case CHECKSUM_SAMPLED:
      return sampled(pfn, seed)
    case CHECKSUM_NONE:
      return none()
    case CHECKSUM_OWN:
      return own(pfn << PAGE_SHIFT, seed)
    default:
      unreachable()
  }
  return 0
}

/**
 * Keeps the bits of a checksum that the arena's strategy asks for. Few bits would leave the upper half, by which trees
 * are cut short at the top, empty: it is filled with what follows from them. The lower half, which tells of change, keeps
 * them as they are.
 */
function narrow(hash: u64): u64 {
  const strategy = changetype<Strategy>(HEADER_STRATEGY)
  if (strategy.mask == u64.MAX_VALUE) return hash
  const kept = hash & strategy.mask
  return ((kept * SPREAD) & 0xffffffff00000000) | <u64>(<u32>kept | strategy.mark)
}
