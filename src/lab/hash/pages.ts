// Pages to try checksums on, in an arena of their own: no host, no mms. Equal ones among them are left out.

import { WORDS_PER_PAGE } from '../../../assembly/abi.ts'
import { Arena } from '../../core/arena.ts'
import { hasher } from '../../core/hasher.ts'
import type { Image } from '../../image.ts'
import { expectStrategy, type StrategyOptions } from '../../options.ts'
import { type Family, familyPages } from './families.ts'

export class Pages {
  readonly arena: Arena
  readonly name: string
  /** How many there are. They lie side by side from `arena.firstPfn` on, with one free frame behind them. */
  readonly count: number

  private constructor(arena: Arena, name: string, count: number) {
    this.arena = arena
    this.name = name
    this.count = count
  }

  /** The first `count` pages of a family. */
  static async ofFamily(family: Family, count: number, seed: number): Promise<Pages> {
    const arena = await arenaFor(count)
    const words = new Uint32Array(WORDS_PER_PAGE)
    const bytes = new Uint8Array(words.buffer)
    const fill = familyPages(family, seed)
    for (let page = 0; page < count; page++) {
      fill(words, page)
      arena.page(arena.firstPfn + page).set(bytes)
    }
    return new Pages(arena, family, count)
  }

  /** Pages of images, at most `limit`, evenly spread over them; of equal ones only the first. */
  static async ofImages(name: string, images: readonly Image[], limit: number): Promise<Pages> {
    const total = images.reduce((sum, image) => sum + image.pages, 0)
    const every = Math.max(1, total / limit)
    const arena = await arenaFor(Math.min(total, limit))
    const known = new Map<bigint, number[]>()
    let count = 0
    let wanted = 0
    let before = 0
    for (const image of images) {
      for (; Math.floor(wanted) < before + image.pages && count < limit; wanted += every) {
        const pfn = arena.firstPfn + count
        image.read(Math.floor(wanted) - before, 1, arena.page(pfn))
        if (isNew(arena, known, pfn)) count++
      }
      before += image.pages
    }
    return new Pages(arena, name, count)
  }

  /** The 64-bit checksum of every page, by a strategy of its own. */
  checksums(strategy: StrategyOptions): BigUint64Array {
    this.use(strategy)
    const { arena } = this
    return BigUint64Array.from({ length: this.count }, (_, page) => arena.checksum(arena.firstPfn + page))
  }

  /** Puts another strategy in force. There is nothing in this arena's trees that it could disagree with. */
  use(strategy: StrategyOptions): void {
    this.arena.useChecksum(expectStrategy(strategy))
  }

  /** A function that hashes one page by its number, with the strategy in force, and returns the low 32 bits. */
  hasher(): (page: number) => number {
    const { firstPfn } = this.arena
    const hash = hasher(this.arena)
    return (page) => hash(firstPfn + page)
  }
}

function arenaFor(pages: number): Promise<Arena> {
  return Arena.create({ frames: pages + 1, mappings: 1, ...expectStrategy({}) })
}

/** Is a page different from all before it? They are told apart by content, not by a checksum. */
function isNew(arena: Arena, known: Map<bigint, number[]>, pfn: number): boolean {
  const digest = arena.digest(pfn)
  const same = known.get(digest) ?? []
  if (same.some((other) => arena.core.pagesIdentical(other, pfn) !== 0)) return false
  known.set(digest, [...same, pfn])
  return true
}
