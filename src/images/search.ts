// Where in a sorted list something begins, and what of it lies between two places.

/** The first of the numbers 0 to `count` - 1 for which `holds`, `count` if it is none; from one for which it holds, it holds on. */
export function firstWhere(count: number, holds: (i: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Bytes at `offset` of a file, and where they go: ascending, never overlapping. */
export interface Piece {
  readonly at: number
  readonly length: number
  readonly offset: number
}

/** Calls `use` with what of pieces goes between two places, ascending: from where to where, and where in the file that is. */
export function piecesWithin(
  pieces: readonly Piece[],
  start: number,
  end: number,
  use: (low: number, high: number, offset: number) => void,
): void {
  const first = firstWhere(pieces.length, (i) => pieces[i]!.at + pieces[i]!.length > start)
  for (let i = first; i < pieces.length && pieces[i]!.at < end; i++) {
    const { at, length, offset } = pieces[i]!
    const low = Math.max(at, start)
    use(low, Math.min(at + length, end), offset + (low - at))
  }
}
