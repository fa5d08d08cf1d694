// Where in a sorted list something begins.

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
