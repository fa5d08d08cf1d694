// Families of pages to try checksums on: what memory is full of, and what somebody would prepare who wants to do harm.
// Every family is made from a seed, and no two of its pages are equal.

import { WORDS_PER_PAGE } from '../../../assembly/abi.ts'
import { sampleOrder } from '../../core/strategy.ts'
import { XXH3_SECRET } from '../../core/xxh3-secret.ts'
import { DEFAULT_SAMPLE_WORDS } from '../../options.ts'

export const FAMILIES = ['random', 'near-duplicate', 'pointer-rich', 'sparse', 'adversarial'] as const
export type Family = (typeof FAMILIES)[number]

/** For which checksums, at seed 0, the adversarial family has pages that collide. */
export const PREPARED = ['xxh3', 'xxh64', 'xxh32', 'rapidhash', 'crc32c', 'sampled'] as const
export type Prepared = (typeof PREPARED)[number]

/** A page as words, written in place; it holds what the page before left in it. */
type Fill = (words: Uint32Array, page: number) => void

/** What writes page after page of a family. */
export function familyPages(family: Family, seed: number): Fill {
  switch (family) {
    case 'random':
      return (words, page) => {
        fillRandom(words, seed, page)
        words[0] = page // the generator may repeat itself, a page may not
      }
    case 'near-duplicate':
      return nearDuplicates(seed)
    case 'pointer-rich':
      return pointers(seed)
    case 'sparse':
      return sparse
    case 'adversarial':
      return (words, page) =>
        preparedPage(PREPARED[page % PREPARED.length]!)(words, Math.floor(page / PREPARED.length))
  }
}

/** Pages that differ in one word from one page. */
function nearDuplicates(seed: number): Fill {
  return (words, page) => {
    fillRandom(words, seed, 0)
    const at = (page * 0x3a5) % WORDS_PER_PAGE
    words[at] = (words[at]! + 1 + Math.floor(page / WORDS_PER_PAGE)) >>> 0
  }
}

/** Addresses of 64 bits into a few regions, as a heap has them: the upper 16 bits 0, the next 20 nearly always the same. */
function pointers(seed: number): Fill {
  return (words, page) => {
    const next = generator(seed, page + 1)
    for (let at = 0; at < WORDS_PER_PAGE; at += 2) {
      const dice = next()
      words[at] = (dice & 0x00ffffc0) | ((dice >>> 28) << 26)
      words[at + 1] = dice >>> 30 === 0 ? 0x5555 : 0x7f3c
    }
    words[0] = page * 16
  }
}

/** Zeros but for one, two or three words. */
const sparse: Fill = (words, page) => {
  words.fill(0)
  words[Math.imul(page, 0x9e3779b1) >>> 22] = 1 + page
  if (page % 3 > 0) words[Math.imul(page, 0x85ebca77) >>> 22]! ^= 0x10000
  if (page % 3 > 1) words[Math.imul(page, 0xc2b2ae3d) >>> 22]! ^= 0x1000000
}

/** Pages that all have one checksum, if its seed is 0. */
export function preparedPage(checksum: Prepared): Fill {
  switch (checksum) {
    case 'xxh3':
      return sameXxh3
    case 'xxh64':
      return sameXxh64
    case 'xxh32':
      return sameXxh32
    case 'rapidhash':
      return sameRapidhash
    case 'crc32c':
      return sameCrc32c
    case 'sampled':
      return sameSample
  }
}

/**
 * XXH3 multiplies the halves of each word xored with its part of the secret: where the lower half equals the secret's the
 * product is 0 whatever the upper half. The word is also added to its neighbour, so two of them keep their sum.
 */
const sameXxh3: Fill = (words, page) => {
  fillRandom(words, 1, 0)
  const secret = new DataView(XXH3_SECRET.buffer)
  for (const stripe of [0, 1]) {
    words[16 * stripe] = secret.getUint32(8 * stripe, true)
    words[16 * stripe + 1] = stripe === 0 ? page : (0x1000_0000 - page) >>> 0
  }
}

/** XXH64 adds a word to a lane times an odd number: for any first word there is a second that makes good for it. */
const sameXxh64: Fill = (words, page) => {
  fillRandom(words, 2, 0)
  const [prime1, prime2] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn]
  const first = BigInt(page)
  const sum = wrap(prime1 + prime2 + first * prime2)
  const lane = wrap((wrap(sum << 31n) | (sum >> 33n)) * prime1)
  const second = wrap((12_345n - lane) * 0x0ba79078168d4bafn)
  for (const [at, word] of [
    [0, first],
    [8, second],
  ] as const) {
    words[at] = Number(word & 0xffff_ffffn)
    words[at + 1] = Number(word >> 32n)
  }
}

/** XXH32 is the same with words of 32 bits. */
const sameXxh32: Fill = (words, page) => {
  fillRandom(words, 3, 0)
  const [prime1, prime2] = [0x9e3779b1, 0x85ebca77]
  const sum = (prime1 + prime2 + Math.imul(page, prime2)) | 0
  const lane = Math.imul((sum << 13) | (sum >>> 19), prime1)
  words[0] = page
  words[4] = Math.imul(12_345 - lane, 0xb6c92f47) >>> 0
}

/** rapidhash multiplies a word xored with a constant by another: where the first equals it, the other has no say. */
const sameRapidhash: Fill = (words, page) => {
  fillRandom(words, 4, 0)
  words[0] = 0xaa6c78a5
  words[1] = 0x2d358dcc
  words[2] = page
}

/** A CRC does not see multiples of its polynomial; here it is added at another byte for each page. */
const sameCrc32c: Fill = (words, page) => {
  fillRandom(words, 5, 0)
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
  const places = bytes.length - 5
  for (let at = page % places, times = 0; times <= Math.floor(page / places); times++) {
    // The 33 bits of the polynomial, highest power first and each byte from its lowest bit.
    for (const [i, byte] of [0xf1, 0x76, 0xec, 0x05, 0x01].entries()) bytes[at + i]! ^= byte
    at = (at + 1 + Math.floor(page / places)) % places
  }
}

/** What the sample does not reach it does not see. */
const sameSample: Fill = (words, page) => {
  fillRandom(words, 6, 0)
  const unseen = sampleOrder(0n).subarray(DEFAULT_SAMPLE_WORDS)
  words[unseen[page % unseen.length]! / 4]! += 1 + Math.floor(page / unseen.length)
}

function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value)
}

function fillRandom(words: Uint32Array, seed: number, page: number): void {
  const next = generator(seed, page)
  for (let at = 0; at < words.length; at++) words[at] = next()
}

/** Marsaglia's xorshift32, well stirred at the start. */
function generator(seed: number, stream: number): () => number {
  let state = Math.imul(seed + 1, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35)
  state = Math.imul(state ^ (state >>> 16), 0x45d9f3b) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.imul(state, 0x9e3779b1) >>> 0
  }
}
