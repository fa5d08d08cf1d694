// The pages about to be visited: their checksums are taken ahead, a handful in one go (see abi.ts), by the scan itself
// or by its helpers.

import {
  HEADER_INDEX,
  HEADER_STRATEGY,
  INDEX_CONTENT,
  LINK_ROOT,
  PAGE_SHIFT,
  PAGE_SIZE,
  RMAP_CHECKSUM,
  TICKET_DONE,
  TICKET_OFFERED,
  TICKET_OWN,
  TICKET_SHIFT,
  TICKET_WRITING,
  WINDOW,
  WINDOW_ENTRY_BYTES,
  WINDOW_LENGTH,
  WINDOW_TICKET,
  ZERO_PFN,
} from './abi'
import { hashPage, readsWholePages } from './checksum'
import { rootLink } from './search'
import { Strategy, WindowEntry } from './struct'

/** Pages that are read ahead at a time. */
const AHEAD: u32 = 8
const LINE: usize = 64

/**
 * Makes sure that the `count` pages from a position on are hashed, read ahead where they lie apart. Then looks at the
 * places where they will be searched for: not for the answer, but so that the searches find them in the cache, all these
 * reads being independent of one another.
 */
export function hashWindow(start: u32, count: u32, stableRoots: u32, unstableRoots: u32): u32 {
  const end = start + count
  let late = false
  let seen: u32 = 0
  const ahead = readsWholePages()
  for (let at = start; at != end; at++) {
    if (ahead && ((at - start) & (AHEAD - 1)) == 0 && end - at >= AHEAD) seen |= readAhead(at)
    const phase = phaseAt(at)
    if (phase == TICKET_OWN || (phase == TICKET_OFFERED && moveTicket(at, phase, TICKET_OWN))) hashEntry(at)
    else if (phase != TICKET_DONE) late = true
  }
  // Last, because a helper that is at a page now is likely to be through with it by then.
  for (let at = start; late && at != end; at++) if (takeFromHelper(at)) hashEntry(at)
  for (let at = start; at != end; at++) seen |= foresee(at, stableRoots, unstableRoots)
  return seen // or the reads would be no one's and go
}

/**
 * Looks at the places where the page at a position will be searched for: if it will be, being unchanged or of a guest
 * that is still, and if trees are ordered by checksum. Returns what it saw, 0 if it did not look.
 */
export function foresee(at: u32, stableRoots: u32, unstableRoots: u32): u32 {
  if (load<u32>(HEADER_INDEX) == INDEX_CONTENT) return 0
  const entry = entryAt(at)
  const key = entry.checksum
  const still = changetype<Strategy>(HEADER_STRATEGY).still != 0
  if (!still && <u32>key != load<u32>(entry.item, RMAP_CHECKSUM)) return 0
  const stable = load<u32>(load<u32>(rootLink(stableRoots, key) & ~LINK_ROOT))
  return stable | load<u32>(load<u32>(rootLink(unstableRoots, key) & ~LINK_ROOT))
}

/**
 * Returns 1 if the low 32 bits of the checksum of the page at a position differ from those in the page's rmap item: they
 * alone tell whether the page has changed since the last visit, as in Linux. The item, which must be volatile, has the
 * checksum of the position then.
 */
export function checksumChanged(at: u32): i32 {
  const entry = entryAt(at)
  const hash = entry.checksum
  const before = load<u32>(entry.item, RMAP_CHECKSUM)
  store<u64>(entry.item, hash, RMAP_CHECKSUM)
  return <i32>(<u32>hash != before)
}

/** Takes the `count` pages from a position on back from the helpers, hashed or not: none of them is touched any more. */
export function takeBack(start: u32, count: u32): void {
  for (let at = start; at != start + count; at++) takeFromHelper(at)
}

export function entryAt(at: u32): WindowEntry {
  return changetype<WindowEntry>(WINDOW + (at & (WINDOW_LENGTH - 1)) * WINDOW_ENTRY_BYTES)
}

/** Moves the ticket of the page at a position from one phase to the next. False if it was not in that phase. */
export function moveTicket(at: u32, from: u32, to: u32): bool {
  const position = at << TICKET_SHIFT
  const address = changetype<usize>(entryAt(at)) + WINDOW_TICKET
  return atomic.cmpxchg<u32>(address, position | from, position | to) == (position | from)
}

export function phaseAt(at: u32): u32 {
  return atomic.load<u32>(changetype<usize>(entryAt(at)) + WINDOW_TICKET) & ((1 << TICKET_SHIFT) - 1)
}

/** Ends what helpers do with the page at a position. True if it was in vain: it is not hashed. */
function takeFromHelper(at: u32): bool {
  let phase = phaseAt(at)
  while (phase != TICKET_OWN && phase != TICKET_DONE) {
    // One that is writing it down is two instructions from the end.
    if (phase != TICKET_WRITING && moveTicket(at, phase, TICKET_OWN)) return true
    phase = phaseAt(at)
  }
  return false
}

/**
 * Reads a line of each of AHEAD pages in turn, then the next of each: hashed one after another the processor would wait for
 * memory at each, whose place it cannot foresee, unless they lie in order, as the first and the last of them tell. Returns
 * what it saw.
 */
function readAhead(at: u32): u32 {
  const first = toRead(at)
  const eighth = toRead(at + 7)
  if (eighth - first == 7 * PAGE_SIZE || eighth == first) return 0
  const second = toRead(at + 1)
  const third = toRead(at + 2)
  const fourth = toRead(at + 3)
  const fifth = toRead(at + 4)
  const sixth = toRead(at + 5)
  const seventh = toRead(at + 6)
  let seen: u32 = 0
  for (let line: usize = 0; line != PAGE_SIZE; line += LINE) {
    const left = load<u8>(first + line) | load<u8>(second + line) | load<u8>(third + line)
    const right = load<u8>(sixth + line) | load<u8>(seventh + line) | load<u8>(eighth + line)
    seen |= left | load<u8>(fourth + line) | load<u8>(fifth + line) | right
  }
  return seen
}

/** Where the page at a position lies; one that is always at hand in the place of one that is not to be hashed here. */
function toRead(at: u32): usize {
  return (<usize>(phaseAt(at) == TICKET_OWN ? entryAt(at).pfn : ZERO_PFN)) << PAGE_SHIFT
}

function hashEntry(at: u32): void {
  const entry = entryAt(at)
  entry.checksum = hashPage(entry.pfn)
}
