// Keys: 64-bit checksums, named by the address where they stand (in the window, in a tree node), because numbers hold no 64
// bits. Trees are searched for the key at an address; here keys are moved and read, in two words.

import { HEADER_RESULT } from '../../assembly/abi.ts'

/** The address for a checksum that belongs to no page in the window. */
export const RESULT: number = HEADER_RESULT

/** The low half of the key at an address, 32 bits. */
export function lowHalf(u32: Uint32Array, key: number): number {
  return u32[key >>> 2]!
}

/** The upper half, by whose leading bits a tree's root slot is chosen. */
export function upperHalf(u32: Uint32Array, key: number): number {
  return u32[(key + 4) >>> 2]!
}

export function readKey(u32: Uint32Array, key: number): bigint {
  return (BigInt(upperHalf(u32, key)) << 32n) | BigInt(lowHalf(u32, key))
}

export function writeKey(u32: Uint32Array, key: number, upper: number, low: number): void {
  u32[key >>> 2] = low
  u32[(key + 4) >>> 2] = upper
}

export function copyKey(u32: Uint32Array, to: number, from: number): void {
  u32[to >>> 2] = u32[from >>> 2]!
  u32[(to + 4) >>> 2] = u32[(from + 4) >>> 2]!
}
