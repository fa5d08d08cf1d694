// Every checksum against an independent implementation, on pages of every sort; and those implementations, where they
// are our own, against the vectors their authors published.

import { createCRC32, createXXHash3, createXXHash64 } from 'hash-wasm'
import { describe, expect, it } from 'vitest'
import xxhashWasm from 'xxhash-wasm'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { CHECKSUM_NAMES, CHECKSUM_TRAITS, type ChecksumName } from '../../src/options.ts'
import { bareArena } from '../support/arena.ts'
import {
  fnv1a64,
  lookup3,
  murmur3x64,
  rapidhashV3,
  sampledHash,
  sampleOrder,
  superFastHash,
} from '../support/checksums.ts'
import { random } from '../support/random.ts'

type Reference = (page: Uint8Array, seed: bigint) => bigint

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Independent implementations, by the name of ours. */
const REFERENCES: Record<ChecksumName, () => Promise<Reference>> = {
  xxh64: async () => (await xxhashWasm()).h64Raw,
  xxh3: async () => {
    const hashers = new Map<bigint, Awaited<ReturnType<typeof createXXHash3>>>()
    for (const seed of SEEDS) {
      hashers.set(seed, await createXXHash3(Number(seed & 0xffff_ffffn), Number(seed >> 32n)))
    }
    return (page, seed) => BigInt(`0x${hashers.get(seed)!.init().update(page).digest()}`)
  },
  xxh32: async () => {
    const { h32Raw } = await xxhashWasm()
    return (page, seed) => BigInt(h32Raw(page, Number(seed & 0xffff_ffffn)))
  },
  crc32c: async () => {
    const hasher = await createCRC32(0x82f63b78)
    return (page) => BigInt(`0x${hasher.init().update(page).digest()}`)
  },
  jhash2: async () => (page, seed) => lookup3(page, 17n ^ (seed & 0xffff_ffffn)),
  murmur3: async () => (page, seed) => murmur3x64(page, seed)[0],
  rapidhash: async () => rapidhashV3,
  fnv1a: async () => fnv1a64,
  superfast: async () => superFastHash,
  sampled: async () => (page, seed) => sampledHash(page, seed, 64),
  none: async () => () => 0n,
}

const SEEDS = [0n, 1n, 0x9e3779b97f4a7c15n] as const

/** Pages of every sort: empty, full, sparse, text-like, random. */
function samplePages(): Uint8Array[] {
  const rnd = random(7)
  const pages = [
    new Uint8Array(PAGE_SIZE),
    new Uint8Array(PAGE_SIZE).fill(255),
    new Uint8Array(PAGE_SIZE).fill(1),
  ]
  for (let i = 0; i < 40; i++) {
    const page = new Uint8Array(PAGE_SIZE)
    if (i % 4 === 0) page[rnd.below(PAGE_SIZE)] = 1 + rnd.below(255)
    else if (i % 4 === 1) for (let at = 0; at < PAGE_SIZE; at++) page[at] = 32 + rnd.below(95)
    else rnd.fill(page)
    pages.push(page)
  }
  return pages
}

describe.each(CHECKSUM_NAMES)('checksum %s', (checksum) => {
  const { bits, seeded, whole } = CHECKSUM_TRAITS[checksum]
  const itsBits = 2n ** BigInt(bits) - 1n

  it.each(seeded ? SEEDS : [undefined])(
    'agrees with an independent implementation, seed %s',
    async (seed) => {
      const reference = await REFERENCES[checksum]()
      const arena = await bareArena({ checksum, ...(seed === undefined ? {} : { seed }) })
      for (const [i, page] of samplePages().entries()) {
        arena.page(arena.firstPfn).set(page)
        expect(arena.checksum(arena.firstPfn) & itsBits, `page ${i}`).toBe(reference(page, seed ?? 0n))
      }
    },
  )

  it.skipIf(!whole)('depends on every byte of the page', async () => {
    const arena = await bareArena({ checksum })
    const pfn = arena.firstPfn
    const before = arena.checksum(pfn)
    for (let at = 0; at < PAGE_SIZE; at++) {
      arena.page(pfn)[at] = 1
      expect(arena.checksum(pfn), `byte ${at}`).not.toBe(before)
      arena.page(pfn)[at] = 0
    }
  })

  it('hashes the last page of the arena too', async () => {
    const arena = await bareArena({ checksum })
    const last = arena.endPfn - 1
    arena.page(last).fill(77)
    arena.page(arena.firstPfn).fill(77)
    expect(arena.checksum(last)).toBe(arena.checksum(arena.firstPfn))
  })
})

