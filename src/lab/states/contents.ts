// Which frames hold the same bytes: by checksum first, then compared, so that a weak checksum costs time and never the
// truth. Nor much time: those that differ under one checksum are sorted, however many somebody has made.

import type { Memory } from '../../mm/model/memory.ts'

/** As many bits of a checksum as a number holds exactly. */
const KEY_BITS = 53

/**
 * Finds the frames that are not the only one with their content. Returns for each of those the list of all that have
 * it, itself among them; `pfns` names each frame once. Costs a checksum a frame.
 */
export function equalFrames({ arena }: Memory, pfns: Iterable<number>): Map<number, readonly number[]> {
  const equal = new Map<number, number[]>()
  const join = (first: number, pfn: number): void => {
    const list = equal.get(first) ?? [first]
    list.push(pfn)
    equal.set(first, list)
    equal.set(pfn, list)
  }
  /** By checksum the first frame that has it, and all that have it too and are not equal to that one. */
  const firsts = new Map<number, number>()
  const others = new Map<number, number[]>()
  for (const pfn of pfns) {
    const key = Number(BigInt.asUintN(KEY_BITS, arena.checksum(pfn)))
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, pfn)
    else if (arena.core.pagesIdentical(pfn, first) !== 0) join(first, pfn)
    else if (others.get(key)?.push(pfn) === undefined) others.set(key, [pfn])
  }
  for (const tied of others.values()) {
    tied.sort((a, b) => arena.core.comparePages(a, b))
    let first = tied[0]!
    for (const pfn of tied.slice(1)) {
      if (arena.core.pagesIdentical(pfn, first) !== 0) join(first, pfn)
      else first = pfn
    }
  }
  return equal
}
