// A checksum that is not of this binary: a function in the table that whoever instantiates the core hands in (src/core/own.ts). It
// is code of the embedder's, so it is only called while nothing is half done, and whatever it returns is a checksum.

/** Its place in the table, which has no other. */
const OWN: u32 = 0

/** The checksum of the page that begins at the address `at`. */
export function own(at: u32, seed: u64): u64 {
  const hash = call_indirect<u64>(OWN, at, seed)
  // A page that was never visited has 0: with a sum of its bytes every page of zeros would pass for unchanged.
  return <u32>hash != 0 ? hash : hash | 1
}
