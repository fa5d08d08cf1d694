// Names of images where there is little room: without what they all begin with.

/** Parts of a name end with one of these: of a path, and of synthetic memory. */
const PART = /[/,]/

/**
 * Returns the names without the parts that all of them begin with; of a single one, without its directories. Names that are
 * given twice are told apart by a number.
 */
export function shortNames(names: readonly string[]): string[] {
  const length = names.length === 1 ? names[0]!.lastIndexOf('/') + 1 : commonLength(names)
  const seen = new Map<string, number>()
  return names.map((name) => {
    const short = name.slice(length) || name
    const times = (seen.get(short) ?? 0) + 1
    seen.set(short, times)
    return times === 1 ? short : `${short} (${times})`
  })
}

/** How much all names begin with, up to the end of a part. */
function commonLength(names: readonly string[]): number {
  const [first = '', ...others] = names
  let end = 0
  for (let at = 0; at < first.length; at++) {
    if (others.some((other) => other[at] !== first[at])) return end
    if (PART.test(first[at]!)) end = at + 1
  }
  return end
}
