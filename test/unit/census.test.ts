// The census's names for contents, against Node's other way to a SHA-256.

import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { digestOf } from '../../src/synth/census.ts'

it('names a page by the first 128 bits of its SHA-256', () => {
  for (let value = 0; value < 256; value++) {
    const page = new Uint8Array(4096).fill(value)
    const hex = createHash('sha256').update(page).digest('hex')
    expect(Buffer.from(digestOf(page).buffer).toString('hex')).toBe(hex.slice(0, 32))
  }
})
