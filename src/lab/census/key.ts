// The key of fingerprints: 128 bits, as 32 hexadecimal digits. One that nobody has told is drawn anew for each census.

import { expectString, mistake } from '../../errors.ts'
import { randomBytes } from '../../platform.ts'
import type { CensusKey } from './binary.ts'

const KEY_BYTES = 16

/** Reads a key, or draws one. Throws TypeError, RangeError. */
export function censusKey(given: string | undefined): CensusKey {
  const hex = expectString('key', given)
  if (hex === undefined) {
    const words = new BigUint64Array(randomBytes(KEY_BYTES).buffer as ArrayBuffer)
    return { low: words[0]!, high: words[1]! }
  }
  if (!/^[0-9a-f]{32}$/i.test(hex)) {
    throw mistake(
      new RangeError(
        `Expected \`key\` to be ${KEY_BYTES * 2} hexadecimal digits, got ${hex.length} characters`,
      ),
    )
  }
  return { low: BigInt(`0x${hex.slice(16)}`), high: BigInt(`0x${hex.slice(0, 16)}`) }
}

/** A fingerprint as text. */
export function printText(words: Uint32Array): string {
  // Two words of 64 bits, the leading one first.
  return [1, 0, 3, 2].map((i) => words[i]!.toString(16).padStart(8, '0')).join('')
}
