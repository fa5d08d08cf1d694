// Which frames hold the same bytes: by checksum first, then compared, so that a weak checksum costs time and never the
// truth.

import type { Memory } from '../../mm/model/memory.ts'

/** As many bits of a checksum as a number holds exactly. */
const KEY_BITS = 53

/**
 * Finds the frames that are not the only one with their content. Returns for each of those the list of all that have
 * it, itself among them; `pfns` names each frame once. Costs a checksum a frame.
 */
export function equalFrames({ arena }: Memory, pfns: Iterable<number>): Map<number, readonly number[]> {
  const equal = new Map<number, number[]>()
  /** The first frame of each content, by checksum; several where checksums tie. */
  const firsts = new Map<number, number | number[]>()
  for (const pfn of pfns) {
    const key = Number(BigInt.asUintN(KEY_BITS, arena.checksum(pfn)))
    const tied = firsts.get(key) ?? []
    const candidates = typeof tied === 'number' ? [tied] : tied
    const first = candidates.find((other) => arena.core.pagesIdentical(pfn, other) !== 0)
    if (first === undefined) {
      firsts.set(key, candidates.length === 0 ? pfn : [...candidates, pfn])
      continue
    }
    const list = equal.get(first) ?? [first]
    list.push(pfn)
    equal.set(first, list)
    equal.set(pfn, list)
  }
  return equal
}
