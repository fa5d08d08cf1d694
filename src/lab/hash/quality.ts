// How good checksums are at their two trades: telling pages apart, for an index, and noticing change, for KSM.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../../assembly/abi.ts'
import type { StrategyOptions } from '../../options.ts'
import type { Pages } from './pages.ts'

/** How many bits of a checksum may be kept. */
export const WIDTHS = [16, 24, 32, 48, 64] as const

/** Pairs of different pages with equal checksums, by how many bits are kept. */
export type Collisions = Readonly<Record<(typeof WIDTHS)[number], number>>

/** Ways in which a page changes between two scans. */
export const CHANGES = ['bit', 'word', 'line', 'half'] as const
/** `bit`: one bit; `word`: 4 bytes; `line`: the 64 of a cache line; `half`: half the page. */
export type Change = (typeof CHANGES)[number]

/** The share of changes that go unnoticed, 0..1. */
export type Missed = Readonly<Record<Change, number>>

/** Counts the pairs of pages that a checksum cannot tell apart. */
export function collisions(pages: Pages, strategy: StrategyOptions): Collisions {
  const sums = pages.checksums(strategy)
  const count = (width: number): number => {
    const kept = sums.map((sum) => BigInt.asUintN(width, sum)).sort()
    let pairs = 0
    for (let at = 1, run = 0; at < kept.length; at++) {
      run = kept[at] === kept[at - 1] ? run + 1 : 0
      pairs += run
    }
    return pairs
  }
  return Object.fromEntries(WIDTHS.map((width) => [width, count(width)])) as unknown as Collisions
}

/** As many pairs as an ideal checksum would have: the birthday bound. */
export function birthdayPairs(pages: number): Collisions {
  const pairs = (pages * (pages - 1)) / 2
  return Object.fromEntries(WIDTHS.map((width) => [width, pairs / 2 ** width])) as unknown as Collisions
}

/**
 * Changes every page once in each of the ways and asks the checksum, or rather the 32 bits of it that KSM keeps, whether
 * it is still the same. Works in the free frame behind the pages.
 */
export function missedChanges(pages: Pages, strategy: StrategyOptions): Missed {
  pages.use(strategy)
  const { arena, count } = pages
  const hash = pages.hasher()
  const copy = arena.page(arena.firstPfn + count)
  const missed = { bit: 0, word: 0, line: 0, half: 0 }
  for (let page = 0; page < count; page++) {
    const before = hash(page)
    for (const change of CHANGES) {
      copy.set(arena.page(arena.firstPfn + page))
      applyChange(copy, change, page)
      if (hash(count) === before) missed[change]++
    }
  }
  return Object.fromEntries(CHANGES.map((change) => [change, missed[change] / count])) as unknown as Missed
}

/** What a hash of so many of a page's words misses, if the changed words stand anywhere. */
export function expectedMiss(words: number, change: Change): number {
  const changed = { bit: 1, word: 1, line: 16, half: 512 }[change]
  let share = 1
  for (let word = 0; word < changed; word++) {
    share *= Math.max(0, WORDS_PER_PAGE - words - word) / (WORDS_PER_PAGE - word)
  }
  return share
}

function applyChange(bytes: Uint8Array, change: Change, page: number): void {
  const dice = Math.imul(page + 1, 0x9e3779b1) >>> 0
  if (change === 'bit') bytes[dice % PAGE_SIZE]! ^= 1 << (dice >>> 29)
  else if (change === 'word') flip(bytes, 4 * (dice % (PAGE_SIZE / 4)), 4)
  else if (change === 'line') flip(bytes, 64 * (dice % (PAGE_SIZE / 64)), 64)
  else flip(bytes, (dice & 1) * (PAGE_SIZE / 2), PAGE_SIZE / 2)
}

/** Writes other bytes over a stretch. */
function flip(bytes: Uint8Array, at: number, length: number): void {
  for (let i = at; i < at + length; i++) bytes[i] = (bytes[i]! + 1 + (i % 7)) & 255
}
