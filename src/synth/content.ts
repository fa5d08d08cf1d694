// The bytes of a content. A content's number is written into its page, so that no two contents of a kind are equal however
// the random numbers fall; that kinds and patches do not meet either is left to chance, and checked (truth.ts).

import { WORDS_PER_PAGE } from '../../assembly/abi.ts'
import { collideXxh3, collideXxh64 } from './collide.ts'
import { generators } from './generators.ts'
import { KIND, NEAR_PATCH } from './plan.ts'
import { decisions, mix } from './random.ts'

/** The words of same-filled pages, as swap compressors see them; the first is half of all. */
export const FILL_WORDS = [0xffffffff, 0xa5a5a5a5, 0x01010101, 0x5a5a5a5a, 0x20202020] as const

/** Where small changes fall in a page. */
export const POSITIONS = ['uniform', 'first', 'last', 'outside-sample'] as const
export type Position = (typeof POSITIONS)[number]

/** A sampling checksum is taken to read every sixteenth word, 256 of 4096 bytes: UKSM's default strength. */
export const SAMPLE_STRIDE = 16

/** Words of what similar pages are cut from, and where each has a part of its own. */
const LIBRARY_WORDS = 65_536
const CHUNK_WORDS = 16

const NO_STREAM = 0xffff_ffff

/** What the bytes depend on beside the content's name. */
export interface Filling {
  readonly seed: number
  /** Words other than zero in a sparse page. */
  readonly sparseWords: number
  readonly nearWords: number
  readonly nearAt: Position
  readonly writeWords: number
  readonly writeAt: Position
}

export class ContentFiller {
  private readonly filling: Filling
  private readonly generators = generators()
  private library: Uint32Array | undefined = undefined

  constructor(filling: Filling) {
    this.filling = filling
  }

  /** Writes one page's content into words [at, at + WORDS_PER_PAGE). */
  fill(words: Uint32Array, at: number, kind: number, id: number, patch: number): void {
    const { generators } = this
    const { seed } = this.filling
    switch (kind) {
      case KIND.zero:
        words.fill(0, at, at + WORDS_PER_PAGE)
        break
      case KIND['same-filled']:
        words.fill(id, at, at + WORDS_PER_PAGE)
        break
      case KIND.random:
        words.set(generators.random(seed, id), at)
        words[at] = id
        break
      case KIND.text:
        words.set(generators.text(seed, id), at)
        break
      case KIND.pointers:
        words.set(generators.pointers(seed, id), at)
        break
      case KIND.sparse:
        this.fillSparse(words, at, id)
        break
      case KIND.similar:
        this.fillSimilar(words, at, id)
        break
      case KIND['collide-xxh64']:
        words.set(generators.random(seed, NO_STREAM), at)
        collideXxh64(words, at, id)
        break
      case KIND['collide-xxh3']:
        words.set(generators.random(seed, NO_STREAM - 1), at)
        collideXxh3(words, at, id)
        break
      default:
        // demo, whose bytes never change.
        words.set(generators.xorshift(seed, id), at)
        words[at] = id
    }
    if (patch !== 0) this.patch(words, at, patch)
  }

  private fillSparse(words: Uint32Array, at: number, id: number): void {
    const next = decisions(this.filling.seed, id)
    words.fill(0, at, at + WORDS_PER_PAGE)
    for (let i = 1; i < this.filling.sparseWords; i++) words[at + (next() % WORDS_PER_PAGE)] = next()
    words[at + (next() % WORDS_PER_PAGE)] = mix(id)
  }

  /** A stretch of the library from a random place, whatever its alignment, with one chunk of its own. */
  private fillSimilar(words: Uint32Array, at: number, id: number): void {
    const { seed } = this.filling
    this.library ??= this.generators.random(seed, NO_STREAM - 2, LIBRARY_WORDS + WORDS_PER_PAGE).slice()
    const from = mix(id ^ seed) % LIBRARY_WORDS
    words.set(this.library.subarray(from, from + WORDS_PER_PAGE), at)
    const own = at + CHUNK_WORDS * (mix(id) % (WORDS_PER_PAGE / CHUNK_WORDS))
    words.set(this.generators.random(seed, id, CHUNK_WORDS), own)
    words[own] = id
  }

  /** Changes words so that the page differs from what it was, and from every other patch of the same. */
  private patch(words: Uint32Array, at: number, patch: number): void {
    const { filling } = this
    const near = patch >= NEAR_PATCH
    const count = near ? filling.nearWords : filling.writeWords
    const law = near ? filling.nearAt : filling.writeAt
    const start = mix(patch)
    for (let i = 0; i < count; i++) {
      const word = at + positionOf(law, start, i)
      words[word] = words[word]! ^ (i === 0 ? start : mix((start + i) | 1))
    }
  }
}

/** The i-th word that a small change touches; all of one change are different words. */
function positionOf(law: Position, start: number, i: number): number {
  if (law === 'first') return i % WORDS_PER_PAGE
  if (law === 'last') return WORDS_PER_PAGE - 1 - (i % WORDS_PER_PAGE)
  if (law === 'uniform') return (start + i * 389) % WORDS_PER_PAGE
  const unsampled = (start + i * 389) % ((WORDS_PER_PAGE / SAMPLE_STRIDE) * (SAMPLE_STRIDE - 1))
  return Math.floor(unsampled / (SAMPLE_STRIDE - 1)) * SAMPLE_STRIDE + 1 + (unsampled % (SAMPLE_STRIDE - 1))
}
