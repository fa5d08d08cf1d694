// What a helper thread does: it hashes pages that the scan is about to visit, and fetches into the cache what the visits
// will look at. It writes nothing but their checksums, and those only while they are wanted, so it may be late, or stop
// for good, without anybody noticing but by the time; only in the two instructions that write one down it is waited for.

import {
  HEADER_ARENA_PAGES,
  HEADER_HELPERS,
  HELPERS_AWAKE,
  HELPERS_END,
  HELPERS_FETCHED,
  HELPERS_STABLE,
  HELPERS_STATE,
  HELPERS_UNSTABLE,
  LINK_ROOT,
  NODE_PFN,
  PAGE_SHIFT,
  PAGE_SIZE,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_TAKEN,
  TICKET_WRITING,
  TREE_CHECKSUM,
  WINDOW_LENGTH,
} from './abi'
import { hashPage } from './checksum'
import { rootLink } from './search'
import { entryAt, foresee, moveTicket, phaseAt } from './window'

/** Two threads that take page after page from each other's hands read both slowly: they keep so many pages apart. */
const BERTH: u32 = 32

/** Hashes the pages offered from a position on, until helpers are to sleep. Returns the position it has come to. */
export function hashAhead(from: u32): u32 {
  let at = from
  let seen: u32 = 0
  while (atomic.load<u32>(HEADER_HELPERS, HELPERS_STATE) == HELPERS_AWAKE) {
    const end = atomic.load<u32>(HEADER_HELPERS, HELPERS_END)
    if (end - at > WINDOW_LENGTH) at = end - WINDOW_LENGTH
    for (; at != end; at++) {
      const phase = phaseAt(at)
      if (phase == TICKET_OFFERED) seen |= hashOffered(at)
      else if (phase != TICKET_DONE) at = min(at | (BERTH - 1), end - 1)
    }
  }
  store<u32>(HEADER_HELPERS, seen, HELPERS_FETCHED) // or the reads would be no one's and go
  return at
}

function hashOffered(at: u32): u32 {
  if (!moveTicket(at, TICKET_OFFERED, TICKET_TAKEN)) return 0
  const entry = entryAt(at)
  const hash = hashPage(entry.pfn)
  if (!moveTicket(at, TICKET_TAKEN, TICKET_WRITING)) return 0
  entry.checksum = hash
  moveTicket(at, TICKET_WRITING, TICKET_DONE)
  const stable = load<u32>(HEADER_HELPERS, HELPERS_STABLE)
  const seen = foresee(at, stable, load<u32>(HEADER_HELPERS, HELPERS_UNSTABLE))
  return seen != 0 ? seen | fetchEqual(stable, hash) : 0
}

/**
 * Reads the merged page that a page of this checksum will be compared with. Whatever is read here may be changing, and
 * mean something else by now: nothing follows from it.
 */
function fetchEqual(stableRoots: u32, hash: u64): u32 {
  const node = load<u32>(rootLink(stableRoots, hash) & ~LINK_ROOT)
  const pfn = load<u32>(node, NODE_PFN)
  if (load<u64>(node, TREE_CHECKSUM) != hash || pfn >= load<u32>(HEADER_ARENA_PAGES)) return 0
  let seen: u32 = 0
  const page: usize = pfn << PAGE_SHIFT
  for (let at: usize = 0; at < PAGE_SIZE; at += 64) seen |= load<u32>(page + at)
  return seen
}
