// Whether what nobody recognises looks like a guest's memory. Not to find out what it is, only not to count an archive's pages:
// whoever knows better says that it is raw.

import type { Buffer } from 'node:buffer'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type ImageFile, refuse } from './file.ts'

/** Pages looked at, the first and the last among them. */
const SAMPLES = 512
/** Fewer pages than this say nothing. */
const LEAST = 32
/**
 * Bits a byte, of 8. A page of random bytes has 7.95, deflate's 7.9 and more. A guest's program text has about 6, and no guest
 * has nothing else: whatever runs has page tables, kernel data, pages of zeros, so that among hundreds of its pages, taken evenly,
 * one is below.
 */
const PACKED_BITS = 7.5

const RAW = `if it is memory, byte after byte, say so: format: 'raw'`

/** Throws EINVAL for a file that is not made of pages, or packed or encrypted from end to end. */
export function expectMemory(file: ImageFile): void {
  if (file.size % PAGE_SIZE !== 0) {
    throw refuse(
      file,
      `begins like nothing known, and its ${file.size} bytes are no whole pages of ${PAGE_SIZE}; ${RAW}`,
    )
  }
  const pages = file.size / PAGE_SIZE
  if (pages < LEAST) return
  const samples = Math.min(SAMPLES, pages)
  const words = new Set<bigint>()
  for (let i = 0; i < samples; i++) {
    const page = file.bytes(Math.floor((i * (pages - 1)) / (samples - 1)) * PAGE_SIZE, PAGE_SIZE)
    if (entropy(page) < PACKED_BITS || repeats(page, words)) return
  }
  throw refuse(file, `begins like nothing known, and is packed or encrypted from end to end; ${RAW}`)
}

/** Bits a byte, by how often each value occurs. */
export function entropy(bytes: Uint8Array): number {
  const counts = new Uint32Array(256)
  for (const byte of bytes) counts[byte]!++
  let bits = 0
  for (const count of counts) {
    if (count > 0) bits -= (count / bytes.length) * Math.log2(count / bytes.length)
  }
  return bits
}

/** Of a page so many words of eight bytes are looked at. In what is packed none comes twice, not once in the age of the world. */
const WORDS = 32

/** Does a page have words that were seen, in itself or before? Adds its own. */
function repeats(page: Buffer, words: Set<bigint>): boolean {
  const before = words.size
  for (let at = 0; at < PAGE_SIZE; at += PAGE_SIZE / WORDS) words.add(page.readBigUInt64LE(at))
  return words.size < before + WORDS
}
