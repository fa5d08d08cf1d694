// Contents one by one: all of them for whoever writes them down, and those that pay most.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import { PRINT_WORDS } from './binary.ts'
import type { Contents } from './contents.ts'
import { printText } from './key.ts'
import type { PayingContent } from './result.ts'

/** Hears of a content: the two words of its fingerprint, and its pages in each image that has it. */
export type OnContent = (
  high: bigint,
  low: bigint,
  images: readonly number[],
  pages: readonly number[],
) => void

/** All contents of a census: for whoever writes them down. */
export interface CensusContents {
  /** How many there are; zeros are not among them. */
  readonly count: number
  /** Of a page of zeros: the words of its fingerprint, and how many each image has. */
  readonly zero: { readonly high: bigint; readonly low: bigint; readonly pages: readonly number[] }
  /** Goes through them, by ascending fingerprints where one memory holds them all. */
  each(use: OnContent): void
}

const word = (print: Uint32Array, at: number): bigint => (BigInt(print[at + 1]!) << 32n) | BigInt(print[at]!)

/** The contents, without zeros, whose fingerprint is `zero` and of which each image has `pages`. */
export function contentsOf(contents: Contents, zero: Uint32Array, pages: readonly number[]): CensusContents {
  return {
    count: contents.count,
    zero: { high: word(zero, 0), low: word(zero, 2), pages },
    each(use) {
      /** Most contents are spread as one before. */
      const spreads = new Map<number, { images: readonly number[]; pages: readonly number[] }>()
      contents.each((history, words, print) => {
        let spread = spreads.get(history)
        if (spread === undefined) {
          spread = contents.histories.spread(history)
          spreads.set(history, spread)
        }
        use(word(words, print), word(words, print + 2), spread.images, spread.pages)
      })
    },
  }
}

/** The contents that keeping once saves most, at most so many; those alone are not among them. */
export function payingMost(contents: Contents, images: readonly Image[], count: number): PayingContent[] {
  const best: { pages: number; images: number; fingerprint: string; first: number | undefined }[] = []
  const totals = new Map<number, { pages: number; images: number }>()
  contents.each((history, words, print, first) => {
    let total = totals.get(history)
    if (total === undefined) {
      total = contents.histories.totals(history)
      totals.set(history, total)
    }
    const { pages } = total
    if (pages < 2 || count === 0 || (best.length === count && pages <= best.at(-1)!.pages)) return
    const at = best.findIndex((other) => other.pages < pages)
    const fingerprint = printText(words.subarray(print, print + PRINT_WORDS))
    best.splice(at < 0 ? best.length : at, 0, { ...total, fingerprint, first })
    best.length = Math.min(best.length, count)
  })
  return best.map(({ pages, images: having, fingerprint, first }) => ({
    fingerprint,
    pages,
    images: having,
    bytes_saved: (pages - 1) * PAGE_SIZE,
    ...(first === undefined ? {} : { first: placeOf(images, first) }),
  }))
}

function placeOf(images: readonly Image[], page: number): { image: number; page: number; address: number } {
  let left = page
  const image = images.findIndex(({ pages }) => {
    if (left < pages) return true
    left -= pages
    return false
  })
  return { image, page: left, address: images[image]!.addressOf(left) }
}
