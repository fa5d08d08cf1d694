// The census's binary: its fingerprints against slow ones made from the definitions, its table against a plain map.

import { describe, expect, it } from 'vitest'
import { Fingerprinter, instantiate, PRINT_WORDS } from '../../src/lab/census/binary.ts'
import { Contents } from '../../src/lab/census/contents.ts'
import { Histories } from '../../src/lab/census/histories.ts'
import { censusModule } from '../../src/lab/census/module.ts'
import { random as seeded } from '../support/random.ts'

const randomBelow = (seed: number) => seeded(seed).below

const MASK = (1n << 64n) - 1n
const rotl = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & MASK

/** SipHash-2-4 as its authors tell it, of 64 bits or 128. */
function sipHash(key: [bigint, bigint], message: Uint8Array, bits: 64 | 128): bigint[] {
  let [v0, v1, v2, v3] = [
    key[0] ^ 0x736f6d6570736575n,
    key[1] ^ 0x646f72616e646f6dn ^ (bits === 128 ? 0xeen : 0n),
    key[0] ^ 0x6c7967656e657261n,
    key[1] ^ 0x7465646279746573n,
  ]
  const round = (): void => {
    v0 = (v0 + v1) & MASK
    v1 = rotl(v1, 13n) ^ v0
    v0 = rotl(v0, 32n)
    v2 = (v2 + v3) & MASK
    v3 = rotl(v3, 16n) ^ v2
    v0 = (v0 + v3) & MASK
    v3 = rotl(v3, 21n) ^ v0
    v2 = (v2 + v1) & MASK
    v1 = rotl(v1, 17n) ^ v2
    v2 = rotl(v2, 32n)
  }
  const padded = new Uint8Array(Math.floor(message.length / 8) * 8 + 8)
  padded.set(message)
  padded[padded.length - 1] = message.length & 255
  for (const word of new BigUint64Array(padded.buffer)) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }
  v2 ^= bits === 128 ? 0xeen : 0xffn
  for (let i = 0; i < 4; i++) round()
  const first = v0 ^ v1 ^ v2 ^ v3
  if (bits === 64) return [first]
  v1 ^= 0xddn
  for (let i = 0; i < 4; i++) round()
  return [first, v0 ^ v1 ^ v2 ^ v3]
}

const key = { low: 0x0706050403020100n, high: 0x0f0e0d0c0b0a0908n }
const words = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer)

/** A page's fingerprint by its definition: NH of signed words of 16 bits, six times, then SipHash. */
function slowPrint(page: Uint8Array): bigint[] {
  const own: [bigint, bigint] = [key.low, key.high]
  const secret: number[] = []
  for (let number = 0n; number < 266n; number++) {
    const made = words(...sipHash(own, words(number, 1n, 0n), 128))
    secret.push(...new Int16Array(made.buffer))
  }
  const data = new Int16Array(page.slice().buffer)
  const signed = (value: number): number => (value << 16) >> 16
  const sums = [0, 0, 0, 0, 0, 0].map((_, shift) => {
    let sum = 0
    for (let block = 0; block < 128; block++) {
      for (let i = 0; i < 8; i++) {
        const at = block * 16 + i
        const from = (block + shift) * 16 + i
        const product = signed(data[at]! + secret[from]!) * signed(data[at + 8]! + secret[from + 8]!)
        sum = (sum + product) | 0
      }
    }
    return BigInt(sum >>> 0)
  })
  const [a, b, c, d, e, f] = sums as [bigint, bigint, bigint, bigint, bigint, bigint]
  const hidden = sipHash(own, words(0n, 2n, 0n), 128) as [bigint, bigint]
  return sipHash(hidden, words(a | (b << 32n), c | (d << 32n), e | (f << 32n)), 128)
}

describe('fingerprints', () => {
  it('have a SipHash under them', () => {
    // The reference against the vector in the appendix of the paper, the binary against the reference.
    const message = Uint8Array.from({ length: 15 }, (_, i) => i)
    expect(sipHash([key.low, key.high], message, 64)).toEqual([0xa129ca6149be45e5n])
    const binary = instantiate(censusModule())
    const random = randomBelow(1)
    for (let i = 0; i < 50; i++) {
      const value = (): bigint => (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32))
      const [low, high, first, second, third] = [value(), value(), value(), value(), value()] as const
      binary.sipHash(low, high, first, second, third, 1024)
      const expected = sipHash([low, high], words(first, second, third), 128)
      expect([...new BigUint64Array(binary.memory.buffer, 1024, 2)]).toEqual(expected)
    }
  })

  it('are what their definition says', () => {
    const fingerprinter = new Fingerprinter(censusModule(), key)
    const random = randomBelow(2)
    const pages = [
      new Uint8Array(4096),
      new Uint8Array(4096).fill(255),
      new Uint8Array(4096).map((_, i) => (i === 4095 ? 1 : 0)),
      ...[1, 2, 3, 4].map(() => new Uint8Array(4096).map(() => random(256))),
    ]
    for (const [i, page] of pages.entries()) fingerprinter.pages.set(page, i * 4096)
    const prints = fingerprinter.take(pages.length)
    for (const [i, page] of pages.entries()) {
      const print = prints.slice(i * PRINT_WORDS, (i + 1) * PRINT_WORDS)
      expect([...new BigUint64Array(print.buffer)], `page ${i}`).toEqual(slowPrint(page))
    }
    expect(fingerprinter.zero()).toEqual(prints.slice(0, PRINT_WORDS))
  })

  it('differ where a single bit does, or two words change places, and with another key', () => {
    const fingerprinter = new Fingerprinter(censusModule(), key)
    const random = randomBelow(3)
    const page = new Uint8Array(4096).map(() => random(256))
    const seen = new Set<string>()
    const take = (of: Fingerprinter, bytes: Uint8Array): void => {
      of.pages.set(bytes)
      seen.add(of.take(1).join())
    }
    take(fingerprinter, page)
    for (let bit = 0; bit < 4096 * 8; bit += 7) {
      const other = page.slice()
      other[bit >> 3]! ^= 1 << (bit & 7)
      take(fingerprinter, other)
    }
    const count = 1 + Math.ceil((4096 * 8) / 7)
    for (let at = 0; at + 64 <= 4096; at += 2) {
      const other = page.slice()
      other.copyWithin(at, at + 32, at + 34)
      other.set(page.subarray(at, at + 2), at + 32)
      take(fingerprinter, other)
    }
    take(new Fingerprinter(censusModule(), { low: key.low ^ 1n, high: key.high }), page)
    expect(seen.size).toBe(count + (4096 - 64) / 2 + 1 + 1)
  })
})

