// Pages of a store of snapshots: a third, tiny binary beside the core, for src/store alone. It is the core's comparison and
// its XXH3, built for a memory that is not shared: a store lives where memory cannot be shared too, and copying in and out of
// a shared one takes longer. In that memory page 0 is the header, of which only XXH3's secret is used.

import { xxh3 } from './xxh3'

export { isZeroPage, pagesIdentical } from './page'

/** Hashes a page by all its bytes into the 64 bits at `out`. */
export function digest(pfn: u32, out: usize): void {
  store<u64>(out, xxh3(pfn))
}
