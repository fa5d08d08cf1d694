// What the packings of Lempel and Ziv's family share: to write what is new, and again what was written before.

/** Packed bytes that do not unpack; the message is the end of a sentence that begins with what they are. */
export class Damaged extends Error {
  override readonly name = 'Damaged'
}

/** Writes at `end` of `into` the `count` bytes that stand at `at` of `from`. Throws Damaged. */
export function copyLiterals(
  from: Uint8Array,
  at: number,
  into: Uint8Array,
  end: number,
  count: number,
): void {
  if (at + count > from.length || end + count > into.length) throw new Damaged('runs over its end')
  into.set(from.subarray(at, at + count), end)
}

/**
 * Writes at `end` of `into` the `length` bytes that stand `distance` before it, and returns the new end. What is written may
 * be read again: a distance of 1 repeats a byte. Throws Damaged.
 */
export function copyBack(into: Uint8Array, end: number, distance: number, length: number): number {
  const from = end - distance
  if (distance === 0 || from < 0) throw new Damaged('points before its beginning')
  if (end + length > into.length) throw new Damaged('runs over its end')
  if (distance >= length) into.copyWithin(end, from, from + length)
  else for (let i = 0; i < length; i++) into[end + i] = into[from + i]!
  return end + length
}