describe('the implementations to compare with', () => {
  it('agree with each other where there are two', async () => {
    const hasher = await createXXHash64()
    const { h64Raw } = await xxhashWasm()
    const page = new Uint8Array(PAGE_SIZE).fill(3)
    expect(BigInt(`0x${hasher.init().update(page).digest()}`)).toBe(h64Raw(page))
  })

  it('give the published vectors', () => {
    expect(fnv1a64(bytesOf(''))).toBe(0xcbf29ce484222325n)
    expect(fnv1a64(bytesOf('a'))).toBe(0xaf63dc4c8601ec8cn)
    expect(fnv1a64(bytesOf('foobar'))).toBe(0x85944171f73967e8n)
    expect(lookup3(bytesOf(''), 0n)).toBe(0xdeadbeefn)
    expect(lookup3(bytesOf('Four score and seven years ago'), 0n)).toBe(0x17770551n)
    expect(lookup3(bytesOf('Four score and seven years ago'), 1n)).toBe(0xcd628161n)
    expect(murmur3x64(bytesOf('The quick brown fox jumps over the lazy dog'), 0n)).toEqual([
      0xe34bbc7bbc071b6cn,
      0x7a433ca9c49a9347n,
    ])
    const page = Uint8Array.from({ length: PAGE_SIZE }, (_, i) => i * i + 3 * i)
    // As the package rapidhash-js 3.0.0 has it.
    expect(rapidhashV3(page, 0n)).toBe(0xc2fca512216a80a9n)
    expect(rapidhashV3(page, 0x9e3779b97f4a7c15n)).toBe(0x81dac0c039291611n)
    expect(superFastHash(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))).toBe(0xc754ae23n)
    expect(superFastHash(Uint8Array.of(0, 0, 32, 0, 1, 0, 0, 0))).toBe(0xc754ae23n)
  })
})

describe('the width of a checksum', () => {
  const low32 = 0xffff_ffffn

  it.each([1, 4, 16, 31, 32, 33, 48, 63, 64])(
    '%i bits: as many are kept, whatever the checksum',
    async (checksumBits) => {
      const [full, narrow] = [await bareArena(), await bareArena({ checksumBits })]
      const mask = 2n ** BigInt(checksumBits) - 1n
      const keys = new Map<bigint, bigint>()
      for (const page of samplePages()) {
        for (const arena of [full, narrow]) arena.page(arena.firstPfn).set(page)
        const kept = full.checksum(full.firstPfn) & mask
        const key = narrow.checksum(narrow.firstPfn)
        expect(key & mask & low32).toBe(kept & low32)
        // As many keys as there are values of the kept bits: no more, no fewer.
        expect(keys.get(kept) ?? key).toBe(key)
        keys.set(kept, key)
      }
      expect(new Set(keys.values()).size).toBe(keys.size)
    },
  )

  it.each([
    ['none', undefined],
    ['xxh3', 1],
    ['crc32c', 8],
    ['sampled', 4],
  ] as const)('%s of %s bits: no page looks like one never visited', async (checksum, checksumBits) => {
    const arena = await bareArena({ checksum, ...(checksumBits === undefined ? {} : { checksumBits }) })
    for (const page of samplePages()) {
      arena.page(arena.firstPfn).set(page)
      expect(arena.checksum(arena.firstPfn) & low32).not.toBe(0n)
    }
  })

  it('32 bits are spread over the upper half, which trees are cut short by', async () => {
    const arena = await bareArena({ checksum: 'crc32c' })
    const tops = new Set<bigint>()
    for (const page of samplePages()) {
      arena.page(arena.firstPfn).set(page)
      tops.add(arena.checksum(arena.firstPfn) >> 60n)
    }
    expect(tops.size).toBeGreaterThan(10)
  })
})

