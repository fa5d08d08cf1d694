import { createXXHash3, createXXHash64 } from 'hash-wasm'
import { describe, expect, it } from 'vitest'
import xxhashWasm from 'xxhash-wasm'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { CHECKSUM_NAMES, type ChecksumName } from '../../src/options.ts'
import { bareArena } from '../support/arena.ts'
import { random } from '../support/random.ts'

/** Independent implementations, by the name of ours. */
const REFERENCES: Record<ChecksumName, () => Promise<(page: Uint8Array) => bigint>> = {
  xxh64: async () => (await xxhashWasm()).h64Raw,
  xxh3: async () => {
    const hasher = await createXXHash3()
    return (page) => BigInt(`0x${hasher.init().update(page).digest()}`)
  },
}

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
  it('agrees with an independent implementation', async () => {
    const reference = await REFERENCES[checksum]()
    const arena = await bareArena({ checksum })
    for (const [i, page] of samplePages().entries()) {
      arena.page(arena.firstPfn).set(page)
      expect(arena.checksum(arena.firstPfn), `page ${i}`).toBe(reference(page))
    }
  })

  it('depends on every byte of the page', async () => {
    const arena = await bareArena({ checksum })
    const pfn = arena.firstPfn
    const seen = new Set([arena.checksum(pfn)])
    for (let at = 0; at < PAGE_SIZE; at++) {
      arena.page(pfn)[at] = 1
      seen.add(arena.checksum(pfn))
      arena.page(pfn)[at] = 0
    }
    expect(seen.size).toBe(PAGE_SIZE + 1)
  })
})

it('has a reference for the second implementation of XXH64 too', async () => {
  const hasher = await createXXHash64()
  const { h64Raw } = await xxhashWasm()
  const page = new Uint8Array(PAGE_SIZE).fill(3)
  expect(BigInt(`0x${hasher.init().update(page).digest()}`)).toBe(h64Raw(page))
})