/** Pages that were not the first to have what they have. */
const laterPages = (firsts: readonly number[]): number[] =>
  firsts.flatMap((first, page) => (first === page ? [] : [page]))

describe.each([
  ['one table', 2 ** 27],
  ['several', 2000],
])('contents in %s', (_, most) => {
  const shapes: [string, (random: (below: number) => number) => number][] = [
    ['spread evenly', (random) => random(2 ** 32)],
    ['crowded at the end', (random) => 2 ** 32 - 1 - random(4)],
    ['crowded at the beginning', (random) => random(4)],
    ['in two heaps', (random) => (random(2) === 0 ? 0 : 2 ** 32 - 1 - random(2 ** 8))],
  ]
  it.each(shapes)('are counted as a map counts them, %s', (_, leading) => {
    const random = randomBelow(4)
    const pages = 30_000
    const againOf: [number, number][] = []
    const again = (at: number, first: number): number => againOf.push([at, first])
    const zero = Uint32Array.of(1, 2, 3, 4)
    const contents = new Contents(censusModule(), { pages, zero, located: true, again, mostContents: most })
    const expected = new Map<string, { first: number; spread: Map<number, number> }>()
    const drawn: number[][] = []
    /** The page that had its content first, of each page but zeros. */
    const firsts: number[] = []
    let page = 0
    let zeros = 0
    for (let image = 0; image < 5; image++) {
      for (let left = pages / 5; left > 0; left -= 500) {
        const prints = new Uint32Array(500 * PRINT_WORDS)
        const begin = page
        for (let i = 0; i < 500; i++) {
          if (drawn.length === 0 || random(3) > 0) {
            drawn.push([random(2 ** 32), leading(random), random(2 ** 32), random(2 ** 32)])
          }
          // One content in four pages: many of it wait together.
          const print = drawn[random(4) === 0 ? 0 : random(drawn.length)]!
          if (random(50) === 0) {
            prints.set(zero, i * PRINT_WORDS)
            zeros++
            page++
            continue
          }
          prints.set(print, i * PRINT_WORDS)
          const name = print.join()
          const known = expected.get(name) ?? { first: page, spread: new Map<number, number>() }
          known.spread.set(image, (known.spread.get(image) ?? 0) + 1)
          expected.set(name, known)
          firsts[page++] = known.first
        }
        zeros -= contents.meet(prints, image, begin)
      }
    }
    contents.settle()
    expect(zeros).toBe(0)
    for (const [at, first] of againOf) expect(firsts[at]).toBe(first)
    expect(againOf.map(([at]) => at).sort((a, b) => a - b)).toEqual(laterPages(firsts))
    expect(contents.count).toBe(expected.size)
    let met = 0
    contents.each((history, words, print, first) => {
      const known = expected.get(words.subarray(print, print + PRINT_WORDS).join())!
      const { images, pages } = contents.histories.spread(history)
      expect({ first, spread: images.map((image, i) => [image, pages[i]]) }).toEqual({
        first: known.first,
        spread: [...known.spread],
      })
      met++
    })
    expect(met).toBe(expected.size)
    const counted = [...contents.histories.spreads()].reduce((sum, spread) => sum + spread.contents, 0)
    expect(counted).toBe(expected.size)
  })
})

it('takes at most 24 bytes a content, once there are many', () => {
  const random = randomBelow(5)
  const zero = new Uint32Array(PRINT_WORDS)
  const contents = new Contents(censusModule(), { pages: 400_000, zero, located: false })
  const prints = new Uint32Array(1000 * PRINT_WORDS)
  for (let round = 0; round < 400; round++) {
    for (let i = 0; i < prints.length; i++) prints[i] = random(2 ** 32)
    contents.meet(prints, 0, round * 1000)
    if (round < 100) continue
    contents.settle()
    // Beside the slots: the place for fingerprints, that of the sort, and a page or two that growing needs.
    expect((contents.bytes - 262_144) / contents.count).toBeLessThanOrEqual(24)
  }
  expect(contents.count).toBe(400_000)
})

it('forgets in how many pages a content was once it is in more', () => {
  const histories = new Histories()
  const { bytes } = histories
  let history = histories.begin(0)
  for (let image = 0; image < 5; image++) {
    for (let page = 0; page < 20_000; page++) history = histories.next(history, image)
  }
  expect(histories.bytes).toBe(bytes)
  expect([...histories.spreads()]).toEqual([
    { contents: 1, images: [0, 1, 2, 3, 4], pages: [20_001, 20_000, 20_000, 20_000, 20_000] },
  ])
  expect(histories.totals(history)).toEqual({ pages: 100_001, images: 5 })
})
