// The handful of pages about to be visited: their checksums are taken ahead, in one go (see abi.ts).

import {
  HEADER_INDEX,
  HEADER_KEY,
  HEADER_STRATEGY,
  HEADER_WINDOW,
  INDEX_CONTENT,
  LINK_ROOT,
  RMAP_CHECKSUM,
  WINDOW_ENTRY_BYTES,
  WINDOW_MERGED,
} from './abi'
import { hashPage } from './checksum'
import { rootLink } from './search'
import { Strategy, WindowEntry } from './struct'

/**
 * Hashes `count` pages of the window from `start` on. Where trees are ordered by checksum also looks at the places
 * where those will be searched for that are unchanged (or all, if guests are still): not for the answer, but so that the
 * searches find them in the cache, all these reads being independent of one another.
 */
export function hashWindow(start: u32, count: u32, stableRoots: u32, unstableRoots: u32): u32 {
  const end = start + count
  for (let i = start; i < end; i++) {
    const entry = entryAt(i)
    if ((entry.pfn & WINDOW_MERGED) == 0) entry.checksum = hashPage(entry.pfn)
  }
  if (load<u32>(HEADER_INDEX) == INDEX_CONTENT) return 0
  const still = changetype<Strategy>(HEADER_STRATEGY).still != 0
  let seen: u32 = 0
  for (let i = start; i < end; i++) {
    const entry = entryAt(i)
    const key = entry.checksum
    if (!still && <u32>key != load<u32>(entry.item, RMAP_CHECKSUM)) continue // changed: it will not be searched for
    seen |= load<u32>(load<u32>(rootLink(stableRoots, key) & ~LINK_ROOT))
    seen |= load<u32>(load<u32>(rootLink(unstableRoots, key) & ~LINK_ROOT))
  }
  return seen // or the reads would be no one's and go
}

/**
 * Makes the checksum of one page of the window the key that the trees are searched for. Returns 1 if its low 32 bits
 * differ from those in the page's rmap item, which are updated: they alone tell whether the page has changed since the
 * last visit, as in Linux.
 */
export function checksumChanged(i: u32): i32 {
  const entry = entryAt(i)
  const hash = entry.checksum
  store<u64>(HEADER_KEY, hash)
  const before = load<u32>(entry.item, RMAP_CHECKSUM)
  store<u32>(entry.item, <u32>hash, RMAP_CHECKSUM)
  return <i32>(<u32>hash != before)
}

function entryAt(i: u32): WindowEntry {
  return changetype<WindowEntry>(HEADER_WINDOW + i * WINDOW_ENTRY_BYTES)
}