describe('the sample', () => {
  it('reads as many words as asked for, each once, in an order that the seed draws', async () => {
    expect([...sampleOrder(5n)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1024 }, (_, i) => 4 * i))
    for (const [seed, sampleWords] of [
      [0n, 1],
      [5n, 16],
      [5n, 1024],
    ] as const) {
      const arena = await bareArena({ checksum: 'sampled', seed, sampleWords })
      const pfn = arena.firstPfn
      const before = arena.checksum(pfn)
      const seen = []
      for (let at = 0; at < PAGE_SIZE; at += 4) {
        arena.page(pfn)[at] = 1
        if (arena.checksum(pfn) !== before) seen.push(at)
        arena.page(pfn)[at] = 0
      }
      const expected = sampleOrder(seed).slice(0, sampleWords)
      expect(seen).toEqual(expected.sort((a, b) => a - b))
    }
  })

  it('changes its strength without reading the rest again, upwards and downwards', async () => {
    const out = 1200 // behind the secret, which nothing else uses
    for (const page of samplePages().slice(0, 8)) {
      const hashes = new Map<number, bigint>()
      for (const sampleWords of [1, 3, 64, 1000, 1024]) {
        const arena = await bareArena({ checksum: 'sampled', seed: 9, sampleWords })
        arena.page(arena.firstPfn).set(page)
        hashes.set(sampleWords, arena.checksum(arena.firstPfn))
      }
      const arena = await bareArena({ checksum: 'sampled', seed: 9 })
      arena.page(arena.firstPfn).set(page)
      const view = new DataView(arena.memory.buffer)
      for (const [from, hash] of hashes) {
        for (const [to, expected] of hashes) {
          view.setBigUint64(out, hash, true)
          arena.core.resample(arena.firstPfn, out, from, to)
          expect(view.getBigUint64(out, true), `${from} to ${to}`).toBe(expected)
        }
      }
    }
  })
})

describe('choosing a strategy', () => {
  it.each([
    [{ checksumBits: 0 }, RangeError, /checksumBits/],
    [{ checksumBits: 65 }, RangeError, /1\.\.64/],
    [{ seed: -1 }, RangeError, /seed/],
    [{ seed: 2n ** 64n }, RangeError, /2\^64/],
    [{ seed: 'secret' as 'random' }, TypeError, /'random'/],
    [{ seed: 1, checksum: 'crc32c' }, RangeError, /takes none; these do: xxh64, xxh3/],
    [{ sampleWords: 4 }, RangeError, /for checksum sampled/],
    [{ sampleWords: 1025, checksum: 'sampled' }, RangeError, /1\.\.1024/],
  ] as const)('%o is refused', async (options, error, message) => {
    await expect(async () => bareArena(options)).rejects.toThrow(error)
    await expect(async () => bareArena(options)).rejects.toThrow(message)
  })

  it('a random seed is another each time', async () => {
    const arenas = await Promise.all([1, 2, 3].map(() => bareArena({ seed: 'random' })))
    expect(new Set(arenas.map((arena) => arena.checksum(arena.firstPfn))).size).toBe(3)
  })

  it('pages prepared to collide do so for the seed they were made for, and for no other', async () => {
    // XXH3 multiplies the halves of each word xored with its secret: where the lower half equals the secret's the
    // product is 0, whatever the upper. The word is also added to its neighbour, so two of them must keep their sum.
    const prepared = (secret: Uint8Array, split: number): Uint8Array => {
      const page = new Uint8Array(PAGE_SIZE)
      const view = new DataView(page.buffer)
      for (const stripe of [0, 1]) {
        page.set(secret.subarray(8 * stripe, 8 * stripe + 4), 64 * stripe)
        view.setUint32(64 * stripe + 4, stripe === 0 ? split : 1_000_000 - split, true)
      }
      return page
    }
    const plain = await bareArena()
    const secret = plain.u8.subarray(1024, 1024 + 192)
    for (const [seed, distinct] of [
      [0n, 1],
      [0x1234_5678_9abcn, 50],
    ] as const) {
      const arena = await bareArena({ seed })
      const sums = Array.from({ length: 50 }, (_, i) => {
        arena.page(arena.firstPfn).set(prepared(secret, i))
        return arena.checksum(arena.firstPfn)
      })
      expect(new Set(sums).size).toBe(distinct)
    }
  })
})
