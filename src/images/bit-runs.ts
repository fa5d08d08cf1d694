// Bitmaps of pages, as runs.

/** The runs of bits that are set among the first `end`, the lowest bit of a byte first: where each begins, and its length. */
export function* bitRuns(
  bitmap: Uint8Array,
  end: number,
): Generator<readonly [first: number, count: number]> {
  const isSet = (bit: number): boolean => (bitmap[bit >>> 3]! & (1 << (bit & 7))) !== 0
  for (let bit = 0; bit < end; ) {
    if ((bit & 7) === 0 && bitmap[bit >>> 3] === 0) {
      bit += 8
      continue
    }
    if (!isSet(bit)) {
      bit++
      continue
    }
    const first = bit
    while (bit < end && isSet(bit)) {
      const wholeByte = (bit & 7) === 0 && bitmap[bit >>> 3] === 255 && bit + 8 <= end
      bit += wholeByte ? 8 : 1
    }
    yield [first, bit - first]
  }
}
