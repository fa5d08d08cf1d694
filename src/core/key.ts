// The key: the 64-bit checksum that the trees are searched for, and where it stands. A checksum in a record is moved and
// read by its address here too, in two words, because numbers hold no 64 bits.

import { HEADER_KEY } from '../../assembly/abi.ts'

/** The address of what the trees are searched for at this moment. */
export const KEY: number = HEADER_KEY

/** The low half of the key at an address, 32 bits. */
export function lowHalf(u32: Uint32Array, key: number): number {
  return u32[key >>> 2]!
}

/** The upper half, by whose leading bits a tree's root slot is chosen. */
export function upperHalf(u32: Uint32Array, key: number): number {
  return u32[(key + 4) >>> 2]!
}

export function writeKey(u32: Uint32Array, key: number, upper: number, low: number): void {
  u32[key >>> 2] = low
  u32[(key + 4) >>> 2] = upper
}

export function copyKey(u32: Uint32Array, to: number, from: number): void {
  u32[to >>> 2] = u32[from >>> 2]!
  u32[(to + 4) >>> 2] = u32[(from + 4) >>> 2]!
}
