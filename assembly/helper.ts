// What a helper thread does: it hashes pages that the scan is about to visit. It writes nothing but their checksums, and
// those only while they are wanted, so it can be late, or stop for good, without anybody noticing but by the time.

import {
  AHEAD_END,
  HEADER_AHEAD,
  HEADER_ARENA_PAGES,
  HEADER_INDEX,
  INDEX_CONTENT,
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
import { Ahead } from './struct'
import { entryAt, phaseAt, step } from './window'

/** How often a helper looks for more before it goes to sleep, which takes the scan a call to wake it from. */
const PATIENCE: u32 = 2000

/** x */
const BERTH: u32 = 32

/** Hashes pages from a position on until there are none for a while. Returns the position behind the last. */
export function hashAhead(from: u32): u32 {
  let at = from
  for (let left = PATIENCE; left != 0; left--) {
    const end = atomic.load<u32>(HEADER_AHEAD, AHEAD_END)
    if (at == end) continue
    if (end - at > WINDOW_LENGTH) at = end - WINDOW_LENGTH
    for (; at != end; at++) {
      const phase = phaseAt(at)
      if (phase == TICKET_OFFERED) hashOffered(at)
      else if (phase != TICKET_DONE) at = min(at | (BERTH - 1), end - 1)
    }
    left = PATIENCE
  }
  return at
}

function hashOffered(at: u32): void {
  if (!step(at, TICKET_OFFERED, TICKET_TAKEN)) return
  const entry = entryAt(at)
  const hash = hashPage(entry.pfn)
  if (!step(at, TICKET_TAKEN, TICKET_WRITING)) return
  entry.checksum = hash
  step(at, TICKET_WRITING, TICKET_DONE)
}
