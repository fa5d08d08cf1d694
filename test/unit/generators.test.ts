// The generators of synthetic pages, which work on four words at once, held to slow ones that work on one number.

import { describe, expect, it } from 'vitest'
import { ContentFiller } from '../../src/synth/content.ts'
import { generators } from '../../src/synth/generators.ts'
import { KIND } from '../../src/synth/plan.ts'
import { xorshift } from '../../src/synth/random.ts'

const WORDS = 1024
const SEEDS = [0, 1, 7, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 7, 0x1234_5678_9abc]
const NUMBERS = [0, 1, 0xffff, 0x10000, 0x1fff_ffff, 0x2000_0000, 2 ** 31, 0xdeadbeef, 2 ** 32 - 1]
const CASES = SEEDS.flatMap((seed) => NUMBERS.map((number) => [seed, number] as const))

const word = (number: bigint): number => Number(BigInt.asUintN(32, number))
const times = (a: number, b: number): number => word(BigInt(a) * BigInt(b))
const plus = (a: number, b: number): number => word(BigInt(a) + BigInt(b))
const xor = (a: number, b: number): number => word(BigInt(a) ^ BigInt(b))

/** A step of each congruential generator. */
const STEPS = [
  [0x915f77f5, 0x6b79],
  [0x93d765dd, 0x9e37],
  [0x2c9277b5, 0x79b9],
  [0xac564b05, 0x85eb],
] as const

function randomWords(count: number, seed: number, stream: number): number[] {
  const a = xor(times(xor(seed, 0x85ebca6b), 0xcc9e2d51), times(xor(stream, 0xc2b2ae35), 0x1b873593))
  const b = times(xor(a, a >>> 15), 0x2c1b3c6d)
  const c = times(xor(b, b >>> 12), 0x297a2d39)
  const d = times(xor(c, c >>> 15), 0x85ebca6b)
  let state = [a, b, c, d]
  const words: number[] = []
  while (words.length < count) {
    state = state.map((last, i) => plus(times(last, STEPS[i]![0]), STEPS[i]![1]))
    for (const [i, number] of state.entries()) words.push(xor(number, state[(i + 1) % 4]! >>> 16))
    for (const [i, other] of [2, 3, 1, 0].entries()) {
      const number = state[i]!
      words.push(xor(times(number, 0x10000) + (number >>> 16), state[other]!))
    }
  }
  return words
}

function textBytes(seed: number, id: number): string {
  const letter = (bits: number): string => 'abcdefghijklmnop'[bits & 15]!
  const random = Buffer.from(Uint32Array.from(randomWords(WORDS, seed, id)).buffer)
  const text = [...random].map((byte) => (((byte >> 4) & 7) === 0 ? ' ' : letter(byte)))
  for (let i = 0; i < 8; i++) text[i] = letter(Math.floor(id / 16 ** i))
  return text.join('')
}

function pointerWords(seed: number, id: number): bigint[] {
  const heap = 0x5500_0000_0000n
  const random = randomWords(WORDS, seed, id).filter((_, i) => i % 2 === 0)
  const pointers = random.map((low) => heap + (BigInt(low % 8) << 32n) + BigInt(low - (low % 8)))
  pointers[0] = heap + BigInt(id) * 8n
  return pointers
}

function demoWords(seed: number, id: number): number[] {
  const next = xorshift(seed, id)
  const words = Array.from({ length: WORDS }, next)
  words[0] = id
  return words
}

/** The middle one of three pages, the others of which must stay as they were. */
function filled(
  kind: number,
  seed: number,
  id: number,
  buffer: ArrayBuffer | SharedArrayBuffer,
): Uint32Array {
  const words = new Uint32Array(buffer).fill(0xfacade)
  const rest = { sparseWords: 1, nearWords: 1, nearAt: 'first', writeWords: 1, writeAt: 'first' } as const
  new ContentFiller({ seed, ...rest }).fill(words, WORDS, kind, id, 0)
  expect([...words.subarray(0, WORDS), ...words.subarray(2 * WORDS)].every((word) => word === 0xfacade)).toBe(
    true,
  )
  return words.slice(WORDS, 2 * WORDS)
}

describe.each([
  ['a buffer', () => new ArrayBuffer(3 * WORDS * 4)],
  ['a shared buffer', () => new SharedArrayBuffer(3 * WORDS * 4)],
])('pages in %s', (_, buffer) => {
  it('of random words are as a slow generator makes them', () => {
    for (const [seed, id] of CASES) {
      const expected = randomWords(WORDS, seed, id)
      expected[0] = id
      expect([...filled(KIND.random, seed, id, buffer())], `${seed}, ${id}`).toEqual(expected)
    }
  })

  it('of text are too', () => {
    for (const [seed, id] of CASES) {
      const { buffer: bytes } = filled(KIND.text, seed, id, buffer())
      expect(Buffer.from(bytes).toString('latin1'), `${seed}, ${id}`).toBe(textBytes(seed, id))
    }
  })

  it('of pointers are too', () => {
    for (const [seed, id] of CASES) {
      const { buffer: bytes } = filled(KIND.pointers, seed, id, buffer())
      expect([...new BigUint64Array(bytes)], `${seed}, ${id}`).toEqual(pointerWords(seed, id))
    }
  })

  it('of the demo are too', () => {
    for (const [seed, id] of CASES) {
      expect([...filled(KIND.demo, seed, id, buffer())], `${seed}, ${id}`).toEqual(demoWords(seed, id))
    }
  })
})

describe('random words', () => {
  it.each([8, 16, 1016, 66_560])('can be %d', (count) => {
    expect([...generators().random(3, 9, count)]).toEqual(randomWords(count, 3, 9))
  })
})
