// What a helper thread does: it hashes pages that the scan is about to visit. It writes nothing but their checksums, and
// those only while they are wanted, so it may be late, or stop for good, without anybody noticing but by the time.

import {
  HEADER_HELPERS,
  HELPERS_AWAKE,
  HELPERS_END,
  HELPERS_STATE,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_TAKEN,
  TICKET_WRITING,
  WINDOW_LENGTH,
} from './abi'
import { hashPage } from './checksum'
import { entryAt, moveTicket, phaseAt } from './window'

/** Two threads that take page after page from each other's hands read both slowly: they keep so many pages apart. */
const BERTH: u32 = 32

/** Hashes the pages offered from a position on, until helpers are to sleep. Returns the position it has come to. */
export function hashAhead(from: u32): u32 {
  let at = from
  while (atomic.load<u32>(HEADER_HELPERS, HELPERS_STATE) == HELPERS_AWAKE) {
    const end = atomic.load<u32>(HEADER_HELPERS, HELPERS_END)
    if (end - at > WINDOW_LENGTH) at = end - WINDOW_LENGTH
    for (; at != end; at++) {
      const phase = phaseAt(at)
      if (phase == TICKET_OFFERED) hashOffered(at)
      else if (phase != TICKET_DONE) at = min(at | (BERTH - 1), end - 1)
    }
  }
  return at
}

function hashOffered(at: u32): void {
  if (!moveTicket(at, TICKET_OFFERED, TICKET_TAKEN)) return
  const entry = entryAt(at)
  const hash = hashPage(entry.pfn)
  if (!moveTicket(at, TICKET_TAKEN, TICKET_WRITING)) return
  entry.checksum = hash
  moveTicket(at, TICKET_WRITING, TICKET_DONE)
}
